/**
 * kubectl command lines with all they print, out of `test/e2e/kubectl/*.yaml`: every file is one server and its lines in order, run with kubectl 1.32 and
 * with Debian's 1.20, as far as they are here (`kubectl` of the path, `$KUBECTL_OLD`, `scripts/setup.sh --with-old-kubectl`). Runs of blanks count as
 * one; `<age>`, `<rand>`, `<time>`, `<any>` (of one line) and `<lines>` stand for what differs from run to run. UPDATE_GOLDENS=1 writes what 1.32 printed, UPDATE_GOLDENS=old what
 * 1.20 printed; read the diff.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { NODE } from '../../objects/resource-types.ts';
import { startFakeKubelet, startTestControllers } from '../controllers/testing.ts';
import { startTestServer, type TestServer } from './testing.ts';

interface Printed {
  /** Exit code; default 0. */
  readonly code?: number;
  /** Default: nothing is printed. */
  readonly stdout?: string;
  readonly stderr?: string;
}

interface Line extends Printed {
  /** The command line after `kubectl`, split at blanks; single quotes keep blanks. */
  readonly run: string;
  readonly input?: string;
  /** What kubectl 1.20 prints where it is something else; a text says why it is not asked. */
  readonly old?: Printed | string;
  /** Tries again for a while until the output fits: something else has to happen first. */
  readonly wait?: boolean;
}

const FOLDER = join(import.meta.dirname, '../../../test/e2e/kubectl');
const PLACEHOLDERS: Readonly<Record<string, string>> = { '<age>': '\\d+[smhd](?:\\d+[smh])?', '<rand>': '[a-z0-9]+', '<time>': '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ', '<any>': '.*', '<lines>': '[^]*' };

/** One blank for runs of them, none at the ends of lines. */
const squeeze = (text: string): string => text.split('\n').map((line) => line.replaceAll(/[ \t]+/g, ' ').trimEnd()).join('\n').trimEnd();

function pattern(text: string): RegExp {
  const parts = squeeze(text).split(/(<age>|<rand>|<time>|<any>|<lines>)/);
  return new RegExp(`^${parts.map((part) => (Object.hasOwn(PLACEHOLDERS, part) ? PLACEHOLDERS[part] : part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))).join('')}$`);
}

const words = (line: string): string[] => [...line.matchAll(/(?:[^\s']|'[^']*')+/g)].map(([word]) => word.replaceAll(/'([^']*)'/g, '$1'));

type Version = '1.32' | '1.20';
const cache = process.env['MELTEMI_CACHE'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'meltemi');

function versionOf(path: string): string {
  try {
    const { clientVersion } = JSON.parse(execFileSync(path, ['version', '--client', '--output=json'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })) as { clientVersion: { major: string; minor: string } };
    return `${clientVersion.major}.${Number.parseInt(clientVersion.minor, 10)}`;
  } catch {
    return '';
  }
}

/** The folders of the kubectls that are here, by version. */
function findKubectls(): ReadonlyMap<Version, string> {
  const paths = [...(process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'kubectl')), process.env['KUBECTL_OLD'] ?? '', join(cache, 'kubectl-1.20/usr/bin/kubectl')];
  const found = new Map<Version, string>();
  for (const path of paths.filter((one) => one !== '' && existsSync(one))) {
    const version = versionOf(path);
    if ((version === '1.32' || version === '1.20') && !found.has(version)) found.set(version, dirname(path));
  }
  return found;
}

const kubectls = findKubectls();
const files = readdirSync(FOLDER).filter((name) => name.endsWith('.yaml')).sort();
const runs = (['1.32', '1.20'] as const).flatMap((version) => files.map((file) => ({ version, file, missing: kubectls.has(version) ? undefined : `kubectl ${version} is not installed` })));
for (const { file, version, missing } of runs) if (missing) process.stderr.write(`skipped: kubectl ${version} ${file}, because ${missing}\n`);

describe.each(runs)('kubectl $version $file', ({ file, version, missing }) => {
  const update = process.env['UPDATE_GOLDENS'] === (version === '1.32' ? '1' : 'old');
  const lines = parse(readFileSync(join(FOLDER, file), 'utf8')) as Line[];
  const printed: Line[] = [];
  const ending = new AbortController();
  let server: TestServer;
  beforeAll(async () => {
    if (missing) return;
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
    if (missing) return;
    ending.abort();
    await server.close();
    if (update && printed.length === lines.length) writeFileSync(join(FOLDER, file), stringify(printed, { lineWidth: 0, blockQuote: 'literal' }));
  });

  test.skipIf(missing).for(lines.map((line, index) => [index + 1, line.run, line] as const))('%i kubectl %s', { timeout: 20_000 }, async ([, , line], { skip }) => {
    const wanted = version === '1.20' && line.old !== undefined ? line.old : line;
    if (typeof wanted === 'string') return skip(wanted);
    const run = async (): Promise<Required<Printed>> => {
      const { code, stdout, stderr } = await server.kubectl(words(line.run), line.input, { PATH: `${kubectls.get(version)!}${delimiter}${process.env['PATH'] ?? ''}` });
      return { code, stdout: squeeze(stdout), stderr: squeeze(stderr) };
    };
    let result = await run();
    for (const until = Date.now() + (line.wait && !update ? 8000 : 0); !fits(wanted, result) && Date.now() < until; result = await run()) await new Promise((resolve) => setTimeout(resolve, 50));
    if (update) {
      printed.push(fits(wanted, result) ? line : version === '1.32' ? { ...rest(line), ...shown(result) } : { ...line, old: shown(result) });
      return;
    }
    expect(result.stderr).toMatch(pattern(wanted.stderr ?? ''));
    expect(result.stdout).toMatch(pattern(wanted.stdout ?? ''));
    expect(result.code).toBe(wanted.code ?? 0);
  });
});

function fits(wanted: Printed, { code, stdout, stderr }: Required<Printed>): boolean {
  return code === (wanted.code ?? 0) && pattern(wanted.stdout ?? '').test(stdout) && pattern(wanted.stderr ?? '').test(stderr);
}

/** As a line of the file writes it. */
function shown({ code, stdout, stderr }: Required<Printed>): Printed {
  return { ...(code === 0 ? {} : { code }), ...(stdout ? { stdout: `${stdout}\n` } : {}), ...(stderr ? { stderr: `${stderr}\n` } : {}) };
}

function rest({ run, input, old, wait }: Line): Line {
  return { run, ...(input === undefined ? {} : { input }), ...(old === undefined ? {} : { old }), ...(wait ? { wait } : {}) };
}

test('there are at least a hundred lines', () => {
  expect(files.reduce((sum, file) => sum + (parse(readFileSync(join(FOLDER, file), 'utf8')) as Line[]).length, 0)).toBeGreaterThanOrEqual(100);
});
