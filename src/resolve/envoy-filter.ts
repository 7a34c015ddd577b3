import { contentHash } from '../model/hash.ts';
import { APPLY_TO, OPERATIONS, PATCH_CONTEXTS, type ClusterMatch, type EnvoyFilter, type EnvoyPatch, type ListenerMatch, type RouteMatch } from '../model/envoy-filter.ts';
import type { KubeObject } from '../objects/meta.ts';
import { createdMsOf, namespaceOf, originOf, readSpec, warn, type ResolveContext } from './context.ts';
import type { Cursor } from './cursor.ts';
import { readLegacyFilters } from './legacy-envoy-filter.ts';

/** Reads an EnvoyFilter; undefined (and issues) when it must be left out. What its values mean to Envoy is not looked at here. */
export function resolveEnvoyFilter(context: ResolveContext, object: KubeObject): EnvoyFilter | undefined {
  const namespace = namespaceOf(object);
  return readSpec(context, object, (spec) => {
    const labels = spec.at('workloadSelector').at('labels');
    const legacyLabels = spec.at('workloadLabels');
    const legacy = readLegacyFilters(spec, (path, message, fix) => warn(context, object, 'MLT0006', path, message, fix));
    const selector = labels.exists ? labels.stringMap() : legacyLabels.exists ? legacyLabels.stringMap() : {};
    const body = {
      kind: 'envoy-filter' as const, name: object.metadata.name, namespace,
      selector: Object.keys(selector).length > 0 ? selector : undefined,
      targets: spec.at('targetRefs').items().map((target) => ({ group: target.at('group').string(), kind: target.at('kind').string(), name: target.at('name').string() })),
      priority: spec.at('priority').number() ?? 0,
      patches: [...spec.at('configPatches').items().flatMap((patch) => readPatch(patch) ?? []), ...legacy].map((patch) => ({ ...patch, origin: originOf(object) })),
      createdMs: createdMsOf(object), origin: originOf(object),
    };
    return { ...body, digest: contentHash(body) };
  });
}

function readPatch(entry: Cursor): Omit<EnvoyPatch, 'origin'> | undefined {
  const applyTo = entry.at('applyTo').oneOf(APPLY_TO);
  const patch = entry.at('patch');
  const operation = patch.at('operation').oneOf(OPERATIONS);
  if (!entry.at('applyTo').exists) entry.at('applyTo').fail('is required');
  if (!patch.at('operation').exists) patch.at('operation').fail('is required');
  if (!applyTo || !operation) return undefined;
  if (operation !== 'REMOVE' && !patch.at('value').exists) patch.at('value').fail(`is required for ${operation}`);
  const match = entry.at('match');
  const version = match.at('proxy').at('proxyVersion').string();
  if (!isRegularExpression(version)) match.at('proxy').at('proxyVersion').fail(`"${version}" is no regular expression`);
  return {
    path: entry.path, applyTo, operation, context: match.at('context').oneOf(PATCH_CONTEXTS) ?? 'ANY', proxyVersion: version, proxyMetadata: match.at('proxy').at('metadata').stringMap(),
    listener: readListenerMatch(match.at('listener')), route: readRouteMatch(match.at('routeConfiguration')), cluster: readClusterMatch(match.at('cluster')),
    value: patch.at('value').value, filterClass: patch.at('filterClass').string('UNSPECIFIED'),
  };
}

function isRegularExpression(text: string): boolean {
  try {
    void new RegExp(text);
    return true;
  } catch {
    return false;
  }
}

function readListenerMatch(match: Cursor): ListenerMatch | undefined {
  if (!match.exists) return undefined;
  const chain = match.at('filterChain');
  return {
    name: match.at('name').string(), portNumber: match.at('portNumber').number() ?? 0, listenerFilter: match.at('listenerFilter').string(),
    chain: !chain.exists ? undefined : {
      name: chain.at('name').string(), sni: chain.at('sni').string(), transportProtocol: chain.at('transportProtocol').string(),
      applicationProtocols: chain.at('applicationProtocols').string().split(',').map((name) => name.trim()).filter(Boolean), destinationPort: chain.at('destinationPort').number() ?? 0,
    },
    filter: chain.at('filter').at('name').string(), subFilter: chain.at('filter').at('subFilter').at('name').string(),
  };
}

function readRouteMatch(match: Cursor): RouteMatch | undefined {
  if (!match.exists) return undefined;
  const vhost = match.at('vhost');
  const route = vhost.at('route');
  return {
    name: match.at('name').string(), portNumber: match.at('portNumber').number() ?? 0, portName: match.at('portName').string(), gateway: match.at('gateway').string(),
    vhostName: vhost.at('name').string(), vhostDomain: vhost.at('domainName').string(),
    routeName: route.at('name').string(), routeAction: route.at('action').oneOf(['ANY', 'ROUTE', 'REDIRECT', 'DIRECT_RESPONSE']) ?? 'ANY', asksVhost: vhost.exists, asksRoute: route.exists,
  };
}

function readClusterMatch(match: Cursor): ClusterMatch | undefined {
  if (!match.exists) return undefined;
  return { name: match.at('name').string(), service: match.at('service').string(), subset: match.at('subset').string(), portNumber: match.at('portNumber').number() ?? 0 };
}
