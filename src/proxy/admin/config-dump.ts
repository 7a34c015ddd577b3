/** `/config_dump`: what the proxy was told, in the shapes tools read. The JSON registry is heavy and loaded on the first call. */
import type { TlsSecret } from '../../xds/secret-source.ts';
import type { ConfigManager } from '../config/manager.ts';
import type { RefusedResource, ResourceStore, StoredResource } from '../config/resource-store.ts';

type Json = Readonly<Record<string, unknown>>;
type ToJson = (resource: { readonly typeUrl: string; readonly value: Uint8Array }) => unknown;

export interface ConfigDumpQuery {
  readonly includeEds: boolean;
  /** One repeated field, `dynamic_active_clusters`. */
  readonly resource: string | undefined;
  /** RE2 over resource names. */
  readonly nameMatches: ((name: string) => boolean) | undefined;
}

export interface ConfigDumpSources {
  readonly manager: ConfigManager;
  /** The bootstrap as JSON; `node` at least. */
  readonly bootstrap: Json;
  readonly startedMs: number;
  readonly secrets: Iterable<TlsSecret>;
  /** When each secret came; unknown ones count as of the start. */
  readonly secretsUpdatedMs?: (name: string) => number | undefined;
}

const ADMIN = 'type.googleapis.com/envoy.admin.v3.';

/** The whole dump, or one repeated field of it. @see envoy.admin.v3.ConfigDump */
export async function configDump(sources: ConfigDumpSources, query: ConfigDumpQuery): Promise<Json> {
  const { resourceToJson } = await import('../../xds/registry.ts');
  const context = { sources, toJson: resourceToJson as ToJson, keep: query.nameMatches ?? (() => true) };
  const sections = [
    { '@type': `${ADMIN}BootstrapConfigDump`, bootstrap: sources.bootstrap, last_updated: timestamp(sources.startedMs) },
    clustersDump(context),
    ...(query.includeEds || query.resource?.includes('endpoint') ? [endpointsDump(context)] : []),
    listenersDump(context),
    { '@type': `${ADMIN}ScopedRoutesConfigDump` },
    routesDump(context),
    secretsDump(context),
  ];
  if (query.resource === undefined) return { configs: sections };
  return { configs: sections.flatMap((section: Json) => pick(section, query.resource!)) };
}

/** Entries of a repeated field, each with the `@type` of its message. */
function pick(section: Json, field: string): readonly Json[] {
  const entries = Object.hasOwn(section, field) ? section[field] : undefined;
  if (!Array.isArray(entries)) return [];
  const type = `${String(section['@type'])}.${MESSAGE_OF[field] ?? field}`;
  return entries.map((entry: Json) => ({ '@type': type, ...entry }));
}

const MESSAGE_OF: Readonly<Record<string, string>> = {
  static_clusters: 'StaticCluster', dynamic_active_clusters: 'DynamicCluster', dynamic_warming_clusters: 'DynamicCluster', static_listeners: 'StaticListener', dynamic_listeners: 'DynamicListener',
  static_route_configs: 'StaticRouteConfig', dynamic_route_configs: 'DynamicRouteConfig', static_endpoint_configs: 'StaticEndpointConfig', dynamic_endpoint_configs: 'DynamicEndpointConfig', dynamic_active_secrets: 'DynamicSecret',
};

interface DumpContext {
  readonly sources: ConfigDumpSources;
  readonly toJson: ToJson;
  readonly keep: (name: string) => boolean;
}

function entriesOf(store: ResourceStore, { keep }: DumpContext): readonly StoredResource[] {
  return [...store.active.values()].filter(({ resource }) => keep(resource.name));
}

/** Refusals of resources that never had a good version. */
function refusedOnly(store: ResourceStore, { keep }: DumpContext): readonly RefusedResource[] {
  return [...store.refused.values()].filter(({ resource }) => !store.active.has(resource.name) && keep(resource.name));
}

function clustersDump(context: DumpContext): Json {
  const { clusters } = context.sources.manager;
  const store = clusters.clusterStore;
  const entries = entriesOf(store, context);
  const dynamic = (entry: StoredResource): Json => ({ version_info: entry.resource.version, cluster: context.toJson(entry.resource), last_updated: timestamp(entry.updatedMs), ...errorState(store, entry.resource.name) });
  const warming = entries.filter(({ resource, isStatic }) => !isStatic && clusters.isWarming(resource.name));
  const active = entries.filter(({ resource, isStatic }) => !isStatic && !clusters.isWarming(resource.name));
  return section('ClustersConfigDump', {
    version_info: store.version,
    static_clusters: entries.filter(({ isStatic }) => isStatic).map((entry) => ({ cluster: context.toJson(entry.resource), last_updated: timestamp(entry.updatedMs) })),
    dynamic_active_clusters: active.map(dynamic),
    dynamic_warming_clusters: [...warming.map(dynamic), ...refusedOnly(store, context).map((refused) => ({ error_state: failure(refused) }))],
  });
}

function endpointsDump(context: DumpContext): Json {
  const store = context.sources.manager.clusters.endpointStore;
  const entries = entriesOf(store, context);
  return section('EndpointsConfigDump', {
    static_endpoint_configs: entries.filter(({ isStatic }) => isStatic).map((entry) => ({ endpoint_config: context.toJson(entry.resource), last_updated: timestamp(entry.updatedMs) })),
    dynamic_endpoint_configs: entries.filter(({ isStatic }) => !isStatic).map((entry) => ({ version_info: entry.resource.version, endpoint_config: context.toJson(entry.resource), last_updated: timestamp(entry.updatedMs) })),
  });
}

function listenersDump(context: DumpContext): Json {
  const { listeners } = context.sources.manager;
  const store = listeners.listenerStore;
  const entries = entriesOf(store, context);
  const state = (entry: StoredResource): Json => ({ version_info: entry.resource.version, listener: context.toJson(entry.resource), last_updated: timestamp(entry.updatedMs) });
  return section('ListenersConfigDump', {
    version_info: store.version,
    static_listeners: entries.filter(({ isStatic }) => isStatic).map((entry) => ({ listener: context.toJson(entry.resource), last_updated: timestamp(entry.updatedMs) })),
    dynamic_listeners: [
      ...entries.filter(({ isStatic }) => !isStatic).map((entry) => ({ name: entry.resource.name, [listeners.isWarming(entry.resource.name) ? 'warming_state' : 'active_state']: state(entry), ...errorState(store, entry.resource.name) })),
      ...refusedOnly(store, context).map((refused) => ({ name: refused.resource.name, error_state: failure(refused) })),
    ],
  });
}

function routesDump(context: DumpContext): Json {
  const store = context.sources.manager.listeners.routeStore;
  const entries = entriesOf(store, context);
  return section('RoutesConfigDump', {
    static_route_configs: [
      ...entries.filter(({ isStatic }) => isStatic).map((entry) => ({ route_config: context.toJson(entry.resource), last_updated: timestamp(entry.updatedMs) })),
      ...inlineRoutes(context),
    ],
    dynamic_route_configs: entries.filter(({ isStatic }) => !isStatic).map((entry) => ({ version_info: entry.resource.version, route_config: context.toJson(entry.resource), last_updated: timestamp(entry.updatedMs), ...errorState(store, entry.resource.name) })),
  });
}

/** Tables that stand inside connection managers; Envoy lists them as static. */
function inlineRoutes(context: DumpContext): readonly Json[] {
  const found: Json[] = [];
  for (const entry of context.sources.manager.listeners.listenerStore.active.values()) {
    collectInline(context.toJson(entry.resource), (route) => {
      if (context.keep(String(route['name'] ?? ''))) found.push({ route_config: { '@type': 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration', ...route }, last_updated: timestamp(entry.updatedMs) });
    });
  }
  return found;
}

function collectInline(json: unknown, found: (route: Json) => void): void {
  if (json === null || typeof json !== 'object') return;
  for (const [key, value] of Object.entries(json)) {
    if (key === 'route_config' && value !== null && typeof value === 'object') found(value as Json);
    else collectInline(value, found);
  }
}

/** Private keys are never shown. */
function secretsDump({ sources, keep }: DumpContext): Json {
  const entries = [...sources.secrets].filter(({ name }) => keep(name)).map((secret) => ({
    name: secret.name,
    version_info: String(sources.secretsUpdatedMs?.(secret.name) ?? sources.startedMs),
    last_updated: timestamp(sources.secretsUpdatedMs?.(secret.name) ?? sources.startedMs),
    secret: {
      '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
      name: secret.name,
      ...(secret.kind === 'certificate'
        ? { tls_certificate: { certificate_chain: { inline_bytes: base64(secret.certificateChainPem) }, private_key: { inline_bytes: base64('[redacted]') } } }
        : { validation_context: { trusted_ca: { inline_bytes: base64(secret.trustedCaPem) } } }),
    },
  }));
  return section('SecretsConfigDump', { dynamic_active_secrets: entries });
}

/** Leaves out what is empty, as protobuf JSON does. */
function section(type: string, fields: Json): Json {
  return { '@type': `${ADMIN}${type}`, ...Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== '' && !(Array.isArray(value) && value.length === 0))) };
}

function errorState(store: ResourceStore, name: string): Json {
  const refused = store.refused.get(name);
  return refused ? { error_state: failure(refused) } : {};
}

function failure({ resource, reason, atMs }: RefusedResource): Json {
  return { last_update_attempt: timestamp(atMs), details: `${resource.name}: ${reason}`, version_info: resource.version };
}

function timestamp(ms: number): string {
  return new Date(ms).toISOString();
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
