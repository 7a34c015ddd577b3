/** One contender in a network namespace of its own: backend, proxy, and the measurements main asks for over IPC. Argument: a JSON of {@link TargetArguments}. */
import { spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setLogLevel, setLogSink } from '../src/base/log.ts';
import { TestControlPlane } from '../test/behaviour/control-plane.ts';
import { TestIdentities } from '../test/behaviour/identities.ts';
import { setUpNetwork } from '../test/behaviour/network.ts';
import { folderOf, ProxyProcess } from '../test/behaviour/proxy-process.ts';
import { GATEWAY, SIDECAR, type ProxyUnderTest } from '../test/behaviour/topology.ts';
import { h2load, runLoad, steady, wrk, type LoadRequest, type LoadResult } from './load.ts';
import { BACKEND, benchMesh } from './mesh.ts';
import { pin, startBackend, startHaproxyPeer, startNginxPeer } from './peers.ts';
import { TokenIssuer, type Addition } from './policies.ts';
import { childrenOf, cpuOfAll, forgetPeak, memoryOf } from './process-stat.ts';
import type { TlsClientsArguments, TlsClientsResult } from './tls-clients.ts';

export type Contender = 'meltemi' | 'envoy' | 'nginx' | 'haproxy';

export interface TargetArguments {
  readonly contender: Contender;
  readonly dataPlaneProgram: string;
  readonly tlsClientsProgram: string;
  readonly envoyPath: string;
}

/** What main may ask for. */
export type Question =
  | { readonly kind: 'load'; readonly tool: 'wrk' | 'h2load'; readonly request: LoadRequest; readonly processes: 'gateway' | 'pair'; readonly addition?: Addition | undefined }
  /** What the pair adds to the time of an answer, at a fixed rate. */
  | { readonly kind: 'latency'; readonly request: LoadRequest; readonly ratePerSecond: number }
  /** New mutual TLS connections, each with one request. */
  | { readonly kind: 'handshakes'; readonly port: number; readonly clients: number; readonly seconds: number; readonly resume: boolean }
  | { readonly kind: 'memory'; readonly of: 'gateway' | 'sidecar' }
  | { readonly kind: 'idle-connections'; readonly count: number }
  | { readonly kind: 'changes'; readonly count: number; readonly request: LoadRequest }
  | { readonly kind: 'cold-start' };

export interface Measurement extends Partial<LoadResult> {
  /** CPU microseconds per request of the processes under test. */
  readonly cpuUs?: number;
  readonly userUs?: number;
  /** CPU seconds they used. */
  readonly cpuSeconds?: number;
  readonly bytesPerCoreSecond?: number;
  readonly peakMb?: number;
  readonly rssMb?: number;
  /** Per 1,000 idle connections. */
  readonly mbPerThousand?: number;
  readonly readyMs?: number;
  readonly changes?: number;
  /** Milliseconds above those of the backend alone. */
  readonly addedP50Ms?: number;
  readonly addedP99Ms?: number;
  /** What a series of changes took. */
  readonly seconds?: number;
  /** Of the connections, taken up again. */
  readonly resumedShare?: number;
}

/** Rest before memory is read: longer than the collector of idle processes waits. */
const REST_MS = 13_000;
/** Forty configuration changes a second. */
const CHANGE_EVERY_MS = 25;
const PROXY_CPU = '0';
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Bytes a whole core would carry: the load and the backend may leave the proxy's core idle. */
function perCore({ bytesPerSecond = 0, requests = 0, requestsPerSecond = 0 }: Measurement, cpuSeconds: number): Measurement {
  return bytesPerSecond > 0 && requestsPerSecond > 0 && cpuSeconds > 0 ? { bytesPerCoreSecond: (bytesPerSecond * requests) / requestsPerSecond / cpuSeconds } : {};
}

class Target {
  private readonly folder = mkdtempSync(join(tmpdir(), 'meltemi-bench-'));
  private readonly identities = new TestIdentities(Date.now());
  private readonly issuer = new TokenIssuer(Date.now());
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
    // The backend alone is what latency is compared with.
    spawnSync('iptables', ['-w', '-t', 'nat', '-I', 'OUTPUT', '1', '-p', 'tcp', '-d', BACKEND.ip, '-j', 'RETURN']);
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
    if (question.kind === 'latency') return this.latency(question);
    if (question.kind === 'handshakes') return this.handshakes(question);
    if (question.kind === 'memory') return this.memory(question.of);
    if (question.kind === 'idle-connections') return this.idleConnections(question.count);
    if (question.kind === 'changes') return this.changes(question.count, question.request);
    return this.coldStart();
  }

  private async load({ tool, request, processes, addition }: Extract<Question, { kind: 'load' }>): Promise<Measurement> {
    const pids = this.pids(processes);
    const headers = { ...request.headers, ...(addition === 'guarded' && { authorization: `Bearer ${this.issuer.token}` }) };
    return this.withAddition(addition, () => this.costOf(pids, () => (tool === 'wrk' ? wrk({ ...request, headers }) : h2load({ ...request, headers, ...(request.post && { dataFile: this.messageFile() }) }))));
  }

  /** CPU and highest memory of the processes while the load runs, per request. */
  private async costOf<T extends { readonly requests: number }>(pids: readonly number[], load: () => Promise<T>): Promise<T & Measurement> {
    pids.forEach(forgetPeak);
    const before = cpuOfAll(pids);
    const result = await load();
    const after = cpuOfAll(pids);
    const [user, system] = [after.userMs - before.userMs, after.systemMs - before.systemMs];
    const per = (ms: number) => (ms * 1000) / Math.max(1, result.requests);
    return { ...result, cpuUs: per(user + system), userUs: per(user), cpuSeconds: (user + system) / 1000, ...perCore(result, (user + system) / 1000), peakMb: Math.max(...pids.map((pid) => memoryOf(pid).peakMb)) };
  }

  /** Runs with more in the mesh than there is otherwise; peers have no mesh. */
  private async withAddition<T>(addition: Addition | undefined, run: () => Promise<T>): Promise<T> {
    if (addition === undefined || this.plane === undefined) return run();
    const mesh = benchMesh(this.identities.of('gateway'));
    await this.plane.apply([...mesh, ...this.issuer.objects(addition)]);
    try {
      if (addition === 'guarded') await this.mustBeGuarded();
      return await run();
    } finally {
      await this.plane.apply(mesh);
    }
  }

  /** Cheap answers of a proxy that lets everybody in, or nobody, must not become figures. */
  private async mustBeGuarded(): Promise<void> {
    const status = async (path: string, token?: string): Promise<number> => {
      const call = request({ host: GATEWAY.ip, port: 8080, path, agent: false, headers: { host: 'plain.bench', ...(token !== undefined && { authorization: `Bearer ${token}` }) } });
      call.end();
      const [response] = (await once(call, 'response')) as [IncomingMessage];
      response.resume();
      return response.statusCode ?? 0;
    };
    const found = [await status('/'), await status('/', `${this.issuer.token.slice(0, -8)}AAAAAAAA`), await status('/1m', this.issuer.token), await status('/', this.issuer.token)];
    if (found.join() !== '403,401,403,200') throw new Error(`without a token, with a forged one, elsewhere and with a token: ${found.join()} instead of 403,401,403,200`);
  }

  /** A gRPC message of 59 bytes. */
  private messageFile(): string {
    const path = join(this.folder, 'message');
    const message = Buffer.alloc(64, 120);
    message.writeUInt8(0, 0);
    message.writeUInt32BE(59, 1);
    writeFileSync(path, message);
    return path;
  }

  private async latency({ request, ratePerSecond }: Extract<Question, { kind: 'latency' }>): Promise<Measurement> {
    const logFile = join(this.folder, 'requests.tsv');
    const alone = await steady({ ...request, url: `http://${BACKEND.ip}:${BACKEND.http}/` }, ratePerSecond, logFile);
    const pair = await this.costOf(this.pids('pair'), () => steady(request, ratePerSecond, logFile));
    return { ...pair, addedP50Ms: (pair.p50Ms ?? 0) - (alone.p50Ms ?? 0), addedP99Ms: (pair.p99Ms ?? 0) - (alone.p99Ms ?? 0) };
  }

  private async handshakes({ port, clients, seconds, resume }: Extract<Question, { kind: 'handshakes' }>): Promise<Measurement> {
    const { key, cert } = this.identities.of('client');
    const args: TlsClientsArguments = { host: GATEWAY.ip, port, serverName: 'plain.bench', key, cert, clients, seconds, resume };
    const result = await this.costOf(this.pids('gateway'), async () => {
      const found = JSON.parse(await runLoad(process.execPath, [this.given.tlsClientsProgram, JSON.stringify(args)], seconds)) as TlsClientsResult;
      return { ...found, requests: found.connections };
    });
    return { ...result, requestsPerSecond: result.connections / result.seconds, resumedShare: result.resumed / Math.max(1, result.connections) };
  }

  private async memory(of: 'gateway' | 'sidecar'): Promise<Measurement> {
    await pause(REST_MS);
    return memoryOf(this.pids('pair')[of === 'gateway' ? 0 : 1]!);
  }

  private async idleConnections(count: number): Promise<Measurement> {
    const pid = this.pids('gateway')[0]!;
    await pause(REST_MS);
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
    await pause(REST_MS);
    const after = memoryOf(pid).rssMb;
    for (const socket of sockets) socket.destroy();
    return { mbPerThousand: ((after - before) * 1000) / count };
  }

  /** Changes come at an even pace, or as fast as the proxies acknowledge them; the load ends with the last one. */
  private async changes(count: number, request: LoadRequest): Promise<Measurement> {
    let load: ChildProcess | undefined;
    let [running, done] = [true, 0];
    const measured = wrk(request, (child) => void (load = child)).finally(() => void (running = false));
    const certificate = this.identities.of('gateway');
    const from = performance.now();
    await pause(500);
    while (running && done < count) {
      await this.plane!.apply(benchMesh(certificate, ++done));
      await pause(Math.max(0, from + 500 + done * CHANGE_EVERY_MS - performance.now()));
    }
    load?.kill('SIGINT');
    return { ...(await measured), changes: done, seconds: (performance.now() - from) / 1000 };
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
