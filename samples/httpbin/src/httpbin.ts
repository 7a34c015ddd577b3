// httpbin: answers with what it was asked. Port 8080, or that of `-b HOST:PORT`; `--access-logfile -` logs requests: as the Python image's server is told. GET / lists the paths.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { randomBytes, randomUUID } from 'node:crypto';

const MAX_BODY_BYTES = 10 * 1024 * 1024;
const MAX_DELAY_SECONDS = 10;

type Answer = (context: { request: IncomingMessage; response: ServerResponse; url: URL; args: readonly string[]; body: Buffer }) => void;

/** First match wins; the groups of the pattern are `args`. */
const ROUTES: readonly (readonly [pattern: RegExp, answer: Answer])[] = [
  [/^\/$/, ({ response }) => send(response, 200, 'text/plain', `httpbin\n${ROUTES.map(([p]) => String(p)).join('\n')}\n`)],
  [/^\/(?:get|post|put|patch|delete|anything(?:\/.*)?)$/, ({ request, response, url, body }) => json(response, 200, echo(request, url, body))],
  [/^\/headers$/, ({ request, response }) => json(response, 200, { headers: headerLists(request) })],
  [/^\/ip$/, ({ request, response }) => json(response, 200, { origin: originOf(request) })],
  [/^\/user-agent$/, ({ request, response }) => json(response, 200, { 'user-agent': request.headers['user-agent'] ?? '' })],
  [/^\/hostname$/, ({ response }) => json(response, 200, { hostname: process.env['HOSTNAME'] ?? 'unknown' })],
  [/^\/uuid$/, ({ response }) => json(response, 200, { uuid: randomUUID() })],
  [/^\/status\/([\d,:.]+)$/, ({ response, args }) => status(response, args[0]!)],
  [/^\/delay\/(\d+(?:\.\d+)?)$/, ({ request, response, url, args, body }) => setTimeout(() => json(response, 200, echo(request, url, body)), Math.min(Number(args[0]), MAX_DELAY_SECONDS) * 1000)],
  [/^\/bytes\/(\d+)$/, ({ response, args }) => send(response, 200, 'application/octet-stream', randomBytes(Math.min(Number(args[0]), MAX_BODY_BYTES)))],
  [/^\/stream\/(\d+)$/, ({ request, response, url, args, body }) => stream(response, Math.min(Number(args[0]), 100), echo(request, url, body))],
  [/^\/response-headers$/, ({ response, url }) => responseHeaders(response, url)],
  [/^\/redirect(?:-to)?(?:\/(\d+))?$/, ({ response, url, args }) => redirect(response, url, args[0])],
  [/^\/cookies$/, ({ request, response }) => json(response, 200, { cookies: Object.fromEntries((request.headers.cookie ?? '').split(/;\s*/).filter(Boolean).map((pair) => pair.split('=', 2))) })],
  [/^\/basic-auth\/([^/]+)\/([^/]+)$/, ({ request, response, args }) => basicAuth(request, response, args[0]!, args[1]!)],
  [/^\/json$/, ({ response }) => json(response, 200, { slideshow: { title: 'Sample', slides: [{ title: 'One', type: 'all' }] } })],
  [/^\/html$/, ({ response }) => send(response, 200, 'text/html; charset=utf-8', '<!DOCTYPE html><title>httpbin</title><h1>httpbin</h1>\n')],
];

function echo(request: IncomingMessage, url: URL, body: Buffer): object {
  const args: Record<string, string[]> = Object.create(null) as Record<string, string[]>;
  for (const [key, value] of url.searchParams) (args[key] ??= []).push(value);
  return { args, headers: headerLists(request), method: request.method, origin: originOf(request), url: `http://${request.headers.host ?? ''}${request.url ?? ''}`, data: body.toString() };
}

/** Header names in their canonical spelling with all their values, as go-httpbin prints them. */
function headerLists(request: IncomingMessage): Record<string, string[]> {
  const lists: Record<string, string[]> = Object.create(null) as Record<string, string[]>;
  for (const [name, values] of Object.entries(request.headersDistinct)) lists[name.replace(/(^|-)[a-z]/g, (c) => c.toUpperCase())] = values ?? [];
  return lists;
}

function originOf(request: IncomingMessage): string {
  return String(request.headers['x-forwarded-for'] ?? request.socket.remoteAddress ?? '').replace(/^::ffff:/, '');
}

function send(response: ServerResponse, code: number, type: string, body: string | Buffer): void {
  // Set before the head is written, so that the log can read it back.
  response.setHeader('content-length', Buffer.byteLength(body));
  response.writeHead(code, { 'content-type': type, 'access-control-allow-origin': '*' });
  response.end(body);
}

function json(response: ServerResponse, code: number, body: unknown): void {
  send(response, code, 'application/json; charset=utf-8', `${JSON.stringify(body, null, 2)}\n`);
}

/** `200`, or a weighted list `200:0.9,503:0.1`. */
function status(response: ServerResponse, spec: string): void {
  const choices = spec.split(',').map((part) => part.split(':')).map(([code, weight]) => ({ code: Number(code), weight: weight === undefined ? 1 : Number(weight) }));
  let draw = Math.random() * choices.reduce((sum, choice) => sum + choice.weight, 0);
  const code = (choices.find((choice) => (draw -= choice.weight) < 0) ?? choices[0]!).code;
  if (!(code >= 200 && code <= 599)) return json(response, 400, { error: 'invalid status code' });
  response.writeHead(code, { 'content-length': 0, ...(code === 401 && { 'www-authenticate': 'Basic realm="Fake Realm"' }), ...(code >= 301 && code <= 303 && { location: '/redirect/1' }) });
  response.end();
}

function stream(response: ServerResponse, lines: number, value: object): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  for (let id = 0; id < lines; id++) response.write(`${JSON.stringify({ id, ...value })}\n`);
  response.end();
}

function responseHeaders(response: ServerResponse, url: URL): void {
  for (const [name, value] of url.searchParams) if (/^[\w-]+$/.test(name) && /^[\x20-\x7e]*$/.test(value)) response.appendHeader(name, value);
  json(response, 200, Object.fromEntries(url.searchParams));
}

function redirect(response: ServerResponse, url: URL, count: string | undefined): void {
  const left = Math.min(Number(count ?? 1), 20);
  const target = url.searchParams.get('url') ?? (left > 1 ? `/redirect/${left - 1}` : '/get');
  response.writeHead(302, { location: target.replace(/[^\x21-\x7e]/g, ''), 'content-length': 0 });
  response.end();
}

function basicAuth(request: IncomingMessage, response: ServerResponse, user: string, password: string): void {
  const authorized = request.headers.authorization === `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  if (!authorized) response.setHeader('www-authenticate', 'Basic realm="Fake Realm"');
  json(response, authorized ? 200 : 401, { authorized, user });
}

async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += (chunk as Buffer).length;
    if (size > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://httpbin');
  const body = await readBody(request);
  if (!body) return json(response, 413, { error: 'body too large' });
  for (const [pattern, reply] of ROUTES) {
    const match = pattern.exec(url.pathname);
    if (match) return reply({ request, response, url, args: match.slice(1), body });
  }
  return json(response, 404, { error: 'not found' });
}

/** The value after a flag on our command line. */
function flag(...names: readonly string[]): string | undefined {
  const at = process.argv.findIndex((word) => names.includes(word));
  return at < 0 ? undefined : process.argv[at + 1];
}

/** Apache's combined format, as gunicorn logs. */
function logRequest(request: IncomingMessage, response: ServerResponse): void {
  const [, day, month, year, time] = /^\w+, (\d+) (\w+) (\d+) ([\d:]+)/.exec(new Date().toUTCString())!;
  const quoted = (text: string | undefined) => `"${text ?? '-'}"`;
  console.log(`${(request.socket.remoteAddress ?? '-').replace(/^::ffff:/, '')} - - [${day}/${month}/${year}:${time} +0000] "${request.method} ${request.url} HTTP/${request.httpVersion}" ${response.statusCode} ${String(response.getHeader('content-length') ?? '-')} ${quoted(request.headers.referer)} ${quoted(request.headers['user-agent'])}`);
}

const port = Number(flag('-b', '--bind')?.split(':').at(-1) ?? process.env['PORT'] ?? 8080);
const logsRequests = flag('--access-logfile') === '-';
const server = createServer((request, response) => {
  if (logsRequests) response.on('finish', () => logRequest(request, response));
  answer(request, response).catch(() => response.destroy());
});
server.keepAliveTimeout = 65_000;
server.listen(port, '::', () => console.log(`httpbin listening on port ${port}`));
process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
