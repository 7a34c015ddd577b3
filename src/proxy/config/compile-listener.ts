/** Listener (LDS) → ListenerRuntime. */
import type { TrafficRecord } from '../../telemetry/traffic-record.ts';
import { unpackAny } from '../../xds/codec.ts';
import { TrafficDirection } from '../../xds/gen/envoy/config/core/v3/base_pb.ts';
import type { CidrRange } from '../../xds/gen/envoy/config/core/v3/address_pb.ts';
import { FilterChainMatch_ConnectionSourceType as SourceType, type FilterChain, type FilterChainMatch, type ListenerFilter, type ListenerFilterChainMatchPredicate } from '../../xds/gen/envoy/config/listener/v3/listener_components_pb.ts';
import type { Listener } from '../../xds/gen/envoy/config/listener/v3/listener_pb.ts';
import { ProxyProtocolSchema } from '../../xds/gen/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol_pb.ts';
import { HttpConnectionManagerSchema } from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import { TcpProxySchema } from '../../xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.ts';
import { PluginConfigSchema } from '../../xds/gen/istio/stats/stats_pb.ts';
import { compileAddress } from '../cluster/endpoints.ts';
import type { NetworkFilter } from '../filters/network-filter.ts';
import { NETWORK_FILTERS } from '../filters/network-registry.ts';
import { compileAccessLoggers } from './access-loggers.ts';
import type { Needs } from './chain-memory.ts';
import type { CompileContext } from './compile-context.ts';
import { compileHcm } from './compile-hcm.ts';
import { compileTcpProxy } from './compile-tcp-proxy.ts';
import { eachWithin, within } from './config-error.ts';
import type { ChainMatch, FilterChainRuntime, ListenerRuntime } from './runtime.ts';
import { durationMs } from './scalars.ts';
import { compileDownstreamTls } from './tls-context.ts';

/**
 * Compiles a listener. Throws ConfigError with the path of the field that cannot be obeyed.
 * @see envoy.config.listener.v3.Listener
 */
export function compileListener(listener: Listener, context: CompileContext): ListenerRuntime {
  if (listener.filterChainMatcher) throw new Error('filter_chain_matcher is not supported');
  if (listener.udpListenerConfig) throw new Error('UDP listeners are not supported');
  if (listener.listenerSpecifier.case) throw new Error('internal listeners are not supported');
  const { ip, port } = within('address', () => compileAddress(listener.address));
  const direction = directionOf(listener, context);
  const filterChains = eachWithin('filter_chains', listener.filterChains, (chain) => rememberedChain(chain, direction, context));
  refuseEqualMatches(filterChains);
  const filters = compileListenerFilters(listener.listenerFilters);
  return {
    name: listener.name,
    address: ip,
    port,
    additionalAddresses: eachWithin('additional_addresses', listener.additionalAddresses, (more) => {
      const also = compileAddress(more.address);
      return { address: also.ip, port: also.port };
    }),
    bindToPort: listener.bindToPort ?? listener.deprecatedV1?.bindToPort ?? true,
    useOriginalDst: (listener.useOriginalDst ?? false) || filters.originalDst,
    handOffRestoredDestination: listener.useOriginalDst ?? false,
    trafficDirection: listener.trafficDirection === TrafficDirection.INBOUND ? 'inbound' : listener.trafficDirection === TrafficDirection.OUTBOUND ? 'outbound' : 'unspecified',
    proxyProtocol: filters.proxyProtocol,
    tlsInspector: filters.tlsInspector,
    httpInspector: filters.httpInspector,
    listenerFiltersTimeoutMs: durationMs(listener.listenerFiltersTimeout) ?? 15_000,
    continueOnListenerFiltersTimeout: listener.continueOnListenerFiltersTimeout,
    filterChains,
    defaultFilterChain: listener.defaultFilterChain && within('default_filter_chain', () => rememberedChain(listener.defaultFilterChain!, direction, context)),
    record: compileAccessLoggers(listener.accessLog, context),
  };
}

/** A router's listeners carry OUTBOUND in Istio; telemetry calls their traffic by the gateway. */
function directionOf(listener: Listener, context: CompileContext): TrafficRecord['direction'] {
  if (context.node.type === 'router') return 'gateway';
  return listener.trafficDirection === TrafficDirection.INBOUND ? 'inbound' : 'outbound';
}

function rememberedChain(chain: FilterChain, direction: TrafficRecord['direction'], context: CompileContext): FilterChainRuntime {
  if (context.memory === undefined) return compileChain(chain, direction, context);
  const needs: Needs = { route: (name) => void context.routes(name), extension: context.needExtension };
  return context.memory.reuse(chain, needs, (note) => compileChain(chain, direction, { ...context, routes: (name) => (note.route(name), context.routes(name)), needExtension: note.extension }));
}

function compileChain(chain: FilterChain, direction: TrafficRecord['direction'], context: CompileContext): FilterChainRuntime {
  return {
    name: chain.name,
    match: within('filter_chain_match', () => compileMatch(chain.filterChainMatch)),
    tls: within('transport_socket', () => compileDownstreamTls(chain.transportSocket)),
    transportSocketConnectTimeoutMs: durationMs(chain.transportSocketConnectTimeout) ?? 0,
    network: compileNetwork(chain, direction, context),
  };
}

/** Network filters that need nothing of us: peers exchange metadata through endpoint metadata and headers. */
const PASSIVE_NETWORK_FILTERS = new Set(['type.googleapis.com/envoy.tcp.metadataexchange.config.MetadataExchange']);

function compileNetwork(chain: FilterChain, direction: TrafficRecord['direction'], context: CompileContext): FilterChainRuntime['network'] {
  let metrics: ReturnType<CompileContext['istioMetrics']> | undefined;
  let network: FilterChainRuntime['network'] | undefined;
  const before: NetworkFilter[] = [];
  eachWithin('filters', chain.filters, (filter) => {
    if (network) throw new Error(`filter ${filter.name} stands behind the terminal filter`);
    const typed = filter.configType.case === 'typedConfig' ? filter.configType.value : undefined;
    const stats = unpackAny(typed, PluginConfigSchema);
    const factory = NETWORK_FILTERS.get(typed?.typeUrl ?? '');
    const hcm = unpackAny(typed, HttpConnectionManagerSchema);
    const tcp = unpackAny(typed, TcpProxySchema);
    if (stats) metrics = context.istioMetrics({ disableHostHeaderFallback: stats.disableHostHeaderFallback });
    else if (typed && factory) before.push(factory.create(typed.value));
    else if (hcm) network = { ...compileHcm(hcm, direction, context), ...(before.length > 0 && { networkFilters: before }) };
    else if (tcp) network = { ...compileTcpProxy(tcp, direction, metrics, context), filters: before };
    else if (!PASSIVE_NETWORK_FILTERS.has(typed?.typeUrl ?? '')) throw new Error(`unknown network filter ${filter.name} (${typed?.typeUrl ?? 'no config'})`);
  });
  // An empty chain closes its connections in Envoy; a TCP proxy to no cluster does the same.
  return network ?? { kind: 'tcp', statPrefix: '', direction, clusters: [], totalWeight: 0, tunnel: undefined, idleTimeoutMs: 0, maxConnectAttempts: 1, hashSourceIp: false, progress: undefined, record: () => {} };
}

function compileMatch(match: FilterChainMatch | undefined): ChainMatch {
  if (match?.addressSuffix || match?.suffixLen !== undefined || match?.directSourcePrefixRanges.length) throw new Error('address_suffix, suffix_len and direct_source_prefix_ranges are not supported');
  const serverNames = (match?.serverNames ?? []).map((name) => name.toLowerCase());
  for (const name of serverNames) if (name.includes('*') && !/^\*(?:\.[^*]+)?$/.test(name)) throw new Error(`server_names: "${name}" is not a suffix wildcard`);
  return {
    destinationPort: match?.destinationPort,
    prefixRanges: (match?.prefixRanges ?? []).map(compileRange),
    serverNames: serverNames.filter((name) => name !== '*'),
    transportProtocol: match?.transportProtocol ?? '',
    applicationProtocols: match?.applicationProtocols ?? [],
    sourceType: match?.sourceType === SourceType.SAME_IP_OR_LOOPBACK ? 'same-ip-or-loopback' : match?.sourceType === SourceType.EXTERNAL ? 'external' : 'any',
    sourcePrefixRanges: (match?.sourcePrefixRanges ?? []).map(compileRange),
    sourcePorts: match?.sourcePorts ?? [],
  };
}

function compileRange(range: CidrRange): { readonly address: string; readonly prefixLength: number } {
  return { address: range.addressPrefix, prefixLength: range.prefixLen ?? 0 };
}

/** Envoy refuses two chains that match the same; the first of them would hide the other. */
function refuseEqualMatches(chains: readonly FilterChainRuntime[]): void {
  const seen = new Map<string, string>();
  for (const chain of chains) {
    const key = JSON.stringify(chain.match);
    const other = seen.get(key);
    if (other !== undefined) throw new Error(`multiple filter chains with the same matching rules: "${other}" and "${chain.name}"`);
    seen.set(key, chain.name);
  }
}

interface ListenerFilters {
  readonly originalDst: boolean;
  readonly proxyProtocol: ListenerRuntime['proxyProtocol'];
  readonly tlsInspector: ListenerRuntime['tlsInspector'];
  readonly httpInspector: ListenerRuntime['httpInspector'];
}

function compileListenerFilters(filters: readonly ListenerFilter[]): ListenerFilters {
  const found: { -readonly [Key in keyof ListenerFilters]: ListenerFilters[Key] } = { originalDst: false, proxyProtocol: undefined, tlsInspector: undefined, httpInspector: undefined };
  eachWithin('listener_filters', filters, (filter) => {
    const type = (filter.configType.value as { typeUrl?: string } | undefined)?.typeUrl ?? filter.name;
    const disabled = filter.filterDisabled ? compilePortPredicate(filter.filterDisabled) : () => false;
    const enabled = (port: number): boolean => !disabled(port);
    if (/OriginalDst$|original_dst$/.test(type)) found.originalDst = true;
    else if (/TlsInspector$|tls_inspector$/.test(type)) found.tlsInspector = enabled;
    else if (/HttpInspector$|http_inspector$/.test(type)) found.httpInspector = enabled;
    else if (/ProxyProtocol$|proxy_protocol$/.test(type)) found.proxyProtocol = unpackAny(filter.configType.case === 'typedConfig' ? filter.configType.value : undefined, ProxyProtocolSchema)?.allowRequestsWithoutProxyProtocol === true ? 'optional' : 'required';
    else throw new Error(`unknown listener filter ${filter.name} (${type})`);
  });
  return found;
}

function compilePortPredicate(predicate: ListenerFilterChainMatchPredicate): (port: number) => boolean {
  const { rule } = predicate;
  switch (rule.case) {
    case 'anyMatch':
      return () => rule.value;
    case 'destinationPortRange':
      return (port) => port >= rule.value.start && port < rule.value.end;
    case 'notMatch': {
      const inner = compilePortPredicate(rule.value);
      return (port) => !inner(port);
    }
    case 'orMatch': {
      const rules = rule.value.rules.map(compilePortPredicate);
      return (port) => rules.some((matches) => matches(port));
    }
    case 'andMatch': {
      const rules = rule.value.rules.map(compilePortPredicate);
      return (port) => rules.every((matches) => matches(port));
    }
    case undefined:
      throw new Error('filter_disabled without a rule');
  }
}
