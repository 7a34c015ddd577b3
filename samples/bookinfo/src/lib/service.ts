// What every Bookinfo service shares: a small HTTP server, JSON answers, and the headers that must travel with a request.
import { createServer, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';

/** Headers copied from the incoming request to every outgoing one: the trace context, the request id, who the user is, and what routing may look at. */
const PROPAGATED = [
  'x-request-id', 'x-b3-traceid', 'x-b3-spanid', 'x-b3-parentspanid', 'x-b3-sampled', 'x-b3-flags', 'b3', 'x-ot-span-context', 'traceparent', 'tracestate',
  'end-user', 'user-agent', 'cookie', 'authorization', 'x-datadog-trace-id', 'x-datadog-parent-id', 'x-datadog-sampling-priority', 'sw8', 'grpc-trace-bin', 'x-cloud-trace-context',
] as const;

export type Handler = (request: IncomingMessage, response: ServerResponse, url: URL) => void | Promise<void>;

/** The subset of the incoming headers that belongs to the request, not to the hop. */
export function propagatedHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const out: Record<string, string> = {};
  for (const name of PROPAGATED) {
    const value = headers[name];
    if (typeof value === 'string') out[name] = value;
  }
  return out;
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

/** Serves until SIGTERM, then finishes what is under way. The port is argument 1, environment PORT, or 9080. */
export function serve(name: string, handler: Handler): void {
  const port = Number(process.argv[2] ?? process.env['PORT'] ?? 9080);
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://service');
    Promise.resolve()
      .then(() => handler(request, response, url))
      .catch((error: unknown) => {
        console.error(`${name}: ${request.method} ${url.pathname}: ${error instanceof Error ? error.message : String(error)}`);
        if (!response.headersSent) sendJson(response, 500, { error: `${name} failed` });
        else response.destroy();
      });
  });
  server.keepAliveTimeout = 65_000;
  server.listen(port, '::', () => console.log(`${name} listening on port ${port}`));
  process.on('SIGTERM', () => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
  });
}

export interface FetchResult {
  /** 0 when there was no answer at all (refused, reset, timed out). */
  readonly status: number;
  readonly body: string;
}

/** GETs a URL; never throws. `timeoutMs` bounds the whole exchange. */
export function fetchText(url: string, headers: Record<string, string>, timeoutMs: number): Promise<FetchResult> {
  return new Promise((resolve) => {
    const outgoing = httpRequest(url, { headers, agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => finish({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString() }));
      answer.on('error', () => finish({ status: 0, body: '' }));
    });
    const timer = setTimeout(() => outgoing.destroy(new Error('timeout')), timeoutMs);
    const finish = (result: FetchResult) => {
      clearTimeout(timer);
      resolve(result);
    };
    outgoing.on('error', () => finish({ status: 0, body: '' }));
    outgoing.end();
  });
}

export async function readBody(request: IncomingMessage, maxBytes = 64 * 1024): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > maxBytes) throw new Error('body too large');
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString();
}

/** `http://<host>:<port>` of another Bookinfo service; `<NAME>_HOSTNAME`, `<NAME>_SERVICE_PORT` and SERVICES_DOMAIN change it. */
export function serviceUrl(name: string): string {
  const upper = name.toUpperCase();
  const domain = process.env['SERVICES_DOMAIN'] ? `.${process.env['SERVICES_DOMAIN']}` : '';
  const port = /^\d+$/.test(process.env[`${upper}_SERVICE_PORT`] ?? '') ? process.env[`${upper}_SERVICE_PORT`] : '9080';
  return `http://${process.env[`${upper}_HOSTNAME`] ?? name}${domain}:${port}`;
}
