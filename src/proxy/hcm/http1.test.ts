import { createServer as createHttpServer, request as httpRequest } from 'node:http';
import type { IncomingMessage, RequestListener, Server } from 'node:http';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server as NetServer, Socket } from 'node:net';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { hcmFilter, listenerOf, startStatic, staticCluster } from '../testing/proxy-harness.ts';
import type { Harness } from '../testing/proxy-harness.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function listen<T extends NetServer>(server: T): Promise<number> {
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

async function httpBackend(handler: RequestListener): Promise<{ port: number; server: Server }> {
  const server = createHttpServer(handler);
  server.keepAliveTimeout = 60_000;
  const port = await listen(server);
  cleanups.push(() => new Promise((resolve) => { server.closeAllConnections(); server.close(resolve); }));
  return { port, server };
}

/** A backend that answers what the function says to every connection's bytes. */
async function rawBackend(onConnection: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onConnection(socket);
  });
  const port = await listen(server);
  cleanups.push(() => new Promise((resolve) => { for (const socket of sockets) socket.destroy(); server.close(resolve); }));
  return port;
}

/** Sends bytes, reads until the peer closes or `done` says enough. */
function exchange(port: number, text: string | Buffer, done: (received: string) => boolean = () => false, waitMs = 3000): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let received = '';
    const finish = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(received);
    };
    const timer = setTimeout(() => reject(new Error(`timeout after ${JSON.stringify(received)}`)), waitMs);
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      if (done(received)) finish();
    });
    socket.on('error', () => finish());
    socket.on('close', finish);
    socket.write(text);
  });
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

function get(port: number, path = '/', options: { method?: string; headers?: Record<string, string>; body?: string | Buffer } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ port, host: '127.0.0.1', path, method: options.method ?? 'GET', headers: { host: 'service', ...options.headers }, agent: false }, (response) => {
      let body = '';
      response.setEncoding('latin1');
      response.on('data', (chunk: string) => void (body += chunk));
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, body }));
      response.on('error', reject);
    });
    request.on('error', reject);
    request.end(options.body);
  });
}

const route = (cluster: string, more: Record<string, unknown> = {}, match: Record<string, unknown> = { prefix: '/' }) => ({ match, route: { cluster, timeout: '0s', ...more } }) as never;

async function proxyTo(ports: readonly number[], routes: readonly never[] = [route('up')], hcm: Record<string, unknown> = {}, cluster: Record<string, unknown> = {}): Promise<Harness> {
  const harness = await startStatic({ clusters: [staticCluster('up', ports, cluster as never)], listeners: [listenerOf('l', [{ filters: [hcmFilter(routes, hcm as never)] }])] });
  cleanups.push(() => harness.close());
  return harness;
}

describe('forwarding', () => {
  it('passes method, path, headers and body, and adds the mesh headers', async () => {
    const { port } = await httpBackend((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => void (body += chunk.toString()));
      request.on('end', () => response.writeHead(201, { 'X-Custom': 'Yes' }).end(JSON.stringify({ url: request.url, method: request.method, headers: request.headers, raw: request.rawHeaders, body })));
    });
    const harness = await proxyTo([port]);
    const answer = await get(harness.port('l'), '/a/../b?q=1', { method: 'POST', headers: { 'X-Mixed-Case': 'Value', te: 'gzip', connection: 'x-drop-me, close', 'x-drop-me': '1', 'x-envoy-max-retries': '5' }, body: 'hello' });
    expect(answer.status).toBe(201);
    const seen = JSON.parse(answer.body) as { url: string; method: string; headers: Record<string, string>; raw: string[]; body: string };
    expect(seen).toMatchObject({ url: '/b?q=1', method: 'POST', body: 'hello' });
    expect(seen.raw).toContain('x-mixed-case');
    expect(seen.headers).toMatchObject({ host: 'service', 'x-mixed-case': 'Value', 'x-forwarded-proto': 'http', 'x-envoy-attempt-count': '1' });
    expect(seen.headers['x-request-id']).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    for (const gone of ['x-drop-me', 'te', 'x-envoy-max-retries', 'keep-alive']) expect(seen.headers).not.toHaveProperty(gone);
    expect(answer.headers).toMatchObject({ server: 'istio-envoy', 'x-custom': 'Yes' });
    expect(answer.headers['x-envoy-upstream-service-time']).toMatch(/^\d+$/);
    expect(answer.headers.date).toBeDefined();
  });

  it('keeps connections on both sides and serves pipelined requests in order', async () => {
    let connections = 0;
    const { port, server } = await httpBackend((request, response) => void response.end(`at ${request.url}`));
    server.on('connection', () => connections++);
    const harness = await proxyTo([port]);
    const requests = [1, 2, 3, 4].map((n) => `GET /${n} HTTP/1.1\r\nhost: a\r\n\r\n`).join('');
    const text = await exchange(harness.port('l'), requests, (received) => received.includes('at /4'));
    expect(text.match(/(?<=at )\/[1-4]/g)).toEqual(['/1', '/2', '/3', '/4']);
    expect(connections).toBe(1);
    await get(harness.port('l'));
    expect(connections).toBe(1);
  });

  it.each([
    ['chunked', {}],
    ['content-length', { 'content-length': String(20_000_000) }],
  ])('carries 20 MB both ways unchanged (%s)', async (_name, headers) => {
    const data = Buffer.alloc(20_000_000);
    for (let index = 0; index < data.length; index += 4) data.writeUInt32LE((index * 2_654_435_761) >>> 0, index);
    const { port } = await httpBackend((request, response) => {
      if (headers['content-length' as never]) response.setHeader('content-length', data.length);
      request.pipe(response);
    });
    const harness = await proxyTo([port]);
    const hash = await new Promise<string>((resolve, reject) => {
      const sum = createHash('sha256');
      const request = httpRequest({ port: harness.port('l'), method: 'POST', headers: { host: 'a', ...headers } }, (response) => {
        response.on('data', (chunk: Buffer) => void sum.update(chunk));
        response.on('end', () => resolve(sum.digest('hex')));
      });
      request.on('error', reject);
      for (let at = 0; at < data.length; at += 300_000) request.write(data.subarray(at, at + 300_000));
      request.end();
    });
    expect(hash).toBe(createHash('sha256').update(data).digest('hex'));
  });

  it('slows the backend down to the speed of a slow client', async () => {
    const { port } = await httpBackend((_request, response) => {
      response.end(Buffer.alloc(50_000_000, 'x'));
    });
    const harness = await proxyTo([port]);
    const before = process.memoryUsage().arrayBuffers;
    const socket = connect(harness.port('l'), '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    socket.pause();
    await new Promise((resolve) => setTimeout(resolve, 300));
    // The backend itself holds 50 MB; the proxy must not hold another copy.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(60_000_000);
    socket.destroy();
  });

  it('answers HEAD, 204 and 304 without a body and reads close-delimited responses', async () => {
    const port = await rawBackend((socket) => socket.on('data', (data) => {
      const text = data.toString();
      if (text.startsWith('HEAD')) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n');
      else if (text.startsWith('GET /204')) socket.write('HTTP/1.1 204 No Content\r\n\r\n');
      else if (text.startsWith('GET /304')) socket.write('HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n');
      else socket.end('HTTP/1.0 200 OK\r\n\r\nuntil close');
    }));
    const harness = await proxyTo([port]);
    const head = await get(harness.port('l'), '/', { method: 'HEAD' });
    expect([head.status, head.headers['content-length'], head.body]).toEqual([200, '5', '']);
    expect((await get(harness.port('l'), '/204')).status).toBe(204);
    expect((await get(harness.port('l'), '/304')).status).toBe(304);
    expect(await get(harness.port('l'), '/close')).toMatchObject({ status: 200, body: 'until close' });
  });

  it('proxies 100-continue from the backend when told to, else answers itself', async () => {
    const { port, server } = await httpBackend((request, response) => {
      request.resume();
      request.on('end', () => response.end(`expect=${request.headers.expect ?? 'none'}`));
    });
    server.on('checkContinue', (request: IncomingMessage, response: { writeContinue(): void; end(text: string): void }) => {
      response.writeContinue();
      request.resume();
      request.on('end', () => response.end('continued by backend'));
    });
    const ask = 'POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n';
    const proxied = await proxyTo([port], undefined, { proxy100Continue: true });
    const answer = await exchange(proxied.port('l'), `${ask}hi`, (text) => text.includes('continued by backend'));
    expect(answer).toMatch(/^HTTP\/1.1 100 Continue\r\n/);
    const own = await proxyTo([port]);
    expect(await exchange(own.port('l'), `${ask}hi`, (text) => text.includes('expect=none'))).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK/);
  });

  it('upgrades to WebSocket and carries bytes both ways', async () => {
    const { port, server } = await httpBackend(() => {});
    server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${request.headers.upgrade}\r\nx-saw: ${request.headers.connection}\r\n\r\n`);
      if (head.length > 0) socket.write(head);
      socket.pipe(socket);
    });
    const harness = await proxyTo([port]);
    const text = await exchange(harness.port('l'), 'GET /chat HTTP/1.1\r\nhost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nframe-1', (received) => received.includes('frame-1'));
    expect(text).toMatch(/^HTTP\/1.1 101 Switching Protocols\r\n/);
    expect(text.toLowerCase()).toContain('connection: upgrade');
    expect(text.toLowerCase()).toContain('x-saw: upgrade');
    expect(text.toLowerCase()).not.toContain('x-envoy-upstream-service-time');
    expect(await exchange(harness.port('l'), 'GET / HTTP/1.1\r\nhost: a\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n', (received) => received.includes('\r\n\r\n'))).toMatch(/^HTTP\/1.1 403 /);
  });
});

it('ends a WebSocket whose client half closes, though the server does not', async () => {
  const { port, server } = await httpBackend(() => {});
  server.on('upgrade', (_request: IncomingMessage, socket: Socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    socket.on('error', () => {}).resume();
    cleanups.push(() => socket.destroy());
  });
  const harness = await proxyTo([port]);
  const client = connect({ host: '127.0.0.1', port: harness.port('l'), allowHalfOpen: true });
  cleanups.push(() => client.destroy());
  client.write('GET /chat HTTP/1.1\r\nhost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  await once(client, 'data');
  client.end();
  await once(client, 'end', { signal: AbortSignal.timeout(3000) });
});

describe('local replies', () => {
  let harness: Harness;
  let silentPort = 0;
  beforeAll(async () => {
    const refused = createServer();
    const refusedPort = await listen(refused);
    await new Promise((resolve) => refused.close(resolve));
    const resetServer = createServer((socket) => socket.on('data', () => socket.destroy()).on('error', () => {}));
    const resetPort = await listen(resetServer);
    const nonsense = createServer((socket) => socket.on('data', () => socket.end('nonsense\r\n\r\n')).on('error', () => {}));
    const nonsensePort = await listen(nonsense);
    const silent = createServer((socket) => socket.on('error', () => {}));
    silentPort = await listen(silent);
    harness = await startStatic({
      clusters: [staticCluster('refused', [refusedPort]), staticCluster('empty', []), staticCluster('reset', [resetPort]), staticCluster('nonsense', [nonsensePort]), staticCluster('silent', [silentPort]),
        staticCluster('full', [silentPort], { circuitBreakers: { thresholds: [{ maxPendingRequests: 0, maxRequests: 1, maxConnections: 1 }] } })],
      listeners: [listenerOf('l', [{ filters: [hcmFilter([
        route('refused', {}, { prefix: '/refused' }), route('empty', {}, { prefix: '/empty' }), route('reset', {}, { prefix: '/reset' }), route('nonsense', {}, { prefix: '/nonsense' }),
        route('silent', { timeout: '0.1s' }, { prefix: '/slow' }), route('full', {}, { prefix: '/full' }), route('missing', {}, { prefix: '/missing' }),
        route('reset', { retryPolicy: { retryOn: 'reset', numRetries: 2 } }, { prefix: '/again' }),
        { match: { prefix: '/redirect' }, redirect: { hostRedirect: 'other.example', pathRedirect: '/new' } }, { match: { prefix: '/direct' }, directResponse: { status: 502, body: { inlineString: 'direct' } } },
        { ...(route('silent', {}, { prefix: '/abort' }) as object), typedPerFilterConfig: { 'envoy.filters.http.fault': { '@type': 'type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault', abort: { httpStatus: 555, percentage: { numerator: 100 } } } } },
      ] as never)] }])],
    });
    harnessServers.push(resetServer, nonsense, silent);
  });
  const harnessServers: NetServer[] = [];
  afterAll(async () => {
    await harness.close();
    for (const server of harnessServers) server.close();
  });

  const CONNECT = 'upstream connect error or disconnect/reset before headers. ';
  it.each([
    ['/nowhere', 404, ''],
    ['/refused', 503, `${CONNECT}reset reason: remote connection failure, transport failure reason: delayed connect error: Connection refused`],
    ['/empty', 503, 'no healthy upstream'],
    ['/reset', 503, `${CONNECT}reset reason: connection termination`],
    ['/nonsense', 502, `${CONNECT}reset reason: protocol error`],
    ['/slow', 504, 'upstream request timeout'],
    ['/full', 503, `${CONNECT}reset reason: overflow`],
    ['/missing', 503, ''],
    ['/again', 503, `${CONNECT}retried and the latest reset reason: connection termination`],
    ['/direct', 502, 'direct'],
    ['/abort', 555, 'fault filter abort'],
  ])('%s → %i %s', async (path, status, body) => {
    const answer = await get(harness.port('l'), path);
    expect([answer.status, answer.body]).toEqual([status, body]);
    expect(answer.headers.server).toBe('istio-envoy');
    expect(answer.headers.date).toBeDefined();
    if (body !== '') expect(answer.headers['content-type']).toBe('text/plain');
    expect(answer.headers['content-length']).toBe(String(body.length));
    expect(answer.headers['x-envoy-overloaded']).toBe(path === '/full' ? 'true' : undefined);
  });

  it('redirects', async () => {
    const answer = await get(harness.port('l'), '/redirect?a=b');
    expect([answer.status, answer.headers.location, answer.body]).toEqual([301, 'http://other.example/new?a=b', '']);
  });

  it('speaks gRPC to gRPC callers', async () => {
    const answer = await get(harness.port('l'), '/empty', { method: 'POST', headers: { 'content-type': 'application/grpc' } });
    expect(answer.status).toBe(200);
    expect(answer.headers).toMatchObject({ 'content-type': 'application/grpc', 'grpc-status': '14', 'grpc-message': 'no healthy upstream' });
  });

  it.each([
    ['bare LF', 'GET / HTTP/1.1\nhost: a\n\n', 400],
    ['CL and TE', 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n', 400],
    ['differing CL', 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd', 400],
    ['unknown coding', 'POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n', 501],
    ['missing Host', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['two Hosts', 'GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n', 400],
    ['folding', 'GET / HTTP/1.1\r\nhost: a\r\nx: 1\r\n 2\r\n\r\n', 400],
    ['space before colon', 'GET / HTTP/1.1\r\nhost: a\r\nx : 1\r\n\r\n', 400],
    ['NUL in value', 'GET / HTTP/1.1\r\nhost: a\r\nx: \0\r\n\r\n', 400],
    ['HTTP/1.0', 'GET / HTTP/1.0\r\nhost: a\r\n\r\n', 426],
    ['HTTP/2.0 line', 'GET / HTTP/2.0\r\nhost: a\r\n\r\n', 426],
    ['unknown method', 'get / HTTP/1.1\r\nhost: a\r\n\r\n', 400],
    ['%00', 'GET /%00 HTTP/1.1\r\nhost: a\r\n\r\n', 400],
    ['100 headers and one', `GET / HTTP/1.1\r\nhost: a\r\n${Array.from({ length: 100 }, (_, n) => `x${n}: 1\r\n`).join('')}\r\n`, 431],
    ['61 KiB of headers', `GET / HTTP/1.1\r\nhost: a\r\nx: ${'y'.repeat(62_000)}\r\n\r\n`, 431],
    ['bad chunk', 'POST /slow HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n', 400],
  ])('refuses %s', async (_name, text, status) => {
    const received = await exchange(harness.port('l'), Buffer.from(text, 'latin1'));
    expect(received).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(received).toContain('connection: close');
  });
});

describe('retries', () => {
  it('tries another host, counts attempts and keeps the body', async () => {
    const bodies: string[] = [];
    let calls = 0;
    const handler: RequestListener = (request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => void (body += chunk.toString()));
      request.on('end', () => {
        bodies.push(body);
        response.writeHead(++calls < 3 ? 503 : 200).end(`attempt ${request.headers['x-envoy-attempt-count']}`);
      });
    };
    const one = await httpBackend(handler);
    const two = await httpBackend(handler);
    const harness = await proxyTo([one.port, two.port], [route('up', { retryPolicy: { retryOn: '5xx', numRetries: 2 } })]);
    const answer = await get(harness.port('l'), '/', { method: 'POST', body: 'keep me' });
    expect([answer.status, answer.body]).toEqual([200, 'attempt 3']);
    expect(bodies).toEqual(['keep me', 'keep me', 'keep me']);
    expect(harness.proxy.config.clusters.get('up')!.stats.counters.upstream_rq_retry).toBe(2);
  });

  it('gives the last response when tries are used up', async () => {
    const { port } = await httpBackend((_request, response) => void response.writeHead(503).end('mine'));
    const harness = await proxyTo([port], [route('up', { retryPolicy: { retryOn: 'retriable-status-codes', retriableStatusCodes: [503], numRetries: 2 } })]);
    expect(await get(harness.port('l'))).toMatchObject({ status: 503, body: 'mine' });
    expect(harness.proxy.config.clusters.get('up')!.stats.counters.upstream_rq_retry_limit_exceeded).toBe(1);
  });

  it('tries again after a per-try timeout', async () => {
    let calls = 0;
    const { port } = await httpBackend((_request, response) => {
      if (++calls > 1) response.end('second');
    });
    const harness = await proxyTo([port], [route('up', { retryPolicy: { retryOn: '5xx', numRetries: 1, perTryTimeout: '0.1s' } })]);
    expect(await get(harness.port('l'))).toMatchObject({ status: 200, body: 'second' });
  });
});

describe('steering', () => {
  it('draws clusters by weight, once per request', async () => {
    const { port } = await httpBackend((_request, response) => void response.end('a'));
    const other = await httpBackend((_request, response) => void response.end('b'));
    let draw = 0;
    const harness = await startStatic({
      clusters: [staticCluster('a', [port]), staticCluster('b', [other.port])], random: () => (draw = (draw + 0.01) % 1),
      listeners: [listenerOf('l', [{ filters: [hcmFilter([{ match: { prefix: '/' }, route: { timeout: '0s', weightedClusters: { clusters: [{ name: 'a', weight: 90 }, { name: 'b', weight: 10, requestHeadersToAdd: [{ header: { key: 'x-b', value: '1' } }] }] } } }] as never, { generateRequestId: false })] }])],
    });
    cleanups.push(() => harness.close());
    const counts = { a: 0, b: 0 };
    for (let n = 0; n < 100; n++) counts[(await get(harness.port('l'))).body as 'a' | 'b']++;
    expect(counts.a).toBeGreaterThan(80);
    expect(counts.b).toBeGreaterThan(3);
  });

  it('mirrors requests without waiting for the answer', async () => {
    const mirrored: string[] = [];
    const { port } = await httpBackend((_request, response) => void response.end('real'));
    const shadow = await httpBackend((request) => {
      let body = '';
      request.on('data', (chunk: Buffer) => void (body += chunk.toString()));
      request.on('end', () => void mirrored.push(`${request.method} ${request.url} ${request.headers.host} ${body}`));
    });
    const harness = await startStatic({
      clusters: [staticCluster('up', [port]), staticCluster('shadow', [shadow.port])],
      listeners: [listenerOf('l', [{ filters: [hcmFilter([route('up', { requestMirrorPolicies: [{ cluster: 'shadow', runtimeFraction: { defaultValue: { numerator: 100 } } }] })] as never)] }])],
    });
    cleanups.push(() => harness.close());
    expect((await get(harness.port('l'), '/m', { method: 'POST', body: 'copy' })).body).toBe('real');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(mirrored).toEqual(['POST /m service-shadow copy']);
  });

  it('delays by the fault filter and gives up when the client does', async () => {
    const seen: string[] = [];
    const { port } = await httpBackend((request, response) => {
      seen.push(request.url!);
      response.end('late');
    });
    const delayed = { ...(route('up') as object), typedPerFilterConfig: { 'envoy.filters.http.fault': { '@type': 'type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault', delay: { fixedDelay: '0.3s', percentage: { numerator: 100 } }, headers: [{ name: 'end-user', stringMatch: { exact: 'jason' } }] } } } as never;
    const harness = await proxyTo([port], [delayed]);
    const start = Date.now();
    expect((await get(harness.port('l'), '/fast')).body).toBe('late');
    expect(Date.now() - start).toBeLessThan(250);
    expect((await get(harness.port('l'), '/slow', { method: 'POST', body: 'kept while waiting', headers: { 'end-user': 'jason' } })).body).toBe('late');
    expect(Date.now() - start).toBeGreaterThan(290);
    const socket = connect(harness.port('l'), '127.0.0.1');
    socket.write('GET /gone HTTP/1.1\r\nhost: a\r\nend-user: jason\r\n\r\n');
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 350));
    expect(seen).toEqual(['/fast', '/slow']);
    expect(harness.proxy.stats.httpManager('test').gauges['fault.active_faults']).toBe(0);
  });

  it('obeys a change of routes at the next request of an open connection', async () => {
    const { port } = await httpBackend((_request, response) => void response.end('old'));
    const next = await httpBackend((_request, response) => void response.end('new'));
    const harness = await proxyTo([port]);
    const socket = connect(harness.port('l'), '127.0.0.1');
    cleanups.push(() => socket.destroy());
    const ask = (): Promise<string> => new Promise((resolve) => {
      socket.once('data', (chunk) => resolve(chunk.toString()));
      socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    });
    expect(await ask()).toContain('old');
    harness.replaceCluster(staticCluster('up', [next.port]));
    expect(await ask()).toContain('new');
  });
});

describe('connections', () => {
  it('does not surface an idle connection the backend closed', async () => {
    const { port, server } = await httpBackend((_request, response) => void response.end('ok'));
    server.keepAliveTimeout = 50;
    const harness = await proxyTo([port]);
    expect((await get(harness.port('l'))).status).toBe(200);
    await new Promise((resolve) => setTimeout(resolve, 1300));
    expect((await get(harness.port('l'))).status).toBe(200);
  });

  it('queues requests beyond max connections', async () => {
    const { port } = await httpBackend((_request, response) => void setTimeout(() => response.end('ok'), 20));
    const harness = await proxyTo([port], undefined, {}, { circuitBreakers: { thresholds: [{ maxConnections: 1 }] } });
    const answers = await Promise.all([1, 2, 3].map(() => get(harness.port('l'))));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(harness.proxy.config.clusters.get('up')!.stats.counters.upstream_cx_total).toBe(1);
  });

  it('leaves nothing behind when clients vanish', async () => {
    const { port } = await httpBackend(() => {});
    const harness = await proxyTo([port]);
    const socket = connect(harness.port('l'), '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await new Promise((resolve) => setTimeout(resolve, 100));
    const { gauges } = harness.proxy.config.clusters.get('up')!.stats;
    expect(gauges.upstream_rq_active).toBe(1);
    socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect([gauges.upstream_rq_active, gauges.upstream_cx_active, harness.proxy.listeners.activeConnections]).toEqual([0, 0, 0]);
  });

  it('closes kept connections after a drain, once they have answered', async () => {
    const { port } = await httpBackend((_request, response) => void setTimeout(() => response.end('slow'), 150));
    const harness = await proxyTo([port]);
    const pending = exchange(harness.port('l'), 'GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    await new Promise((resolve) => setTimeout(resolve, 50));
    harness.proxy.drain();
    const text = await pending;
    expect(text).toContain('slow');
    expect(text).toContain('connection: close');
  });

  it('answers a request that comes on an idle connection after a drain, then closes', async () => {
    const { port } = await httpBackend((_request, response) => void response.end('hello'));
    const harness = await proxyTo([port]);
    const socket = connect(harness.port('l'), '127.0.0.1');
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const closed = new Promise<void>((resolve) => void socket.once('close', () => resolve()));
    const ask = () => void socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    ask();
    while (!text.includes('hello')) await new Promise((resolve) => setTimeout(resolve, 5));
    harness.proxy.drain();
    await new Promise((resolve) => setTimeout(resolve, 50));
    ask();
    await closed;
    expect(text.match(/hello/g)).toHaveLength(2);
    expect(text.match(/connection: close/g)).toHaveLength(1);
  });
});
