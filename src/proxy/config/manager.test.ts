import { create, type JsonObject } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../base/clock.ts';
import { createRegistry } from '../../telemetry/metrics/registry.ts';
import { record } from '../../telemetry/testing/record.ts';
import { TYPE_URL, type AdsClient, type EncodedResource, type UpdateHandler } from '../../xds/ads.ts';
import { encodeResource } from '../../xds/codec.ts';
import { ClusterSchema } from '../../xds/gen/envoy/config/cluster/v3/cluster_pb.ts';
import { ClusterLoadAssignmentSchema } from '../../xds/gen/envoy/config/endpoint/v3/endpoint_pb.ts';
import { ListenerSchema } from '../../xds/gen/envoy/config/listener/v3/listener_pb.ts';
import { RouteConfigurationSchema } from '../../xds/gen/envoy/config/route/v3/route_pb.ts';
import { fromEnvoyJson } from '../../xds/registry.ts';
import { head } from '../testing/head.ts';
import { ProxyStats } from '../stats.ts';
import { ConfigManager } from './manager.ts';
import type { HcmRuntime, ProxyNode } from './runtime.ts';

const node: ProxyNode = { id: 'sidecar~10.0.0.1~a.b~b.svc.cluster.local', cluster: 'a.b', type: 'sidecar', metadata: {}, workload: { workload: 'a', namespace: 'b', app: 'a', version: 'v1', canonicalService: 'a', canonicalRevision: 'v1', cluster: 'K' } };
const T = 'type.googleapis.com/';
const ROUTER = { name: 'envoy.filters.http.router', typedConfig: { '@type': `${T}envoy.extensions.filters.http.router.v3.Router` } };
const STATS = { name: 'istio.stats', typedConfig: { '@type': `${T}stats.PluginConfig` } };

const cluster = (name: string, more: JsonObject = {}) => encodeResource(fromEnvoyJson(ClusterSchema, { name, type: 'EDS', edsClusterConfig: {}, ...more }));
const endpoints = (name: string, ...ports: number[]) =>
  encodeResource(fromEnvoyJson(ClusterLoadAssignmentSchema, { clusterName: name, endpoints: [{ lbEndpoints: ports.map((portValue) => ({ endpoint: { address: { socketAddress: { address: '10.1.1.1', portValue } } } })) }] }));
const routes = (name: string, to: string) => encodeResource(fromEnvoyJson(RouteConfigurationSchema, { name, virtualHosts: [{ name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: to } }] }] }));
const hcm = (more: JsonObject = {}): JsonObject => ({ name: 'hcm', typedConfig: { '@type': `${T}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`, statPrefix: 'outbound_0.0.0.0_80;', rds: { routeConfigName: '80' }, httpFilters: [STATS, ROUTER], ...more } });
const listener = (name: string, filter: JsonObject = hcm(), more: JsonObject = {}) =>
  encodeResource(fromEnvoyJson(ListenerSchema, { name, address: { socketAddress: { address: '0.0.0.0', portValue: 80 } }, trafficDirection: 'OUTBOUND', filterChains: [{ filters: [filter] }], ...more }));

function start(warmingMs = 15_000) {
  const handlers = new Map<string, UpdateHandler>();
  const names = new Map<string, ReadonlySet<string>>();
  const ads: AdsClient = {
    connected: true, close: () => {},
    subscribeAll: (typeUrl, handler) => void handlers.set(typeUrl, handler),
    subscribe: (typeUrl, handler) => (handlers.set(typeUrl, handler), { setNames: (set) => void names.set(typeUrl, set) }),
  };
  const clock = new VirtualClock(1000);
  const registry = createRegistry();
  const lines: string[] = [];
  const sink = { write: (line: string) => void lines.push(line), flush: async () => {}, close: async () => {}, dropped: 0 };
  const manager = new ConfigManager({ node, filters: new Map(), registry, stats: new ProxyStats(), clock, random: () => 0, resolve: async () => ['10.9.9.9'], warmingMs, openSink: () => sink });
  manager.subscribe(ads);
  const push = (typeUrl: string, updated: EncodedResource[], removed: string[] = []) => handlers.get(typeUrl)!({ updated, removed });
  return { manager, clock, registry, lines, names, push };
}

const lookup = (hcmRuntime: HcmRuntime) => {
  const found = hcmRuntime.routes()?.lookup(head({}), { secure: false, random: 0 });
  return found?.kind === 'found' && found.route.action.kind === 'forward' ? found.route.action.clusters[0]!.cluster : undefined;
};

describe('ConfigManager', () => {
  it('asks EDS and RDS for the names CDS and LDS bring, and publishes when all is there', () => {
    const { manager, names, push } = start();
    expect(push(TYPE_URL.cluster, [cluster('c'), cluster('d', { edsClusterConfig: { serviceName: 'other' } })])).toBeUndefined();
    expect([...names.get(TYPE_URL.endpoint)!]).toEqual(['c', 'other']);
    expect(manager.clusters.get('c')).toBeUndefined();
    push(TYPE_URL.endpoint, [endpoints('c', 1, 2), endpoints('other')]);
    expect(manager.clusters.get('c')?.hosts.map(({ address }) => address)).toEqual(['10.1.1.1:1', '10.1.1.1:2']);
    push(TYPE_URL.listener, [listener('l')]);
    expect([...names.get(TYPE_URL.route)!]).toEqual(['80']);
    expect(manager.snapshot.value.listeners.size).toBe(0);
    expect(manager.initialized).toBe(false);
    push(TYPE_URL.route, [routes('80', 'c')]);
    const runtime = manager.snapshot.value.listeners.get('l')!;
    expect(lookup(runtime.filterChains[0]!.network as HcmRuntime)).toBe('c');
    expect(manager.initialized).toBe(true);
  });

  it('changes routes in place and keeps unchanged listeners by identity', () => {
    const { manager, push } = start();
    push(TYPE_URL.listener, [listener('l'), listener('m')]);
    push(TYPE_URL.route, [routes('80', 'c')]);
    const before = manager.snapshot.value.listeners.get('l')!;
    push(TYPE_URL.route, [routes('80', 'd')]);
    expect(lookup(before.filterChains[0]!.network as HcmRuntime)).toBe('d');
    push(TYPE_URL.listener, [listener('l'), listener('m', hcm({ statPrefix: 'x' }))]);
    expect(manager.snapshot.value.listeners.get('l')).toBe(before);
  });

  it('keeps the chains that did not change when their listener does', () => {
    const { manager, names, push } = start();
    const chains = (statPrefix: string): JsonObject => ({ filterChains: [{ name: 'stays', filters: [hcm()] }, { name: 'changes', filterChainMatch: { destinationPort: 7 }, filters: [hcm({ statPrefix })] }] });
    push(TYPE_URL.listener, [listener('l', hcm(), chains('a'))]);
    push(TYPE_URL.route, [routes('80', 'c')]);
    const before = manager.snapshot.value.listeners.get('l')!;
    push(TYPE_URL.listener, [listener('l', hcm(), chains('b'))]);
    const after = manager.snapshot.value.listeners.get('l')!;
    expect(after).not.toBe(before);
    expect(after.filterChains.map((chain, index) => chain === before.filterChains[index])).toEqual([true, false]);
    expect([...names.get(TYPE_URL.route)!]).toEqual(['80']);
  });

  it('refuses with the names and reasons, keeps what is good and the last good version', () => {
    const { manager, push } = start();
    push(TYPE_URL.cluster, [cluster('a', { type: 'STATIC', connectTimeout: '1s' })]);
    const text = push(TYPE_URL.cluster, [cluster('a', { type: 'STATIC', lbPolicy: 'LOAD_BALANCING_POLICY_CONFIG', connectTimeout: '9s' }), cluster('b', { type: 'STATIC' })]);
    expect(text).toBe('Error adding/updating cluster(s) a: lb_policy LOAD_BALANCING_POLICY_CONFIG is not supported');
    expect(manager.clusters.get('a')?.connectTimeoutMs).toBe(1000);
    expect(manager.clusters.get('b')).toBeDefined();
    expect(manager.clusters.clusterStore.refused.get('a')?.reason).toMatch(/not supported/);

    push(TYPE_URL.listener, [listener('l')]);
    push(TYPE_URL.route, [routes('80', 'c')]);
    expect(push(TYPE_URL.route, [encodeResource(create(RouteConfigurationSchema, { name: '80', virtualHosts: [{ name: 'v', domains: [] }] }))])).toBe('route configuration 80: virtual_hosts["v"]: domains is empty');
    expect(lookup(manager.snapshot.value.listeners.get('l')!.filterChains[0]!.network as HcmRuntime)).toBe('c');
    expect(manager.updates).toMatchObject({ cds: { attempts: 2, accepted: 1, refused: 1 }, rds: { accepted: 1, refused: 1 } });
  });

  it.each<[string, EncodedResource, RegExp]>([
    ['HTTP filter', listener('l', hcm({ httpFilters: [{ name: 'envoy.filters.http.lua', typedConfig: { '@type': `${T}envoy.extensions.filters.http.rbac.v3.RBAC` } }, ROUTER] })), /listener\(s\) l: filter_chains\[0\]\.filters\[0\]\.http_filters\[0\]: unknown HTTP filter envoy\.filters\.http\.lua/],
    ['no router', listener('l', hcm({ httpFilters: [STATS] })), /http_filters must end with the router/],
    ['network filter', listener('l', { name: 'envoy.filters.network.x', typedConfig: { '@type': `${T}envoy.extensions.filters.http.rbac.v3.RBAC` } }), /unknown network filter envoy\.filters\.network\.x/],
    ['log operator', listener('l', hcm({ accessLog: [{ name: 'f', typedConfig: { '@type': `${T}envoy.extensions.access_loggers.file.v3.FileAccessLog`, path: '/dev/stdout', logFormat: { textFormatSource: { inlineString: '%WAT%' } } } }] })), /access_log\[0\]\.format: unknown access log operator %WAT%/],
    ['equal chains', listener('l', hcm(), { filterChains: [{ name: 'one', filters: [hcm()] }, { name: 'two', filters: [hcm()] }] }), /multiple filter chains with the same matching rules: "one" and "two"/],
    ['server name', listener('l', hcm(), { filterChains: [{ filterChainMatch: { serverNames: ['a*.b'] }, filters: [hcm()] }] }), /"a\*\.b" is not a suffix wildcard/],
  ])('refuses a listener by field: %s', (_, resource, message) => expect(start().push(TYPE_URL.listener, [resource])).toMatch(message));

  it('refuses per-route configs that no filter reads', () => {
    const { push } = start();
    push(TYPE_URL.listener, [listener('l')]);
    const table = encodeResource(fromEnvoyJson(RouteConfigurationSchema, { name: '80', virtualHosts: [{ name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'c' }, typedPerFilterConfig: { f: { '@type': `${T}envoy.extensions.filters.http.rbac.v3.RBAC` } } }] }] }));
    expect(push(TYPE_URL.route, [table])).toMatch(/typed_per_filter_config\["f"\]: no filter reads .*RBAC$/);
  });

  it('does not wait for ever: clusters and listeners serve without what did not come', () => {
    const { manager, clock, push } = start(2000);
    push(TYPE_URL.cluster, [cluster('c')]);
    push(TYPE_URL.listener, [listener('l')]);
    clock.advance(1999);
    expect([manager.clusters.get('c'), manager.snapshot.value.listeners.size]).toEqual([undefined, 0]);
    clock.advance(1);
    expect(manager.clusters.get('c')?.pick({ hashKey: undefined, previous: [], originalDestination: undefined, random: () => 0 })).toBeUndefined();
    expect(manager.snapshot.value.listeners.get('l')).toBeDefined();
  });

  it('keeps hosts with their counters over CDS and EDS changes and marks those that left', () => {
    const { manager, push } = start();
    push(TYPE_URL.cluster, [cluster('c')]);
    push(TYPE_URL.endpoint, [endpoints('c', 1, 2)]);
    const [first, second] = manager.clusters.get('c')!.hosts;
    first!.activeRequests = 7;
    push(TYPE_URL.cluster, [cluster('c', { connectTimeout: '2s' })]);
    push(TYPE_URL.endpoint, [endpoints('c', 3, 1)]);
    expect(manager.clusters.get('c')!.hosts.map(({ port, activeRequests }) => [port, activeRequests])).toEqual([[3, 0], [1, 7]]);
    expect([first!.removed, second!.removed]).toEqual([false, true]);
    push(TYPE_URL.cluster, [], ['c']);
    expect([manager.clusters.get('c'), first!.removed]).toEqual([undefined, true]);
  });

  it('records Istio metrics and log lines through the compiled connection manager', () => {
    const { manager, push, registry, lines } = start();
    const log = { name: 'f', filter: { statusCodeFilter: { comparison: { op: 'GE', value: { defaultValue: 500 } } } }, typedConfig: { '@type': `${T}envoy.extensions.access_loggers.file.v3.FileAccessLog`, path: '/dev/stdout', logFormat: { textFormatSource: { inlineString: '%RESPONSE_CODE% %ROUTE_NAME%\n' } } } };
    push(TYPE_URL.listener, [listener('l', hcm({ accessLog: [log] }))]);
    push(TYPE_URL.route, [routes('80', 'c')]);
    const runtime = manager.snapshot.value.listeners.get('l')!.filterChains[0]!.network as HcmRuntime;
    runtime.record(record());
    runtime.record(record({ responseCode: 503 }));
    expect(lines).toEqual(['503 default\n']);
    expect([...registry.counter('istio_requests_total', '').handles()].map(({ labels, value }) => [labels['source_workload'], labels['response_code'], value])).toEqual([['a', '200', 1], ['a', '503', 1]]);
  });

  it('survives bytes that are no message', () => {
    const { push } = start();
    expect(push(TYPE_URL.cluster, [{ name: 'x', typeUrl: TYPE_URL.cluster, value: new Uint8Array([255, 255, 255]), version: '1' }])).toMatch(/^Error adding\/updating cluster\(s\) x: /);
  });

  it('resolves DNS clusters and follows changes', async () => {
    const { manager, push } = start();
    push(TYPE_URL.cluster, [cluster('dns', { type: 'STRICT_DNS', loadAssignment: { clusterName: 'dns', endpoints: [{ lbEndpoints: [{ endpoint: { address: { socketAddress: { address: 'example.test', portValue: 80 } } } }] }] } })]);
    expect(manager.clusters.get('dns')).toBeUndefined();
    await new Promise((resolve) => setImmediate(resolve));
    expect(manager.clusters.get('dns')?.hosts.map(({ address }) => address)).toEqual(['10.9.9.9:80']);
  });
});
