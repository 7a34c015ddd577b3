/** Random EnvoyFilters that both data planes can take. */
import type { KubeObject } from '../../src/objects/meta.ts';
import type { Draw } from './draw.ts';

const LUA = 'type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua';
const MUTATION = 'type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation';
const MANAGER = { filterChain: { filter: { name: 'envoy.filters.network.http_connection_manager' } } };

type Patch = (draw: Draw, context: string) => object;

const PATCHES: readonly Patch[] = [
  (draw, context) => ({ applyTo: 'HTTP_FILTER', match: { context, listener: MANAGER }, patch: { operation: draw.of('INSERT_FIRST', 'INSERT_BEFORE', 'ADD'), value: { name: 'soak.lua', typed_config: { '@type': LUA, default_source_code: { inline_string: "function envoy_on_request(h) h:headers():add('x-b', 'lua') end" } } } } }),
  (draw, context) => ({ applyTo: 'HTTP_FILTER', match: { context, listener: MANAGER }, patch: { operation: draw.of('INSERT_FIRST', 'ADD'), value: { name: 'soak.mutation', typed_config: { '@type': MUTATION, mutations: { request_mutations: [{ append: { header: { key: 'x-a', value: 'mutated' }, append_action: draw.of('OVERWRITE_IF_EXISTS_OR_ADD', 'APPEND_IF_EXISTS_OR_ADD', 'ADD_IF_ABSENT') } }], response_mutations: [{ remove: 'x-a' }] } } } } }),
  (draw) => ({ applyTo: 'CLUSTER', match: { cluster: { service: 'reviews.app.svc.cluster.local' } }, patch: { operation: 'MERGE', value: { connect_timeout: draw.of('1s', '3s') } } }),
  (_, context) => ({ applyTo: 'NETWORK_FILTER', match: { context, listener: MANAGER }, patch: { operation: 'MERGE', value: { typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', server_name: 'soaked' } } } }),
  (draw, context) => ({ applyTo: 'HTTP_ROUTE', match: { context, routeConfiguration: { vhost: { route: { action: 'ROUTE' } } } }, patch: { operation: 'MERGE', value: { response_headers_to_add: [{ header: { key: 'x-b', value: 'patched' }, append_action: draw.of('OVERWRITE_IF_EXISTS_OR_ADD', 'APPEND_IF_EXISTS_OR_ADD') }] } } }),
  (_, context) => ({ applyTo: 'VIRTUAL_HOST', match: { context }, patch: { operation: 'MERGE', value: { request_headers_to_add: [{ header: { key: 'x-host', value: 'patched' } }] } } }),
  (draw, context) => ({ applyTo: 'HTTP_ROUTE', match: { context, routeConfiguration: {} }, patch: { operation: 'INSERT_FIRST', value: { name: 'soaked', match: { prefix: draw.of('/ab', '/A/') }, direct_response: { status: 207 } } } }),
];

/** One object with some patches, for the sidecar or for every proxy. */
export function randomEnvoyFilter(draw: Draw): KubeObject {
  const everywhere = draw.next() < 0.4;
  const context = draw.of('ANY', 'SIDECAR_OUTBOUND', 'SIDECAR_INBOUND', 'GATEWAY');
  const configPatches = draw.some(...PATCHES).slice(0, 3).map((make) => make(draw, context));
  return { apiVersion: 'networking.istio.io/v1alpha3', kind: 'EnvoyFilter', metadata: { name: 'soak', namespace: everywhere ? 'istio-system' : 'app', creationTimestamp: '2026-01-01T00:00:00Z' }, spec: { configPatches } } as unknown as KubeObject;
}
