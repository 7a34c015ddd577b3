// Port 15020: what the kubelet, Prometheus and the terminating pod ask of the agent.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';
import type { ProxyControl } from './admin-client.ts';
import { probeApplication, type AppProber } from './app-probes.ts';
import { mergedMetrics, type AgentMetrics, type ApplicationScrape } from './metrics.ts';

const log = createLogger('status');

export interface StatusServerOptions {
  readonly proxy: ProxyControl;
  readonly metrics: AgentMetrics;
  readonly appProbers: ReadonlyMap<string, AppProber>;
  readonly application: ApplicationScrape | undefined;
  /** Where the application listens. */
  readonly podIp: string;
  /** Why the agent itself is not ready (no certificate yet); undefined when it is. */
  readonly agentNotReady: () => string | undefined;
  /** POST /quitquitquit: ends the pod's proxy (Jobs use it). */
  readonly onQuit: () => void;
  /** POST /drain: stop accepting, keep serving what is open. */
  readonly onDrain: () => void;
  /** Body of /debug/ndsz: the DNS table. */
  readonly nameTable?: () => unknown;
}

/** The handler of the status port; the caller binds it. */
export function createStatusServer(options: StatusServerOptions): Server {
  const server = createServer((request, response) => {
    handle(options, request, response).catch((thrown: unknown) => {
      log.error('request failed', { path: request.url, error: messageOf(thrown) });
      if (!response.headersSent) answer(response, 500, messageOf(thrown));
      else response.destroy();
    });
  });
  server.keepAliveTimeout = 30_000;
  return server;
}

async function handle(options: StatusServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? '/').split('?')[0]!;
  if (path === '/healthz/ready') return ready(options, response);
  if (path === '/stats/prometheus' || path === '/metrics') {
    const text = await mergedMetrics(options.proxy, options.metrics, options.application, request.headers.accept);
    response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(text);
    return;
  }
  if (path.startsWith('/app-health/') || path.startsWith('/app-lifecycle/')) {
    const prober = options.appProbers.get(path);
    if (!prober) return answer(response, 404, `no prober at ${path}`);
    const result = await probeApplication(prober, options.podIp, request.headers);
    return answer(response, result.status, result.text);
  }
  if (path === '/quitquitquit' || path === '/drain') {
    if (!isLocal(request)) return answer(response, 403, 'Only requests from localhost are allowed');
    if (request.method !== 'POST') return answer(response, 405, 'Method Not Allowed');
    answer(response, 200, 'OK');
    if (path === '/drain') options.onDrain();
    else options.onQuit();
    return;
  }
  if (path === '/debug/ndsz') {
    if (!isLocal(request)) return answer(response, 403, 'Only requests from localhost are allowed');
    response.writeHead(200, { 'content-type': 'application/json' }).end(`${JSON.stringify(options.nameTable?.() ?? {}, null, 2)}\n`);
    return;
  }
  answer(response, 404, 'Not Found');
}

/** Readiness of the proxy and of the agent; 15021 forwards here. */
async function ready(options: StatusServerOptions, response: ServerResponse): Promise<void> {
  const reason = options.agentNotReady() ?? (await options.proxy.notReady());
  if (reason === undefined) return answer(response, 200, '');
  log.debug('not ready', { reason });
  answer(response, 503, reason);
}

function answer(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(text === '' ? '' : `${text}\n`);
}

function isLocal(request: IncomingMessage): boolean {
  const address = request.socket.remoteAddress ?? '';
  return address === '::1' || /^(::ffff:)?127\./.test(address);
}
