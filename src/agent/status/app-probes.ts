// Probes of the application that the kubelet sends to the agent (ISTIO_KUBE_APP_PROBERS): asked from inside the pod, where mutual TLS is not in the way.
import { connect } from 'node:net';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';

/** One prober as the injector wrote it. */
export interface AppProber {
  readonly httpGet?: { readonly path?: string; readonly port: number; readonly scheme?: string; readonly host?: string; readonly httpHeaders?: readonly { readonly name: string; readonly value: string }[] };
  readonly tcpSocket?: { readonly port: number; readonly host?: string };
  readonly grpc?: { readonly port: number; readonly service?: string };
  readonly timeoutSeconds?: number;
}

/** Answer of a probe: an HTTP status and a line of text for people. */
export interface ProbeResult {
  readonly status: number;
  readonly text: string;
}

/** Source address of the agent's own connections to the application: excluded from interception. */
const PASSTHROUGH_SOURCE = '127.0.0.6';
const PATH = /^\/app-(health|lifecycle)\/[^/]+\/(livez|readyz|startupz|prestopz|poststartz)$/;

/** Reads the variable. Throws a plain sentence when it is not what the injector writes. */
export function parseAppProbers(text: string | undefined): ReadonlyMap<string, AppProber> {
  if (text === undefined || text === '') return new Map();
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null) throw new Error('ISTIO_KUBE_APP_PROBERS is not a map');
  const entries = Object.entries(value as Record<string, AppProber>);
  for (const [path] of entries) if (!PATH.test(path)) throw new Error(`ISTIO_KUBE_APP_PROBERS: ${JSON.stringify(path)} is not /app-health/<container>/{livez,readyz,startupz}`);
  return new Map(entries);
}

/** Asks the application. `podIp` is where it listens as others see it; headers of the kubelet's request are passed on. */
export function probeApplication(prober: AppProber, podIp: string, headers: IncomingHttpHeaders): Promise<ProbeResult> {
  const timeoutMs = (prober.timeoutSeconds ?? 1) * 1000;
  if (prober.httpGet) return probeHttp(prober.httpGet, podIp, headers, timeoutMs);
  if (prober.tcpSocket) return probeTcp(prober.tcpSocket.host ?? podIp, prober.tcpSocket.port, timeoutMs);
  if (prober.grpc) return probeGrpc(prober.grpc, podIp, timeoutMs);
  return Promise.resolve({ status: 500, text: 'this prober has no action' });
}

function sourceFor(address: string): { localAddress?: string } {
  return address.includes(':') ? {} : { localAddress: PASSTHROUGH_SOURCE };
}

function probeHttp(action: NonNullable<AppProber['httpGet']>, podIp: string, incoming: IncomingHttpHeaders, timeoutMs: number): Promise<ProbeResult> {
  const host = action.host || podIp;
  const headers: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(incoming)) if (value !== undefined && !['connection', 'host', 'accept-encoding'].includes(name)) headers[name] = value;
  headers['host'] = `${host.includes(':') ? `[${host}]` : host}:${action.port}`;
  for (const { name, value } of action.httpHeaders ?? []) headers[name.toLowerCase()] = value;
  const https = action.scheme?.toUpperCase() === 'HTTPS';
  const path = action.path ? (action.path.startsWith('/') ? action.path : `/${action.path}`) : '/';
  return new Promise((resolve) => {
    // As the kubelet: the certificate of an HTTPS probe is not verified.
    const request = (https ? httpsRequest : httpRequest)({ host, port: action.port, path, headers, timeout: timeoutMs, agent: false, ...sourceFor(host), ...(https ? { rejectUnauthorized: false } : {}) }, (response) => {
      response.resume();
      // A redirect to elsewhere counts as success for the kubelet; to ourselves it would have to be followed, which no application relies on.
      resolve({ status: response.statusCode ?? 500, text: `application answered ${response.statusCode}` });
    });
    request.on('timeout', () => request.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    request.on('error', (error) => resolve({ status: 500, text: error.message }));
    request.end();
  });
}

function probeTcp(host: string, port: number, timeoutMs: number): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, ...sourceFor(host) });
    const done = (status: number, text: string): void => {
      socket.destroy();
      resolve({ status, text });
    };
    socket.setTimeout(timeoutMs, () => done(500, `no connection within ${timeoutMs} ms`));
    socket.on('connect', () => done(200, 'connected'));
    socket.on('error', (error) => done(500, error.message));
  });
}

/** `grpc.health.v1.Health/Check`: the request is one optional string, the answer one enum; 1 is SERVING. */
async function probeGrpc(action: NonNullable<AppProber['grpc']>, podIp: string, timeoutMs: number): Promise<ProbeResult> {
  const { GrpcChannel } = await import('../../xds/client/grpc-channel.ts');
  const channel = new GrpcChannel({ target: { host: podIp, port: action.port }, connectTimeoutMs: timeoutMs, openSocket: () => connect({ host: podIp, port: action.port, ...sourceFor(podIp) }) });
  const timer = setTimeout(() => channel.close(), timeoutMs);
  try {
    const service = Buffer.from(action.service ?? '');
    const answer = await channel.unary('/grpc.health.v1.Health/Check', service.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, service.length]), service]));
    const serving = answer[0] === 0x08 && answer[1] === 1;
    return { status: serving ? 200 : 500, text: serving ? 'SERVING' : 'not SERVING' };
  } catch (thrown) {
    return { status: 500, text: thrown instanceof Error ? thrown.message : String(thrown) };
  } finally {
    clearTimeout(timer);
    channel.close();
  }
}
