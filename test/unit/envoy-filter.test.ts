/** EnvoyFilter patches on a small mesh: what they make of the generated resources, and what is said about each. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { parseProxyNode } from '../../src/model/proxy-node.ts';
import { viewOf, type ProxyView } from '../../src/model/view.ts';
import type { KubeObject } from '../../src/objects/meta.ts';
import { resolve } from '../../src/resolve/resolve.ts';
import { patchedExtensionConfigs } from '../../src/translate/envoy-filter/clusters.ts';
import { envoyFilterIssues } from '../../src/translate/envoy-filter/issues.ts';
import { patchReport } from '../../src/translate/envoy-filter/report.ts';
import { translateClusters } from '../../src/translate/clusters.ts';
import { translateListeners } from '../../src/translate/listeners.ts';
import { translateRoutes } from '../../src/translate/routes.ts';
import { encodeResource, type ResourceMessage } from '../../src/xds/codec.ts';
import { resourceToJson } from '../../src/xds/registry.ts';

const T = 'type.googleapis.com/';
const base = parseAllDocuments(readFileSync(join(import.meta.dirname, '../../src/translate/testdata/bookinfo.base.yaml'), 'utf8')).map((document) => document.toJS() as KubeObject);
const SIDECAR = 'sidecar~10.244.0.11~productpage-v1-5f4c8-abcde.default~default.svc.cluster.local';
const json = (message: ResourceMessage): JsonObject => resourceToJson(encodeResource(message)) as JsonObject;
const HCM = 'envoy.filters.network.http_connection_manager';
const LUA = { name: 'envoy.filters.http.lua', typed_config: { '@type': `${T}envoy.extensions.filters.http.lua.v3.Lua`, default_source_code: { inline_string: 'x = 1' } } };

let created = 0;
function filter(configPatches: unknown, more: { readonly name?: string; readonly namespace?: string; readonly spec?: object } = {}): KubeObject {
  const metadata = { name: more.name ?? 'f', namespace: more.namespace ?? 'default', creationTimestamp: new Date(1e12 + ++created * 1000).toISOString() };
  return { apiVersion: 'networking.istio.io/v1alpha3', kind: 'EnvoyFilter', metadata, spec: { configPatches, ...more.spec } } as KubeObject;
}

function mesh(filters: readonly KubeObject[], node: { readonly metadata?: Record<string, unknown>; readonly extensionTypes?: string[] } = {}) {
  const { snapshot, issues } = resolve({ objects: [...base, ...filters] });
  const view = viewOf(snapshot, parseProxyNode({ id: SIDECAR, metadata: { NAMESPACE: 'default', LABELS: { app: 'productpage', version: 'v1' }, ISTIO_VERSION: '1.28.0', ...node.metadata }, ...(node.extensionTypes && { extensionTypes: node.extensionTypes }) })!);
  const listeners = translateListeners(view);
  const clusters = translateClusters(view);
  const routes = translateRoutes(view, ['9080']);
  return { view, issues, listener: (name: string) => listeners.filter((entry) => entry.name === name).map(json)[0], cluster: (name: string) => clusters.filter((entry) => entry.name === name).map(json)[0], routes: json(routes[0]!), states: states(view) };
}

const states = (view: ProxyView) => patchReport(view).map(({ outcome }) => outcome.state);

/** A value by a path like `a.0.b`. */
function at(value: JsonValue | undefined, path: string): JsonValue | undefined {
  return path.split('.').reduce<JsonValue | undefined>((inner, key) => (inner as Record<string, JsonValue> | undefined)?.[key], value);
}

function httpFilters(listener: JsonObject | undefined, chain: number): string[] {
  const filters = at(listener, `filter_chains.${chain}.filters`) as JsonObject[];
  const hcm = filters.find((entry) => entry['name'] === HCM)!;
  return ((hcm['typed_config'] as JsonObject)['http_filters'] as JsonObject[]).map((entry) => String(entry['name']));
}

const http = (operation: string, value: unknown, subFilter?: string, more: object = {}) => ({
  applyTo: 'HTTP_FILTER', match: { context: 'SIDECAR_OUTBOUND', listener: { portNumber: 9080, filterChain: { filter: { name: HCM, ...(subFilter && { subFilter: { name: subFilter } }) } } }, ...more }, patch: { operation, value },
});

describe('HTTP_FILTER', () => {
  const plain = httpFilters(mesh([]).listener('0.0.0.0_9080'), 0);
  it.each([
    ['INSERT_FIRST', http('INSERT_FIRST', LUA), ['envoy.filters.http.lua', ...plain]],
    ['INSERT_BEFORE a named one', http('INSERT_BEFORE', LUA, 'envoy.filters.http.router'), [...plain.slice(0, -1), 'envoy.filters.http.lua', plain.at(-1)]],
    ['INSERT_BEFORE its old name', http('INSERT_BEFORE', LUA, 'envoy.router'), [...plain.slice(0, -1), 'envoy.filters.http.lua', plain.at(-1)]],
    ['INSERT_AFTER', http('INSERT_AFTER', LUA, plain[0]), [plain[0], 'envoy.filters.http.lua', ...plain.slice(1)]],
    ['ADD stands before the router', http('ADD', LUA), [...plain.slice(0, -1), 'envoy.filters.http.lua', plain.at(-1)]],
    ['REMOVE', http('REMOVE', undefined, 'envoy.filters.http.cors'), plain.filter((name) => name !== 'envoy.filters.http.cors')],
    ['REPLACE', http('REPLACE', LUA, 'envoy.filters.http.cors'), plain.map((name) => (name === 'envoy.filters.http.cors' ? 'envoy.filters.http.lua' : name))],
  ])('%s', (_, patch, expected) => {
    const { listener, states: result } = mesh([filter([patch])]);
    expect(httpFilters(listener('0.0.0.0_9080'), 0)).toEqual(expected);
    expect(result).toEqual(['applied']);
  });

  it.each([
    ['another port', http('INSERT_FIRST', LUA, undefined, { listener: { portNumber: 9999 } })],
    ['another filter', http('INSERT_BEFORE', LUA, 'nope')],
    ['another direction', http('INSERT_FIRST', LUA, undefined, { context: 'GATEWAY' })],
    ['another version', http('INSERT_FIRST', LUA, undefined, { proxy: { proxyVersion: '^1\\.1\\d' } })],
    ['other metadata', http('INSERT_FIRST', LUA, undefined, { proxy: { metadata: { FOO: 'bar' } } })],
  ])('does not match %s', (_, patch) => {
    const { listener, states: result } = mesh([filter([patch])]);
    expect(httpFilters(listener('0.0.0.0_9080'), 0)).toEqual(plain);
    expect(result).toEqual(['no-match']);
  });

  it('matches version and metadata', () => expect(mesh([filter([http('INSERT_FIRST', LUA, undefined, { proxy: { proxyVersion: '^1\\.28', metadata: { FOO: 'bar' } } })])], { metadata: { FOO: 'bar' } }).states).toEqual(['applied']));

  it('merges configs as messages', () => {
    const { listener } = mesh([filter([http('MERGE', { typed_config: { '@type': `${T}envoy.extensions.filters.http.router.v3.Router`, suppress_envoy_headers: true } }, 'envoy.filters.http.router')])]);
    expect(JSON.stringify(listener('0.0.0.0_9080'))).toContain('"suppress_envoy_headers":true');
  });

  it('goes into inbound chains by their port', () => {
    const patch = { applyTo: 'HTTP_FILTER', match: { context: 'SIDECAR_INBOUND', listener: { portNumber: 9080, filterChain: { filter: { name: HCM } } } }, patch: { operation: 'INSERT_FIRST', value: LUA } };
    const { listener } = mesh([filter([patch])]);
    const chains = at(listener('virtualInbound'), 'filter_chains') as JsonObject[];
    const withLua = chains.filter((chain) => JSON.stringify(chain).includes('envoy.filters.http.lua')).map((chain) => at(chain, 'filter_chain_match.destination_port'));
    expect(new Set(withLua)).toEqual(new Set([9080]));
  });

  it('keeps the resource as it was when a patch would break it, and names the patch', () => {
    const broken = filter([http('REMOVE', undefined, 'envoy.filters.http.router')], { name: 'a-broken' });
    const good = filter([http('INSERT_FIRST', LUA)], { name: 'b-good' });
    const { view, listener } = mesh([broken, good]);
    expect(httpFilters(listener('0.0.0.0_9080'), 0)).toEqual(['envoy.filters.http.lua', ...plain]);
    expect(patchReport(view).map((entry) => [entry.filter.name, entry.outcome.state, entry.outcome.reason])).toEqual([['a-broken', 'quarantined', '0.0.0.0_9080: http_filters must end with the router'], ['b-good', 'applied', '']]);
  });

  it('says what the proxy has not', () => {
    const { view, listener } = mesh([filter([http('INSERT_FIRST', LUA)])], { extensionTypes: ['envoy.extensions.filters.http.router.v3.Router'] });
    expect(httpFilters(listener('0.0.0.0_9080'), 0)).toEqual(plain);
    expect(patchReport(view)[0]!.outcome).toMatchObject({ state: 'unsupported', reason: 'the proxy has no filter that is configured by envoy.extensions.filters.http.lua.v3.Lua' });
  });

  it('says what is no message', () => expect(patchReport(mesh([filter([http('INSERT_FIRST', { name: 3 })])]).view)[0]!.outcome.state).toBe('failed'));
});

describe('order and selection', () => {
  const named = (name: string) => http('INSERT_FIRST', { ...LUA, name });
  it('applies the root namespace first, then priority, then age', () => {
    const { listener } = mesh([
      filter([named('own-old')], { name: 'b' }), filter([named('own-young')], { name: 'a' }), filter([named('own-early')], { name: 'c', spec: { priority: -1 } }), filter([named('root')], { name: 'd', namespace: 'istio-system' }), filter([named('stranger')], { name: 'e', namespace: 'other' }),
    ]);
    expect(httpFilters(listener('0.0.0.0_9080'), 0).slice(0, 4)).toEqual(['own-young', 'own-old', 'own-early', 'root']);
  });
  it('selects by label', () => {
    expect(mesh([filter([named('x')], { spec: { workloadSelector: { labels: { app: 'reviews' } } } })]).view.envoyFilters).toEqual([]);
    expect(mesh([filter([named('x')], { spec: { workloadSelector: { labels: { app: 'productpage' } } } })]).states).toEqual(['applied']);
  });
});

describe('other kinds', () => {
  const one = (applyTo: string, match: object, operation: string, value?: unknown) => mesh([filter([{ applyTo, match, patch: { operation, value } }])]);
  const reviews = 'outbound|9080||reviews.default.svc.cluster.local';
  it('CLUSTER merges, durations and zeros included', () => {
    const { cluster, states: result } = one('CLUSTER', { cluster: { service: 'reviews.default.svc.cluster.local' } }, 'MERGE', { connect_timeout: '0.5s', per_connection_buffer_limit_bytes: 0 });
    expect([at(cluster(reviews), 'connect_timeout'), at(cluster(reviews), 'per_connection_buffer_limit_bytes'), at(cluster('outbound|9080||ratings.default.svc.cluster.local'), 'connect_timeout'), result]).toEqual(['0.500s', 0, '10s', ['applied']]);
  });
  it('CLUSTER removes and adds', () => {
    expect(one('CLUSTER', { cluster: { name: reviews } }, 'REMOVE').cluster(reviews)).toBeUndefined();
    expect(at(one('CLUSTER', { context: 'SIDECAR_OUTBOUND' }, 'ADD', { name: 'extra', type: 'STATIC', connect_timeout: '1s' }).cluster('extra'), 'name')).toBe('extra');
  });
  it('CLUSTER merges TLS where it is chosen per endpoint', () => {
    const value = { transport_socket: { name: 'envoy.transport_sockets.tls', typed_config: { '@type': `${T}envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext`, max_session_keys: 0 } } };
    const { cluster } = one('CLUSTER', { cluster: { name: reviews } }, 'MERGE', value);
    const socket = at(cluster(reviews), 'transport_socket_matches.0.transport_socket.typed_config') as JsonObject;
    expect([socket['max_session_keys'], socket['sni']]).toEqual([0, 'outbound_.9080_._.reviews.default.svc.cluster.local']);
  });
  it('NETWORK_FILTER merges the connection manager', () => {
    const { listener } = one('NETWORK_FILTER', { listener: { portNumber: 9080, filterChain: { filter: { name: HCM } } } }, 'MERGE', { name: HCM, typed_config: { '@type': `${T}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`, xff_num_trusted_hops: 3, stream_idle_timeout: '7s' } });
    const config = at(listener('0.0.0.0_9080'), 'filter_chains.0.filters.0.typed_config') as JsonObject;
    expect([config['xff_num_trusted_hops'], config['stream_idle_timeout'], config['stat_prefix']]).toEqual([3, '7s', 'outbound_0.0.0.0_9080;']);
  });
  it('LISTENER merges, removes and adds', () => {
    expect(at(one('LISTENER', { context: 'SIDECAR_OUTBOUND', listener: { name: '0.0.0.0_9080' } }, 'MERGE', { per_connection_buffer_limit_bytes: 4096 }).listener('0.0.0.0_9080'), 'per_connection_buffer_limit_bytes')).toBe(4096);
    expect(one('LISTENER', { listener: { portNumber: 9080 } }, 'REMOVE').listener('0.0.0.0_9080')).toBeUndefined();
    const added = { name: 'mine', address: { socket_address: { address: '127.0.0.1', port_value: 7 } }, filter_chains: [{ filters: [{ name: 'envoy.filters.network.tcp_proxy', typed_config: { '@type': `${T}envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy`, stat_prefix: 'x', cluster: 'y' } }] }] };
    expect(at(one('LISTENER', {}, 'ADD', added).listener('mine'), 'name')).toBe('mine');
  });
  it('LISTENER_FILTER and FILTER_CHAIN', () => {
    const source = { name: 'envoy.filters.listener.original_src', typed_config: { '@type': `${T}envoy.extensions.filters.listener.original_src.v3.OriginalSrc`, mark: 9 } };
    expect((at(one('LISTENER_FILTER', { context: 'SIDECAR_INBOUND' }, 'INSERT_FIRST', source).listener('virtualInbound'), 'listener_filters') as JsonObject[])[0]!['name']).toBe('envoy.filters.listener.original_src');
    const { listener } = one('FILTER_CHAIN', { context: 'SIDECAR_INBOUND', listener: { filterChain: { destinationPort: 9080, transportProtocol: 'tls' } } }, 'MERGE', { transport_socket_connect_timeout: '3s' });
    const chains = at(listener('virtualInbound'), 'filter_chains') as JsonObject[];
    expect(chains.filter((chain) => chain['transport_socket_connect_timeout'] === '3s').map((chain) => at(chain, 'filter_chain_match.transport_protocol'))).toSatisfy((list: unknown[]) => list.length > 0 && list.every((name) => name === 'tls'));
  });
  it('ROUTE_CONFIGURATION, VIRTUAL_HOST, HTTP_ROUTE', () => {
    expect(at(one('ROUTE_CONFIGURATION', { routeConfiguration: { portNumber: 9080 } }, 'MERGE', { request_headers_to_remove: ['x'] }).routes, 'request_headers_to_remove')).toEqual(['x']);
    const host = 'reviews.default.svc.cluster.local:9080';
    const hosts = (made: { routes: JsonObject }) => made.routes['virtual_hosts'] as JsonObject[];
    expect(hosts(one('VIRTUAL_HOST', { routeConfiguration: { vhost: { name: host } } }, 'MERGE', { include_attempt_count_in_response: true })).filter((entry) => entry['include_attempt_count_in_response']).map((entry) => entry['name'])).toEqual([host]);
    expect(hosts(one('VIRTUAL_HOST', { routeConfiguration: { vhost: { name: host } } }, 'REMOVE')).map((entry) => entry['name'])).not.toContain(host);
    const route = { name: 'first', match: { prefix: '/a' }, direct_response: { status: 204 } };
    const inserted = hosts(one('HTTP_ROUTE', { routeConfiguration: { vhost: { domainName: 'reviews' } } }, 'INSERT_FIRST', route)).find((entry) => entry['name'] === host)!;
    expect((inserted['routes'] as JsonObject[]).map((entry) => entry['name'])[0]).toBe('first');
    expect(hosts(one('HTTP_ROUTE', { routeConfiguration: { vhost: { route: { action: 'REDIRECT' } } } }, 'MERGE', { name: 'zzz' })).some((entry) => JSON.stringify(entry).includes('zzz'))).toBe(false);
  });
  it('HTTP_ROUTE reaches the tables that stand inside of inbound listeners', () => {
    const { listener } = one('HTTP_ROUTE', { context: 'SIDECAR_INBOUND', routeConfiguration: { portNumber: 9080 } }, 'MERGE', { response_headers_to_remove: ['secret'] });
    expect(JSON.stringify(listener('virtualInbound'))).toContain('"response_headers_to_remove":["secret"]');
  });
  it('lists grow, or are replaced when asked', () => {
    const twice = (operation: string) => mesh([filter([{ applyTo: 'ROUTE_CONFIGURATION', match: {}, patch: { operation: 'MERGE', value: { request_headers_to_remove: ['a'] } } }, { applyTo: 'ROUTE_CONFIGURATION', match: {}, patch: { operation, value: { request_headers_to_remove: ['b'] } } }])]).routes['request_headers_to_remove'];
    expect([twice('MERGE'), twice('MERGE_AND_REPLACE_LIST')]).toEqual([['a', 'b'], ['b']]);
  });
  it('EXTENSION_CONFIG is served by name', () => {
    const { view } = mesh([filter([{ applyTo: 'EXTENSION_CONFIG', match: {}, patch: { operation: 'ADD', value: LUA } }])]);
    expect([...patchedExtensionConfigs(view).keys()]).toEqual(['envoy.filters.http.lua']);
    expect(states(view)).toEqual(['applied']);
  });
});

describe('the form of Istio 1.2', () => {
  const legacy = { workloadLabels: { app: 'productpage' }, filters: [{ listenerMatch: { portNumber: 9080, listenerType: 'SIDECAR_INBOUND', filterName: 'envoy.lua', filterType: 'HTTP', filterConfig: { inlineCode: 'function envoy_on_request(h) end' } } }] };
  it('becomes a patch, with a warning that shows it', () => {
    const { listener, issues, states: result } = mesh([filter(undefined, { spec: legacy })]);
    expect(JSON.stringify(listener('virtualInbound'))).toContain('"inline_code":"function envoy_on_request(h) end"');
    expect(result).toEqual(['applied']);
    const [warning] = issues.filter((issue) => issue.code === 'MLT0006');
    expect(warning).toMatchObject({ severity: 'warning', path: 'spec.filters[0]' });
    expect(warning!.fix).toContain('"applyTo":"HTTP_FILTER"');
  });
  it('says what it cannot convert', () => expect(mesh([filter(undefined, { spec: { filters: [{ filterName: 'mine', filterConfig: {} }] } })]).issues.some((issue) => issue.severity === 'error' && issue.message.includes('cannot be converted'))).toBe(true));
});

describe('what is said of a patch whatever it meets', () => {
  const issues = (configPatches: unknown) => envoyFilterIssues(resolve({ objects: [filter(configPatches)] }).snapshot.envoyFilters).map(({ severity, code, path }) => [severity, code, path]);
  it.each([
    ['nothing', http('INSERT_FIRST', LUA), []],
    ['no message', http('INSERT_FIRST', { name: 3 }), [['error', 'MLT0007', 'spec.configPatches[0].patch.value']]],
    ['a type nobody has', http('INSERT_FIRST', { name: 'x', typed_config: { '@type': `${T}no.such.Type` } }), [['error', 'MLT0007', 'spec.configPatches[0].patch.value']]],
    ['an unknown field', { applyTo: 'CLUSTER', match: {}, patch: { operation: 'MERGE', value: { conect_timeout: '1s' } } }, [['warning', 'MLT0008', 'spec.configPatches[0].patch.value']]],
    ['the bootstrap', { applyTo: 'BOOTSTRAP', match: {}, patch: { operation: 'MERGE', value: {} } }, [['warning', 'MLT0005', 'spec.configPatches[0].applyTo']]],
  ])('%s', (_, patch, expected) => expect(issues([patch])).toEqual(expected));
});
