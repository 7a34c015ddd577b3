/** Whole proxies that speak HTTP/2: real gRPC clients and servers, real Envoy, slow readers. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, constants, createServer } from 'node:http2';
import type { Http2Server, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Metadata, Server, ServerCredentials, credentials, status } from '@grpc/grpc-js';
import type { ServiceError, UntypedServiceImplementation } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { hcmFilter, listenerOf, startStatic, staticCluster } from '../testing/proxy-harness.ts';

const HTTP2 = { typedExtensionProtocolOptions: { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': { '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions', explicitHttpConfig: { http2ProtocolOptions: {} } } } };
const ROUTES = [{ match: { prefix: '/' }, route: { cluster: 'b', timeout: '0s' } }];

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function proxyTo(port: number, cluster: object = HTTP2): Promise<{ port: number; statsOf: (name: string) => number }> {
  const harness = await startStatic({ clusters: [staticCluster('b', [port], cluster as never)], listeners: [listenerOf('l', [{ filters: [hcmFilter(ROUTES)] }])] });
  closers.push(() => harness.close());
  const counters = (): Record<string, number> => harness.proxy.config.clusters.get('b')!.stats.counters as unknown as Record<string, number>;
  return { port: harness.port('l'), statsOf: (name) => counters()[name]! };
}

const raw = (bytes: Buffer): Buffer => bytes;
const method = (path: string, requestStream: boolean, responseStream: boolean): object => ({ path, requestStream, responseStream, requestSerialize: raw, requestDeserialize: raw, responseSerialize: raw, responseDeserialize: raw });

async function grpcServer(): Promise<number> {
  const server = new Server();
  const handlers: UntypedServiceImplementation = {
    unary: ((call: { request: Buffer; metadata: Metadata }, done: (error: object | null, value?: Buffer, trailer?: Metadata) => void) => {
      if (call.request.toString() === 'fail') done({ code: status.FAILED_PRECONDITION, details: 'not — now' });
      else if (call.request.toString() !== 'hang') {
        const trailer = new Metadata();
        trailer.set('x-trailer', 'yes');
        trailer.set('x-bin', Buffer.from([0, 1, 255]) as never);
        done(null, call.request, trailer);
      }
    }) as never,
    bidi: ((call: NodeJS.ReadWriteStream) => {
      call.on('data', (message: Buffer) => call.write(message as never));
      call.on('end', () => call.end());
    }) as never,
  };
  server.addService({ unary: method('/t.T/Unary', false, false), bidi: method('/t.T/Bidi', true, true) } as never, handlers);
  const port = await new Promise<number>((resolve, reject) => server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))));
  closers.push(() => server.forceShutdown());
  return port;
}

function grpcClient(port: number): Client {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  closers.push(() => client.close());
  return client;
}

interface UnaryAnswer {
  error: ServiceError | null;
  value: Buffer | undefined;
  trailer: Metadata | undefined;
}

function unary(client: Client, request: Buffer, options: { deadline?: number } = {}, path = '/t.T/Unary'): Promise<UnaryAnswer> {
  return new Promise((resolve) => {
    let trailer: Metadata | undefined;
    let answer: { error: ServiceError | null; value: Buffer | undefined } | undefined;
    const settle = (): void => void (answer !== undefined && trailer !== undefined && resolve({ ...answer, trailer }));
    const call = client.makeUnaryRequest(path, raw, raw, request, new Metadata(), options, (error, value) => {
      answer = { error, value };
      settle();
    });
    call.on('status', ({ metadata }) => {
      trailer = metadata;
      settle();
    });
  });
}

describe('gRPC clients and servers (grpc-js)', () => {
  it('unary calls: messages, trailers, statuses, deadlines, unknown methods', async () => {
    const client = grpcClient((await proxyTo(await grpcServer())).port);
    const large = Buffer.alloc(1_000_000, 'm');
    const good = await unary(client, large);
    expect([good.error, good.value?.equals(large), good.trailer?.get('x-trailer'), good.trailer?.get('x-bin')]).toEqual([null, true, ['yes'], [Buffer.from([0, 1, 255])]]);
    const failed = await unary(client, Buffer.from('fail'));
    expect([failed.error?.code, failed.error?.details]).toEqual([status.FAILED_PRECONDITION, 'not — now']);
    expect((await unary(client, Buffer.from('hang'), { deadline: Date.now() + 200 })).error?.code).toBe(status.DEADLINE_EXCEEDED);
    expect((await unary(client, Buffer.alloc(0), {}, '/t.T/None')).error?.code).toBe(status.UNIMPLEMENTED);
    expect((await unary(client, Buffer.alloc(0))).error).toBeNull();
  });

  it('500 calls at once use few upstream connections', async () => {
    const proxy = await proxyTo(await grpcServer());
    const client = grpcClient(proxy.port);
    const answers = await Promise.all(Array.from({ length: 500 }, (_, index) => unary(client, Buffer.from(`n${index}`))));
    answers.forEach(({ value }, index) => expect(value?.toString()).toBe(`n${index}`));
    expect(proxy.statsOf('upstream_cx_total')).toBeLessThanOrEqual(6);
  });

  it('opens as many connections as max_concurrent_streams asks for', async () => {
    const limited = JSON.parse(JSON.stringify(HTTP2).replace('"http2ProtocolOptions":{}', '"http2ProtocolOptions":{"maxConcurrentStreams":2}')) as object;
    const proxy = await proxyTo(await grpcServer(), limited);
    const client = grpcClient(proxy.port);
    const answers = await Promise.all(Array.from({ length: 10 }, (_, index) => unary(client, Buffer.from(`n${index}`))));
    answers.forEach(({ value }, index) => expect(value?.toString()).toBe(`n${index}`));
    expect(proxy.statsOf('upstream_cx_total')).toBeGreaterThanOrEqual(3);
    expect(proxy.statsOf('upstream_cx_total')).toBeLessThanOrEqual(5);
  });

  it('bidirectional streams: every message is answered before the next one is sent', async () => {
    const client = grpcClient((await proxyTo(await grpcServer())).port);
    const call = client.makeBidiStreamRequest('/t.T/Bidi', raw, raw);
    for (const size of [1, 10_000, 200_000, 0, 5]) {
      const answer = new Promise<Buffer>((resolve) => call.once('data', resolve));
      call.write(Buffer.alloc(size, 'b'));
      expect((await answer).length).toBe(size);
    }
    const ended = new Promise((resolve) => call.on('status', resolve));
    call.end();
    expect(await ended).toMatchObject({ code: status.OK });
  });

  it('is told UNAVAILABLE when the server is gone', async () => {
    const port = await grpcServer();
    await closers.pop()!();
    const { error } = await unary(grpcClient((await proxyTo(port)).port), Buffer.from('x'));
    expect(error?.code).toBe(status.UNAVAILABLE);
  });
});

async function listenH2(server: Http2Server): Promise<number> {
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  closers.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

describe('requests that the codec refuses', () => {
  it('431 for headers that are too large, RST_STREAM for malformed ones; neighbours go on', async () => {
    const { port } = await proxyTo(await grpcServer());
    const session = connect(`http://127.0.0.1:${port}`);
    closers.push(() => session.destroy());
    const ask = (headers: OutgoingHttpHeaders): Promise<unknown> => new Promise((resolve) => {
      const stream = session.request(headers);
      let body = '';
      let code: unknown;
      stream.on('response', (head) => void (code = head[':status']));
      stream.on('data', (chunk: Buffer) => void (body += chunk.toString()));
      stream.on('error', () => resolve(stream.rstCode));
      stream.on('end', () => resolve(`${String(code)} ${body}`));
    });
    expect(await ask({ 'x-large': 'a'.repeat(62_000) })).toBe('431 Request Header Fields Too Large');
    expect(await ask({ ':path': '/a b' })).toBe(constants.NGHTTP2_PROTOCOL_ERROR);
    // What a gRPC server says to requests that are none.
    expect(await ask({ ':path': '/t.T/None' })).toBe('415 ');
  });
});

describe('flow control through the proxy', () => {
  it('holds the server back to the speed of a slow reader, without stopping its neighbours', async () => {
    const total = 64 * 1_048_576;
    let produced = 0;
    const server = createServer();
    server.on('stream', (stream: ServerHttp2Stream, headers) => {
      stream.on('error', () => {});
      stream.respond();
      if (headers[':path'] === '/small') return void stream.end('small');
      const chunk = Buffer.alloc(65_536, 'z');
      const more = (): void => {
        while (produced < total && !stream.destroyed) {
          produced += chunk.length;
          if (!stream.write(chunk)) return void stream.once('drain', more);
        }
        stream.end();
      };
      more();
    });
    const { port } = await proxyTo(await listenH2(server));
    const session = connect(`http://127.0.0.1:${port}`);
    closers.push(() => session.destroy());
    await new Promise((resolve) => session.once('connect', resolve));
    // Node's own window for all streams is as small as that for one of them.
    session.setLocalWindowSize(1_048_576);
    const slow = session.request({ ':path': '/large' });
    let received = 0;
    slow.pause();
    await new Promise((resolve) => setTimeout(resolve, 400));
    // What the windows on both sides, the sockets and Node hold; not the 64 MB.
    expect(produced).toBeLessThan(4 * 1_048_576);
    const small = session.request({ ':path': '/small' });
    expect(await new Promise((resolve) => small.on('data', (chunk: Buffer) => resolve(chunk.toString())))).toBe('small');
    slow.on('data', (chunk: Buffer) => void (received += chunk.length));
    slow.resume();
    await new Promise((resolve) => slow.on('end', resolve));
    expect(received).toBe(total);
  });

  it('holds an uploading client back to the speed of a slow server', async () => {
    const server = createServer();
    let slow: ServerHttp2Stream | undefined;
    server.on('stream', (stream: ServerHttp2Stream) => {
      stream.on('error', () => {});
      stream.pause();
      slow = stream;
    });
    const { port } = await proxyTo(await listenH2(server));
    const session = connect(`http://127.0.0.1:${port}`);
    closers.push(() => session.destroy());
    const upload = session.request({ ':method': 'POST', ':path': '/' });
    upload.on('error', () => {});
    let left = 0;
    const chunk = Buffer.alloc(65_536);
    for (let index = 0; index < 512; index++) upload.write(chunk, () => void (left += chunk.length));
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(left).toBeLessThan(4 * 1_048_576);
    let received = 0;
    slow!.on('data', (piece: Buffer) => void (received += piece.length));
    slow!.resume();
    upload.end();
    await new Promise((resolve) => slow!.on('end', resolve));
    expect(received).toBe(512 * chunk.length);
  });
});

const cached = join(process.env['MELTEMI_CACHE'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'meltemi'), 'envoy-1.40.0/envoy/_bin/envoy');
const envoy = [process.env['ENVOY_BIN'], spawnSync('sh', ['-c', 'command -v envoy'], { encoding: 'utf8' }).stdout.trim(), cached].find((path) => path !== undefined && path !== '' && existsSync(path));

/** An Envoy that forwards HTTP/2 to a port. */
async function startEnvoy(upstream: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'h2-envoy-'));
  const probe = createServer();
  const port = await listenH2(probe);
  await new Promise<void>((resolve) => void probe.close(() => resolve()));
  closers.pop();
  const filter = { name: 'hcm', typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', stat_prefix: 'e', route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'u', timeout: '0s' } }] }] }, http_filters: [{ name: 'r', typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' } }] } };
  const bootstrap = {
    static_resources: {
      listeners: [{ address: { socket_address: { address: '127.0.0.1', port_value: port } }, filter_chains: [{ filters: [filter] }] }],
      clusters: [{ name: 'u', load_assignment: { cluster_name: 'u', endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: upstream } } } }] }] }, typed_extension_protocol_options: { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': { '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions', explicit_http_config: { http2_protocol_options: {} } } } }],
    },
  };
  writeFileSync(join(folder, 'envoy.json'), JSON.stringify(bootstrap));
  const child = spawn(envoy!, ['-c', join(folder, 'envoy.json'), '--concurrency', '1', '--log-level', 'error', '--use-dynamic-base-id'], { stdio: 'ignore' });
  closers.push(async () => {
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
    rmSync(folder, { recursive: true, force: true });
  });
  for (let tried = 0; tried < 100; tried++) {
    const session = connect(`http://127.0.0.1:${port}`);
    const open = await new Promise<boolean>((resolve) => session.once('connect', () => resolve(true)).once('error', () => resolve(false)));
    session.destroy();
    if (open) return port;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('Envoy did not start');
}

describe.skipIf(envoy === undefined)('Envoy before and behind the proxy', () => {
  it.each(['before', 'behind'])('%s: gRPC calls with large messages, statuses and trailers', async (place) => {
    const server = await grpcServer();
    const port = place === 'before' ? await startEnvoy((await proxyTo(server)).port) : (await proxyTo(await startEnvoy(server))).port;
    const client = grpcClient(port);
    const large = Buffer.alloc(2_000_000, 'e');
    const answers = await Promise.all(Array.from({ length: 5 }, () => unary(client, large)));
    for (const { error, value, trailer } of answers) expect([error, value?.equals(large), trailer?.get('x-trailer')]).toEqual([null, true, ['yes']]);
    expect((await unary(client, Buffer.from('fail'))).error?.code).toBe(status.FAILED_PRECONDITION);
    const many = await Promise.all(Array.from({ length: 200 }, (_, index) => unary(client, Buffer.from(String(index)))));
    many.forEach(({ value }, index) => expect(value?.toString()).toBe(String(index)));
  });
});
