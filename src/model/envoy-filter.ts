import { policyApplies, type TargetReference } from './policy-target.ts';
import type { ProxyNode } from './proxy-node.ts';

export const APPLY_TO = ['LISTENER', 'FILTER_CHAIN', 'NETWORK_FILTER', 'HTTP_FILTER', 'ROUTE_CONFIGURATION', 'VIRTUAL_HOST', 'HTTP_ROUTE', 'CLUSTER', 'EXTENSION_CONFIG', 'BOOTSTRAP', 'LISTENER_FILTER'] as const;
export type ApplyTo = (typeof APPLY_TO)[number];

export const OPERATIONS = ['MERGE', 'ADD', 'REMOVE', 'INSERT_BEFORE', 'INSERT_AFTER', 'INSERT_FIRST', 'REPLACE', 'MERGE_AND_REPLACE_LIST'] as const;
export type PatchOperation = (typeof OPERATIONS)[number];

export const PATCH_CONTEXTS = ['ANY', 'SIDECAR_INBOUND', 'SIDECAR_OUTBOUND', 'GATEWAY', 'WAYPOINT'] as const;
export type PatchContext = (typeof PATCH_CONTEXTS)[number];

/** '' and 0 stand for what is not asked. */
export interface ListenerMatch {
  readonly name: string;
  readonly portNumber: number;
  /** Name of a listener filter. */
  readonly listenerFilter: string;
  readonly chain: { readonly name: string; readonly sni: string; readonly transportProtocol: string; readonly applicationProtocols: readonly string[]; readonly destinationPort: number } | undefined;
  /** Name of a network filter, and of an HTTP filter in it. */
  readonly filter: string;
  readonly subFilter: string;
}

export interface RouteMatch {
  readonly name: string;
  readonly portNumber: number;
  readonly portName: string;
  /** `namespace/name`. */
  readonly gateway: string;
  readonly vhostName: string;
  readonly vhostDomain: string;
  readonly routeName: string;
  readonly routeAction: 'ANY' | 'ROUTE' | 'REDIRECT' | 'DIRECT_RESPONSE';
  /** A virtual host or a route was named, so the patch is for these. */
  readonly asksVhost: boolean;
  readonly asksRoute: boolean;
}

export interface ClusterMatch {
  readonly name: string;
  readonly service: string;
  readonly subset: string;
  readonly portNumber: number;
}

/** One change of generated configuration; `origin` and `path` name it. */
export interface EnvoyPatch {
  /** Origin of the EnvoyFilter it is part of. */
  readonly origin: string;
  /** `spec.configPatches[2]`. */
  readonly path: string;
  readonly applyTo: ApplyTo;
  readonly operation: PatchOperation;
  readonly context: PatchContext;
  /** Regular expression over the proxy's version; '' = any. */
  readonly proxyVersion: string;
  readonly proxyMetadata: Readonly<Record<string, string>>;
  readonly listener: ListenerMatch | undefined;
  readonly route: RouteMatch | undefined;
  readonly cluster: ClusterMatch | undefined;
  /** Protobuf JSON of the message that `applyTo` means. */
  readonly value: unknown;
  readonly filterClass: string;
}

export interface EnvoyFilter {
  readonly kind: 'envoy-filter';
  readonly name: string;
  readonly namespace: string;
  readonly selector: Readonly<Record<string, string>> | undefined;
  readonly targets: readonly TargetReference[];
  /** Lower first. */
  readonly priority: number;
  readonly patches: readonly EnvoyPatch[];
  readonly createdMs: number;
  readonly origin: string;
  readonly digest: string;
}

/**
 * The filters that hold for a proxy in the order in which they are applied: those of the root namespace, then its own; inside each by priority, age and name.
 * `oldestFirst` must be so.
 * @see https://istio.io/latest/docs/reference/config/networking/envoy-filter/#EnvoyFilter
 */
export function envoyFiltersFor(oldestFirst: readonly EnvoyFilter[], proxy: Pick<ProxyNode, 'namespace'>, labels: Readonly<Record<string, string>>, rootNamespace: string): readonly EnvoyFilter[] {
  const taken = oldestFirst.filter((filter) => policyApplies(filter, { namespace: proxy.namespace, labels }, rootNamespace));
  const rank = (filter: EnvoyFilter): number => (filter.namespace === rootNamespace ? 0 : 1);
  return taken.map((filter, index) => ({ filter, index })).sort((a, b) => rank(a.filter) - rank(b.filter) || a.filter.priority - b.filter.priority || a.index - b.index).map(({ filter }) => filter);
}

/** Does a patch ask for this proxy by version or metadata? A version that is no regular expression matches nothing (the object says so). */
export function patchMatchesProxy(patch: EnvoyPatch, proxy: Pick<ProxyNode, 'metadata'>): boolean {
  const text = (key: string): string => (Object.hasOwn(proxy.metadata, key) && typeof proxy.metadata[key] === 'string' ? proxy.metadata[key] : '');
  if (patch.proxyVersion !== '') {
    const version = text('ISTIO_VERSION');
    try {
      if (version === '' || !new RegExp(patch.proxyVersion).test(version)) return false;
    } catch {
      return false;
    }
  }
  return Object.entries(patch.proxyMetadata).every(([key, value]) => text(key) === value);
}
