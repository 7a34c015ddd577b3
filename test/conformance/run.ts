// `npm run conformance`: every case of every corpus in a folder, judged; passed and total per corpus, and why a case failed.
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '../../src/base/errors.ts';
import { conformanceCases, CORPORA } from './corpus.ts';
import { fail, type Judge, notBuilt, type Verdict } from './judge.ts';
import { JUDGES } from './judges.ts';

interface CorpusResult {
  readonly passed: number;
  readonly total: number;
  readonly failures: readonly { readonly name: string; readonly reason: string }[];
}

/** A case that hangs must not keep the others from being judged. */
const CASE_LIMIT_MS = 60_000;
const MAX_REASON = 300;
/** Exit status of a command line that cannot be followed. */
const USAGE_ERROR = 64;

async function judgeCase(judge: Judge, directory: string, data: unknown, corpusDir: string): Promise<Verdict> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<Verdict>((done) => { timer = setTimeout(() => done(fail(`no verdict within ${CASE_LIMIT_MS / 1000} s`)), CASE_LIMIT_MS); });
  try {
    return await Promise.race([judge.run(directory, data, corpusDir), limit]);
  } catch (error) {
    return fail(`threw: ${messageOf(error)}`);
  } finally {
    clearTimeout(timer);
  }
}

async function judgeCorpus(home: string, corpus: string): Promise<CorpusResult> {
  const judge = JUDGES.find((one) => one.corpus === corpus);
  const cases = conformanceCases<unknown>(corpus, home);
  const failures: { name: string; reason: string }[] = [];
  for (const { name, directory, data } of cases) {
    const verdict = judge ? await judgeCase(judge, directory, data, join(home, corpus)) : notBuilt(`no judge for the corpus ${corpus}`);
    if (!verdict.pass) failures.push({ name, reason: verdict.reason.slice(0, MAX_REASON) });
  }
  return { passed: cases.length - failures.length, total: cases.length, failures };
}

/** Folders that hold cases: at least one folder with a case.json in them. */
function corporaIn(home: string): string[] {
  if (!existsSync(home)) throw new Error(`--cases ${home}: there is no such folder`);
  const folders = readdirSync(home).filter((name) => statSync(join(home, name)).isDirectory()).sort();
  return folders.filter((name) => conformanceCases(name, home).length > 0);
}

/** `CORPUS=PERCENT` → what is short of it, or undefined. */
function shortfall(minimum: string, results: Readonly<Record<string, CorpusResult>>): string | undefined {
  const [corpus, percent] = minimum.split('=') as [string, string?];
  const wanted = Number(percent);
  if (percent === undefined || !Number.isFinite(wanted)) return `--min ${minimum} is not CORPUS=PERCENT, as in --min traffic=100`;
  const result = Object.hasOwn(results, corpus) ? results[corpus] : undefined;
  if (!result) return `--min ${minimum}: there is no corpus ${corpus}`;
  const reached = (100 * result.passed) / Math.max(1, result.total);
  return reached + 1e-9 < wanted ? `${corpus}: ${reached.toFixed(1)} %, but ${wanted} % are wanted` : undefined;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      cases: { type: 'string', default: CORPORA }, corpus: { type: 'string', multiple: true }, json: { type: 'string' }, min: { type: 'string', multiple: true, default: [] },
    },
  });
  const home = resolve(values.cases);
  const corpora: Record<string, CorpusResult> = {};
  for (const corpus of values.corpus ?? corporaIn(home)) {
    const result = await judgeCorpus(home, corpus);
    corpora[corpus] = result;
    process.stdout.write(`${corpus}: ${result.passed}/${result.total}\n${result.failures.map(({ name, reason }) => `  ${name}: ${reason}\n`).join('')}`);
  }
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ corpora }, null, 2)}\n`);
  const short = values.min.map((minimum) => shortfall(minimum, corpora)).filter((one) => one !== undefined);
  for (const one of short) process.stderr.write(`${one}\n`);
  if (short.length > 0) process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = USAGE_ERROR;
}
