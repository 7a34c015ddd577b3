/** What is measured, how it is judged, and against which goal. */
import { RULES, type Addition } from './policies.ts';
import type { Contender, Measurement, Question } from './target.ts';

export interface Scenario {
  readonly name: string;
  readonly contenders: readonly Contender[];
  question(seconds: number, quick: boolean): Question;
  /** The figure that is compared. */
  readonly figure: keyof Measurement;
  /** `lower` figures are costs. */
  readonly better: 'lower' | 'higher';
  describe(measurement: Measurement): string;
}

const ALL: readonly Contender[] = ['meltemi', 'envoy', 'nginx', 'haproxy'];
const MESHES: readonly Contender[] = ['meltemi', 'envoy'];
const GATEWAY = '10.244.0.30';

/** Requests per second at which latency is compared. */
const STEADY_RATE = 1000;
const perRequest = (m: Measurement) => `${(m.requestsPerSecond ?? 0).toFixed(0)} req/s, ${(m.cpuUs ?? 0).toFixed(1)} us CPU (${(m.userUs ?? 0).toFixed(1)} user)${m.p99Ms === undefined ? '' : `, p50 ${m.p50Ms?.toFixed(2)} p99 ${m.p99Ms.toFixed(2)} ms`}, peak ${(m.peakMb ?? 0).toFixed(0)} MB${m.errors ? `, ${m.errors} errors` : ''}`;

interface LoadShape {
  readonly host: string;
  readonly path?: string;
  readonly port?: number;
  readonly tls?: boolean;
  readonly connections?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly tool?: 'wrk' | 'h2load';
  readonly processes?: 'gateway' | 'pair';
  /** Sends a message of 64 bytes (h2load). */
  readonly post?: boolean;
  readonly addition?: Addition;
}

const load = (shape: LoadShape) => (seconds: number): Question => ({
  kind: 'load', tool: shape.tool ?? 'wrk', processes: shape.processes ?? 'gateway', addition: shape.addition,
  request: {
    ...(shape.post && { post: true }),
    url: `${shape.tls ? 'https' : 'http'}://${GATEWAY}:${shape.port ?? (shape.tls ? 8443 : 8080)}${shape.path ?? '/'}`, connections: shape.connections ?? 64, seconds,
    headers: { ...(shape.tool === 'h2load' ? { ':authority': shape.host } : { Host: shape.host }), ...shape.headers },
  },
});

const cost = (name: string, contenders: readonly Contender[], shape: LoadShape): Scenario => ({ name, contenders, question: load(shape), figure: 'cpuUs', better: 'lower', describe: perRequest });
const BROWSER_HEADERS = { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) bench', accept: 'text/html,application/xhtml+xml', 'accept-encoding': 'gzip, deflate', 'accept-language': 'en-US,en;q=0.5' };

const handshakes = (name: string, resume: boolean): Scenario => ({
  name, contenders: MESHES, figure: 'cpuUs', better: 'lower', question: (seconds) => ({ kind: 'handshakes', port: 8444, clients: 8, seconds, resume }),
  describe: (m) => `${perRequest(m)}, ${((m.resumedShare ?? 0) * 100).toFixed(0)} % resumed`,
});

/** Telemetry is on, as Istio's defaults have it: metrics for every request, an access log whose lines go to /dev/null. */
export const SCENARIOS: readonly Scenario[] = [
  // First, on fresh processes: after a load the heap shrinks meanwhile and the difference means nothing.
  { name: '10 memory per 1,000 idle connections', contenders: MESHES, figure: 'mbPerThousand', better: 'lower', question: () => ({ kind: 'idle-connections', count: 1000 }), describe: (m) => `${(m.mbPerThousand ?? 0).toFixed(1)} MB` },
  { name: '10 memory of an idle sidecar', contenders: MESHES, figure: 'rssMb', better: 'lower', question: () => ({ kind: 'memory', of: 'sidecar' }), describe: (m) => `${(m.rssMb ?? 0).toFixed(0)} MB` },
  cost('1 HTTP/1.1, 1 KB, one hop', ALL, { host: 'plain.bench', headers: BROWSER_HEADERS }),
  cost('1 without telemetry', ALL, { host: 'plain.bench', headers: BROWSER_HEADERS, addition: 'telemetry-off' }),
  cost('2 gateway → mutual TLS → sidecar', MESHES, { host: 'pair.bench', headers: BROWSER_HEADERS, processes: 'pair' }),
  {
    name: `2 latency at ${STEADY_RATE} req/s`, contenders: MESHES, figure: 'addedP99Ms', better: 'lower',
    question: (seconds) => ({ kind: 'latency', ratePerSecond: STEADY_RATE, request: { url: `http://${GATEWAY}:8080/`, connections: 20, seconds, headers: { ':authority': 'pair.bench', ...BROWSER_HEADERS } } }),
    describe: (m) => `adds p50 ${(m.addedP50Ms ?? 0).toFixed(2)} p99 ${(m.addedP99Ms ?? 0).toFixed(2)} ms (p99 ${(m.p99Ms ?? 0).toFixed(2)} ms in all), ${(m.cpuUs ?? 0).toFixed(0)} us CPU${m.errors ? `, ${m.errors} errors` : ''}`,
  },
  cost('3 ingress with TLS', ALL, { host: 'plain.bench', tls: true, headers: BROWSER_HEADERS }),
  cost('4 twenty header routes', MESHES, { host: 'routes.bench', headers: { ...BROWSER_HEADERS, 'x-route': 'r17' } }),
  cost(`5 token and ${RULES} rules`, MESHES, { host: 'plain.bench', headers: BROWSER_HEADERS, addition: 'guarded' }),
  cost('6 HTTP/2 GET', MESHES, { host: 'h2.bench', tool: 'h2load', connections: 8 }),
  cost('6 gRPC-like POST over HTTP/2', MESHES, { host: 'h2.bench', tool: 'h2load', connections: 8, path: '/post', post: true, headers: { 'content-type': 'application/grpc', te: 'trailers' } }),
  {
    name: '7 TCP throughput', contenders: MESHES, figure: 'bytesPerCoreSecond', better: 'higher', question: load({ host: 'plain.bench', port: 31400, path: '/1m', connections: 16 }),
    describe: (m) => `${(((m.bytesPerSecond ?? 0) * 8) / 1e9).toFixed(2)} Gbit/s, ${(((m.bytesPerCoreSecond ?? 0) * 8) / 1e9).toFixed(2)} per core, ${(((m.cpuSeconds ?? 0) * 1e9) / Math.max(1, (m.requests ?? 1) * 1048576)).toFixed(2)} CPU s/GB`,
  },
  {
    name: '8 bodies of 100 MB', contenders: MESHES, figure: 'peakMb', better: 'lower', question: load({ host: 'plain.bench', path: '/100m', connections: 4 }),
    describe: (m) => `${((m.bytesPerSecond ?? 0) / 1e6).toFixed(0)} MB/s, peak ${(m.peakMb ?? 0).toFixed(0)} MB`,
  },
  cost('9 new connections, plaintext', MESHES, { host: 'plain.bench', connections: 16, headers: { Connection: 'close' } }),
  cost('9 new connections, TLS', MESHES, { host: 'plain.bench', tls: true, connections: 16, headers: { Connection: 'close' } }),
  handshakes('9 new connections, mutual TLS', false),
  handshakes('9 new connections, mutual TLS, resumed', true),
  { name: '10 memory after the load', contenders: MESHES, figure: 'rssMb', better: 'lower', question: () => ({ kind: 'memory', of: 'gateway' }), describe: (m) => `${(m.rssMb ?? 0).toFixed(0)} MB` },
  {
    name: '11 configuration changes under load', contenders: MESHES, figure: 'p99Ms', better: 'lower',
    question: (_seconds, quick) => ({ kind: 'changes', count: quick ? 50 : 1000, request: { url: `http://${GATEWAY}:8080/`, connections: 8, seconds: 60, headers: { Host: 'plain.bench' } } }),
    describe: (m) => `${m.changes} changes in ${(m.seconds ?? 0).toFixed(0)} s, p99 ${(m.p99Ms ?? 0).toFixed(1)} ms, ${m.errors} errors`,
  },
  { name: '12 cold start to ready', contenders: MESHES, figure: 'readyMs', better: 'lower', question: () => ({ kind: 'cold-start' }), describe: (m) => `${(m.readyMs ?? 0).toFixed(0)} ms` },
];

export interface Goal {
  readonly name: string;
  /** Name of the scenario, or its beginning up to a space. Empty: every scenario with the figure, the highest counts. */
  readonly scenario: string;
  /** Contender the figure is divided by; absent: the figure itself. */
  readonly against?: Contender;
  readonly figure: keyof Measurement;
  readonly goal: number;
  readonly better: 'lower' | 'higher';
}

const costGoal = (name: string, scenario: string, against: Contender, goal: number): Goal => ({ name: `${name}: CPU per request against ${against === 'envoy' ? 'Envoy' : against}`, scenario, against, figure: 'cpuUs', goal, better: 'lower' });

/** The figures we promise; those of the control plane are in `control-plane.ts`. */
export const GOALS: readonly Goal[] = [
  ...[['1', '1 HTTP/1.1'], ['2', '2 gateway'], ['3', '3'], ['4', '4'], ['5', '5']].map(([number, scenario]) => costGoal(`scenario ${number}`, scenario!, 'envoy', 0.6)),
  costGoal('scenario 1 without telemetry', '1 without telemetry', 'nginx', 1.2),
  { name: `scenario 2: p99 added latency at ${STEADY_RATE} req/s against Envoy`, scenario: '2 latency', against: 'envoy', figure: 'addedP99Ms', goal: 1, better: 'lower' },
  costGoal('HTTP/2', '6 HTTP/2', 'envoy', 0.7),
  costGoal('gRPC', '6 gRPC-like', 'envoy', 0.7),
  { name: 'TCP throughput per core against Envoy', scenario: '7', against: 'envoy', figure: 'bytesPerCoreSecond', goal: 0.9, better: 'higher' },
  { name: 'memory of an idle sidecar, MB', scenario: '10 memory of an idle sidecar', figure: 'rssMb', goal: 60, better: 'lower' },
  { name: 'peak memory under any load, MB', scenario: '', figure: 'peakMb', goal: 90, better: 'lower' },
  { name: 'memory per 1,000 idle connections, MB', scenario: '10 memory per', figure: 'mbPerThousand', goal: 15, better: 'lower' },
  { name: 'cold start to ready, ms', scenario: '12', figure: 'readyMs', goal: 400, better: 'lower' },
];
