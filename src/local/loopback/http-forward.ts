/** The HTTP proxy that `http_proxy` names inside a loopback pod: plain requests and CONNECT tunnels, for programs that are not Node and obey it. */
import http from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { join } from '../host-relay.ts';

/** Where a meshed pod's agent serves it, at the pod's localhost. */
export const AGENT_HTTP_PORT = 15007;
/** Where the node serves it for pods without a sidecar. */
export const NODE_HTTP_PORT = 15009;

/** Opens a connection to a destination as a program names it. Rejects when the name is unknown or nobody answers. */
export type Dialer = (host: string, port: number) => Promise<Socket>;

/** Headers of one hop, which are not passed on (RFC 9110 §7.6.1). */
const HOP_HEADERS = new Set(['proxy-connection', 'proxy-authorization', 'keep-alive', 'te', 'trailer']);

/** A server that is not listening yet. */
export function createHttpForward(dial: Dialer): http.Server {
  const server = http.createServer({ insecureHTTPParser: false, requestTimeout: 0 }, (request, response) => void forward(dial, request, response));
  server.on('connect', (request: http.IncomingMessage, socket: Duplex, head: Buffer) => void tunnel(dial, request.url ?? '', socket as Socket, head));
  server.on('upgrade', (request: http.IncomingMessage, socket: Duplex, head: Buffer) => void upgrade(dial, request, socket as Socket, head));
  server.on('clientError', (_error, socket) => socket.destroy());
  return server;
}

interface Target {
  readonly host: string;
  readonly port: number;
  readonly path: string;
}

/** Destination of a request in absolute form; undefined for anything else. */
export function targetOf(url: string): Target | undefined {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    return undefined;
  }
  if (parsed.protocol !== 'http:') return undefined;
  return { host: parsed.hostname.replace(/^\[|\]$/g, ''), port: Number(parsed.port || 80), path: `${parsed.pathname}${parsed.search}` };
}

function headersOf(request: http.IncomingMessage): string[] {
  const headers: string[] = [];
  for (let index = 0; index < request.rawHeaders.length; index += 2) if (!HOP_HEADERS.has(request.rawHeaders[index]!.toLowerCase())) headers.push(request.rawHeaders[index]!, request.rawHeaders[index + 1]!);
  return headers;
}

async function forward(dial: Dialer, request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
  const target = targetOf(request.url ?? '');
  if (!target) return fail(response, 400, 'a proxy request names its destination: GET http://host:port/path');
  let socket: Socket;
  try {
    socket = await dial(target.host, target.port);
  } catch (error) {
    return fail(response, 502, `cannot reach ${target.host}:${target.port}: ${String((error as Error).message)}`);
  }
  const upstream = http.request({ createConnection: () => socket, method: request.method ?? 'GET', path: target.path, headers: headersOf(request), setHost: false });
  upstream.on('response', (answer) => {
    response.sendDate = false;
    response.writeHead(answer.statusCode ?? 502, answer.statusMessage ?? '', answer.rawHeaders);
    answer.pipe(response);
    answer.on('error', () => response.destroy());
  });
  // Whoever was reset hears a reset.
  upstream.on('error', () => (response.headersSent ? response.destroy() : request.socket.resetAndDestroy()));
  response.on('close', () => socket.destroy());
  request.pipe(upstream);
}

function fail(response: http.ServerResponse, status: number, message: string): void {
  response.writeHead(status, { 'content-type': 'text/plain' }).end(`${message}\n`);
}

async function tunnel(dial: Dialer, authority: string, client: Socket, head: Buffer): Promise<void> {
  const colon = authority.lastIndexOf(':');
  client.on('error', () => {});
  try {
    const upstream = await dial(authority.slice(0, colon).replace(/^\[|\]$/g, ''), Number(authority.slice(colon + 1)));
    client.write('HTTP/1.1 200 Connection Established\r\n\r\n');
    if (head.length > 0) upstream.write(head);
    join(client, upstream);
  } catch (error) {
    client.end(`HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n${String((error as Error).message)}\n`);
  }
}

async function upgrade(dial: Dialer, request: http.IncomingMessage, client: Socket, head: Buffer): Promise<void> {
  const target = targetOf(request.url ?? '');
  client.on('error', () => {});
  if (!target) return void client.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n');
  try {
    const upstream = await dial(target.host, target.port);
    const headers = headersOf(request);
    upstream.write(`${request.method} ${target.path} HTTP/1.1\r\n${headers.map((value, index) => (index % 2 === 0 ? `${value}: ` : `${value}\r\n`)).join('')}\r\n`);
    if (head.length > 0) upstream.write(head);
    join(client, upstream);
  } catch {
    client.end('HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\n\r\n');
  }
}
