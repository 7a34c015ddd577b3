import { createServer as createHttpServer, request as httpRequest } from 'node:http';
import type { RequestListener } from 'node:http';
import { connect as h2connect, createServer as createH2Server, constants } from 'node:http2';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import type { JsonObject } from '@bufbuild/protobuf';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { CertificateAuthority, createSelfSignedCa } from '../../identity/ca.ts';
import { createKeyAndCsr } from '../../identity/csr.ts';
import type { SpiffeId } from '../../identity/spiffe.ts';
import { encodeMetrics } from '../../telemetry/metrics/exposition.ts';
import type { TlsSecret } from '../../xds/secret-source.ts';
import type { ProxyNode } from '../config/runtime.ts';
import { hcmFilter, listenerOf, startStatic, staticCluster, testNode } from '../testing/proxy-harness.ts';
import type { Harness } from '../testing/proxy-harness.ts';

const T = 'type.googleapis.com/';
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

const httpBackend = (handler: RequestListener): Promise<number> => {
  const server = createHttpServer(handler);
  cleanups.push(() => server.closeAllConnections());
  return listen(server);
};

let clientSecrets: TlsSecret[];
let serverSecrets: TlsSecret[];
let strangerSecrets: TlsSecret[];
let renamedSecrets: TlsSecret[];
let foreignSecrets: TlsSecret[];

beforeAll(() => {
  const nowMs = Date.now();
  const ca = new CertificateAuthority(createSelfSignedCa({ organization: 'cluster.local', nowMs }), nowMs);
  const other = new CertificateAuthority(createSelfSignedCa({ organization: 'cluster.local', nowMs }), nowMs);
  const issue = (authority: CertificateAuthority, uri: string): TlsSecret[] => {
    const { privateKeyPem, csrPem } = createKeyAndCsr({ uri, keyType: 'ec-p256' });
    const chain = authority.signCsr(csrPem, { spiffeId: uri as SpiffeId, nowMs });
    return [
      { name: 'default', kind: 'certificate', certificateChainPem: chain.join(''), privateKeyPem },
      { name: 'ROOTCA', kind: 'validation', trustedCaPem: ca.rootCertPem },
    ];
  };
  renamedSecrets = issue(ca, 'spiffe://cluster.local/ns/default/sa/renamed');
  foreignSecrets = [{ name: 'ROOTCA', kind: 'validation', trustedCaPem: other.rootCertPem }, issue(other, 'spiffe://cluster.local/ns/default/sa/server')[0]!];
  clientSecrets = issue(ca, 'spiffe://cluster.local/ns/default/sa/client');
  serverSecrets = issue(ca, 'spiffe://cluster.local/ns/default/sa/server');
  strangerSecrets = issue(other, 'spiffe://cluster.local/ns/default/sa/client');
});

const sds = (name: string): JsonObject => ({ name, sdsConfig: { ads: {} } });
const commonTls = (alpn: string[], sans: JsonObject[]): JsonObject => ({
  alpnProtocols: alpn, tlsCertificateSdsSecretConfigs: [sds('default')],
  combinedValidationContext: { defaultValidationContext: { matchSubjectAltNames: sans }, validationContextSdsSecretConfig: sds('ROOTCA') },
});
const downstreamTls = (alpn: string[]): JsonObject => ({ name: 'envoy.transport_sockets.tls', typedConfig: { '@type': `${T}envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext`, requireClientCertificate: true, commonTlsContext: commonTls(alpn, [{ prefix: 'spiffe://cluster.local/' }]) } });
const upstreamTls = (alpn: string[], san = 'spiffe://cluster.local/ns/default/sa/server'): JsonObject => ({
  name: 'envoy.transport_sockets.tls', typedConfig: { '@type': `${T}envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext`, sni: 'outbound_.80_._.server.default.svc.cluster.local', commonTlsContext: commonTls(alpn, [{ exact: san }]) },
});
const ISTIO_ALPN = ['istio', 'istio-peer-exchange', 'istio-http/1.0', 'istio-http/1.1', 'istio-h2'];
const METADATA = (direction: 'in' | 'out'): JsonObject => ({
  name: 'istio.metadata_exchange', typedConfig: { '@type': `${T}io.istio.http.peer_metadata.Config`, ...(direction === 'in' ? { downstreamDiscovery: [{ istioHeaders: {} }], downstreamPropagation: [{ istioHeaders: {} }] } : { upstreamDiscovery: [{ istioHeaders: {} }], upstreamPropagation: [{ istioHeaders: {} }] }) },
});
const ALPN_FILTER: JsonObject = { name: 'istio.alpn', typedConfig: { '@type': `${T}istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig`, alpnOverride: [{ alpnOverride: ['istio-http/1.0', 'istio', 'http/1.0'] }, { upstreamProtocol: 'HTTP11', alpnOverride: ['istio-http/1.1', 'istio', 'http/1.1'] }, { upstreamProtocol: 'HTTP2', alpnOverride: ['istio-h2', 'istio', 'h2'] }] } };
const ROUTER: JsonObject = { name: 'envoy.filters.http.router', typedConfig: { '@type': `${T}envoy.extensions.filters.http.router.v3.Router` } };
const INSPECTORS: JsonObject = { listenerFilters: [{ name: 'envoy.filters.listener.tls_inspector', typedConfig: { '@type': `${T}envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector` } }, { name: 'envoy.filters.listener.http_inspector', typedConfig: { '@type': `${T}envoy.extensions.filters.listener.http_inspector.v3.HttpInspector` } }] };
const HTTP2: JsonObject = { typedExtensionProtocolOptions: { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': { '@type': `${T}envoy.extensions.upstreams.http.v3.HttpProtocolOptions`, explicitHttpConfig: { http2ProtocolOptions: {} } } } };
const DOWNSTREAM: JsonObject = { typedExtensionProtocolOptions: { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': { '@type': `${T}envoy.extensions.upstreams.http.v3.HttpProtocolOptions`, useDownstreamProtocolConfig: { httpProtocolOptions: {}, http2ProtocolOptions: {} } } } };
const tcpFilter = (cluster: string): JsonObject => ({ name: 'envoy.filters.network.tcp_proxy', typedConfig: { '@type': `${T}envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy`, statPrefix: cluster, cluster } });
const toApp = [{ match: { prefix: '/' }, route: { cluster: 'inbound|80||', timeout: '0s' }, decorator: { operation: 'server:80/*' } }];
const toServer = [{ match: { prefix: '/' }, route: { cluster: 'outbound|80||server', timeout: '0s' } }];

const serverNode: ProxyNode = { ...testNode, id: 'sidecar~10.0.0.2~server-1.default~default.svc.cluster.local', workload: { ...testNode.workload, workload: 'server', app: 'server', canonicalService: 'server' } };

/** The inbound side: PERMISSIVE (auto) or STRICT chains in front of an app. */
async function inbound(appPort: number, mode: 'permissive' | 'strict', app: JsonObject = {}): Promise<Harness> {
  const http = hcmFilter(toApp as never, { httpFilters: [METADATA('in'), ROUTER], forwardClientCertDetails: 'APPEND_FORWARD', setCurrentClientCertDetails: { subject: true, dns: true, uri: true } });
  const chains: JsonObject[] = [
    { name: 'mtls-http', filterChainMatch: { transportProtocol: 'tls', applicationProtocols: ['istio-http/1.0', 'istio-http/1.1', 'istio-h2'] }, transportSocket: downstreamTls(['h2', 'http/1.1', 'istio-h2', 'istio-http/1.1']), filters: [http] },
    { name: 'mtls-tcp', filterChainMatch: mode === 'strict' ? { transportProtocol: 'tls' } : { transportProtocol: 'tls', applicationProtocols: ['istio-peer-exchange', 'istio'] }, transportSocket: downstreamTls(['istio-peer-exchange', 'h2', 'http/1.1']), filters: [tcpFilter('inbound|80||')] },
  ];
  if (mode === 'permissive') chains.push({ name: 'raw-http', filterChainMatch: { transportProtocol: 'raw_buffer', applicationProtocols: ['http/1.1', 'h2c'] }, filters: [http] }, { name: 'raw-tcp', filterChainMatch: { transportProtocol: 'raw_buffer' }, filters: [tcpFilter('inbound|80||')] });
  const harness = await startStatic({ clusters: [staticCluster('inbound|80||', [appPort], app)], listeners: [listenerOf('virtualInbound', chains, { trafficDirection: 'INBOUND', ...INSPECTORS })], secrets: serverSecrets, node: serverNode });
  cleanups.push(() => harness.close());
  return harness;
}

async function outbound(port: number, options: { secrets?: TlsSecret[]; plaintext?: boolean; cluster?: JsonObject; filter?: JsonObject } = {}): Promise<Harness> {
  const cluster = staticCluster('outbound|80||server', [port], { ...(options.plaintext === true ? {} : { transportSocket: upstreamTls(ISTIO_ALPN) }), ...options.cluster });
  const filter = options.filter ?? hcmFilter(toServer as never, { httpFilters: [METADATA('out'), ALPN_FILTER, ROUTER] });
  const harness = await startStatic({ clusters: [cluster], listeners: [listenerOf('l', [{ filters: [filter] }])], secrets: options.secrets ?? clientSecrets });
  cleanups.push(() => harness.close());
  return harness;
}

function get(port: number, path = '/'): Promise<{ status: number; headers: IncomingHttpHeaders; body: string }> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ port, host: '127.0.0.1', path, headers: { host: 'server' }, agent: false }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => void (body += chunk.toString()));
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, body }));
    });
    request.on('error', reject);
    request.end();
  });
}

function tcpSay(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let received = '';
    socket.on('data', (chunk) => void (received += chunk.toString()));
    socket.on('error', reject);
    socket.on('close', () => resolve(received));
    socket.end(text);
  });
}

const appSaysHeaders: RequestListener = (request, response) => void response.setHeader('x-app', 'yes').end(JSON.stringify(request.headers));

describe('mTLS between two proxies', () => {
  it('carries identities, XFCC and peer metadata, and hides the exchange from workloads', async () => {
    const server = await inbound(await httpBackend(appSaysHeaders), 'strict');
    const client = await outbound(server.port('virtualInbound'));
    const answer = await get(client.port('l'));
    expect(answer.status).toBe(200);
    const seen = JSON.parse(answer.body) as Record<string, string>;
    expect(seen['x-forwarded-client-cert']).toMatch(/^By=spiffe:\/\/cluster.local\/ns\/default\/sa\/server;Hash=[0-9a-f]{64};Subject="";URI=spiffe:\/\/cluster.local\/ns\/default\/sa\/client$/);
    expect(seen).not.toHaveProperty('x-envoy-peer-metadata');
    expect(answer.headers).not.toHaveProperty('x-envoy-peer-metadata');
    expect(answer.headers['x-app']).toBe('yes');
    // The second request uses the same connection.
    await get(client.port('l'));
    expect(client.proxy.config.clusters.get('outbound|80||server')!.stats.counters.upstream_cx_total).toBe(1);
  });

  it('refuses plaintext and strangers when STRICT, takes plaintext when PERMISSIVE', async () => {
    const app = await httpBackend(appSaysHeaders);
    const strict = await inbound(app, 'strict');
    await expect(get(strict.port('virtualInbound'))).rejects.toThrow(/hang up|ECONNRESET/);
    const stranger = await outbound(strict.port('virtualInbound'), { secrets: strangerSecrets });
    expect(await get(stranger.port('l'))).toMatchObject({ status: 503 });
    const permissive = await inbound(app, 'permissive');
    expect((await get(permissive.port('virtualInbound'))).status).toBe(200);
    const client = await outbound(permissive.port('virtualInbound'));
    expect((await get(client.port('l'))).body).toContain('sa/client');
  });

  it('does not talk to a server with another identity', async () => {
    const server = await inbound(await httpBackend(appSaysHeaders), 'strict');
    const client = await outbound(server.port('virtualInbound'), { cluster: { transportSocket: upstreamTls(ISTIO_ALPN, 'spiffe://cluster.local/ns/default/sa/somebody-else') } });
    const answer = await get(client.port('l'));
    expect(answer.status).toBe(503);
    expect(answer.body).toMatch(/^upstream connect error or disconnect\/reset before headers. reset reason: remote connection failure, transport failure reason: TLS_error:.*SAN matcher/);
    expect(client.proxy.config.clusters.get('outbound|80||server')!.stats.counters['ssl.fail_verify_san']).toBe(1);
  });

  it('tunnels TCP with half-close, with and without TLS', async () => {
    const echo = createServer({ allowHalfOpen: true }, (socket) => {
      let text = '';
      socket.on('data', (chunk) => void (text += chunk.toString()));
      socket.on('end', () => socket.end(`you said ${text}`));
      socket.on('error', () => {});
    });
    const server = await inbound(await listen(echo), 'permissive');
    const client = await outbound(server.port('virtualInbound'), { filter: tcpFilter('outbound|80||server') });
    expect(await tcpSay(client.port('l'), '\x01\x02 binary')).toBe('you said \x01\x02 binary');
    expect(await tcpSay(server.port('virtualInbound'), '\x01 raw')).toBe('you said \x01 raw');
  });

  it('exchanges workload metadata over TCP, also when the server speaks first', async () => {
    const greeter = createServer((socket) => {
      socket.write('220 ready\n');
      socket.on('data', (chunk) => socket.end(`250 ${chunk.toString()}`));
      socket.on('error', () => {});
    });
    const port = await listen(greeter);
    const statsFirst = (filter: JsonObject): JsonObject[] => [{ name: 'istio.stats', typedConfig: { '@type': `${T}stats.PluginConfig` } }, filter];
    const server = await startStatic({
      clusters: [staticCluster('inbound|80||', [port])], secrets: serverSecrets, node: serverNode,
      listeners: [listenerOf('virtualInbound', [{ filterChainMatch: { transportProtocol: 'tls' }, transportSocket: downstreamTls(['istio-peer-exchange', 'h2']), filters: statsFirst(tcpFilter('inbound|80||')) }], { trafficDirection: 'INBOUND', ...INSPECTORS })],
    });
    cleanups.push(() => server.close());
    const client = await startStatic({
      clusters: [staticCluster('outbound|80||server', [server.port('virtualInbound')], { transportSocket: upstreamTls(['istio-peer-exchange', 'istio']) })], secrets: clientSecrets,
      listeners: [listenerOf('l', [{ filters: statsFirst(tcpFilter('outbound|80||server')) }])],
    });
    cleanups.push(() => client.close());
    const text = await new Promise<string>((resolve, reject) => {
      const socket = connect(client.port('l'), '127.0.0.1');
      let received = '';
      socket.on('data', (chunk) => {
        received += chunk.toString();
        if (received === '220 ready\n') socket.write('hello');
      });
      socket.on('error', reject);
      socket.on('close', () => resolve(received));
    });
    expect(text).toBe('220 ready\n250 hello');
    await new Promise((resolve) => setTimeout(resolve, 100));
    const metrics = encodeMetrics(server.proxy.registry);
    expect(metrics).toMatch(/istio_tcp_connections_opened_total\{.*reporter="destination".*source_workload="client".*destination_workload="server".*\} 1/);
    expect(metrics).toMatch(/istio_tcp_received_bytes_total\{.*source_workload="client".*\} 5/);
    expect(encodeMetrics(client.proxy.registry)).toMatch(/istio_tcp_sent_bytes_total\{.*reporter="source".*destination_workload="server".*\} 19/);
  });

  it('moves 30 MB over TCP through both proxies', async () => {
    const sink = createServer({ allowHalfOpen: true }, (socket) => {
      let bytes = 0;
      socket.on('data', (chunk) => void (bytes += chunk.length));
      socket.on('end', () => socket.end(String(bytes)));
    });
    const server = await inbound(await listen(sink), 'permissive');
    const client = await outbound(server.port('virtualInbound'), { filter: tcpFilter('outbound|80||server') });
    expect(await tcpSay(client.port('l'), 'x'.repeat(30_000_000))).toBe('30000000');
    const { upstream_cx_tx_bytes_total: sent, upstream_cx_rx_bytes_total: received } = client.proxy.config.clusters.get('outbound|80||server')!.stats.counters;
    // The proxies' own metadata goes along.
    expect([sent, received]).toEqual([expect.closeTo(30_001_000, -4), expect.closeTo(1000, -4)]);
    expect(sent).toBeGreaterThan(30_000_000);
    expect(received).toBeGreaterThanOrEqual(8);
  });

  it('counts what upstream connections carry while they are open', async () => {
    const sockets: Socket[] = [];
    const app = createHttpServer((_, response) => void response.end('x'.repeat(1234)));
    app.on('connection', (socket: Socket) => void sockets.push(socket));
    const client = await outbound(await listen(app), { plaintext: true });
    for (let i = 0; i < 3; i++) expect((await get(client.port('l'))).body).toHaveLength(1234);
    const { counters, gauges } = client.proxy.config.clusters.get('outbound|80||server')!.stats;
    expect(gauges.upstream_cx_active).toBe(1);
    expect(counters.upstream_cx_rx_bytes_total).toBeGreaterThan(3 * 1234);
    expect([counters.upstream_cx_rx_bytes_total, counters.upstream_cx_tx_bytes_total]).toEqual([sockets[0]!.bytesWritten, sockets[0]!.bytesRead]);
  });

  it('uses rotated certificates for new connections and keeps open ones', async () => {
    const app = await httpBackend(appSaysHeaders);
    const server = await inbound(app, 'strict');
    const client = await outbound(server.port('virtualInbound'));
    expect((await get(client.port('l'))).status).toBe(200);
    const { stats } = client.proxy.config.clusters.get('outbound|80||server')!;
    // The client's identity changes; the open connection goes on with the old one.
    client.rotate(renamedSecrets);
    expect((await get(client.port('l'))).body).toContain('URI=spiffe://cluster.local/ns/default/sa/client');
    expect(stats.counters.upstream_cx_total).toBe(1);
    for (const connection of server.connections()) connection.destroy();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await get(client.port('l'))).body).toContain('URI=spiffe://cluster.local/ns/default/sa/renamed');
    // The server's roots and certificate change too: the old client is unknown to it, open connections stay.
    server.rotate(foreignSecrets);
    expect((await get(client.port('l'))).status).toBe(200);
    for (const connection of server.connections()) connection.destroy();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await get(client.port('l'))).status).toBe(503);
  });

  it('survives garbage on the inbound port', async () => {
    const server = await inbound(await httpBackend(appSaysHeaders), 'permissive');
    for (const garbage of ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', '\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00', 'PRI * HTTP/2.0\r\n\r\nXX', '\x00\x00']) {
      await new Promise<void>((resolve) => {
        const socket = connect(server.port('virtualInbound'), '127.0.0.1', () => setTimeout(() => socket.destroy(), 30));
        socket.on('error', () => {});
        socket.on('close', () => resolve());
        socket.write(Buffer.from(garbage, 'latin1'));
      });
    }
    await new Promise<void>((resolve) => {
      const socket = tlsConnect({ port: server.port('virtualInbound'), host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['istio-http/1.1'] });
      socket.on('error', () => {});
      socket.on('close', () => resolve());
    });
    expect((await get(server.port('virtualInbound'))).status).toBe(200);
  });
});

describe('HTTP/2 and gRPC', () => {
  /** A gRPC-like echo with trailers. */
  async function grpcBackend(): Promise<number> {
    const server = createH2Server();
    server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => void chunks.push(chunk));
      stream.on('end', () => {
        stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'x-seen-te': String(headers['te']), 'x-path': String(headers[':path']) }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '5', 'grpc-message': 'not here' }));
        stream.end(Buffer.concat(chunks));
      });
    });
    return listen(server as unknown as Server);
  }

  function call(port: number, body: Buffer, headers: Record<string, string> = {}): Promise<{ headers: IncomingHttpHeaders; trailers: IncomingHttpHeaders; body: Buffer }> {
    return new Promise((resolve, reject) => {
      const session = h2connect(`http://127.0.0.1:${port}`);
      session.on('error', reject);
      const stream = session.request({ ':method': 'POST', ':path': '/pkg.Service/Method', ':authority': 'server', 'content-type': 'application/grpc', te: 'trailers', ...headers });
      let head: IncomingHttpHeaders = {};
      let trailers: IncomingHttpHeaders = {};
      const chunks: Buffer[] = [];
      stream.on('response', (block) => void (head = block));
      stream.on('trailers', (block) => void (trailers = block));
      stream.on('data', (chunk: Buffer) => void chunks.push(chunk));
      stream.on('end', () => {
        session.close();
        resolve({ headers: head, trailers, body: Buffer.concat(chunks) });
      });
      stream.on('error', reject);
      stream.end(body);
    });
  }

  it('carries gRPC with trailers through both proxies over istio-h2', async () => {
    const server = await inbound(await grpcBackend(), 'strict', HTTP2);
    const client = await outbound(server.port('virtualInbound'), { cluster: HTTP2 });
    const body = Buffer.alloc(300_000, 'g');
    const answer = await call(client.port('l'), body);
    expect(answer.headers).toMatchObject({ ':status': 200, 'x-seen-te': 'trailers', 'x-path': '/pkg.Service/Method', 'content-type': 'application/grpc' });
    expect(answer.trailers).toMatchObject({ 'grpc-status': '5', 'grpc-message': 'not here' });
    expect(answer.body.equals(body)).toBe(true);
    expect(client.proxy.config.clusters.get('outbound|80||server')!.stats.counters.upstream_cx_http2_total).toBe(1);
  });

  it('answers gRPC callers with trailers-only replies', async () => {
    const refused = createServer();
    const port = await listen(refused);
    await new Promise((resolve) => refused.close(resolve));
    const client = await outbound(port, { cluster: HTTP2 });
    const answer = await call(client.port('l'), Buffer.from('x'));
    expect(answer.headers).toMatchObject({ ':status': 200, 'grpc-status': '14' });
    expect(answer.headers['grpc-message']).toContain('connection failure');
  });

  it('bridges HTTP/2 clients to HTTP/1 workloads and back', async () => {
    const app = await httpBackend((request, response) => {
      let bytes = 0;
      request.on('data', (chunk: Buffer) => void (bytes += chunk.length));
      request.on('end', () => response.end(`${request.httpVersion} ${request.method} ${request.headers.host} ${bytes}`));
    });
    const server = await inbound(app, 'strict');
    const client = await outbound(server.port('virtualInbound'));
    const answer = await call(client.port('l'), Buffer.alloc(100_000), { 'content-type': 'text/plain' });
    expect(answer.body.toString()).toBe('1.1 POST server 100000');
    const h2app = await inbound(await grpcBackend(), 'strict', HTTP2);
    const upgrading = await outbound(h2app.port('virtualInbound'), { cluster: HTTP2 });
    const one = await get(upgrading.port('l'), '/x');
    expect([one.status, one.headers['x-path']]).toEqual([200, '/x']);
  });

  it('speaks upstream what the client speaks when told so', async () => {
    const port = await grpcBackend();
    const client = await outbound(port, { plaintext: true, cluster: DOWNSTREAM });
    expect((await call(client.port('l'), Buffer.from('y'))).headers[':status']).toBe(200);
  });

  it('passes a cancelled stream on', async () => {
    let cancelled: (code: number) => void = () => {};
    const seen = new Promise<number>((resolve) => void (cancelled = resolve));
    const server = createH2Server();
    server.on('stream', (stream: ServerHttp2Stream) => stream.on('close', () => cancelled(stream.rstCode)).on('error', () => {}));
    const client = await outbound(await listen(server as unknown as Server), { plaintext: true, cluster: HTTP2 });
    const session = h2connect(`http://127.0.0.1:${client.port('l')}`);
    const stream = session.request({ ':path': '/' });
    stream.on('error', () => {});
    setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), 100);
    expect(await seen).toBe(constants.NGHTTP2_CANCEL);
    session.close();
  });
});

describe('gateway', () => {
  const simpleTls = (secret: string): JsonObject => ({ name: 'envoy.transport_sockets.tls', typedConfig: { '@type': `${T}envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext`, commonTlsContext: { alpnProtocols: ['h2', 'http/1.1'], tlsCertificateSdsSecretConfigs: [sds(secret)] } } });
  const https = (port: number, servername: string, alpn: string[]): Promise<{ alpn: string | false | null; text: string }> => new Promise((resolve, reject) => {
    const socket = tlsConnect({ port, host: '127.0.0.1', servername, rejectUnauthorized: false, ALPNProtocols: alpn }, () => {
      if (socket.alpnProtocol === 'h2') {
        const session = h2connect(`https://${servername}`, { createConnection: () => socket });
        const stream = session.request({ ':path': '/h2' });
        let text = '';
        stream.on('data', (chunk: Buffer) => void (text += chunk.toString()));
        stream.on('end', () => {
          resolve({ alpn: 'h2', text });
          session.close();
        });
        return;
      }
      socket.write('GET /h1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
    });
    let text = '';
    socket.on('error', reject);
    if (!alpn.includes('h2')) socket.on('data', (chunk) => void (text += chunk.toString()));
    socket.on('close', () => resolve({ alpn: socket.alpnProtocol, text }));
  });

  it('terminates TLS by SNI for HTTP/1 and HTTP/2 clients and refuses other names', async () => {
    const app = await httpBackend((request, response) => void response.end(`${request.url} ${request.headers['x-forwarded-proto']} ${request.headers['x-envoy-external-address']}`));
    const filter = hcmFilter([{ match: { prefix: '/' }, route: { cluster: 'app', timeout: '0s' } }] as never, { useRemoteAddress: true, httpFilters: [ROUTER] });
    const secret: TlsSecret = { ...serverSecrets[0]!, name: 'kubernetes://credential' };
    const gateway = await startStatic({
      clusters: [staticCluster('app', [app])], secrets: [secret], node: { ...testNode, type: 'router' },
      listeners: [listenerOf('0.0.0.0_443', [{ filterChainMatch: { serverNames: ['*.example.com'] }, transportSocket: simpleTls('kubernetes://credential'), filters: [filter] }], { listenerFilters: (INSPECTORS['listenerFilters'] as JsonObject[]).slice(0, 1) })],
    });
    cleanups.push(() => gateway.close());
    const port = gateway.port('0.0.0.0_443');
    expect((await https(port, 'a.example.com', ['http/1.1'])).text).toContain('/h1 https 127.0.0.1');
    expect(await https(port, 'a.example.com', ['h2', 'http/1.1'])).toMatchObject({ alpn: 'h2', text: '/h2 https 127.0.0.1' });
    // No ALPN in common: the connection goes on without, as with Envoy.
    expect((await https(port, 'a.example.com', ['foo'])).text).toContain('/h1');
    await expect(https(port, 'a.other.org', ['http/1.1'])).rejects.toThrow();
    expect(gateway.proxy.stats.listener('127.0.0.1_0').counters.no_filter_chain_match).toBe(1);
  });
});

describe('listener updates', () => {
  it('keeps connections of what stays and opens what comes', async () => {
    const port = await httpBackend((_request, response) => void response.end('ok'));
    const harness = await startStatic({ clusters: [staticCluster('outbound|80||server', [port])], listeners: [listenerOf('a', [{ filters: [hcmFilter(toServer as never)] }])] });
    cleanups.push(() => harness.close());
    const { listeners } = harness.proxy.config.snapshot.value;
    const a = listeners.get('a')!;
    const socket = connect(harness.port('a'), '127.0.0.1');
    const ask = (): Promise<string> => new Promise((resolve) => {
      socket.once('data', (chunk) => resolve(chunk.toString()));
      socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    });
    expect(await ask()).toContain('200 OK');
    expect(await harness.proxy.listeners.update(new Map([['a', a], ['b', { ...a, name: 'b' }]]))).toEqual([]);
    expect(await ask()).not.toContain('connection: close');
    expect((await get(harness.port('b'))).status).toBe(200);
    const changed = { ...a, filterChains: a.filterChains.map((chain) => ({ ...chain })) };
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await harness.proxy.listeners.update(new Map([['a', changed]]));
    await closed;
    expect(harness.proxy.listeners.boundPort('b')).toBeUndefined();
    expect((await get(harness.port('a'))).status).toBe(200);
  });
});
