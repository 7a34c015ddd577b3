// 15021 and 15090 beside our own proxy. With Envoy they are static listeners of its bootstrap; the answers are the same.
import { createServer, type Server } from 'node:http';
import { localRequest, type ProxyControl } from './admin-client.ts';

/** Forwards `/healthz/ready` to the agent's status port. */
export function createReadinessServer(statusPort: number): Server {
  return createServer((request, response) => {
    const path = (request.url ?? '/').split('?')[0]!;
    if (path !== '/healthz/ready') {
      response.writeHead(404).end();
      return;
    }
    localRequest({ port: statusPort, path: '/healthz/ready', timeoutMs: 10_000 }).then(
      (answer) => response.writeHead(answer.status, { 'content-type': answer.contentType }).end(answer.body),
      () => response.writeHead(503).end(),
    );
  });
}

/** Serves `/stats/prometheus` of the proxy alone. */
export function createPrometheusServer(proxy: ProxyControl): Server {
  return createServer((request, response) => {
    const path = (request.url ?? '/').split('?')[0]!;
    if (path !== '/stats/prometheus') {
      response.writeHead(404).end();
      return;
    }
    proxy.metrics().then(
      (answer) => response.writeHead(answer.status, { 'content-type': answer.contentType || 'text/plain; version=0.0.4' }).end(answer.body),
      () => response.writeHead(503).end(),
    );
  });
}
