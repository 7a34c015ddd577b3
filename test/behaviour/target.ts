/** Runs cases against one data plane, inside a network namespace of its own. Prints one JSON line per result; argument: JSON of {@link TargetArguments}. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setLogLevel, setLogSink } from '../../src/base/log.ts';
import type { KubeObject } from '../../src/objects/meta.ts';
import { Backends } from './backends.ts';
import { destinationOf, makeCalls } from './calls.ts';
import { changeUnderLoad } from './change-under-load.ts';
import type { BehaviourCase, Call, CaseFile, ReceivedRequest, Seen } from './case.ts';
import { sightOf, type Sight } from './compare.ts';
import { layered, TestControlPlane } from './control-plane.ts';
import { TestIdentities } from './identities.ts';
import { asksLog, judgeCall, judgeLog } from './judge.ts';
import { loadCases, loadSamples, readObjects } from './load-cases.ts';
import { reachabilityCases } from './reachability.ts';
import { setUpNetwork } from './network.ts';
import { folderOf, ProxyProcess, type LogLine } from './proxy-process.ts';
import { GATEWAY, SIDECAR } from './topology.ts';

export interface TargetArguments {
  readonly kind: 'proxy' | 'envoy';
  readonly envoyPath: string;
  readonly casesFolder: string;
  readonly basePath: string;
  readonly dataPlaneProgram: string;
  /** Undefined: without the samples. */
  readonly samplesFolder?: string;
  /** Part of a case id; '' = all. */
  readonly only: string;
}

/** What the parent reads, a line each. */
export type TargetMessage =
  | { readonly kind: 'result'; readonly id: string; readonly problems: readonly string[]; readonly durationMs: number; readonly sight?: Sight }
  /** NACKs over all meshes pushed. */
  | { readonly kind: 'pushes'; readonly pushes: number; readonly refusals: readonly string[] }
  | { readonly kind: 'note'; readonly text: string };

interface Pending {
  readonly id: string;
  readonly problems: string[];
  readonly durationMs: number;
  /** What the call's backends got, where data planes are compared. */
  readonly received?: readonly ReceivedRequest[];
  /** Log lines to look for at the end: the logs are written once a second. */
  readonly logs: readonly { readonly call: Call; readonly label: string; readonly seen: readonly Seen[]; readonly proxy: ProxyProcess }[];
}

const tell = (message: TargetMessage): void => void process.stdout.write(`${JSON.stringify(message)}\n`);
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

class Run {
  private readonly identities = new TestIdentities(Date.now());
  private readonly backends = new Backends(this.identities);
  private readonly base: readonly KubeObject[];
  private readonly plane: TestControlPlane;
  private readonly folder = mkdtempSync(join(tmpdir(), 'meltemi-behaviour-'));
  private readonly pending: Pending[] = [];
  private sidecar!: ProxyProcess;
  private gateway!: ProxyProcess;

  constructor(private readonly given: TargetArguments) {
    this.base = [...readObjects(readFileSync(given.basePath, 'utf8')), ...this.identities.secrets()];
    this.plane = new TestControlPlane(this.base);
  }

  async start(): Promise<void> {
    setLogLevel('warn');
    setLogSink((line) => this.plane.noteLogLine(line));
    setUpNetwork();
    await this.backends.listen();
    const discoveryPort = await this.plane.start();
    const rootPath = join(this.folder, 'root.pem');
    writeFileSync(rootPath, this.identities.rootPem);
    const startProxy = (proxy: typeof SIDECAR): ProxyProcess =>
      new ProxyProcess(this.given.dataPlaneProgram, { kind: this.given.kind, proxy, discoveryPort, envoyPath: this.given.envoyPath, folder: folderOf(this.folder, proxy.name), identity: this.identities.of(proxy.name), rootPath });
    this.sidecar = startProxy(SIDECAR);
    this.gateway = startProxy(GATEWAY);
    await Promise.all([this.sidecar.ready(), this.gateway.ready()]);
  }

  /** All cases of a file on its mesh. */
  async runFile(file: CaseFile): Promise<void> {
    let problem: string | undefined;
    try {
      await this.plane.apply(layered(this.base, file.objects));
      await Promise.all([this.sidecar.warm(), this.gateway.warm()]);
      // What is acknowledged reaches Envoy's worker a moment later.
      await pause(50);
      if (this.plane.refusals.length > 0) problem = `the mesh was refused: ${this.plane.refusals.join('; ')}`;
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
    }
    for (const each of file.cases) {
      if (!each.id.includes(this.given.only)) continue;
      if (problem === undefined) await this.runCase(each, layered(this.base, file.objects));
      else this.pending.push({ id: each.id, problems: [problem], durationMs: 0, logs: [] });
    }
  }

  private async runCase(spec: BehaviourCase, objects: readonly KubeObject[]): Promise<void> {
    const startMs = performance.now();
    const problems: string[] = [];
    const logs: Pending['logs'][number][] = [];
    this.backends.reset(spec.backends);
    const counted = (spec.calls[0] ?? spec.load?.[0]?.call)?.gateway === undefined ? this.sidecar : this.gateway;
    const before = await this.counters(counted, spec);
    for (const [index, call] of spec.calls.entries()) {
      if (call.afterMs) await pause(call.afterMs);
      const proxy = call.gateway === undefined ? this.sidecar : this.gateway;
      const label = `${spec.id}#${index}`;
      const from = this.backends.received.length;
      const seen = await makeCalls(call, label, this.identities);
      if (call.expect.counts || call.expect.received) await this.quiet(from, call);
      const prefix = spec.calls.length > 1 ? `call ${index + 1}: ` : '';
      problems.push(...judgeCall(call, seen, this.backends.received.slice(from)).map((text) => prefix + text));
      if (asksLog(call.expect) || spec.compare) logs.push({ call, label, seen, proxy });
    }
    if (spec.load) problems.push(...(await changeUnderLoad(spec, objects, this.plane, this.identities)));
    problems.push(...(await this.countersProblems(counted, spec, before)));
    for (const [name, proxy] of [['sidecar', this.sidecar], ['gateway', this.gateway]] as const) if (proxy.exited !== undefined) problems.push(`the ${name} ended: ${proxy.exited}; ${proxy.output.slice(-5).join(' | ')}`);
    this.pending.push({ id: spec.id, problems, durationMs: performance.now() - startMs, logs, ...(spec.compare && { received: [...this.backends.received] }) });
  }

  /** Mirrored requests may come a moment after the answer. */
  private async quiet(from: number, { expect }: Call): Promise<void> {
    const wanted = Object.values(expect.counts ?? {}).reduce<number>((sum, count) => sum + (typeof count === 'number' ? count : count[0]), 0);
    for (const deadline = Date.now() + 1000; this.backends.received.length - from < wanted && Date.now() < deadline; ) await pause(5);
    for (let before = -1; before !== this.backends.received.length - from; await pause(15)) before = this.backends.received.length - from;
  }

  private counters(proxy: ProxyProcess, spec: BehaviourCase): Promise<number[]> {
    return Promise.all(Object.keys(spec.stats).map((name) => proxy.stat(name)));
  }

  private async countersProblems(proxy: ProxyProcess, spec: BehaviourCase, before: readonly number[]): Promise<string[]> {
    const names = Object.entries(spec.stats);
    if (names.length === 0) return [];
    const after = await this.counters(proxy, spec);
    return names.flatMap(([name, least], i) => {
      const grown = after[i]! - before[i]!;
      return grown >= least ? [] : [`stat ${name}: expected ${least} more, seen ${grown}`];
    });
  }

  /** Looks the log lines up and tells all results. */
  async finish(): Promise<void> {
    if (this.pending.some(({ logs }) => logs.length > 0)) await pause(1300);
    const lines = new Map([this.sidecar, this.gateway].map((proxy) => [proxy, proxy.log()]));
    for (const { id, problems, durationMs, logs, received } of this.pending) {
      const found = logs.map(({ call, label, seen, proxy }) => findLine(lines.get(proxy) ?? [], label, call, seen.at(-1)));
      for (const [index, { call }] of logs.entries()) if (asksLog(call.expect)) problems.push(...judgeLog(call.expect, found[index]));
      tell({ kind: 'result', id, problems, durationMs: Math.round(durationMs), ...(received && { sight: sightOf(logs.at(-1)?.seen.at(-1), received, found.at(-1)) }) });
    }
  }

  /** Late refusals count too: of the whole run, whichever case they come in. */
  tellPushes(): void {
    tell({ kind: 'pushes', pushes: this.plane.pushes, refusals: this.plane.allRefusals });
  }

  close(): void {
    this.sidecar?.stop();
    this.gateway?.stop();
    setTimeout(() => {
      rmSync(this.folder, { recursive: true, force: true });
      process.exit(0);
    }, 700);
  }
}

/** How far the clocks of the access log and of the caller may be apart: proxies take the time once per turn of their loop, which may be long ago on a busy machine. */
const CLOCK_TOLERANCE_MS = 2000;

/**
 * By the call's user agent, or by the port of its socket: ports come again, so the time must fit too. The kernel gives a redirected connection another port
 * when its own is taken by one it still remembers: then the destination and the time must do.
 */
function findLine(log: readonly LogLine[], label: string, call: Call, seen: Seen | undefined): LogLine | undefined {
  const byName = log.findLast((line) => line['user_agent'] === label);
  if (byName || !seen?.localPort) return byName;
  const { localPort, startedAtMs, durationMs } = seen;
  const { address, port } = destinationOf(call);
  const distance = (line: LogLine): number => Math.abs(Date.parse(String(line['start_time'])) - startedAtMs);
  const during = log.filter((line) => {
    const startMs = Date.parse(String(line['start_time']));
    return line['downstream_local_address'] === `${address}:${port}` && startMs > startedAtMs - CLOCK_TOLERANCE_MS && startMs < startedAtMs + durationMs + CLOCK_TOLERANCE_MS;
  });
  const byPort = during.findLast((line) => String(line['downstream_remote_address'] ?? '').endsWith(`:${localPort}`));
  return byPort ?? during.filter((line) => line['method'] === null).sort((one, other) => distance(one) - distance(other))[0];
}

const given = JSON.parse(process.argv[2] ?? '') as TargetArguments;
const run = new Run(given);
try {
  const files = [...loadCases(given.casesFolder), ...(given.samplesFolder === undefined ? [] : [...loadSamples(given.samplesFolder), ...reachabilityCases()])].filter((file) => file.cases.some((each) => each.id.includes(given.only)));
  await run.start();
  for (const file of files) await run.runFile(file);
  await run.finish();
  run.tellPushes();
} catch (error) {
  tell({ kind: 'note', text: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  process.exitCode = 1;
}
run.close();
