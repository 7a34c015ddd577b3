/** Port 8080: readiness and istiod's debug endpoints. @see features.md §3.7 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { JsonValue } from '@bufbuild/protobuf';
import type { InjectionContext } from '../../admission/inject/types.ts';
import { messageOf } from '../../base/errors.ts';
import { parseSpiffeId, type SpiffeId } from '../../identity/spiffe.ts';
import { patchReport } from '../../translate/envoy-filter/report.ts';
import { TYPE_URL, type EncodedResource } from '../../xds/ads.ts';
import type { ConnectedClient } from '../../xds/server/connection.ts';
import { shortTypeName } from '../../xds/wire.ts';
import type { AuthenticationResult } from '../../xds/server/authenticate.ts';
import type { Discovery } from './discovery.ts';
import type { MeshEngine } from './mesh-engine.ts';
import type { ObjectSource } from './object-source.ts';

export interface DebugOptions {
  readonly ready: () => boolean;
  readonly engine: () => MeshEngine;
  readonly source: () => ObjectSource;
  readonly discovery: Discovery;
  readonly podName: string;
  readonly version: string;
  readonly systemNamespace: string;
  /** Proves a caller that is not on this machine, by bearer token. */
  readonly authenticate: (authorization: string | undefined) => Promise<AuthenticationResult>;
  /** What pods of a namespace are injected with; undefined when this control plane serves no webhooks. */
  readonly injection: () => ((namespace: string) => InjectionContext) | undefined;
}

interface Query {
  readonly search: URLSearchParams;
  /** Undefined: a caller on this machine. */
  readonly caller: SpiffeId | undefined;
}

type Endpoint = (query: Query, options: DebugOptions) => unknown;

/** Every debug endpoint, as `/debug/list` shows them. */
const ENDPOINTS: Readonly<Record<string, { readonly help: string; readonly read: Endpoint; readonly anyNamespace?: boolean }>> = {
  syncz: { help: 'Synchronization status of all proxies connected to this control plane', read: (_, options) => syncz(options) },
  config_dump: { help: 'Configuration generated for a proxy (?proxyID=name.namespace), in the form of Envoy\'s own dump', read: configDump, anyNamespace: true },
  connections: { help: 'Proxies connected to this control plane', read: (_, options) => connections(options) },
  registryz: { help: 'Services and ports known to the mesh', read: (_, options) => options.engine().snapshot.services.map((service) => ({ ...service })) },
  endpointShardz: { help: 'Endpoints by service', read: (_, options) => mapOf(options.engine().snapshot.endpoints) },
  endpointz: { help: 'Same as endpointShardz', read: (_, options) => mapOf(options.engine().snapshot.endpoints) },
  configz: { help: 'Istio objects in use', read: (_, options) => [...options.source().objects()].filter((object) => object.apiVersion.includes('istio.io/')) },
  push_status: { help: 'What is wrong with the objects of the last push', read: (_, options) => ({ version: options.engine().version, issues: options.engine().issues }) },
  envoyfilterz: { help: 'What became of every EnvoyFilter patch, by proxy', read: (_, options) => envoyFilters(options) },
  inject: { help: 'Values and mesh settings that pods of a namespace (?namespace=) are injected with', read: (query, options) => options.injection()?.(query.search.get('namespace') ?? 'default') ?? { enabled: false } },
  authorizationz: { help: 'AuthorizationPolicies in use, by namespace; those of one proxy with ?proxyID=', read: authorizationz },
  telemetryz: { help: 'Telemetry objects by namespace, and the mesh settings for logs and traces', read: (_, options) => telemetryz(options) },
  mesh: { help: 'Mesh settings in use', read: (_, options) => options.engine().snapshot.mesh },
  adsz: { help: 'Connections with their watched resources; ?push=true pushes to all', read: adsz },
  list: { help: 'This list', read: () => Object.entries(ENDPOINTS).map(([name, { help }]) => ({ path: `/debug/${name}`, help })) },
};

/** Starts to listen. */
export async function serveDebug(address: { readonly host: string; readonly port: number }, options: DebugOptions): Promise<Server> {
  const server = createServer((request, response) => {
    answer(request, response, options).catch((error: unknown) => reply(response, 500, { error: messageOf(error) }));
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(address.port, address.host, resolve));
  return server;
}

async function answer(request: IncomingMessage, response: ServerResponse, options: DebugOptions): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  if (url.pathname === '/ready') return void response.writeHead(options.ready() ? 200 : 503).end();
  const name = /^\/debug\/(\w+)$/.exec(url.pathname)?.[1] ?? (/^\/debug\/?$/.test(url.pathname) ? 'list' : undefined);
  const endpoint = name !== undefined && Object.hasOwn(ENDPOINTS, name) ? ENDPOINTS[name] : undefined;
  if (!endpoint) return reply(response, 404, { error: `no such path: ${url.pathname}; /debug/list names those there are` });
  const caller = await callerOf(request, options);
  if (caller === 'refused') return reply(response, 401, { error: 'debug endpoints answer to this machine, or to a service-account token with audience istio-ca' });
  // As istiod: other namespaces than its own may see only their own proxies' configuration.
  if (caller !== 'local' && parseSpiffeId(caller)?.namespace !== options.systemNamespace && !endpoint.anyNamespace) return reply(response, 403, { error: `${caller} may not read /debug/${name ?? ''}` });
  if (!options.ready()) return reply(response, 503, { error: 'the control plane is not ready' });
  const result = await endpoint.read({ search: url.searchParams, caller: caller === 'local' ? undefined : caller }, options);
  return result === undefined ? reply(response, 404, { error: 'no such proxy is connected' }) : reply(response, 200, result);
}

async function callerOf(request: IncomingMessage, options: DebugOptions): Promise<SpiffeId | 'local' | 'refused'> {
  const address = request.socket.remoteAddress ?? '';
  if (/^(127\.|::1$|::ffff:127\.)/.test(address)) return 'local';
  const result = await options.authenticate(request.headers.authorization);
  return 'spiffeId' in result ? result.spiffeId : 'refused';
}

function reply(response: ServerResponse, code: number, body: unknown): void {
  if (response.headersSent) return;
  // A value may hold maps and typed arrays of the model; keys of gateways never reach these endpoints.
  response.writeHead(code, { 'content-type': 'application/json' }).end(`${JSON.stringify(body, (_, value: unknown) => (value instanceof Map ? mapOf(value) : value instanceof Set ? [...value] : value), 2)}\n`);
}

function mapOf(map: ReadonlyMap<unknown, unknown>): Record<string, unknown> {
  return Object.fromEntries([...map].map(([key, value]) => [String(key), value]));
}

/** `name.namespace` of a proxy, as proxy-status prints it. */
function proxyIdOf(client: ConnectedClient): string {
  return client.node.id.split('~')[2] ?? client.node.id;
}

function syncz(options: DebugOptions): unknown {
  const text = (value: unknown, otherwise: string): string => (typeof value === 'string' && value !== '' ? value : otherwise);
  const clients = options.discovery.server.clients().map((client) => {
    const rows = client.status();
    const { metadata } = client.node;
    return {
      proxyId: proxyIdOf(client),
      clusterId: text(metadata['CLUSTER_ID'], 'Kubernetes'),
      istioVersion: text(metadata['ISTIO_VERSION'], client.node.userAgentVersion),
      namespace: proxyIdOf(client).split('.').at(-1) ?? '',
      status: Object.fromEntries(rows.map((row) => [shortTypeName(row.typeUrl), row.status])),
      // The shape of Envoy's ClientConfig, for tools that read the status API.
      node: { id: client.node.id, cluster: client.node.cluster, metadata },
      genericXdsConfigs: rows.map((row) => ({ typeUrl: row.typeUrl, configStatus: row.status, resourceCount: row.resourceCount, ...(row.nack && { errorState: { details: row.nack.message } }) })),
      connectionId: client.connectionId,
      connectedAt: new Date(client.connectedAtMs).toISOString(),
      protocol: client.mode,
    };
  });
  return { istiod: options.podName, version: options.version, configVersion: options.engine().version, clients: clients.sort((a, b) => (a.proxyId < b.proxyId ? -1 : 1)) };
}

function connections(options: DebugOptions): unknown {
  const clients = options.discovery.server.clients().map((client) => ({ connectionId: client.connectionId, connectedAt: new Date(client.connectedAtMs).toISOString(), address: client.peerAddress, protocol: client.mode, identity: client.spiffeId ?? '' }));
  return { totalClients: clients.length, clients };
}

/** Only proxies of the same namespace and version differ in patches, but every proxy is named: that is who a reader asks for. */
function envoyFilters(options: DebugOptions): unknown {
  const proxies = options.discovery.server.clients().flatMap((client) => {
    const made = options.discovery.resourcesOf(client);
    if (!made || made.view.envoyFilters.length === 0) return [];
    const patches = patchReport(made.view).map(({ filter, patch, outcome }) => ({ filter: `${filter.namespace}/${filter.name}`, path: patch.path, applyTo: patch.applyTo, operation: patch.operation, ...outcome }));
    return [{ proxyId: proxyIdOf(client), patches }];
  });
  return { proxies, quarantined: options.discovery.quarantined() };
}

interface NamespacedSpec {
  readonly name: string;
  readonly namespace: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: unknown;
}

/** Objects of a kind of Istio, as istiod lists policies. */
function byNamespace(options: DebugOptions, kind: string, wanted: (name: string) => boolean = () => true): ReadonlyMap<string, readonly NamespacedSpec[]> {
  const found = new Map<string, NamespacedSpec[]>();
  for (const object of options.source().objects()) {
    const { name, namespace = '', annotations = {} } = object.metadata;
    if (object.kind !== kind || !object.apiVersion.includes('.istio.io/') || !wanted(`${namespace}/${name}`)) continue;
    const { 'kubectl.kubernetes.io/last-applied-configuration': _, ...kept } = annotations;
    const list = found.get(namespace) ?? [];
    list.push({ name, namespace, annotations: kept, spec: (object as { readonly spec?: unknown }).spec ?? {} });
    found.set(namespace, list);
  }
  return found;
}

function authorizationz(query: Query, options: DebugOptions): unknown {
  const proxyId = query.search.get('proxyID');
  const { mesh } = options.engine().snapshot;
  let wanted: ((name: string) => boolean) | undefined;
  if (proxyId !== null) {
    const client = findClient(proxyId, options);
    const made = client && options.discovery.resourcesOf(client);
    if (!made) return undefined;
    const names = new Set(made.view.authorizationPolicies.map(({ namespace, name }) => `${namespace}/${name}`));
    wanted = (name) => names.has(name);
  }
  return { authorization_policies: { namespace_to_policies: byNamespace(options, 'AuthorizationPolicy', wanted), root_namespace: mesh.rootNamespace } };
}

function telemetryz(options: DebugOptions): unknown {
  const { mesh } = options.engine().snapshot;
  const { rootNamespace, accessLogFile, accessLogEncoding, accessLogFormat, tracing } = mesh;
  return { telemetries: { namespace_to_telemetries: byNamespace(options, 'Telemetry'), root_namespace: rootNamespace }, mesh: { accessLogFile, accessLogEncoding, accessLogFormat, tracing } };
}

function findClient(wanted: string, options: DebugOptions): ConnectedClient | undefined {
  return options.discovery.server.clients().find((candidate) => proxyIdOf(candidate) === wanted || candidate.node.id === wanted || candidate.connectionId === wanted);
}

function adsz(query: Query, options: DebugOptions): unknown {
  if (query.search.get('push') === 'true') options.discovery.pushAll();
  return {
    clients: options.discovery.server.clients().map((client) => ({
      connectionId: client.connectionId,
      watches: Object.fromEntries(client.status().map((row) => [row.typeUrl, row.wildcard ? ['*'] : [...row.names]])),
    })),
  };
}

async function configDump(query: Query, options: DebugOptions): Promise<unknown> {
  const wanted = query.search.get('proxyID') ?? query.search.get('proxyid') ?? '';
  const client = findClient(wanted, options);
  const namespace = query.caller && parseSpiffeId(query.caller)?.namespace;
  if (!client || (namespace !== undefined && namespace !== options.systemNamespace && proxyIdOf(client).split('.').at(-1) !== namespace)) return undefined;
  const made = options.discovery.resourcesOf(client);
  if (!made) return undefined;
  const { resourceToJson } = await import('../../xds/registry.ts');
  const { resources } = made;
  const version = resources.version;
  const all = (typeUrl: string): JsonValue[] => [...resources.resources(typeUrl).values()].map(resourceToJson);
  const named = (typeUrl: string): JsonValue[] =>
    client.status().filter((row) => row.typeUrl === typeUrl).flatMap((row) => [...row.names]).map((name) => resources.resources(typeUrl).get(name)).filter((resource): resource is EncodedResource => resource !== undefined).map(resourceToJson);
  const entry = (key: string) => (value: JsonValue) => ({ version_info: version, [key]: value });
  const dump = (name: string, body: object) => ({ '@type': `type.googleapis.com/envoy.admin.v3.${name}`, ...body });
  return {
    configs: [
      dump('ClustersConfigDump', { version_info: version, dynamic_active_clusters: all(TYPE_URL.cluster).map(entry('cluster')) }),
      dump('EndpointsConfigDump', { dynamic_endpoint_configs: named(TYPE_URL.endpoint).map(entry('endpoint_config')) }),
      dump('ListenersConfigDump', { version_info: version, dynamic_listeners: all(TYPE_URL.listener).map((listener) => ({ name: (listener as { name?: string }).name ?? '', active_state: { version_info: version, listener } })) }),
      dump('RoutesConfigDump', { dynamic_route_configs: named(TYPE_URL.route).map(entry('route_config')) }),
    ],
  };
}
