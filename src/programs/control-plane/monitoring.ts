/** Port 15014: Prometheus metrics and the version. */
import { createServer, type Server } from 'node:http';
import { encodeMetrics, PROMETHEUS_TEXT } from '../../telemetry/metrics/exposition.ts';
import type { MetricRegistry } from '../../telemetry/metrics/registry.ts';

/** Starts to listen. */
export async function serveMonitoring(address: { readonly host: string; readonly port: number }, options: { readonly registry: MetricRegistry; readonly version: string }): Promise<Server> {
  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0];
    if (path === '/metrics') response.writeHead(200, { 'content-type': PROMETHEUS_TEXT }).end(encodeMetrics(options.registry));
    else if (path === '/version') response.writeHead(200, { 'content-type': 'text/plain' }).end(options.version);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(address.port, address.host, resolve));
  return server;
}
