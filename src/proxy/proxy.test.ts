import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, request, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '@bufbuild/protobuf';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { encodeResource } from '../xds/codec.ts';
import { ClusterSchema } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.ts';
import { ListenerSchema } from '../xds/gen/envoy/config/listener/v3/listener_pb.ts';
import { fromEnvoyJson } from '../xds/registry.ts';
import { openAdmin, type OpenAdmin } from './admin/open.ts';
import type { ProxyNode } from './config/runtime.ts';
import { startProxy, type Proxy } from './start.ts';

// One proxy from static xDS, real sockets, and what it tells afterwards.

const T = 'type.googleapis.com/';
const node: ProxyNode = { id: 'sidecar~127.0.0.1~a.b~b.svc.cluster.local', cluster: 'a.b', type: 'sidecar', metadata: {}, workload: { workload: 'a-v1', namespace: 'b', app: 'a', version: 'v1', canonicalService: 'a', canonicalRevision: 'v1', cluster: 'Kubernetes' } };
const folder = mkdtempSync(join(tmpdir(), 'proxy-'));
const logPath = join(folder, 'access.log');

let upstream: Server;
let collector: Server;
let proxy: Proxy;
let admin: OpenAdmin;
let port: number;
const spans: { traceId: string; id: string; name: string; kind: string; tags: Record<string, string> }[] = [];
const upstreamHeaders: IncomingMessage['headers'][] = [];

const listen = (server: Server) => new Promise<number>((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)));
const staticCluster = (name: string, portValue: number, more: JsonObject = {}) =>
  encodeResource(fromEnvoyJson(ClusterSchema, { name, type: 'STATIC', connectTimeout: '1s', loadAssignment: { clusterName: name, endpoints: [{ lbEndpoints: [{ metadata: { filterMetadata: { istio: { workload: 'web-v1;shop;web;v1;Kubernetes' } } }, endpoint: { address: { socketAddress: { address: '127.0.0.1', portValue } } } }] }] }, ...more }));

const WEB = 'outbound|80||web.shop.svc.cluster.local';

beforeAll(async () => {
  upstream = createServer((incoming, response) => {
    upstreamHeaders.push(incoming.headers);
    response.writeHead(incoming.url === '/boom' ? 500 : 200, { 'content-type': 'text/plain' }).end(`hello ${incoming.url}`);
  });
  collector = createServer((incoming, response) => {
    let body = '';
    incoming.on('data', (chunk) => (body += chunk)).on('end', () => {
      spans.push(...(JSON.parse(body) as typeof spans));
      response.writeHead(202).end();
    });
  });
  const [webPort, zipkinPort] = [await listen(upstream), await listen(collector)];
  const refused = createServer();
  const closedPort = await listen(refused);
  await new Promise((resolve) => refused.close(resolve));
  const route = (match: JsonObject, to: JsonObject, name: string, more: JsonObject = {}): JsonObject => ({ name, match, route: { timeout: '0s', ...to }, decorator: { operation: 'web.shop.svc.cluster.local:80/*' }, ...more });
  const hcm: JsonObject = {
    '@type': `${T}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    statPrefix: 'outbound_0.0.0.0_80;',
    serverName: 'istio-envoy',
    httpFilters: [{ name: 'istio.stats', typedConfig: { '@type': `${T}stats.PluginConfig` } }, { name: 'envoy.filters.http.router', typedConfig: { '@type': `${T}envoy.extensions.filters.http.router.v3.Router` } }],
    accessLog: [{ name: 'f', typedConfig: { '@type': `${T}envoy.extensions.access_loggers.file.v3.FileAccessLog`, path: logPath, logFormat: { jsonFormat: { code: '%RESPONSE_CODE%', flags: '%RESPONSE_FLAGS%', route: '%ROUTE_NAME%', cluster: '%UPSTREAM_CLUSTER_RAW%', path: '%REQ(:PATH)%', sent: '%BYTES_SENT%', details: '%RESPONSE_CODE_DETAILS%' } } } }],
    tracing: { randomSampling: { value: 100 }, provider: { name: 'envoy.tracers.zipkin', typedConfig: { '@type': `${T}envoy.config.trace.v3.ZipkinConfig`, collectorCluster: 'zipkin', collectorEndpoint: '/api/v2/spans', traceId128bit: true, sharedSpanContext: false } } },
    routeConfig: {
      name: '80',
      virtualHosts: [{ name: 'web.shop.svc.cluster.local:80', domains: ['*'], includeRequestAttemptCount: true, routes: [
        route({ prefix: '/dead' }, { cluster: 'dead' }, 'dead'), route({ prefix: '/none' }, { cluster: 'nowhere' }, 'none'), route({ prefix: '/empty' }, { cluster: 'empty' }, 'empty'),
        { name: 'direct', match: { prefix: '/direct' }, directResponse: { status: 418, body: { inlineString: 'teapot' } } }, { name: 'redirect', match: { path: '/old' }, redirect: { pathRedirect: '/new' } },
        route({ prefix: '/' }, { cluster: WEB }, 'default', { requestHeadersToAdd: [{ header: { key: 'x-from', value: '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%' } }] }),
      ] }],
    },
  };
  proxy = startProxy({
    node, ads: undefined, secrets: { watch: () => () => {} },
    staticResources: {
      clusters: [
        staticCluster(WEB, webPort, { metadata: { filterMetadata: { istio: { services: [{ host: 'web.shop.svc.cluster.local', name: 'web', namespace: 'shop' }] } } } }),
        staticCluster('dead', closedPort, { outlierDetection: { consecutive5xx: 2, maxEjectionPercent: 100, baseEjectionTime: '60s' }, commonLbConfig: { healthyPanicThreshold: {} } }),
        encodeResource(fromEnvoyJson(ClusterSchema, { name: 'empty', type: 'STATIC' })), staticCluster('zipkin', zipkinPort),
      ],
      listeners: [encodeResource(fromEnvoyJson(ListenerSchema, { name: '127.0.0.1_0', address: { socketAddress: { address: '127.0.0.1', portValue: 0 } }, trafficDirection: 'OUTBOUND', filterChains: [{ filters: [{ name: 'hcm', typedConfig: hcm }] }] }))],
    },
  });
  await proxy.ready;
  admin = await openAdmin(proxy, { node, version: 'test', ads: undefined, quit: () => {}, port: 0 });
  port = proxy.listeners.boundPort('127.0.0.1_0')!;
});

afterAll(async () => {
  await admin?.close();
  await proxy?.close();
  upstream.close();
  collector.close();
  rmSync(folder, { recursive: true });
});

function get(path: string, headers: Record<string, string> = {}): Promise<{ status: number; body: string; headers: IncomingMessage['headers'] }> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, path, headers: { host: 'web:80', ...headers }, agent: false }, (response) => {
      let body = '';
      response.on('data', (chunk) => (body += chunk)).on('end', () => resolve({ status: response.statusCode!, body, headers: response.headers }));
    });
    outgoing.on('error', reject).end();
  });
}

it('routes, answers and fails as the table says', async () => {
  expect(await get('/hello?x=1')).toMatchObject({ status: 200, body: 'hello /hello?x=1', headers: { server: 'istio-envoy' } });
  expect(upstreamHeaders[0]).toMatchObject({ 'x-from': '127.0.0.1', 'x-envoy-attempt-count': '1', 'x-b3-sampled': '1' });
  expect(await get('/boom')).toMatchObject({ status: 500 });
  expect(await get('/direct')).toMatchObject({ status: 418, body: 'teapot' });
  expect(await get('/old')).toMatchObject({ status: 301, headers: { location: 'http://web:80/new' } });
  expect(await get('/none')).toMatchObject({ status: 503, body: '' });
  expect(await get('/empty')).toMatchObject({ status: 503, body: 'no healthy upstream' });
  for (let i = 0; i < 2; i++) expect((await get('/dead')).body).toContain('remote connection failure');
  expect(await get('/dead')).toMatchObject({ status: 503, body: 'no healthy upstream' });
});

it('writes one access log line per request', async () => {
  await proxy.config.flush();
  const lines = readFileSync(logPath, 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines.map(({ code, flags, route, details }) => [code, flags, route, details])).toEqual([
    [200, '-', 'default', 'via_upstream'], [500, '-', 'default', 'via_upstream'], [418, '-', 'direct', 'direct_response'], [301, '-', 'redirect', 'direct_response'], [503, 'NC', 'none', 'cluster_not_found'], [503, 'UH', 'empty', 'no_healthy_upstream'],
    [503, 'UF', 'dead', expect.stringContaining('upstream_reset_before_response_started')], [503, 'UF', 'dead', expect.stringContaining('upstream_reset_before_response_started')], [503, 'UH', 'dead', 'no_healthy_upstream'],
  ]);
  expect(lines[0]).toEqual({ code: 200, flags: '-', route: 'default', cluster: WEB, path: '/hello?x=1', sent: 16, details: 'via_upstream' });
});

it('counts Istio metrics with both workloads', () => {
  const page = admin.admin.prometheus();
  const series = page.split('\n').filter((line) => line.startsWith('istio_requests_total{'));
  const of = (code: string, flags: string) => series.find((line) => line.includes(`response_code="${code}"`) && line.includes(`response_flags="${flags}"`)) ?? '';
  expect(of('200', '-')).toContain('reporter="source",source_workload="a-v1"');
  expect(of('200', '-')).toContain('destination_workload="web-v1",destination_workload_namespace="shop"');
  expect(of('200', '-')).toContain('destination_service="web.shop.svc.cluster.local"');
  expect(of('200', '-')).toMatch(/ 1$/);
  expect(of('503', 'UF')).toMatch(/ 2$/);
  expect(page).toContain('istio_request_duration_milliseconds_bucket{');
});

it('shows itself on the admin port', async () => {
  const page = async (path: string) => (await fetch(`http://127.0.0.1:${admin.port}${path}`)).text();
  expect(await page('/ready')).toBe('LIVE\n');
  const dump = JSON.parse(await page('/config_dump')) as { configs: Record<string, unknown[]>[] };
  expect(dump.configs.find((config) => String(config['@type']).endsWith('ClustersConfigDump'))!['static_clusters']).toHaveLength(4);
  const stats = await page('/stats?usedonly');
  for (const line of [`cluster.${WEB}.upstream_rq_200: 1`, `cluster.${WEB}.upstream_rq_5xx: 1`, `cluster.${WEB}.upstream_rq_total: 2`, 'http.outbound_0.0.0.0_80;.downstream_rq_total: 9', 'http.outbound_0.0.0.0_80;.downstream_rq_2xx: 1', 'cluster.dead.outlier_detection.ejections_active: 1', 'cluster.dead.upstream_cx_connect_fail: 2', 'http.outbound_0.0.0.0_80;.no_cluster: 1']) expect(stats.split('\n')).toContain(line);
  expect(await page('/clusters')).toContain('::health_flags::/failed_outlier_check\n');
});

it('sends spans with the caller’s trace', async () => {
  await get('/hello', { 'x-b3-traceid': 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'x-b3-spanid': 'bbbbbbbbbbbbbbbb', 'x-b3-sampled': '1' });
  for (let i = 0; i < 3; i++) await proxy.config.flush();
  const span = spans.find(({ traceId }) => traceId === 'a'.repeat(32))!;
  expect(span).toMatchObject({ kind: 'CLIENT', name: 'web.shop.svc.cluster.local:80/*', parentId: 'bbbbbbbbbbbbbbbb', localEndpoint: { serviceName: 'a.b' }, tags: { 'http.status_code': '200', component: 'proxy', 'upstream_cluster.name': WEB, 'http.method': 'GET' } });
  expect(upstreamHeaders.at(-1)).toMatchObject({ 'x-b3-traceid': 'a'.repeat(32), 'x-b3-spanid': span.id, 'x-b3-parentspanid': 'bbbbbbbbbbbbbbbb' });
});
