/**
 * kubectl command lines with all they print, out of `test/e2e/kubectl/*.yaml`: every file is one server and its lines in order. Runs of blanks count as one;
 * `<age>`, `<rand>`, `<time>` and `<any>` stand for what differs from run to run. UPDATE_GOLDENS=1 writes what was printed; read the diff.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { NODE } from '../../objects/resource-types.ts';
import { startFakeKubelet, startTestControllers } from '../controllers/testing.ts';
import { kubectlMissing, startTestServer, type TestServer } from './testing.ts';

interface Line {
  /** The command line after `kubectl`, split at blanks; single quotes keep blanks. */
  readonly run: string;
  readonly input?: string;
  /** Exit code; default 0. */
  readonly code?: number;
  /** Default: nothing is printed. */
  readonly stdout?: string;
  readonly stderr?: string;
  /** Tries again for a while until the output fits: something else has to happen first. */
  readonly wait?: boolean;
}

const FOLDER = join(import.meta.dirname, '../../../test/e2e/kubectl');
const PLACEHOLDERS: Readonly<Record<string, string>> = { '<age>': '\\d+[smhd](?:\\d+[smh])?', '<rand>': '[a-z0-9]+', '<time>': '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ', '<any>': '.*' };
const update = process.env['UPDATE_GOLDENS'] === '1';

/** One blank for runs of them, none at the ends of lines. */
const squeeze = (text: string): string => text.split('\n').map((line) => line.replaceAll(/[ \t]+/g, ' ').trimEnd()).join('\n').trimEnd();

function pattern(text: string): RegExp {
  const parts = squeeze(text).split(/(<age>|<rand>|<time>|<any>)/);
  return new RegExp(`^${parts.map((part) => (Object.hasOwn(PLACEHOLDERS, part) ? PLACEHOLDERS[part] : part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))).join('')}$`);
}

const words = (line: string): string[] => [...line.matchAll(/(?:[^\s']|'[^']*')+/g)].map(([word]) => word.replaceAll(/'([^']*)'/g, '$1'));

/** What kubectl prints differs between versions: these lines are of 1.32. */
function otherVersion(): string | undefined {
  const { clientVersion } = JSON.parse(execFileSync('kubectl', ['version', '--client', '--output=json'], { encoding: 'utf8' })) as { clientVersion: { minor: string } };
  return Number.parseInt(clientVersion.minor, 10) === 32 ? undefined : `kubectl is 1.${clientVersion.minor}, not 1.32`;
}

const missing = kubectlMissing() ?? otherVersion();
if (missing) process.stderr.write(`skipped: kubectl command lines, because ${missing}\n`);
const files = readdirSync(FOLDER).filter((name) => name.endsWith('.yaml')).sort();

describe.skipIf(missing).each(files)('%s', (file) => {
  const lines = parse(readFileSync(join(FOLDER, file), 'utf8')) as Line[];
  const printed: Line[] = [];
  const ending = new AbortController();
  let server: TestServer;
  beforeAll(async () => {
    const logs = {
      async *open(_namespace: string, _pod: string, { container, tailLines }: { container: string; tailLines?: number }) {
        const all = [`${container} starts\n`, `${container} works\n`];
        yield Buffer.from(all.slice(tailLines === undefined ? 0 : -tailLines).join(''));
      },
    };
    server = await startTestServer({ logs });
    startTestControllers(server, ending.signal);
    startFakeKubelet(server, ending.signal);
    await server.client.create(NODE, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'one' } });
  });
  afterAll(async () => {
    ending.abort();
    await server.close();
    if (update) writeFileSync(join(FOLDER, file), stringify(printed, { lineWidth: 0, blockQuote: 'literal' }));
  });

  test.each(lines.map((line, index) => [index + 1, line.run, line] as const))('%i kubectl %s', async (_index, _run, line) => {
    const run = async () => {
      const { code, stdout, stderr } = await server.kubectl(words(line.run), line.input);
      return { code, stdout: squeeze(stdout), stderr: squeeze(stderr) };
    };
    const fits = ({ code, stdout, stderr }: Awaited<ReturnType<typeof run>>): boolean => code === (line.code ?? 0) && pattern(line.stdout ?? '').test(stdout) && pattern(line.stderr ?? '').test(stderr);
    let result = await run();
    for (const until = Date.now() + (line.wait && !update ? 8000 : 0); !fits(result) && Date.now() < until; result = await run()) await new Promise((resolve) => setTimeout(resolve, 50));
    if (update) {
      const { run: command, input, wait } = line;
      const shown = (text: string): string => text && `${text}\n`;
      printed.push(fits(result) ? line : { run: command, ...(input === undefined ? {} : { input }), ...(result.code === 0 ? {} : { code: result.code }), ...(result.stdout ? { stdout: shown(result.stdout) } : {}), ...(result.stderr ? { stderr: shown(result.stderr) } : {}), ...(wait ? { wait } : {}) });
      return;
    }
    expect(result.stderr).toMatch(pattern(line.stderr ?? ''));
    expect(result.stdout).toMatch(pattern(line.stdout ?? ''));
    expect(result.code).toBe(line.code ?? 0);
  }, 20_000);
});

test('there are at least a hundred lines', () => {
  expect(files.reduce((sum, file) => sum + (parse(readFileSync(join(FOLDER, file), 'utf8')) as Line[]).length, 0)).toBeGreaterThanOrEqual(100);
});
