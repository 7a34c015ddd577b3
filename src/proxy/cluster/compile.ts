/** Cluster (CDS) → plain settings. */
import type { JsonObject, JsonValue } from '@bufbuild/protobuf';
import { Cluster_DiscoveryType as Discovery, Cluster_DnsLookupFamily as Family, Cluster_LbPolicy as LbPolicy, type Cluster as ClusterMessage, type Cluster_SlowStartConfig as SlowStartMessage } from '../../xds/gen/envoy/config/cluster/v3/cluster_pb.ts';
import type { CircuitBreakers } from '../../xds/gen/envoy/config/cluster/v3/circuit_breaker_pb.ts';
import type { OutlierDetection } from '../../xds/gen/envoy/config/cluster/v3/outlier_detection_pb.ts';
import { RoutingPriority } from '../../xds/gen/envoy/config/core/v3/base_pb.ts';
import type { TransportSocket } from '../../xds/gen/envoy/config/core/v3/base_pb.ts';
import { ProxyProtocolConfig_Version } from '../../xds/gen/envoy/config/core/v3/proxy_protocol_pb.ts';
import { ProxyProtocolUpstreamTransportSchema } from '../../xds/gen/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.ts';
import { ClusterConfigSchema as DynamicForwardSchema } from '../../xds/gen/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster_pb.ts';
import { HttpProtocolOptionsSchema, type HttpProtocolOptions } from '../../xds/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.ts';
import { unpackAny } from '../../xds/codec.ts';
import { eachWithin, within } from '../config/config-error.ts';
import { durationMs } from '../config/scalars.ts';
import { compileUpstreamTls, type AutoSni } from '../config/tls-context.ts';
import type { BalancerPolicy, SlowStart } from './balancer.ts';
import type { BreakerLimits } from './breakers.ts';
import type { Cluster, ProtocolSelection, UpstreamTransport } from './cluster.ts';
import { compileDnsCache } from './dns-cache.ts';
import { compileAssignment, metadataOf, type Assignment } from './endpoints.ts';
import type { OutlierConfig } from './outlier-detection.ts';

/** Everything a cluster's CDS resource says, compiled. */
export interface ClusterSettings extends Pick<Cluster, 'name' | 'type' | 'connectTimeoutMs' | 'protocol' | 'maxRequestsPerConnection' | 'maxConcurrentStreams' | 'idleTimeoutMs' | 'sourceAddress' | 'service' | 'dynamicPort'> {
  /** Name of the assignment EDS is asked for. */
  readonly edsName: string;
  /** Endpoints in the resource itself (STATIC and DNS clusters). */
  readonly assignment: Assignment | undefined;
  readonly balancer: BalancerPolicy;
  readonly panicPercent: number;
  readonly localityWeighted: boolean;
  readonly breakers: BreakerLimits;
  readonly outlier: OutlierConfig | undefined;
  /** First whose `match` is contained in the endpoint's metadata. */
  readonly transportMatches: readonly { readonly match: JsonObject; readonly transport: UpstreamTransport }[];
  readonly transport: UpstreamTransport;
  readonly dns: { readonly refreshMs: number; readonly family: 0 | 4 | 6; readonly prefer: 4 | 6 | undefined };
  /** `x-envoy-original-dst-host` or what the cluster names; undefined = the connection's own destination. */
  readonly originalDstHeader: string | undefined;
  readonly originalDstPort: number | undefined;
  readonly cleanupIntervalMs: number;
}

const TYPES: Readonly<Record<Discovery, Cluster['type']>> = { [Discovery.STATIC]: 'STATIC', [Discovery.STRICT_DNS]: 'STRICT_DNS', [Discovery.LOGICAL_DNS]: 'LOGICAL_DNS', [Discovery.EDS]: 'EDS', [Discovery.ORIGINAL_DST]: 'ORIGINAL_DST' };

/**
 * Compiles a cluster. Throws ConfigError with the field that cannot be obeyed. `nowMs` is for slow start.
 * @see envoy.config.cluster.v3.Cluster
 */
export function compileCluster(cluster: ClusterMessage, nowMs: () => number): ClusterSettings {
  const dynamic = isDynamic(cluster);
  if (cluster.healthChecks.length > 0) throw new Error('health_checks are not supported');
  if (cluster.lbSubsetConfig) throw new Error('lb_subset_config is not supported');
  if (cluster.loadBalancingPolicy) throw new Error('load_balancing_policy is not supported, use lb_policy');
  const options = within('typed_extension_protocol_options', () => unpackAny(cluster.typedExtensionProtocolOptions[HTTP_OPTIONS], HttpProtocolOptionsSchema));
  const upstream = options?.upstreamHttpProtocolOptions ?? cluster.upstreamHttpProtocolOptions;
  const auto: AutoSni = { autoSni: upstream?.autoSni ?? false, autoSan: upstream?.autoSanValidation ?? false };
  const common = options?.commonHttpProtocolOptions ?? cluster.commonHttpProtocolOptions;
  const transport = (socket: TransportSocket | undefined): UpstreamTransport => {
    const wrapped = unpackAny(socket?.configType.value, ProxyProtocolUpstreamTransportSchema);
    if (!wrapped) return { tls: compileUpstreamTls(socket, auto) };
    return { tls: compileUpstreamTls(wrapped.transportSocket, auto), proxyProtocol: wrapped.config?.version === ProxyProtocolConfig_Version.V2 ? 'V2' : 'V1' };
  };
  const discovery = cluster.clusterDiscoveryType;
  const type = discovery.case === 'clusterType' ? 'ORIGINAL_DST' : TYPES[discovery.value ?? Discovery.STATIC];
  const own = within('transport_socket', () => transport(cluster.transportSocket));
  const originalDst = cluster.lbConfig.case === 'originalDstLbConfig' ? cluster.lbConfig.value : undefined;
  return {
    name: cluster.name,
    type,
    connectTimeoutMs: durationMs(cluster.connectTimeout) ?? 5000,
    protocol: protocolOf(options, cluster),
    maxRequestsPerConnection: common?.maxRequestsPerConnection ?? cluster.maxRequestsPerConnection ?? 0,
    maxConcurrentStreams: maxStreamsOf(options, cluster),
    idleTimeoutMs: durationMs(common?.idleTimeout) ?? 3_600_000,
    sourceAddress: cluster.upstreamBindConfig?.sourceAddress?.address || undefined,
    service: serviceOf(cluster),
    edsName: type === 'EDS' ? cluster.edsClusterConfig?.serviceName || cluster.name : '',
    assignment: cluster.loadAssignment && type !== 'EDS' ? within('load_assignment', () => compileAssignment(cluster.loadAssignment!)) : undefined,
    balancer: balancerOf(cluster, nowMs),
    panicPercent: cluster.commonLbConfig?.healthyPanicThreshold?.value ?? 50,
    localityWeighted: cluster.commonLbConfig?.localityConfigSpecifier.case === 'localityWeightedLbConfig',
    breakers: breakersOf(cluster.circuitBreakers),
    outlier: cluster.outlierDetection && outlierOf(cluster.outlierDetection),
    transportMatches: eachWithin('transport_socket_matches', cluster.transportSocketMatches, (match) => ({ match: match.match ?? {}, transport: transport(match.transportSocket) })),
    transport: own,
    dynamicPort: dynamic ? (own.tls ? 443 : 80) : undefined,
    dns: { refreshMs: durationMs(cluster.dnsRefreshRate) ?? 5000, ...FAMILIES[cluster.dnsLookupFamily] },
    originalDstHeader: originalDst?.useHttpHeader ? (originalDst.httpHeaderName || 'x-envoy-original-dst-host').toLowerCase() : undefined,
    originalDstPort: originalDst?.upstreamPortOverride,
    cleanupIntervalMs: durationMs(cluster.cleanupInterval) ?? 5000,
  };
}

/** True for dynamic forward proxies, whose hosts filters find; throws for other cluster types. Which cache they share is the filters' business. */
function isDynamic(cluster: ClusterMessage): boolean {
  if (cluster.clusterDiscoveryType.case !== 'clusterType') return false;
  const { name, typedConfig } = cluster.clusterDiscoveryType.value;
  const config = unpackAny(typedConfig, DynamicForwardSchema);
  if (!config) throw new Error(`cluster_type ${name} is not supported`);
  const how = config.clusterImplementationSpecifier;
  if (how.case !== 'dnsCacheConfig') throw new Error('cluster_type: only dns_cache_config is supported');
  within('dns_cache_config', () => compileDnsCache(how.value));
  return true;
}

const HTTP_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

/** AUTO prefers IPv6, V4_PREFERRED IPv4, each taking the other when there is none; ALL takes both. */
const FAMILIES: Readonly<Record<Family, Pick<ClusterSettings['dns'], 'family' | 'prefer'>>> = {
  [Family.AUTO]: { family: 0, prefer: 6 },
  [Family.V4_ONLY]: { family: 4, prefer: undefined },
  [Family.V6_ONLY]: { family: 6, prefer: undefined },
  [Family.V4_PREFERRED]: { family: 0, prefer: 4 },
  [Family.ALL]: { family: 0, prefer: undefined },
};

/** `auto_config` asks the server by ALPN; our pools speak one version per cluster, so it is HTTP/1.1, which every server that ALPN would ask also takes. */
function protocolOf(options: HttpProtocolOptions | undefined, cluster: ClusterMessage): ProtocolSelection {
  const choice = options?.upstreamProtocolOptions;
  switch (choice?.case) {
    case 'useDownstreamProtocolConfig':
      return 'use-downstream';
    case 'explicitHttpConfig':
      if (choice.value.protocolConfig.case === 'http3ProtocolOptions') throw new Error('HTTP/3 is not supported');
      return choice.value.protocolConfig.case === 'http2ProtocolOptions' ? 'http2' : 'http1';
    case 'autoConfig':
      return 'http1';
    case undefined:
      return cluster.http2ProtocolOptions ? 'http2' : 'http1';
  }
}

/** Set by DestinationRule's `connectionPool.http.maxConcurrentStreams`. */
function maxStreamsOf(options: HttpProtocolOptions | undefined, cluster: ClusterMessage): number {
  const choice = options?.upstreamProtocolOptions;
  if (choice?.case === 'useDownstreamProtocolConfig') return choice.value.http2ProtocolOptions?.maxConcurrentStreams ?? 0;
  if (choice?.case === 'explicitHttpConfig' && choice.value.protocolConfig.case === 'http2ProtocolOptions') return choice.value.protocolConfig.value.maxConcurrentStreams ?? 0;
  return choice === undefined ? (cluster.http2ProtocolOptions?.maxConcurrentStreams ?? 0) : 0;
}

/** First of Istio's `istio.services` metadata. */
function serviceOf(cluster: ClusterMessage): Cluster['service'] {
  const services = metadataOf(cluster.metadata, 'istio')['services'];
  const first = Array.isArray(services) ? services[0] : undefined;
  if (first === null || typeof first !== 'object' || Array.isArray(first)) return undefined;
  const field = (name: string): string => text(Object.hasOwn(first, name) ? first[name] : undefined);
  return { host: field('host'), name: field('name'), namespace: field('namespace') };
}

function text(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : '';
}

function balancerOf(cluster: ClusterMessage, nowMs: () => number): BalancerPolicy {
  const config = cluster.lbConfig;
  switch (cluster.lbPolicy) {
    case LbPolicy.LEAST_REQUEST: {
      const least = config.case === 'leastRequestLbConfig' ? config.value : undefined;
      return { kind: 'least-request', choices: least?.choiceCount ?? 2, bias: least?.activeRequestBias?.defaultValue ?? 1, slowStart: slowStartOf(least?.slowStartConfig, nowMs) };
    }
    case LbPolicy.RING_HASH: {
      const ring = config.case === 'ringHashLbConfig' ? config.value : undefined;
      const minimumSize = Number(ring?.minimumRingSize ?? 1024n);
      const maximumSize = Number(ring?.maximumRingSize ?? 8_388_608n);
      if (minimumSize > maximumSize) throw new Error(`ring_hash_lb_config: minimum_ring_size ${minimumSize} is over maximum_ring_size ${maximumSize}`);
      return { kind: 'ring-hash', minimumSize, maximumSize };
    }
    case LbPolicy.MAGLEV:
      return { kind: 'maglev', tableSize: Number((config.case === 'maglevLbConfig' ? config.value.tableSize : undefined) ?? 65_537n) };
    case LbPolicy.RANDOM:
      return { kind: 'random' };
    case LbPolicy.ROUND_ROBIN:
      return { kind: 'round-robin', slowStart: slowStartOf(config.case === 'roundRobinLbConfig' ? config.value.slowStartConfig : undefined, nowMs) };
    case LbPolicy.CLUSTER_PROVIDED:
      return { kind: 'random' };
    default:
      throw new Error(`lb_policy ${LbPolicy[cluster.lbPolicy] ?? cluster.lbPolicy} is not supported`);
  }
}

function slowStartOf(config: SlowStartMessage | undefined, nowMs: () => number): SlowStart | undefined {
  const windowMs = durationMs(config?.slowStartWindow) ?? 0;
  if (windowMs <= 0) return undefined;
  return { windowMs, aggression: config?.aggression?.defaultValue || 1, minimumWeight: (config?.minWeightPercent?.value ?? 10) / 100, nowMs };
}

function breakersOf(breakers: CircuitBreakers | undefined): BreakerLimits {
  const limits = breakers?.thresholds.find(({ priority }) => priority === RoutingPriority.DEFAULT);
  const budget = limits?.retryBudget;
  return {
    connection: limits?.maxConnections ?? 1024,
    pending: limits?.maxPendingRequests ?? 1024,
    request: limits?.maxRequests ?? 1024,
    retry: limits?.maxRetries ?? 3,
    retryBudget: budget && { fraction: (budget.budgetPercent?.value ?? 20) / 100, minimum: budget.minRetryConcurrency ?? 3 },
    trackRemaining: limits?.trackRemaining ?? false,
  };
}

/** Success-rate and failure-percentage detection are not built (Istio never turns them on): their enforcement fields are not read. */
function outlierOf(config: OutlierDetection): OutlierConfig {
  const baseEjectionMs = durationMs(config.baseEjectionTime) ?? 30_000;
  return {
    consecutive5xx: config.consecutive5xx ?? 5,
    enforcing5xx: config.enforcingConsecutive5xx ?? 100,
    consecutiveGateway: config.consecutiveGatewayFailure ?? 5,
    enforcingGateway: config.enforcingConsecutiveGatewayFailure ?? 0,
    splitLocalOrigin: config.splitExternalLocalOriginErrors,
    consecutiveLocalOrigin: config.consecutiveLocalOriginFailure ?? 5,
    enforcingLocalOrigin: config.enforcingConsecutiveLocalOriginFailure ?? 100,
    intervalMs: durationMs(config.interval) ?? 10_000,
    baseEjectionMs,
    maxEjectionMs: Math.max(baseEjectionMs, durationMs(config.maxEjectionTime) ?? 300_000),
    maxJitterMs: durationMs(config.maxEjectionTimeJitter) ?? 0,
    maxEjectionPercent: config.maxEjectionPercent ?? 10,
    alwaysEjectOneHost: config.alwaysEjectOneHost ?? false,
  };
}
