/** The data-plane bench: every contender in one run, interleaved round by round; the result is ratios. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findEnvoy } from '../src/agent/envoy/find-envoy.ts';
import { chart, goalRows, markdown, type Row } from './report.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';
import type { Contender, Measurement, Question, TargetArguments } from './target.ts';

const option = (name: string): string | undefined => (process.argv.includes(name) ? process.argv[process.argv.indexOf(name) + 1] : undefined);
const quick = process.argv.includes('--quick');
const ROUNDS = quick ? 1 : 3;
const SECONDS = Number(option('--seconds') ?? (quick ? 2 : 5));
/** No scenario begins later. */
const LAST_START_MS = Number(option('--minutes') ?? Number.POSITIVE_INFINITY) * 60_000;

const has = (tool: string): boolean => spawnSync('sh', ['-c', `command -v ${tool}`], { stdio: 'ignore' }).status === 0;

/** A contender's process in its namespace. */
class Opponent {
  private constructor(readonly name: Contender, private readonly child: ChildProcess) {}

  static async start(args: TargetArguments): Promise<Opponent> {
    const env = { ...process.env, MALLOC_ARENA_MAX: '1', NODE_OPTIONS: `--max-semi-space-size=2 --v8-pool-size=1 --max-old-space-size=1024 ${process.env['BENCH_NODE_OPTIONS'] ?? ''}`.trim() };
    const child = spawn('unshare', ['--net', '--mount', process.execPath, '--expose-gc', join(import.meta.dirname, 'target.js'), JSON.stringify(args)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], env });
    const opponent = new Opponent(args.contender, child);
    await opponent.reply();
    return opponent;
  }

  ask(question: Question): Promise<Measurement> {
    const reply = this.reply();
    this.child.send(question);
    return reply;
  }

  private reply(): Promise<Measurement> {
    return new Promise((resolve, reject) => {
      const onExit = () => reject(new Error(`${this.name} ended`));
      this.child.once('exit', onExit);
      this.child.once('message', (message: { measurement?: Measurement; error?: string }) => {
        this.child.off('exit', onExit);
        if (message.error !== undefined) reject(new Error(`${this.name}: ${message.error}`));
        else resolve(message.measurement ?? {});
      });
    });
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => void this.child.once('exit', resolve));
    this.child.send('stop');
    await ended;
  }
}

/** Median by the first figure a scenario is judged by. */
function median(rounds: readonly Measurement[], figure: keyof Measurement): Measurement {
  return rounds.toSorted((a, b) => Number(a[figure] ?? 0) - Number(b[figure] ?? 0))[Math.floor(rounds.length / 2)]!;
}

async function runScenario(scenario: Scenario, opponents: readonly Opponent[], rows: Row[]): Promise<void> {
  const contenders = opponents.filter(({ name }) => scenario.contenders.includes(name));
  const results = new Map<Contender, Measurement[]>(contenders.map(({ name }) => [name, []]));
  const question = scenario.question(SECONDS, quick);
  const rounds = ['load', 'latency', 'handshakes'].includes(question.kind) ? ROUNDS : 1;
  if (question.kind === 'load') for (const opponent of contenders) await opponent.ask({ ...question, request: { ...question.request, seconds: Math.min(2, SECONDS) } });
  for (let round = 0; round < rounds; round++)
    for (const opponent of contenders) {
      const measurement = await opponent.ask(question);
      results.get(opponent.name)!.push(measurement);
      process.stderr.write(`  ${scenario.name} · ${opponent.name}: ${scenario.describe(measurement)}\n`);
    }
  for (const [contender, rounds] of results) rows.push({ scenario, contender, measurement: median(rounds, scenario.figure), spread: rounds.map((round) => Number(round[scenario.figure] ?? 0)) });
}

async function main(): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error('the bench needs root: every contender gets a network namespace of its own');
  const missing = ['wrk', 'h2load', 'nginx', 'taskset', 'iptables'].filter((tool) => !has(tool));
  if (missing.length > 0) throw new Error(`missing: ${missing.join(', ')}. As root: apt-get install wrk nghttp2-client nginx-light haproxy iptables`);
  const envoyPath = findEnvoy();
  const opponents: Opponent[] = [];
  const absent: string[] = [];
  for (const contender of ['meltemi', 'envoy', 'nginx', 'haproxy'] as const) {
    if (contender === 'envoy' && !envoyPath) absent.push('envoy: set ENVOY_BIN or run scripts/setup.sh --with-envoy');
    else if (contender === 'haproxy' && !has('haproxy')) absent.push('haproxy: apt-get install haproxy');
    else opponents.push(await Opponent.start({ contender, dataPlaneProgram: join(import.meta.dirname, 'data-plane.js'), tlsClientsProgram: join(import.meta.dirname, 'tls-clients.js'), envoyPath: envoyPath ?? '' }));
  }
  const rows: Row[] = [];
  const failures: string[] = [];
  try {
    for (const scenario of SCENARIOS.filter(({ name }) => name.includes(option('--scenario') ?? ''))) {
      if (performance.now() > LAST_START_MS) {
        absent.push(`${scenario.name}: no time was left`);
        continue;
      }
      try {
        await runScenario(scenario, opponents, rows);
      } catch (error) {
        failures.push(`${scenario.name}: ${error instanceof Error ? error.message : String(error)}`);
        process.stderr.write(`  FAILED ${failures.at(-1)}\n`);
      }
    }
  } finally {
    await Promise.all(opponents.map((opponent) => opponent.stop()));
  }
  const goals = goalRows(rows);
  process.stdout.write(markdown(rows, goals, { rounds: ROUNDS, seconds: SECONDS, absent, failures }));
  if (option('--json')) writeFileSync(option('--json')!, `${JSON.stringify({ rows: rows.map((row) => ({ scenario: row.scenario.name, contender: row.contender, ...row.measurement, spread: row.spread })), goals: goals.map((goal) => ({ ...goal, value: goal.value ?? null })), absent, failures }, null, 2)}\n`);
  if (option('--svg')) writeFileSync(option('--svg')!, chart(rows));
  process.exitCode = failures.length > 0 ? 1 : 0;
}

await main().catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
