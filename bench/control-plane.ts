/** `npm run bench -- control-plane [S,E,P …]`: what a change costs in a mesh of S services with E endpoints each and P proxies. */
import { fork, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { join } from 'node:path';
import { setLogLevel } from '../src/base/log.ts';
import { NODE_ENV, NODE_OPTIONS } from '../src/local/images.ts';
import { collectWhenIdle } from '../src/programs/process/idle-collector.ts';
import { BenchPlane, slice, virtualService, type Size } from './bench-plane.ts';
import { goalTable, percentile, type Goal } from './goals.ts';
import { cpuOf, memoryOf } from './process-stat.ts';
import type { ClientsArguments, ClientsQuestion, ClientsReport } from './xds-clients.ts';

type Mode = 'delta' | 'sotw';

/** The second is there to compare the third with. */
const DEFAULT_SIZES = '100,10,100 1000,10,500 100,20,1000 1000,20,1000 10000,5,200';
const CHANGES = 10;
/** From this many services on, fewer changes: each is a gigabyte for the process that is all proxies. */
const LARGE_SERVICES = 5000;
const LARGE_CHANGES = 3;
const ROLLED_PODS = 100;
const ROLL_PAUSE_MS = 20;
/** The control plane waits this long for a change to be the last one; for endpoints, this long. */
const DEBOUNCE_MS = 100;
const QUIET_MS = 1500;
/** Long enough for the collector of idle processes. */
const REST_MS = 10_000;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Costs of one kind of change. Times are from the change to a proxy's acknowledgement; `last` is the slowest proxy of the slowest change. */
interface Cost {
  readonly change: string;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly lastMs: number;
  /** CPU of the control plane, per change. */
  readonly cpuMs: number;
  /** Sent to all proxies, per change. */
  readonly kilobytes: number;
}

interface Result extends Size {
  readonly mode: Mode;
  readonly connectMs: number;
  readonly connectCpuMs: number;
  readonly rssMb: number;
  readonly peakMb: number;
  readonly costs: readonly Cost[];
}

const cpuMs = (): number => cpuOf(process.pid).userMs + cpuOf(process.pid).systemMs;

class Clients {
  private constructor(private readonly child: ChildProcess, private readonly proxies: number) {
    child.once('exit', (code) => {
      if (code === null) return;
      process.stderr.write(`the simulated proxies ended with ${code}\n`);
      process.exit(1);
    });
  }

  static start(args: ClientsArguments): Clients {
    return new Clients(fork(join(import.meta.dirname, 'xds-clients.js'), [JSON.stringify(args)], { stdio: 'inherit', execArgv: ['--max-old-space-size=8192'] }), args.proxies);
  }

  ask(question: ClientsQuestion): Promise<ClientsReport> {
    return new Promise((resolve) => {
      this.child.once('message', (message) => resolve(message as ClientsReport));
      this.child.send(question);
    });
  }

  stop(): void {
    this.child.kill('SIGKILL');
  }

  /** Waits until every proxy had one more update of the type. */
  async everybody(type: string, from: ClientsReport, waitMs = 300_000): Promise<void> {
    for (const deadline = Date.now() + waitMs; ; await pause(10)) {
      const grown = ((await this.ask('report')).updates[type] ?? 0) - (from.updates[type] ?? 0);
      if (grown >= this.proxies) return;
      if (Date.now() > deadline) throw new Error(`only ${grown} of ${this.proxies} proxies got ${type} within ${waitMs / 1000} s`);
    }
  }

  /** Waits until nothing has come for a while; resolves to when the last came. */
  async quiet(): Promise<number> {
    for (;;) {
      const { lastUpdateMs } = await this.ask('report');
      if (Date.now() - lastUpdateMs > QUIET_MS) return lastUpdateMs;
      await pause(100);
    }
  }
}

const NOTHING: ClientsReport = { connected: 0, updates: {}, lastUpdateMs: 0, bytes: 0, times: {} };

async function measure(size: Size, mode: Mode): Promise<Result> {
  const plane = new BenchPlane(size);
  const port = await plane.start();
  const [from, before] = [Date.now(), cpuMs()];
  const clients = Clients.start({ port, services: size.services, proxies: size.proxies, mode });
  try {
    await clients.everybody('RDS', NOTHING, 600_000);
    const connectMs = Date.now() - from;
    await clients.quiet();
    const connectCpuMs = cpuMs() - before;
    progress(size, `all connected after ${(connectMs / 1000).toFixed(0)} s`);
    await pause(REST_MS);
    const { rssMb } = memoryOf(process.pid);
    const costs = [
      await changes(clients, size, 'one endpoint', 'EDS', (index) => plane.change('updated', slice(Math.min(7, size.services - 1), size.endpoints, { unready: index % 2 === 0 ? -1 : 1 }))),
      await changes(clients, size, 'one VirtualService', 'RDS', (index) => plane.change('updated', virtualService(index))),
      await rolling(clients, plane),
      await reconnect(clients, size.proxies),
    ];
    return { ...size, mode, connectMs, connectCpuMs, rssMb, peakMb: memoryOf(process.pid).peakMb, costs };
  } finally {
    clients.stop();
  }
}

/** A long run says where it is. */
function progress(size: Size, text: string): void {
  process.stderr.write(`  ${size.services}, ${size.endpoints}, ${size.proxies}: ${text}\n`);
}

async function changes(clients: Clients, size: Size, change: string, type: string, make: (index: number) => void): Promise<Cost> {
  const times: number[] = [];
  let lastMs = 0;
  const count = size.services >= LARGE_SERVICES ? LARGE_CHANGES : CHANGES;
  const [cpu, start] = [cpuMs(), await clients.ask('take')];
  for (let index = 1; index <= count; index++) {
    const before = await clients.ask('take');
    const sentMs = Date.now();
    make(index);
    await clients.everybody(type, before);
    const taken = ((await clients.ask('take')).times[type] ?? []).map((at) => at - sentMs);
    times.push(...taken);
    lastMs = Math.max(lastMs, ...taken);
    progress(size, `${change} ${index} of ${count}, last ${Math.max(0, ...taken)} ms`);
  }
  const end = await clients.ask('report');
  return { change, p50Ms: percentile(times, 50), p99Ms: percentile(times, 99), lastMs, cpuMs: (cpuMs() - cpu) / count, kilobytes: (end.bytes - start.bytes) / count / 1024 };
}

/** Pods are replaced one after the other; the time is from the last one to the last acknowledgement, the costs are per pod. */
async function rolling(clients: Clients, plane: BenchPlane): Promise<Cost> {
  const perService = Math.min(plane.size.endpoints - 1, 10);
  const [cpu, start] = [cpuMs(), await clients.ask('take')];
  for (let index = 0; index < ROLLED_PODS; index++) {
    plane.replacePod(Math.floor(index / perService), (index % perService) + 1);
    await pause(ROLL_PAUSE_MS);
  }
  const sentMs = Date.now();
  await pause(QUIET_MS);
  const lastMs = (await clients.quiet()) - sentMs;
  const end = await clients.ask('take');
  const after = (end.times['EDS'] ?? []).map((at) => at - sentMs).filter((ms) => ms > 0);
  return { change: `${ROLLED_PODS} pods rolling`, p50Ms: percentile(after, 50), p99Ms: percentile(after, 99), lastMs, cpuMs: (cpuMs() - cpu) / ROLLED_PODS, kilobytes: (end.bytes - start.bytes) / ROLLED_PODS / 1024 };
}

async function reconnect(clients: Clients, proxies: number): Promise<Cost> {
  const [cpu, start] = [cpuMs(), await clients.ask('take')];
  const sentMs = Date.now();
  await clients.ask('reconnect');
  await clients.everybody('RDS', start, 600_000);
  const lastMs = (await clients.quiet()) - sentMs;
  const end = await clients.ask('take');
  const times = (end.times['RDS'] ?? []).map((at) => at - sentMs);
  return { change: `reconnect of all ${proxies}`, p50Ms: percentile(times, 50), p99Ms: percentile(times, 99), lastMs, cpuMs: cpuMs() - cpu, kilobytes: (end.bytes - start.bytes) / 1024 };
}

/** Each size in a process of its own, which runs as the product's do: memory of one must not count for the next. */
function measureApart(size: Size, mode: Mode): Promise<Result> {
  return new Promise((resolve, reject) => {
    const child = fork(import.meta.filename, ['--one', JSON.stringify({ size, mode })], { stdio: 'inherit', execArgv: [...NODE_OPTIONS, ...(process.env['BENCH_NODE_OPTIONS'] ?? '').split(' ').filter(Boolean)], env: { ...process.env, ...NODE_ENV } });
    child.once('message', (message) => resolve(message as Result));
    child.once('exit', (code) => reject(new Error(`${JSON.stringify(size)} ${mode} ended with ${code}`)));
  });
}

function goalsOf(results: readonly Result[]): readonly Goal[] {
  const find = (services: number, endpoints: number, proxies: number) => results.filter((result) => result.services === services && result.endpoints === endpoints && result.proxies === proxies);
  const cost = (result: Result | undefined, change: string) => result?.costs.find((one) => one.change.startsWith(change));
  const worst = (values: readonly (number | undefined)[]) => (values.length > 0 && values.every((value) => value !== undefined) ? Math.max(...values) : undefined);
  return (['delta', 'sotw'] as const).flatMap((mode) => {
    const of = (services: number, endpoints: number, proxies: number) => find(services, endpoints, proxies).find((result) => result.mode === mode);
    const [small, large] = [cost(of(100, 20, 1000), 'one endpoint')?.cpuMs, cost(of(1000, 20, 1000), 'one endpoint')?.cpuMs];
    const last = cost(of(1000, 10, 500), 'one VirtualService')?.lastMs;
    return [
      { name: `one endpoint at (1,000, 20, 1,000) against (100, 20, 1,000), CPU, ${mode}`, goal: 2, value: small === undefined || large === undefined ? undefined : large / small },
      { name: `VirtualService to the last acknowledgement at (1,000, 10, 500) beyond the debounce, ms, ${mode}`, goal: 1000, value: last === undefined ? undefined : last - DEBOUNCE_MS },
      { name: `memory of the control plane at (1,000, 20, 1,000), MB, ${mode}`, goal: 600, value: worst([of(1000, 20, 1000)?.rssMb]) },
    ].map((goal) => ({ ...goal, met: goal.value !== undefined && goal.value <= goal.goal }));
  });
}

async function main(): Promise<void> {
  const json = process.argv.includes('--json') ? process.argv[process.argv.indexOf('--json') + 1] : undefined;
  const sizes = process.argv.slice(2).filter((argument) => /^\d+,\d+,\d+$/.test(argument));
  const results: Result[] = [];
  process.stdout.write(`${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown CPU'}, Linux ${release()}, Node ${process.versions.node}. Times are from a change to a proxy's acknowledgement, the debounce (${DEBOUNCE_MS} ms, endpoints 10 ms) included; \`last\` is the slowest proxy in the slowest of ${CHANGES} changes (${LARGE_CHANGES} from ${LARGE_SERVICES} services on). CPU is the control plane's, per change.\n\n`);
  process.stdout.write('| S, E, P | protocol | first connect | memory, at most | change | p50 | p99 | last | CPU | sent |\n|---|---|---|---|---|---|---|---|---|---|\n');
  for (const text of sizes.length > 0 ? sizes : DEFAULT_SIZES.split(' ')) {
    const [services, endpoints, proxies] = text.split(',').map(Number) as [number, number, number];
    for (const mode of (['delta', 'sotw'] as const).filter((candidate) => !process.argv.includes('--mode') || process.argv[process.argv.indexOf('--mode') + 1] === candidate)) {
      const result = await measureApart({ services, endpoints, proxies }, mode);
      results.push(result);
      for (const cost of result.costs)
        process.stdout.write(`| ${services}, ${endpoints}, ${proxies} | ${mode} | ${(result.connectMs / 1000).toFixed(1)} s, ${(result.connectCpuMs / 1000).toFixed(1)} s CPU | ${result.rssMb.toFixed(0)}, ${result.peakMb.toFixed(0)} MB | ${cost.change} | ${cost.p50Ms.toFixed(0)} ms | ${cost.p99Ms.toFixed(0)} ms | ${cost.lastMs.toFixed(0)} ms | ${cost.cpuMs.toFixed(cost.cpuMs < 10 ? 1 : 0)} ms | ${cost.kilobytes.toFixed(0)} KB |\n`);
    }
  }
  const goals = goalsOf(results);
  process.stdout.write(`\n${goalTable(goals)}`);
  if (json) writeFileSync(json, `${JSON.stringify({ results, goals }, null, 2)}\n`);
}

setLogLevel('none');
const one = process.argv.indexOf('--one');
if (one < 0) await main();
else {
  const { size, mode } = JSON.parse(process.argv[one + 1] ?? '') as { readonly size: Size; readonly mode: Mode };
  collectWhenIdle();
  process.send!(await measure(size, mode), () => process.exit(0));
}
