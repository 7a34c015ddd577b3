/** Asks generated xDS where a call would go: listener, filter chain, virtual host, route, cluster. No sockets; Envoy's matching order. */
import { fromBinary, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import type { FilterChain, ListenerFilterChainMatchPredicate } from '../xds/gen/envoy/config/listener/v3/listener_components_pb.ts';
import type { Listener } from '../xds/gen/envoy/config/listener/v3/listener_pb.ts';
import { VirtualHost_TlsRequirementType, type RouteMatch, type VirtualHost } from '../xds/gen/envoy/config/route/v3/route_components_pb.ts';
import type { RouteConfiguration } from '../xds/gen/envoy/config/route/v3/route_pb.ts';
import { HttpConnectionManagerSchema } from '../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import { TcpProxySchema } from '../xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.ts';
import { DownstreamTlsContextSchema } from '../xds/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.ts';
import { matchFilterChain, type ConnectionFacts } from './filter-chain-match.ts';

/** A hypothetical call. */
export interface SimulatedCall {
  /** Original destination. Default 1.3.3.7. */
  readonly address?: string;
  readonly port: number;
  /** Default `/`. */
  readonly path?: string;
  /** Default http. */
  readonly protocol?: 'http' | 'http2' | 'tcp';
  /** Default plaintext. */
  readonly tls?: 'plaintext' | 'tls' | 'mtls';
  readonly hostHeader?: string;
  /** Default: the Host header for `tls`. */
  readonly sni?: string;
  /** Default by tls and protocol. */
  readonly alpn?: string;
  readonly inbound?: boolean;
  /** Name of the server certificate's secret that counts as mutual TLS instead of `default`. */
  readonly mtlsSecretName?: string;
}

export interface SimulatedResult {
  /** Why it goes nowhere; absent when it arrives at a cluster or gets a direct answer. */
  readonly error?: string;
  readonly listener?: string;
  readonly filterChain?: string;
  readonly routeConfig?: string;
  readonly virtualHost?: string;
  readonly route?: string;
  readonly cluster?: string;
}

export interface SimulatedProxy {
  readonly listeners: readonly Listener[];
  readonly routes: ReadonlyMap<string, RouteConfiguration>;
}

/** Follows the call through the proxy's configuration; the first cluster of a weighted route stands for all. */
export function simulate(proxy: SimulatedProxy, call: SimulatedCall): SimulatedResult {
  const listener = findListener(proxy.listeners, call);
  if (!listener) return { error: 'no listener matched' };
  const facts = factsOf(listener, call);
  const chain = matchFilterChain(listener.filterChains, facts) ?? listener.defaultFilterChain;
  const seen: SimulatedResult = { listener: listener.name };
  if (!chain) return { ...seen, error: 'no filter chains matched' };
  const through: SimulatedResult = { ...seen, filterChain: chain.name };
  const tls = call.tls ?? 'plaintext';
  const problem = tlsProblem(chain, call, tls);
  if (problem) return { ...through, error: problem };
  const terminated = chain.transportSocket !== undefined && tls !== 'plaintext';
  for (const filter of chain.filters) {
    const config = filter.configType.case === 'typedConfig' ? filter.configType.value : undefined;
    const tcp = unpack(config, TcpProxySchema);
    if (tcp) return { ...through, ...clusterOf(tcp.clusterSpecifier) };
    const manager = unpack(config, HttpConnectionManagerSchema);
    if (!manager) continue;
    if (call.protocol === 'tcp' || (tls !== 'plaintext' && !terminated)) return { ...through, error: 'protocol error' };
    const { routeSpecifier } = manager;
    const routes = routeSpecifier.case === 'routeConfig' ? routeSpecifier.value : routeSpecifier.case === 'rds' ? proxy.routes.get(routeSpecifier.value.routeConfigName) : undefined;
    return { ...through, ...(routes ? followRoutes(routes, call, terminated) : { error: 'no virtual host matched' }) };
  }
  return { ...through, error: 'no filter handles the connection' };
}

function findListener(listeners: readonly Listener[], call: SimulatedCall): Listener | undefined {
  if (call.inbound) return listeners.find((listener) => listener.name === 'virtualInbound');
  const at = (address: string) => listeners.find((listener) => {
    const socket = listener.address?.address;
    return listener.useOriginalDst !== true && socket?.case === 'socketAddress' && socket.value.address === address && socket.value.portSpecifier.case === 'portValue' && socket.value.portSpecifier.value === call.port;
  });
  return at(call.address ?? '1.3.3.7') ?? at('0.0.0.0') ?? at('::') ?? listeners.find((listener) => listener.name === 'virtualOutbound');
}

/** What the inspectors would tell the chain matcher. */
function factsOf(listener: Listener, call: SimulatedCall): ConnectionFacts {
  const inspects = (name: string) => listener.listenerFilters.some((filter) => filter.name === name && !isDisabled(filter.filterDisabled, call.port));
  const tls = call.tls ?? 'plaintext';
  const protocol = call.protocol ?? 'http';
  const encrypted = tls !== 'plaintext' && inspects('envoy.filters.listener.tls_inspector');
  const alpns = encrypted ? alpnOf(call, tls, protocol) : tls === 'plaintext' && inspects('envoy.filters.listener.http_inspector') ? (protocol === 'http' ? ['http/1.1'] : protocol === 'http2' ? ['h2c'] : []) : [];
  return {
    destinationPort: call.port, destinationAddress: call.address ?? '1.3.3.7', serverName: call.sni ?? (tls === 'tls' ? (call.hostHeader ?? '') : ''),
    transportProtocol: encrypted ? 'tls' : 'raw_buffer', applicationProtocols: alpns,
  };
}

function alpnOf(call: SimulatedCall, tls: 'tls' | 'mtls', protocol: 'http' | 'http2' | 'tcp'): readonly string[] {
  if (call.alpn !== undefined) return call.alpn ? [call.alpn] : [];
  if (tls === 'mtls') return [{ http: 'istio-http/1.1', http2: 'istio-h2', tcp: 'istio' }[protocol]];
  return protocol === 'tcp' ? [] : [protocol === 'http' ? 'http/1.1' : 'h2'];
}

function isDisabled(predicate: ListenerFilterChainMatchPredicate | undefined, port: number): boolean {
  const rule = predicate?.rule;
  switch (rule?.case) {
    case 'destinationPortRange': return port >= rule.value.start && port < rule.value.end;
    case 'orMatch': return rule.value.rules.some((inner) => isDisabled(inner, port));
    case 'andMatch': return rule.value.rules.every((inner) => isDisabled(inner, port));
    case 'notMatch': return !isDisabled(rule.value, port);
    case 'anyMatch': return rule.value;
    default: return false;
  }
}

function tlsProblem(chain: FilterChain, call: SimulatedCall, tls: 'plaintext' | 'tls' | 'mtls'): string | undefined {
  const socket = chain.transportSocket?.configType;
  const context = socket?.case === 'typedConfig' ? unpack(socket.value, DownstreamTlsContextSchema) : undefined;
  if (!context) return undefined;
  if (tls === 'plaintext') return 'invalid TLS';
  const secret = context.commonTlsContext?.tlsCertificateSdsSecretConfigs[0]?.name;
  const mutual = context.requireClientCertificate === true && secret === (call.mtlsSecretName ?? 'default');
  return mutual === (tls === 'mtls') ? undefined : 'invalid mTLS';
}

function followRoutes(routes: RouteConfiguration, call: SimulatedCall, secure: boolean): SimulatedResult {
  const host = findVirtualHost(routes.virtualHosts, (call.hostHeader ?? '').toLowerCase());
  if (!host) return { routeConfig: routes.name, error: 'no virtual host matched' };
  const seen = { routeConfig: routes.name, virtualHost: host.name };
  if (host.requireTls !== VirtualHost_TlsRequirementType.NONE && !secure) return { ...seen, error: 'tls required, sending 301' };
  const route = host.routes.find((candidate) => candidate.match && pathMatches(candidate.match, call.path ?? '/'));
  if (!route) return { ...seen, error: 'no route matched' };
  return { ...seen, route: route.name, ...(route.action.case === 'route' ? clusterOf(route.action.value.clusterSpecifier) : {}) };
}

/** Exact, longest `*.x`, longest `x.*`, then `*`; ports in the Host header do not count. */
export function findVirtualHost(hosts: readonly VirtualHost[], header: string): VirtualHost | undefined {
  const name = /^\[.*\]$/.test(header) ? header : header.replace(/:\d+$/, '');
  let best: { readonly host: VirtualHost; readonly rank: number } | undefined;
  for (const host of hosts)
    for (const raw of host.domains) {
      const rank = domainRank(raw.toLowerCase(), name);
      if (rank !== undefined && (!best || rank > best.rank)) best = { host, rank };
    }
  return best?.host;
}

const EXACT = 1_000_000;
const SUFFIX = 500_000;

function domainRank(domain: string, name: string): number | undefined {
  if (domain === name) return EXACT;
  if (domain === '*') return 0;
  if (domain.startsWith('*')) return name.length > domain.length - 1 && name.endsWith(domain.slice(1)) ? SUFFIX + domain.length : undefined;
  if (domain.endsWith('*')) return name.length > domain.length - 1 && name.startsWith(domain.slice(0, -1)) ? domain.length : undefined;
  return undefined;
}

function pathMatches(match: RouteMatch, path: string): boolean {
  const specifier = match.pathSpecifier;
  const fold = (text: string) => (match.caseSensitive === false ? text.toLowerCase() : text);
  switch (specifier.case) {
    case 'path': return fold(path) === fold(specifier.value);
    case 'prefix': return fold(path).startsWith(fold(specifier.value));
    case 'pathSeparatedPrefix': return fold(path) === fold(specifier.value) || fold(path).startsWith(`${fold(specifier.value)}/`);
    case 'safeRegex': return matchesWhole(specifier.value.regex, path);
    default: return false;
  }
}

function matchesWhole(regex: string, path: string): boolean {
  try {
    return new RegExp(`^(?:${regex})$`).test(path);
  } catch {
    return false;
  }
}

type ClusterSpecifier =
  | { readonly case: 'cluster'; readonly value: string }
  | { readonly case: 'weightedClusters'; readonly value: { readonly clusters: readonly { readonly name: string }[] } }
  | { readonly case: Exclude<string, 'cluster' | 'weightedClusters'> | undefined; readonly value?: unknown };

function clusterOf(specifier: ClusterSpecifier): { readonly cluster?: string } {
  if (specifier.case === 'cluster') return { cluster: specifier.value as string };
  if (specifier.case === 'weightedClusters') {
    const first = (specifier.value as { readonly clusters: readonly { readonly name: string }[] }).clusters[0];
    return first ? { cluster: first.name } : {};
  }
  return {};
}

function unpack<Desc extends DescMessage>(any: Any | undefined, schema: Desc): MessageShape<Desc> | undefined {
  return any?.typeUrl === `type.googleapis.com/${schema.typeName}` ? fromBinary(schema, any.value) : undefined;
}
