/** `npm run behaviour`: the same cases against every data plane. @see README.md */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parse } from 'yaml';
import { findEnvoy } from '../../src/agent/envoy/find-envoy.ts';
import type { CaseFile } from './case.ts';
import type { TargetArguments, TargetMessage } from './target.ts';
import { differences, type Sight } from './compare.ts';
import { InProcessFile } from './in-process.ts';
import { loadCases, loadSamples, readObjects } from './load-cases.ts';
import { reachabilityCases } from './reachability.ts';
import { writeSoak } from './soak.ts';

const TARGETS = ['in-process', 'proxy', 'envoy'] as const;
type Target = (typeof TARGETS)[number];

interface Outcome {
  readonly id: string;
  readonly problems: readonly string[];
  readonly durationMs: number;
  readonly sight?: Sight;
}

interface TargetOutcome {
  readonly target: Target;
  readonly outcomes: readonly Outcome[];
  /** Cases that were not asked, and why. */
  readonly skipped: readonly { readonly id: string; readonly reason: string }[];
  /** Cases with nothing to ask of this target. */
  readonly notApplicable: number;
  /** Configurations the data plane refused (NACK), of all that were pushed. */
  readonly refusals?: readonly string[];
  readonly pushes?: number;
}

interface KnownDifference {
  readonly case: string;
  readonly target: Target;
  readonly reason: string;
  readonly citation: string;
}

const root = process.env['MELTEMI_BEHAVIOUR_ROOT'] ?? process.cwd();
const suite = join(root, 'test/behaviour');

function option(name: string): string | undefined {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
}

/** Why a data plane cannot be run here. */
function missing(target: Target, envoy: string | undefined): string | undefined {
  if (target === 'in-process') return undefined;
  if (target === 'envoy' && !envoy) return 'there is no Envoy: set ENVOY_BIN or run scripts/setup.sh --with-envoy';
  if (process.getuid?.() !== 0) return 'network namespaces with redirection by group need root';
  const tools = ['unshare', 'ip', 'iptables'].filter((tool) => spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0);
  return tools.length > 0 ? `${tools.join(', ')} cannot be found` : undefined;
}

const suiteFiles = (): CaseFile[] => [...loadCases(join(suite, 'cases')), ...loadSamples(join(root, 'samples')), ...reachabilityCases()];

function runInProcess(only: string): TargetOutcome {
  const base = readObjects(readFileSync(join(suite, 'base.yaml'), 'utf8'));
  const outcomes: Outcome[] = [];
  let notApplicable = 0;
  for (const file of suiteFiles()) {
    const meshes = new InProcessFile(base, file);
    for (const spec of file.cases.filter(({ id }) => id.includes(only))) {
      const startMs = performance.now();
      let problems: readonly string[] | undefined;
      try {
        problems = meshes.judge(spec);
      } catch (error) {
        problems = [error instanceof Error ? (error.stack ?? error.message) : String(error)];
      }
      if (problems) outcomes.push({ id: spec.id, problems, durationMs: Math.round(performance.now() - startMs) });
      else notApplicable++;
    }
  }
  return { target: 'in-process', outcomes, skipped: [], notApplicable };
}

/** Runs a data plane in a namespace of its own; cases it did not come to are failures. */
async function runDataPlane(target: 'proxy' | 'envoy', envoyPath: string, only: string, soakFolder?: string): Promise<TargetOutcome> {
  const given: TargetArguments = { kind: target, envoyPath, only, ...(soakFolder === undefined ? { casesFolder: join(suite, 'cases'), samplesFolder: join(root, 'samples') } : { casesFolder: soakFolder }), basePath: join(suite, 'base.yaml'), dataPlaneProgram: join(import.meta.dirname, 'data-plane.js') };
  const child = spawn('unshare', ['--net', process.execPath, '--enable-source-maps', join(import.meta.dirname, 'target.js'), JSON.stringify(given)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const outcomes: Outcome[] = [];
  const notes: string[] = [];
  let pushed: Pick<TargetOutcome, 'pushes' | 'refusals'> = {};
  for await (const line of createInterface({ input: child.stdout })) {
    const message = JSON.parse(line) as TargetMessage;
    if (message.kind === 'result') outcomes.push(message);
    else if (message.kind === 'pushes') pushed = message;
    else notes.push(message.text);
  }
  const ids = (soakFolder === undefined ? suiteFiles() : loadCases(soakFolder)).flatMap((file) => file.cases.map(({ id }) => id)).filter((id) => id.includes(only));
  const done = new Set(outcomes.map(({ id }) => id));
  for (const id of ids) if (!done.has(id)) outcomes.push({ id, problems: [`did not run: ${notes.join('; ') || 'the run ended early'}`], durationMs: 0 });
  return { target, outcomes, skipped: [], notApplicable: 0, pushes: pushed.pushes ?? 0, refusals: pushed.refusals ?? [] };
}

async function main(): Promise<number> {
  const wanted = option('target');
  const only = option('case') ?? '';
  const soakFor = option('soak');
  if (soakFor !== undefined) return soak(Number.parseFloat(soakFor) || 10);
  if (wanted !== undefined && !TARGETS.includes(wanted as Target)) throw new Error(`--target is one of ${TARGETS.join(', ')}`);
  const targets = TARGETS.filter((target) => wanted === undefined || target === wanted);
  const files = suiteFiles();
  const ids = files.flatMap((file) => file.cases.map(({ id }) => id)).filter((id) => id.includes(only));
  if (ids.length === 0) throw new Error(`no case has ${JSON.stringify(only)} in its name`);
  const envoy = findEnvoy();
  const startMs = Date.now();
  const all = await Promise.all(targets.map(async (target): Promise<TargetOutcome> => {
    const reason = missing(target, envoy);
    if (reason !== undefined) return { target, outcomes: [], skipped: ids.map((id) => ({ id, reason })), notApplicable: 0 };
    return target === 'in-process' ? runInProcess(only) : runDataPlane(target, envoy ?? '', only);
  }));
  const known = (parse(readFileSync(join(suite, 'known-differences.yaml'), 'utf8')) ?? []) as readonly KnownDifference[];
  return report(all, known, new Set(ids), Date.now() - startMs);
}

/** A bounded run of random meshes. Each target must do what was decided in process. */
async function soak(seconds: number): Promise<number> {
  const startMs = Date.now();
  const seed = Number(option('seed') ?? Date.now() % 0x7fffffff);
  const folder = mkdtempSync(join(tmpdir(), 'meltemi-soak-'));
  const envoy = findEnvoy();
  console.log(`soak: seed ${seed} (again: --soak ${seconds} --seed ${seed})`);
  const problems = writeSoak(folder, readObjects(readFileSync(join(suite, 'base.yaml'), 'utf8')), seconds, seed);
  for (const problem of problems) console.log(`FAIL in-process: ${problem}`);
  const ids = loadCases(folder).flatMap((file) => file.cases.map(({ id }) => id));
  const all = await Promise.all((['proxy', 'envoy'] as const).map(async (target): Promise<TargetOutcome> => {
    const reason = missing(target, envoy);
    return reason === undefined ? runDataPlane(target, envoy ?? '', '', folder) : { target, outcomes: [], skipped: ids.map((id) => ({ id, reason })), notApplicable: 0 };
  }));
  const compared = compare(all);
  const status = report(all, [], new Set(ids), Date.now() - startMs);
  console.log(`soak: ${compared} calls were the same on both data planes in all that could be seen`);
  if (status === 0 && problems.length === 0) rmSync(folder, { recursive: true, force: true });
  else console.log(`soak: the meshes are in ${folder}`);
  return problems.length > 0 ? 1 : status;
}

/** Adds to the first data plane's problems what the second one did otherwise; the number of calls without a difference. */
function compare([ours, oracle]: TargetOutcome[]): number {
  const there = new Map(oracle?.outcomes.map(({ id, sight }) => [id, sight]));
  let same = 0;
  for (const { id, sight, problems } of ours?.outcomes ?? []) {
    const other = there.get(id);
    if (!sight || !other) continue;
    const found = differences(sight, other, [ours!.target, oracle!.target]);
    (problems as string[]).push(...found);
    if (found.length === 0) same++;
  }
  return same;
}

function report(all: readonly TargetOutcome[], known: readonly KnownDifference[], ids: ReadonlySet<string>, durationMs: number): number {
  const names = { passed: [] as string[], failed: [] as string[], skipped: [] as string[], known: [] as string[] };
  for (const difference of known) if (!difference.reason || !difference.citation) throw new Error(`known-differences.yaml: ${difference.case}: a reason and a citation, please`);
  for (const { target, outcomes, skipped, notApplicable, pushes, refusals } of all) {
    const counts = { passed: 0, failed: 0, known: 0 };
    if (refusals !== undefined) console.log(`${target}: ${refusals.length} NACKs over ${pushes} pushed meshes${refusals.map((text) => `\n     ${text}`).join('')}`);
    if (refusals !== undefined && refusals.length > 0) names.failed.push(`${target}: ${refusals.length} NACKs`);
    for (const { id, problems } of outcomes) {
      const difference = known.find((each) => each.case === id && each.target === target);
      const name = `${target}: ${id}`;
      if (problems.length > 0 && difference) {
        counts.known++;
        names.known.push(`${name} (${difference.reason})`);
      } else if (problems.length > 0 || difference) {
        counts.failed++;
        names.failed.push(name);
        const why = problems.length > 0 ? problems : [`is listed as a known difference (${difference!.reason}) and passes: take it off the list`];
        console.log(`FAIL ${name}\n${why.map((problem) => `     ${problem}`).join('\n')}`);
      } else {
        counts.passed++;
        names.passed.push(name);
      }
    }
    for (const { id, reason } of skipped) names.skipped.push(`${target}: ${id} (${reason})`);
    if (skipped[0]) console.log(`skipped: ${skipped.length} cases on ${target}: ${skipped[0].reason}`);
    console.log(`${target}: ${counts.passed} passed, ${counts.failed} failed, ${counts.known} known differences, ${skipped.length} skipped${notApplicable ? `, ${notApplicable} need sockets` : ''}`);
  }
  const ran = new Set<string>(all.map(({ target }) => target));
  for (const { case: id, target } of known) if (ran.has(target) && !ids.has(id) && option('case') === undefined) names.failed.push(`${target}: ${id} (known difference of a case that is not there)`);
  if (option('slowest')) for (const { target, outcomes } of all) console.log(`${target}: ${outcomes.toSorted((a, b) => b.durationMs - a.durationMs).slice(0, 12).map(({ id, durationMs: ms }) => `${id} ${ms} ms`).join(', ')}`);
  const json = option('json');
  if (json) writeFileSync(json, JSON.stringify({ passed: names.passed.length, failed: names.failed.length, skipped: names.skipped.length, knownDifferences: names.known.length, nacks: Object.fromEntries(all.map(({ target, refusals }) => [target, refusals?.length ?? 0])), names }, null, 2));
  console.log(`behaviour: ${names.passed.length} passed, ${names.failed.length} failed, ${names.skipped.length} skipped, ${names.known.length} known differences, ${Math.round(durationMs / 1000)} s`);
  return names.failed.length === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`behaviour: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 2;
}
