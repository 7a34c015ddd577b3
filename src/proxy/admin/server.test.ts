import type { JsonObject } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../base/clock.ts';
import { createRegistry } from '../../telemetry/metrics/registry.ts';
import { encodeResource } from '../../xds/codec.ts';
import { ClusterSchema } from '../../xds/gen/envoy/config/cluster/v3/cluster_pb.ts';
import { ClusterLoadAssignmentSchema } from '../../xds/gen/envoy/config/endpoint/v3/endpoint_pb.ts';
import { ListenerSchema } from '../../xds/gen/envoy/config/listener/v3/listener_pb.ts';
import { RouteConfigurationSchema } from '../../xds/gen/envoy/config/route/v3/route_pb.ts';
import { fromEnvoyJson } from '../../xds/registry.ts';
import { ConfigManager } from '../config/manager.ts';
import type { ProxyNode } from '../config/runtime.ts';
import { ProxyStats } from '../stats.ts';
import { Admin } from './server.ts';
import { inclusionOf, isIncluded } from './stats-inclusion.ts';

const T = 'type.googleapis.com/';
const node: ProxyNode = { id: 'sidecar~10.0.0.1~a.b~b.svc.cluster.local', cluster: 'a.b', type: 'sidecar', metadata: { NAME: 'a' }, workload: { workload: 'a', namespace: 'b', app: 'a', version: 'v1', canonicalService: 'a', canonicalRevision: 'v1', cluster: 'K' } };
const CLUSTER = 'outbound|80||web.b.svc.cluster.local';
const hcm: JsonObject = { '@type': `${T}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`, statPrefix: 'outbound_0.0.0.0_80;', rds: { routeConfigName: '80' }, httpFilters: [{ name: 'r', typedConfig: { '@type': `${T}envoy.extensions.filters.http.router.v3.Router` } }] };

function start() {
  const clock = new VirtualClock(Date.parse('2026-01-02T03:04:05.678Z'));
  const stats = new ProxyStats();
  const registry = createRegistry();
  const manager = new ConfigManager({ node, filters: new Map(), registry, stats, clock, random: () => 0 });
  manager.clusters.updateClusters({ updated: [encodeResource(fromEnvoyJson(ClusterSchema, { name: CLUSTER, type: 'EDS', connectTimeout: '10s', outlierDetection: { consecutive5xx: 2, maxEjectionPercent: 10 } }))], removed: [] });
  manager.clusters.updateEndpoints({
    updated: [encodeResource(fromEnvoyJson(ClusterLoadAssignmentSchema, { clusterName: CLUSTER, endpoints: [{ locality: { region: 'eu', zone: 'z' }, lbEndpoints: [{ endpoint: { address: { socketAddress: { address: '10.1.1.1', portValue: 8080 } } } }, { healthStatus: 'UNHEALTHY', endpoint: { address: { socketAddress: { address: '10.1.1.2', portValue: 8080 } } } }] }] }))],
    removed: [],
  });
  manager.listeners.updateRoutes({ updated: [encodeResource(fromEnvoyJson(RouteConfigurationSchema, { name: '80', virtualHosts: [{ name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: CLUSTER } }] }] }))], removed: [] });
  const listener = (name: string, type: string = `${T}x`) => encodeResource(fromEnvoyJson(ListenerSchema, { name, address: { socketAddress: { address: '0.0.0.0', portValue: 80 } }, filterChains: [{ filters: [{ name: 'hcm', typedConfig: type === `${T}x` ? hcm : { '@type': type } }] }] }));
  manager.listeners.updateListeners({ updated: [listener('0.0.0.0_80'), listener('bad', `${T}envoy.extensions.filters.http.rbac.v3.RBAC`)], removed: [] });
  const asked: unknown[] = [];
  const secret = { name: 'default', kind: 'certificate', certificateChainPem: 'CERT', privateKeyPem: 'VERY SECRET' } as const;
  const admin = new Admin({ node, manager, stats, registry, version: 'test', clock, secrets: () => [secret], connectedToControlPlane: () => true, drainListeners: (options) => void asked.push(options), quit: () => void asked.push('quit') });
  const get = async (url: string, method = 'GET') => admin.request(method, url);
  const getJson = async (url: string) => JSON.parse((await get(url)).body) as never;
  return { admin, manager, stats, registry, asked, clock, get, getJson };
}

describe('admin', () => {
  it('dumps configuration in the shapes istioctl reads, without private keys', async () => {
    const { getJson, get } = start();
    const { configs } = (await getJson('/config_dump?include_eds')) as { configs: Record<string, never>[] };
    expect(configs.map((config) => String(config['@type']).split('.').at(-1))).toEqual(['BootstrapConfigDump', 'ClustersConfigDump', 'EndpointsConfigDump', 'ListenersConfigDump', 'ScopedRoutesConfigDump', 'RoutesConfigDump', 'SecretsConfigDump']);
    expect(configs[0]).toMatchObject({ bootstrap: { node: { id: node.id, cluster: 'a.b', metadata: { NAME: 'a' } } }, last_updated: '2026-01-02T03:04:05.678Z' });
    expect(configs[1]).toMatchObject({ dynamic_active_clusters: [{ version_info: expect.stringMatching(/^[0-9a-f]{24}$/), last_updated: '2026-01-02T03:04:05.678Z', cluster: { '@type': `${T}envoy.config.cluster.v3.Cluster`, name: CLUSTER, type: 'EDS', connect_timeout: '10s' } }] });
    expect(configs[2]).toMatchObject({ dynamic_endpoint_configs: [{ endpoint_config: { cluster_name: CLUSTER } }] });
    expect(configs[3]).toMatchObject({
      dynamic_listeners: [
        { name: '0.0.0.0_80', active_state: { listener: { '@type': `${T}envoy.config.listener.v3.Listener`, filter_chains: [{ filters: [{ typed_config: { '@type': hcm['@type'] } }] }] } } },
        { name: 'bad', error_state: { details: expect.stringContaining('unknown network filter hcm') } },
      ],
    });
    expect(configs[5]).toMatchObject({ dynamic_route_configs: [{ route_config: { name: '80' } }] });
    expect(configs[6]).toMatchObject({ dynamic_active_secrets: [{ name: 'default', secret: { tls_certificate: { certificate_chain: { inline_bytes: Buffer.from('CERT').toString('base64') } } } }] });
    expect(Buffer.from((await get('/config_dump')).body).toString()).not.toContain(Buffer.from('VERY SECRET').toString('base64'));
    expect(await getJson('/config_dump?resource=dynamic_route_configs')).toMatchObject({ configs: [{ '@type': `${T}envoy.admin.v3.RoutesConfigDump.DynamicRouteConfig`, route_config: { name: '80' } }] });
    expect(((await getJson('/config_dump?name_regex=outbound.*&resource=dynamic_active_clusters')) as { configs: unknown[] }).configs).toHaveLength(1);
    expect(((await getJson('/config_dump?name_regex=nothing&resource=dynamic_active_clusters')) as { configs: unknown[] }).configs).toHaveLength(0);
  });

  it('shows clusters with hosts, health and a blocked ejection', async () => {
    const { manager, get, getJson } = start();
    const cluster = manager.clusters.get(CLUSTER)!;
    cluster.hosts[0]!.activeConnections = 3;
    for (let i = 0; i < 2; i++) cluster.report(cluster.hosts[0]!, { kind: 'status', httpStatus: 503 });
    const { body } = await get('/clusters');
    for (const line of [`${CLUSTER}::observability_name::${CLUSTER}`, `${CLUSTER}::default_priority::max_connections::1024`, `${CLUSTER}::added_via_api::true`, `${CLUSTER}::10.1.1.1:8080::cx_active::3`, `${CLUSTER}::10.1.1.1:8080::rq_error::2`,
      `${CLUSTER}::10.1.1.1:8080::region::eu`, `${CLUSTER}::10.1.1.1:8080::health_flags::healthy`, `${CLUSTER}::10.1.1.2:8080::health_flags::/failed_eds_health`]) expect(body.split('\n')).toContain(line);
    expect(body).toContain('last_blocked_ejection::10.1.1.1:8080 reached consecutive_5xx but stays in: ejecting 1 of 2 hosts is 50 %, max_ejection_percent is 10 %');
    expect(await getJson('/clusters?format=json')).toMatchObject({ cluster_statuses: [{ name: CLUSTER, added_via_api: true, eds_service_name: CLUSTER, host_statuses: [{ address: { socket_address: { address: '10.1.1.1', port_value: 8080 } }, health_status: { eds_health_status: 'HEALTHY' }, locality: { region: 'eu', zone: 'z' } }, { health_status: { eds_health_status: 'UNHEALTHY' } }] }] });
    expect((await get('/clusters?filter=nope')).body).toBe('');
  });

  it('prints stats by Envoy’s names and includes what Istio includes', async () => {
    const { admin, stats, registry, get, getJson } = start();
    stats.cluster(CLUSTER).counters.upstream_rq_total += 2;
    stats.cluster(CLUSTER).response(503);
    stats.httpManager('outbound_0.0.0.0_80;').response(200);
    stats.httpManager('outbound_0.0.0.0_80;').gauges.downstream_cx_active = 4;
    registry.counter('istio_requests_total', '').labels({ reporter: 'source' }).inc();
    const used = (await get('/stats?usedonly')).body.split('\n');
    for (const line of [`cluster.${CLUSTER}.upstream_rq_total: 2`, `cluster.${CLUSTER}.upstream_rq_503: 1`, `cluster.${CLUSTER}.external.upstream_rq_5xx: 1`, `cluster.${CLUSTER}.membership_total: 2`, `cluster.${CLUSTER}.membership_healthy: 1`, 'http.outbound_0.0.0.0_80;.downstream_rq_2xx: 1', 'listener_manager.listener_create_failure: 1', 'control_plane.connected_state: 1', 'cluster_manager.active_clusters: 1']) expect(used).toContain(line);
    expect((await get(`/stats?filter=circuit_breakers.*rq_pending_open`)).body).toBe(`cluster.${CLUSTER}.circuit_breakers.default.rq_pending_open: 0\n`);
    expect(await getJson('/stats?format=json&filter=downstream_cx_active')).toMatchObject({ stats: [{ name: 'http.outbound_0.0.0.0_80;.downstream_cx_active', value: 4 }] });
    const scraped = admin.prometheus();
    expect(scraped).toContain('envoy_http_downstream_cx_active{http_conn_manager_prefix="outbound_0.0.0.0_80;"} 4\n');
    expect(scraped).toContain('# TYPE istio_requests_total counter\nistio_requests_total{reporter="source"} 1\n');
    expect(scraped).not.toContain('envoy_cluster_upstream_rq_total');
    expect((await get('/stats/prometheus?filter=upstream_rq')).body).toContain(`envoy_cluster_upstream_rq{response_code="503",cluster_name="${CLUSTER}"} 1\n`);
    await get('/reset_counters', 'POST');
    expect((await get('/stats?usedonly&filter=upstream_rq')).body).toBe('');
    expect((await get('/stats?filter=(')).status).toBe(400);
  });

  it.each<[string, Record<string, unknown>, string, boolean]>([
    ['nothing asked', {}, 'cluster.a.upstream_rq_pending_overflow', false],
    ['Istio’s prefix', {}, 'cluster.xds-grpc.upstream_rq_total', true],
    ['annotation', { ANNOTATIONS: { 'sidecar.istio.io/statsInclusionPrefixes': 'cluster.a, cluster.b' } }, 'cluster.a.upstream_rq_pending_overflow', true],
    ['proxy config suffix', { PROXY_CONFIG: { proxyStatsMatcher: { inclusionSuffixes: ['pending_overflow'] } } }, 'cluster.a.upstream_rq_pending_overflow', true],
    ['proxy config regex', { PROXY_CONFIG: { proxyStatsMatcher: { inclusionRegexps: ['.*circuit_breakers.*', '('] } } }, 'cluster.a.circuit_breakers.default.cx_open', true],
    ['a regex is whole', { PROXY_CONFIG: { proxyStatsMatcher: { inclusionRegexps: ['circuit_breakers'] } } }, 'cluster.a.circuit_breakers.default.cx_open', false],
  ])('includes by metadata: %s', (_, metadata, name, expected) => expect(isIncluded(name, inclusionOf(metadata))).toBe(expected));

  it('changes state only by POST', async () => {
    const { asked, get, manager } = start();
    expect((await get('/ready')).body).toBe('LIVE\n');
    manager.subscribe({ connected: false, close: () => {}, subscribeAll: () => {}, subscribe: () => ({ setNames: () => {} }) });
    expect(await get('/quitquitquit')).toMatchObject({ status: 405, body: 'Method GET not allowed, POST required.' });
    expect(await get('/nothing')).toMatchObject({ status: 404 });
    expect((await get('/ready')).body).toBe('PRE_INITIALIZING\n');
    await get('/drain_listeners?inboundonly&graceful', 'POST');
    expect(asked).toEqual([{ graceful: true, inboundOnly: true }]);
    await get('/healthcheck/fail', 'POST');
    expect(await get('/ready')).toMatchObject({ status: 503, body: 'DRAINING\n' });
    expect((await get('/logging?level=debug', 'POST')).body).toBe('active loggers:\n  all: debug\n');
    expect((await get('/logging?level=loud', 'POST')).status).toBe(400);
    await get('/logging?level=info', 'POST');
  });

  it('answers over a socket', async () => {
    const { admin } = start();
    const server = await admin.listen(0);
    const response = await fetch(`http://127.0.0.1:${server.port}/listeners`);
    expect([response.status, response.headers.get('content-type'), await response.text()]).toEqual([200, 'text/plain; charset=UTF-8', '0.0.0.0_80::0.0.0.0:80\n']);
    await server.close();
  });
});
