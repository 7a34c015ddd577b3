import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createHttpForward, targetOf } from './http-forward.ts';

const servers: (http.Server | net.Server)[] = [];
const dialled: string[] = [];
let upstream: number;
let forward: number;

async function listen(server: http.Server | net.Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

beforeEach(async () => {
  dialled.length = 0;
  const server = http.createServer((request, response) => {
    if (request.url === '/reset') return void request.socket.resetAndDestroy();
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => response.writeHead(203, 'Sort Of', { 'x-seen': JSON.stringify([request.method, request.url, request.headers.host, request.headers['proxy-connection'] ?? null]), 'set-cookie': ['a=1', 'b=2'] }).end(body));
  });
  server.on('upgrade', (request, socket) => {
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nupgrade: ${request.headers.upgrade}\r\nconnection: upgrade\r\n\r\n`);
    socket.pipe(socket);
  });
  upstream = await listen(server);
  forward = await listen(createHttpForward((host, port) => {
    dialled.push(`${host}:${port}`);
    if (host === 'nowhere') return Promise.reject(new Error('getaddrinfo ENOTFOUND nowhere'));
    return new Promise((resolve, reject) => {
      const socket = net.connect(upstream, '127.0.0.1', () => resolve(socket)).once('error', reject);
    });
  }));
});
afterEach(() => {
  for (const server of servers.splice(0)) {
    if (server instanceof http.Server) server.closeAllConnections();
    server.close();
  }
});

function call(path: string, options: http.RequestOptions = {}, body?: string): Promise<{ status: number; message: string; headers: http.IncomingHttpHeaders; body: string }> {
  return new Promise((resolve, reject) => {
    const request = http.request({ port: forward, host: '127.0.0.1', path, agent: false, ...options }, (answer) => {
      let text = '';
      answer.on('data', (chunk: Buffer) => (text += chunk.toString()));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, message: answer.statusMessage ?? '', headers: answer.headers, body: text }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

it('passes a request on in origin form, and the answer back as it is', async () => {
  const answer = await call('http://reviews:9080/reviews/0?a=b', { method: 'POST', headers: { host: 'reviews:9080', 'proxy-connection': 'keep-alive' } }, 'body');
  expect(dialled).toEqual(['reviews:9080']);
  expect(answer).toMatchObject({ status: 203, message: 'Sort Of', body: 'body' });
  expect(JSON.parse(String(answer.headers['x-seen']))).toEqual(['POST', '/reviews/0?a=b', 'reviews:9080', null]);
  expect(answer.headers['set-cookie']).toEqual(['a=1', 'b=2']);
});

it('says what it cannot reach, and what is no proxy request', async () => {
  expect(await call('http://nowhere/')).toMatchObject({ status: 502, body: 'cannot reach nowhere:80: getaddrinfo ENOTFOUND nowhere\n' });
  expect((await call('/plain')).status).toBe(400);
  expect((await call('ftp://a/')).status).toBe(400);
  expect(dialled).toEqual(['nowhere:80']);
});

it('hands a reset on as a reset', async () => expect(call('http://a/reset')).rejects.toMatchObject({ code: 'ECONNRESET' }));

it('opens tunnels', async () => {
  const reply = await new Promise<string>((resolve) => {
    const request = http.request({ port: forward, host: '127.0.0.1', method: 'CONNECT', path: '[::1]:443', agent: false });
    request.on('connect', (_answer, socket) => {
      socket.write('GET /through HTTP/1.1\r\nhost: b\r\nconnection: close\r\n\r\n');
      let text = '';
      socket.on('data', (chunk: Buffer) => (text += chunk.toString())).on('close', () => resolve(text));
    });
    request.end();
  });
  expect(reply).toContain('"/through"');
  expect(dialled).toEqual(['::1:443']);
});

it('upgrades', async () => {
  const reply = await new Promise<string>((resolve) => {
    const request = http.request({ port: forward, host: '127.0.0.1', path: 'http://chat/ws', agent: false, headers: { connection: 'upgrade', upgrade: 'websocket' } });
    request.on('upgrade', (_answer, socket) => {
      socket.on('data', (chunk: Buffer) => (resolve(chunk.toString()), socket.destroy()));
      socket.write('echo');
    });
    request.end();
  });
  expect(reply).toBe('echo');
});

it.each([['http://a/b?c', { host: 'a', port: 80, path: '/b?c' }], ['http://[::1]:8080', { host: '::1', port: 8080, path: '/' }], ['https://a/', undefined], ['/a', undefined], ['', undefined]])('reads %j', (url, expected) => expect(targetOf(url)).toEqual(expected));
