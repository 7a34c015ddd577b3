import type { EnvoyPatch, PatchContext, PatchOperation } from '../model/envoy-filter.ts';
import type { Cursor } from './cursor.ts';

type Tell = (path: string, message: string, fix: string) => void;

const CONTEXTS: Readonly<Record<string, PatchContext>> = { SIDECAR_INBOUND: 'SIDECAR_INBOUND', SIDECAR_OUTBOUND: 'SIDECAR_OUTBOUND', GATEWAY: 'GATEWAY', ANY: 'ANY' };
const OPERATIONS: Readonly<Record<string, PatchOperation>> = { FIRST: 'INSERT_FIRST', LAST: 'INSERT_BEFORE', BEFORE: 'INSERT_BEFORE', AFTER: 'INSERT_AFTER' };
const HCM = 'envoy.filters.network.http_connection_manager';

/** Names of filters before Envoy 1.14 → names and configs of today. */
const MODERN: Readonly<Record<string, { readonly name: string; readonly type: string }>> = {
  'envoy.lua': { name: 'envoy.filters.http.lua', type: 'envoy.extensions.filters.http.lua.v3.Lua' },
  'envoy.fault': { name: 'envoy.filters.http.fault', type: 'envoy.extensions.filters.http.fault.v3.HTTPFault' },
  'envoy.cors': { name: 'envoy.filters.http.cors', type: 'envoy.extensions.filters.http.cors.v3.Cors' },
  'envoy.buffer': { name: 'envoy.filters.http.buffer', type: 'envoy.extensions.filters.http.buffer.v3.Buffer' },
  'envoy.grpc_web': { name: 'envoy.filters.http.grpc_web', type: 'envoy.extensions.filters.http.grpc_web.v3.GrpcWeb' },
  'envoy.gzip': { name: 'envoy.filters.http.gzip', type: 'envoy.extensions.filters.http.gzip.v3.Gzip' },
  'envoy.router': { name: 'envoy.filters.http.router', type: 'envoy.extensions.filters.http.router.v3.Router' },
};

/**
 * The form of Istio 1.0 to 1.2: `workloadLabels` and `filters`. Every filter becomes a patch of today, and its author is shown which.
 * @see features.md §1.6
 */
export function readLegacyFilters(spec: Cursor, tell: Tell): readonly Omit<EnvoyPatch, 'origin'>[] {
  return spec.at('filters').items().flatMap((filter) => {
    const listener = filter.at('listenerMatch');
    // Printed examples put these beside the port by one level of indentation too many.
    const field = (name: string): Cursor => (filter.at(name).exists ? filter.at(name) : listener.at(name));
    const name = field('filterName').string();
    const modern = Object.hasOwn(MODERN, name) ? MODERN[name] : undefined;
    if (!name) field('filterName').fail('is required');
    if (name && !modern) field('filterName').fail(`"${name}" cannot be converted; write it as configPatches (names that can: ${Object.keys(MODERN).join(', ')})`);
    const network = field('filterType').string('HTTP') === 'NETWORK';
    if (network) field('filterType').fail('NETWORK filters of the old form cannot be converted; write them as configPatches');
    if (!modern || network) return [];
    const config = field('filterConfig');
    const value = { name: modern.name, typed_config: { '@type': `type.googleapis.com/${modern.type}`, ...Object.fromEntries(config.entries().map(([key, entry]) => [key, entry.value])) } };
    const index = field('insertPosition').at('index').string('FIRST');
    const relative = field('insertPosition').at('relativeTo').string();
    const operation = Object.hasOwn(OPERATIONS, index) ? OPERATIONS[index]! : 'INSERT_FIRST';
    const subFilter = index === 'LAST' ? 'envoy.filters.http.router' : index === 'FIRST' ? '' : (Object.hasOwn(MODERN, relative) ? MODERN[relative]!.name : relative);
    const type = listener.at('listenerType').string('ANY');
    const context = Object.hasOwn(CONTEXTS, type) ? CONTEXTS[type]! : 'ANY';
    const portNumber = listener.at('portNumber').number() ?? 0;
    tell(filter.path, `"filters" and "workloadLabels" are the form of Istio 1.2; it is read as an ${operation} patch of HTTP_FILTER.`, modernForm({ context, portNumber, operation, subFilter, value }));
    return [{
      path: filter.path, applyTo: 'HTTP_FILTER' as const, operation, context, proxyVersion: '', proxyMetadata: {}, filterClass: 'UNSPECIFIED', route: undefined, cluster: undefined, value,
      listener: { name: '', portNumber, listenerFilter: '', chain: undefined, filter: HCM, subFilter },
    }];
  });
}

function modernForm(patch: { readonly context: string; readonly portNumber: number; readonly operation: string; readonly subFilter: string; readonly value: unknown }): string {
  const filter = { name: HCM, ...(patch.subFilter && { subFilter: { name: patch.subFilter } }) };
  return `configPatches: ${JSON.stringify([{
    applyTo: 'HTTP_FILTER', match: { context: patch.context, listener: { ...(patch.portNumber && { portNumber: patch.portNumber }), filterChain: { filter } } }, patch: { operation: patch.operation, value: patch.value },
  }])}`;
}
