/** What is measured, how it is judged, and against which goal. */
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
}

const load = (shape: LoadShape) => (seconds: number): Question => ({
  kind: 'load', tool: shape.tool ?? 'wrk', processes: shape.processes ?? 'gateway',
  request: {
    url: `${shape.tls ? 'https' : 'http'}://${GATEWAY}:${shape.port ?? (shape.tls ? 8443 : 8080)}${shape.path ?? '/'}`, connections: shape.connections ?? 64, seconds,
    headers: { ...(shape.tool === 'h2load' ? { ':authority': shape.host } : { Host: shape.host }), ...shape.headers },
  },
});

const cost = (name: string, contenders: readonly Contender[], shape: LoadShape): Scenario => ({ name, contenders, question: load(shape), figure: 'cpuUs', better: 'lower', describe: perRequest });
const BROWSER_HEADERS = { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) bench', accept: 'text/html,application/xhtml+xml', 'accept-encoding': 'gzip, deflate', 'accept-language': 'en-US,en;q=0.5' };

/** Telemetry is on, as Istio's defaults have it: metrics for every request, an access log whose lines go to /dev/null. */
export const SCENARIOS: readonly Scenario[] = [
  // First, on fresh processes: after a load the heap shrinks meanwhile and the difference means nothing.
  { name: '10 memory per 1,000 idle connections', contenders: MESHES, figure: 'mbPerThousand', better: 'lower', question: () => ({ kind: 'idle-connections', count: 1000 }), describe: (m) => `${(m.mbPerThousand ?? 0).toFixed(1)} MB` },
  cost('1 HTTP/1.1, 1 KB, one hop', ALL, { host: 'plain.bench', headers: BROWSER_HEADERS }),
  cost('2 gateway → mutual TLS → sidecar', MESHES, { host: 'pair.bench', headers: BROWSER_HEADERS, processes: 'pair' }),
  cost('3 ingress with TLS', ALL, { host: 'plain.bench', tls: true, headers: BROWSER_HEADERS }),
  cost('4 twenty header routes', MESHES, { host: 'routes.bench', headers: { ...BROWSER_HEADERS, 'x-route': 'r17' } }),
  cost('6 HTTP/2 GET', MESHES, { host: 'h2.bench', tool: 'h2load', connections: 8 }),
  cost('6 gRPC-like POST over HTTP/2', MESHES, { host: 'h2.bench', tool: 'h2load', connections: 8, path: '/post', headers: { 'content-type': 'application/grpc', te: 'trailers' } }),
  {
    name: '7 TCP throughput', contenders: MESHES, figure: 'bytesPerSecond', better: 'higher', question: load({ host: 'plain.bench', port: 31400, path: '/1m', connections: 16 }),
    describe: (m) => `${(((m.bytesPerSecond ?? 0) * 8) / 1e9).toFixed(2)} Gbit/s, ${(((m.cpuSeconds ?? 0) * 1e9) / Math.max(1, (m.requests ?? 1) * 1048576)).toFixed(2)} CPU s/GB`,
  },
  {
    name: '8 bodies of 100 MB', contenders: MESHES, figure: 'peakMb', better: 'lower', question: load({ host: 'plain.bench', path: '/100m', connections: 4 }),
    describe: (m) => `${((m.bytesPerSecond ?? 0) / 1e6).toFixed(0)} MB/s, peak ${(m.peakMb ?? 0).toFixed(0)} MB`,
  },
  cost('9 new connections, plaintext', MESHES, { host: 'plain.bench', connections: 16, headers: { Connection: 'close' } }),
  cost('9 new connections, TLS', MESHES, { host: 'plain.bench', tls: true, connections: 16, headers: { Connection: 'close' } }),
  { name: '10 memory after the load', contenders: MESHES, figure: 'rssMb', better: 'lower', question: () => ({ kind: 'memory' }), describe: (m) => `${(m.rssMb ?? 0).toFixed(0)} MB now, ${(m.peakMb ?? 0).toFixed(0)} MB at most` },
  {
    name: '11 configuration changes under load', contenders: MESHES, figure: 'p99Ms', better: 'lower',
    question: (_seconds, quick) => ({ kind: 'changes', count: quick ? 50 : 1000, request: { url: `http://${GATEWAY}:8080/`, connections: 8, seconds: quick ? 4 : 20, headers: { Host: 'plain.bench' } } }),
    describe: (m) => `${m.changes} changes, p99 ${(m.p99Ms ?? 0).toFixed(1)} ms, ${m.errors} errors`,
  },
  { name: '12 cold start to ready', contenders: MESHES, figure: 'readyMs', better: 'lower', question: () => ({ kind: 'cold-start' }), describe: (m) => `${(m.readyMs ?? 0).toFixed(0)} ms` },
];

export interface Goal {
  readonly name: string;
  readonly scenario: string;
  /** Contender the figure is divided by; absent: the figure itself. */
  readonly against?: Contender;
  readonly figure: keyof Measurement;
  readonly goal: number;
  readonly better: 'lower' | 'higher';
}

/** The figures we promise. */
export const GOALS: readonly Goal[] = [
  ...['1', '2', '3', '4'].map((number): Goal => ({ name: `scenario ${number}: CPU per request against Envoy`, scenario: number, against: 'envoy', figure: 'cpuUs', goal: 0.6, better: 'lower' })),
  { name: 'scenario 1 with telemetry: CPU per request against nginx', scenario: '1', against: 'nginx', figure: 'cpuUs', goal: 1.2, better: 'lower' },
  { name: 'HTTP/2: CPU per request against Envoy', scenario: '6 HTTP/2', against: 'envoy', figure: 'cpuUs', goal: 0.7, better: 'lower' },
  { name: 'gRPC: CPU per request against Envoy', scenario: '6 gRPC', against: 'envoy', figure: 'cpuUs', goal: 0.7, better: 'lower' },
  { name: 'TCP throughput against Envoy', scenario: '7', against: 'envoy', figure: 'bytesPerSecond', goal: 0.9, better: 'higher' },
  { name: 'peak memory under load, MB', scenario: '8', figure: 'peakMb', goal: 90, better: 'lower' },
  { name: 'memory per 1,000 idle connections, MB', scenario: '10 memory per', figure: 'mbPerThousand', goal: 15, better: 'lower' },
  { name: 'cold start to ready, ms', scenario: '12', figure: 'readyMs', goal: 400, better: 'lower' },
];
