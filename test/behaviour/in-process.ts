/** What can be asked without sockets: the control plane's xDS compiled by our proxy; which listener, chain, route and cluster would serve the call? */
import { createRegistry } from '../../src/telemetry/metrics/registry.ts';
import { VirtualClock } from '../../src/base/clock.ts';
import { parseProxyNode } from '../../src/model/proxy-node.ts';
import { viewOf } from '../../src/model/view.ts';
import type { KubeObject } from '../../src/objects/meta.ts';
import { ConfigManager } from '../../src/proxy/config/manager.ts';
import type { ListenerRuntime, RuntimeSnapshot } from '../../src/proxy/config/runtime.ts';
import { HTTP_FILTERS } from '../../src/proxy/filters/registry.ts';
import { ChainMatcher } from '../../src/proxy/listener/chain-match.ts';
import { ProxyStats } from '../../src/proxy/stats.ts';
import { head } from '../../src/proxy/testing/head.ts';
import { resolve } from '../../src/resolve/resolve.ts';
import { translateClusters } from '../../src/translate/clusters.ts';
import { translateEndpoints } from '../../src/translate/endpoints.ts';
import { translateListeners } from '../../src/translate/listeners.ts';
import { translateRoutes } from '../../src/translate/routes.ts';
import { TYPE_URL, type AdsClient, type UpdateHandler } from '../../src/xds/ads.ts';
import { encodeResource, type ResourceMessage } from '../../src/xds/codec.ts';
import { parse } from 'yaml';
import { destinationOf } from './calls.ts';
import type { BehaviourCase, Call, CaseFile, TextMatch } from './case.ts';
import { layered, meshConfigTextOf, severalAuthorizersIn } from './control-plane.ts';
import { matchesText } from './judge.ts';
import { GATEWAY, SIDECAR, type ProxyUnderTest } from './topology.ts';

/** The mesh of a file, compiled for one proxy. */
export interface CompiledMesh {
  readonly snapshot: RuntimeSnapshot;
  readonly refusals: readonly string[];
  /** Names of all clusters. */
  readonly clusters: ReadonlySet<string>;
}

/** Compiles objects for one of the proxies. */
export function compileMesh(objects: readonly KubeObject[], proxy: ProxyUnderTest): CompiledMesh {
  const { snapshot } = resolve({ objects, meshConfig: parse(meshConfigTextOf(objects) ?? '') as unknown, domainSuffix: 'cluster.local', clusterId: 'Kubernetes', rootNamespace: 'istio-system', severalAuthorizers: severalAuthorizersIn(objects) });
  const id = `${proxy.role}~${proxy.ip}~${proxy.name}.${proxy.namespace}~${proxy.namespace}.svc.cluster.local`;
  const metadata = { NAMESPACE: proxy.namespace, LABELS: { ...proxy.labels }, INSTANCE_IPS: proxy.ip };
  const view = viewOf(snapshot, parseProxyNode({ id, metadata, userAgentName: 'meltemi' })!);
  const handlers = new Map<string, UpdateHandler>();
  const wanted = new Map<string, ReadonlySet<string>>();
  const ads: AdsClient = {
    connected: true, close: () => {},
    subscribeAll: (typeUrl, handler) => void handlers.set(typeUrl, handler),
    subscribe: (typeUrl, handler) => (handlers.set(typeUrl, handler), { setNames: (names) => void wanted.set(typeUrl, names) }),
  };
  const manager = new ConfigManager({
    node: { id, cluster: '', type: view.proxy.type, metadata: {}, workload: { workload: '', namespace: '', app: '', version: '', canonicalService: '', canonicalRevision: '', cluster: '' } },
    filters: HTTP_FILTERS, registry: createRegistry(), stats: new ProxyStats(), clock: new VirtualClock(0), random: () => 0, resolve: async () => [],
    openSink: () => ({ write: () => {}, flush: async () => {}, close: async () => {}, dropped: 0 }),
  });
  manager.subscribe(ads);
  const refusals: string[] = [];
  const push = (typeUrl: string, messages: readonly ResourceMessage[]): void => {
    const refusal = handlers.get(typeUrl)?.({ updated: messages.map((message) => encodeResource(message)), removed: [] });
    if (refusal) refusals.push(refusal);
  };
  const clusters = translateClusters(view);
  push(TYPE_URL.cluster, clusters);
  push(TYPE_URL.endpoint, translateEndpoints(view, wanted.get(TYPE_URL.endpoint) ?? []));
  push(TYPE_URL.listener, translateListeners(view));
  push(TYPE_URL.route, translateRoutes(view, wanted.get(TYPE_URL.route) ?? []));
  return { snapshot: manager.snapshot.value, refusals, clusters: new Set(clusters.map((cluster) => cluster.name)) };
}

/** Where a call would go. */
export interface Decision {
  readonly listener?: string;
  readonly chain?: string;
  readonly route?: string;
  /** All clusters the route may choose. */
  readonly clusters: readonly string[];
  /** Answered here: redirect, direct response, no route. */
  readonly status?: number;
  readonly body?: string;
  readonly location?: string;
  /** No chain takes the connection. */
  readonly refused?: boolean;
}

/** Follows a call through the compiled configuration. */
export function decide(mesh: CompiledMesh, call: Call): Decision {
  const { address, port, host } = destinationOf(call);
  const listener = listenerOf(mesh.snapshot, call, address, port);
  if (!listener) return { clusters: [], refused: true };
  const chain = new ChainMatcher(listener).match({ destinationIp: address, destinationPort: port, sourceIp: destinationOf(call).source, sourcePort: 40_000, ...inspected(listener, call, port) });
  if (!chain) return { listener: listener.name, clusters: [], refused: true };
  const at = { listener: listener.name, chain: chain.name };
  const { network } = chain;
  if (network.kind === 'tcp') return { ...at, clusters: network.clusters.map(({ name }) => name) };
  const headers = Object.fromEntries(Object.entries(call.headers ?? {}).map(([name, value]) => [name.toLowerCase(), typeof value === 'object' ? value : String(value)]));
  const grpc = call.protocol === 'grpc';
  const request = head({ method: call.method ?? (grpc ? 'POST' : 'GET'), path: call.path ?? (grpc ? '/test.Echo/Say' : '/'), authority: host, scheme: chain.tls ? 'https' : 'http', headers });
  const lookup = network.routes()?.lookup(request, { secure: chain.tls !== undefined, random: 0 });
  if (!lookup || lookup.kind === 'none') return { ...at, clusters: [], status: 404, body: '' };
  if (lookup.kind === 'tls-redirect') return { ...at, clusters: [], status: 301, location: `https://${host}${request.path}` };
  const { action, name } = lookup.route;
  switch (action.kind) {
    case 'redirect':
      return { ...at, route: name, clusters: [], status: action.status, location: action.location(request) };
    case 'direct':
      return { ...at, route: name, clusters: [], status: action.status, body: action.body };
    case 'non-forwarding':
      return { ...at, route: name, clusters: [] };
    case 'forward': {
      const clusters = action.clusters.filter(({ weight }) => weight > 0).map(({ cluster }) => cluster);
      return { ...at, route: name, clusters, ...(clusters.length === 1 && !mesh.clusters.has(clusters[0]!) ? { status: action.clusterNotFoundStatus, body: '' } : {}) };
    }
  }
}

function listenerOf({ listeners }: RuntimeSnapshot, call: Call, address: string, port: number): ListenerRuntime | undefined {
  if (call.inbound !== undefined) return listeners.get('virtualInbound');
  const candidates = [...listeners.values()].filter((listener) => !listener.useOriginalDst && listener.port === port);
  const found = candidates.find((listener) => listener.address === address) ?? candidates.find((listener) => listener.address === '0.0.0.0');
  return call.gateway === undefined ? (found ?? listeners.get('virtualOutbound')) : found;
}

function inspected(listener: ListenerRuntime, call: Call, port: number): { serverName: string; transportProtocol: 'tls' | 'raw_buffer'; alpn: readonly string[] } {
  const { tls, protocol } = call;
  if (tls && listener.tlsInspector?.(port)) return { serverName: (tls.sni ?? '').toLowerCase(), transportProtocol: 'tls', alpn: tls.alpn ?? (protocol === 'http2' || protocol === 'grpc' ? ['h2'] : []) };
  if (!tls && protocol !== 'tcp' && protocol !== 'raw' && listener.httpInspector?.(port)) return { serverName: '', transportProtocol: 'raw_buffer', alpn: [protocol === 'http2' || protocol === 'grpc' ? 'h2c' : 'http/1.1'] };
  return { serverName: '', transportProtocol: 'raw_buffer', alpn: [] };
}

/** Meshes of a file, compiled when asked for. */
export class InProcessFile {
  private readonly compiled = new Map<ProxyUnderTest, CompiledMesh>();
  private readonly objects: readonly KubeObject[];

  constructor(base: readonly KubeObject[], file: CaseFile) {
    this.objects = layered(base, file.objects);
  }

  /** Problems of one case; undefined when it asks nothing that can be answered here. */
  judge(spec: BehaviourCase): string[] | undefined {
    const problems: string[] = [];
    let asked = false;
    for (const [index, call] of spec.calls.entries()) {
      const found = this.judgeCall(call);
      if (!found) continue;
      asked = true;
      problems.push(...found.map((text) => `call ${index + 1}: ${text}`));
    }
    return asked ? problems : undefined;
  }

  private mesh(call: Call): CompiledMesh {
    const proxy = call.gateway === undefined ? SIDECAR : GATEWAY;
    let mesh = this.compiled.get(proxy);
    if (!mesh) this.compiled.set(proxy, (mesh = compileMesh(this.objects, proxy)));
    return mesh;
  }

  private judgeCall(call: Call): string[] | undefined {
    const { cluster, routeName, status, headers } = call.expect;
    // Malformed requests and peers' identities need bytes.
    if (call.protocol === 'raw' || call.protocol === 'websocket2' || call.protocol === 'connect2') return undefined;
    // Answers of the table itself can be asked too; other statuses come from filters and backends.
    const answered = call.expect.flags === 'NR' || call.expect.flags === 'NC' || call.expect.details === 'direct_response' || (call.expect.body === '' && status === 404);
    if (cluster === undefined && routeName === undefined && headers?.['location'] === undefined && !answered) return undefined;
    const mesh = this.mesh(call);
    if (mesh.refusals.length > 0) return [`the mesh was refused: ${mesh.refusals.join('; ')}`];
    const decision = decide(mesh, call);
    const problems: string[] = [];
    const compare = (what: string, expected: TextMatch | undefined, actual: string | undefined): void => {
      if (expected !== undefined && !matchesText(expected, actual)) problems.push(`${what}: expected ${JSON.stringify(expected)}, decided ${JSON.stringify(actual ?? null)} (listener ${decision.listener}, chain ${decision.chain}, route ${decision.route})`);
    };
    if (cluster !== undefined && !decision.clusters.includes(cluster)) problems.push(`cluster: expected ${cluster}, decided ${decision.clusters.join(' or ') || `none (status ${decision.status})`} (listener ${decision.listener}, chain ${decision.chain})`);
    compare('route', routeName, decision.route);
    compare('location', headers?.['location'], decision.location);
    if (answered && decision.status === undefined) problems.push(`status: expected ${String(status)} of the table itself, decided ${decision.clusters.join(' or ')}`);
    if (decision.status !== undefined && typeof status === 'number' && decision.status !== status) problems.push(`status: expected ${status}, decided ${decision.status}`);
    return problems;
  }
}
