/** One contender in a network namespace of its own: backend, proxy, and the measurements main asks for over IPC. Argument: a JSON of {@link TargetArguments}. */
import { spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setLogLevel, setLogSink } from '../src/base/log.ts';
import { TestControlPlane } from '../test/behaviour/control-plane.ts';
import { TestIdentities } from '../test/behaviour/identities.ts';
import { setUpNetwork } from '../test/behaviour/network.ts';
import { folderOf, ProxyProcess } from '../test/behaviour/proxy-process.ts';
import { GATEWAY, SIDECAR, type ProxyUnderTest } from '../test/behaviour/topology.ts';
import { h2load, wrk, type LoadRequest, type LoadResult } from './load.ts';
import { benchMesh } from './mesh.ts';
import { pin, startBackend, startHaproxyPeer, startNginxPeer } from './peers.ts';
import { childrenOf, cpuOfAll, memoryOf } from './process-stat.ts';

export type Contender = 'meltemi' | 'envoy' | 'nginx' | 'haproxy';

export interface TargetArguments {
  readonly contender: Contender;
  readonly dataPlaneProgram: string;
  readonly envoyPath: string;
}

/** What main may ask for. */
export type Question =
  | { readonly kind: 'load'; readonly tool: 'wrk' | 'h2load'; readonly request: LoadRequest; readonly processes: 'gateway' | 'pair' }
  | { readonly kind: 'memory' }
  | { readonly kind: 'idle-connections'; readonly count: number }
  | { readonly kind: 'changes'; readonly count: number; readonly request: LoadRequest }
  | { readonly kind: 'cold-start' };

export interface Measurement extends Partial<LoadResult> {
  /** CPU microseconds per request of the processes under test. */
  readonly cpuUs?: number;
  readonly userUs?: number;
  /** CPU seconds they used. */
  readonly cpuSeconds?: number;
  readonly peakMb?: number;
  readonly rssMb?: number;
  /** Per 1,000 idle connections. */
  readonly mbPerThousand?: number;
  readonly readyMs?: number;
  readonly changes?: number;
}

const PROXY_CPU = '0';
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

class Target {
  private readonly folder = mkdtempSync(join(tmpdir(), 'meltemi-bench-'));
  private readonly identities = new TestIdentities(Date.now());
  private readonly children: ChildProcess[] = [];
  private plane: TestControlPlane | undefined;
  private discoveryPort = 0;
  private readonly proxies = new Map<string, ProxyProcess>();

  constructor(private readonly given: TargetArguments) {}

  async start(): Promise<void> {
    setLogLevel('warn');
    setLogSink(() => {});
    setUpNetwork();
    // The gateway's calls to the meshed workload enter its sidecar; the sidecar's own, from 127.0.0.6, reach the application.
    spawnSync('iptables', ['-w', '-t', 'nat', '-I', 'OUTPUT', '1', '-p', 'tcp', '!', '-s', '127.0.0.6', '-d', SIDECAR.ip, '--dport', '8000', '-j', 'REDIRECT', '--to-ports', '15006']);
    const { cert, key } = this.identities.of('gateway');
    const [certPath, keyPath, pemPath] = ['cert.pem', 'key.pem', 'both.pem'].map((name) => join(this.folder, name)) as [string, string, string];
    writeFileSync(certPath, cert);
    writeFileSync(keyPath, key);
    writeFileSync(pemPath, cert + key);
    this.keep(startBackend(this.folder), '1');
    // Peers know nothing of interception: their calls to the backend go straight there.
    if (this.given.contender === 'nginx' || this.given.contender === 'haproxy') spawnSync('iptables', ['-w', '-t', 'nat', '-F', 'OUTPUT'], { stdio: 'ignore' });
    if (this.given.contender === 'nginx') this.keep(startNginxPeer(this.folder, { certPath, keyPath }), PROXY_CPU);
    else if (this.given.contender === 'haproxy') this.keep(startHaproxyPeer(this.folder, { pemPath }), PROXY_CPU);
    else await this.startMesh();
    await pause(500);
    this.pinAll();
  }

  private keep(child: ChildProcess, cpu: string): void {
    this.children.push(child);
    setTimeout(() => [child.pid!, ...childrenOf(child.pid!)].forEach((pid) => pin(pid, cpu)), 200);
  }

  private async startMesh(): Promise<void> {
    this.plane = new TestControlPlane(benchMesh(this.identities.of('gateway')));
    this.discoveryPort = await this.plane.start();
    writeFileSync(join(this.folder, 'root.pem'), this.identities.rootPem);
    await Promise.all([this.startProxy(GATEWAY), this.startProxy(SIDECAR)]);
  }

  private async startProxy(proxy: ProxyUnderTest): Promise<void> {
    const kind = this.given.contender === 'envoy' ? 'envoy' : 'proxy';
    const process = new ProxyProcess(this.given.dataPlaneProgram, {
      kind, proxy, discoveryPort: this.discoveryPort, envoyPath: this.given.envoyPath, folder: folderOf(this.folder, proxy.name), identity: this.identities.of(proxy.name), rootPath: join(this.folder, 'root.pem'),
    });
    this.proxies.set(proxy.role, process);
    await process.ready();
  }

  /** Pids that carry the traffic: Envoy below its agent, or our proxy itself, or a peer's workers. */
  private pids(processes: 'gateway' | 'pair'): readonly number[] {
    if (!this.plane) return childrenOf(this.children[1]!.pid!).length > 0 ? childrenOf(this.children[1]!.pid!) : [this.children[1]!.pid!];
    const roles = processes === 'pair' ? ['router', 'sidecar'] : ['router'];
    return roles.map((role) => this.proxies.get(role)!.pid).flatMap((pid) => (this.given.contender === 'envoy' ? childrenOf(pid) : [pid]));
  }

  private pinAll(): void {
    for (const pid of this.pids('pair')) pin(pid, PROXY_CPU);
  }

  async answer(question: Question): Promise<Measurement> {
    if (question.kind === 'load') return this.load(question);
    if (question.kind === 'memory') return memoryOf(this.pids('gateway')[0]!);
    if (question.kind === 'idle-connections') return this.idleConnections(question.count);
    if (question.kind === 'changes') return this.changes(question.count, question.request);
    return this.coldStart();
  }

  private async load({ tool, request, processes }: Extract<Question, { kind: 'load' }>): Promise<Measurement> {
    const pids = this.pids(processes);
    const before = cpuOfAll(pids);
    const result = await (tool === 'wrk' ? wrk : h2load)(request);
    const after = cpuOfAll(pids);
    const [user, system] = [after.userMs - before.userMs, after.systemMs - before.systemMs];
    const per = (ms: number) => (ms * 1000) / Math.max(1, result.requests);
    return { ...result, cpuUs: per(user + system), userUs: per(user), cpuSeconds: (user + system) / 1000, peakMb: Math.max(...pids.map((pid) => memoryOf(pid).peakMb)) };
  }

  private async idleConnections(count: number): Promise<Measurement> {
    const pid = this.pids('gateway')[0]!;
    const before = memoryOf(pid).rssMb;
    const sockets: Socket[] = [];
    for (let index = 0; index < count; index++) {
      const socket = connect(8080, GATEWAY.ip);
      socket.on('error', () => {});
      sockets.push(socket);
      if (index % 50 === 49) await pause(10);
    }
    await Promise.all(sockets.map((socket) => new Promise<void>((resolve) => (socket.connecting ? void socket.once('connect', () => resolve()) : resolve()))));
    for (const socket of sockets) socket.write('GET / HTTP/1.1\r\nHost: plain.bench\r\n\r\n');
    await pause(3000);
    const after = memoryOf(pid).rssMb;
    for (const socket of sockets) socket.destroy();
    return { mbPerThousand: ((after - before) * 1000) / count };
  }

  private async changes(count: number, request: LoadRequest): Promise<Measurement> {
    let running = true;
    let done = 0;
    const certificate = this.identities.of('gateway');
    const changing = (async () => {
      while (running && done < count) {
        await this.plane!.apply(benchMesh(certificate, ++done));
      }
    })();
    const result = await wrk(request);
    running = false;
    await changing;
    return { ...result, changes: done };
  }

  private async coldStart(): Promise<Measurement> {
    this.proxies.get('sidecar')!.stop();
    await pause(2500);
    const from = performance.now();
    await this.startProxy(SIDECAR);
    return { readyMs: performance.now() - from };
  }

  stop(): void {
    for (const proxy of this.proxies.values()) proxy.stop();
    for (const child of this.children) child.kill('SIGTERM');
    setTimeout(() => {
      rmSync(this.folder, { recursive: true, force: true });
      process.exit(0);
    }, 1800);
  }
}

const target = new Target(JSON.parse(process.argv[2] ?? '') as TargetArguments);
process.on('message', (question: Question | 'stop') => {
  if (question === 'stop') return target.stop();
  target.answer(question).then((measurement) => process.send!({ measurement }), (error: unknown) => process.send!({ error: String(error) }));
});
process.on('disconnect', () => target.stop());
target.start().then(() => process.send!({ ready: true }), (error: unknown) => process.send!({ error: error instanceof Error ? error.stack : String(error) }));
