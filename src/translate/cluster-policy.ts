import { create } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { CircuitBreakersSchema, type CircuitBreakers } from '../xds/gen/envoy/config/cluster/v3/circuit_breaker_pb.ts';
import { Cluster_CommonLbConfigSchema, Cluster_DiscoveryType, Cluster_LbPolicy, Cluster_TransportSocketMatchSchema, ClusterSchema, type Cluster } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.ts';
import { OutlierDetectionSchema } from '../xds/gen/envoy/config/cluster/v3/outlier_detection_pb.ts';
import { TcpKeepaliveSchema } from '../xds/gen/envoy/config/core/v3/address_pb.ts';
import { TransportSocketSchema, type TransportSocket } from '../xds/gen/envoy/config/core/v3/base_pb.ts';
import { ProxyProtocolConfig_Version } from '../xds/gen/envoy/config/core/v3/proxy_protocol_pb.ts';
import { ProxyProtocolUpstreamTransportSchema } from '../xds/gen/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.ts';
import { HttpProtocolOptionsSchema } from '../xds/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.ts';
import type { ClientTls, ConnectionPool, LoadBalancerPolicy, OutlierDetection, policyForPort, RetryBudget } from '../model/destination-rule.ts';
import { isHttp, isHttp2, type Protocol } from '../model/protocol.ts';
import type { Service, ServicePort } from '../model/service.ts';
import { endpointsOf } from '../model/snapshot.ts';
import { serverMtlsMode, type ProxyView } from '../model/view.ts';
import { isDistributed } from './locality.ts';
import { sniOf } from './names.ts';
import { duration, pack } from './proto.ts';
import { mutualAlpns, mutualUpstreamTls, rawBuffer, upstreamTls, type UpstreamProtocol } from './tls.ts';

const UNLIMITED = 4294967295;
/** Istio's breakers: effectively none, so that Envoy's own 1024 never applies unasked. */
export const MAX = { maxConnections: UNLIMITED, maxPendingRequests: UNLIMITED, maxRequests: UNLIMITED, maxRetries: UNLIMITED, trackRemaining: true } as const;

interface ClusterSubject {
  readonly service: Service;
  readonly port: ServicePort;
  readonly subset: string;
  readonly type: Cluster_DiscoveryType;
  readonly policy: ReturnType<typeof policyForPort>;
  /** A cluster of an AUTO_PASSTHROUGH gateway: the bytes are mutual TLS of somebody else already. */
  readonly passTls?: boolean;
}

/** Puts a traffic policy (and the mesh's defaults) on an outbound cluster. */
export function applyPolicy(view: ProxyView, subject: ClusterSubject, cluster: Cluster): Cluster {
  const { policy, port } = subject;
  const { mesh } = view.snapshot;
  const pool = policy.connectionPool;
  cluster.connectTimeout = duration(pool?.connectTimeoutMs ?? mesh.connectTimeoutMs);
  cluster.circuitBreakers = circuitBreakers(pool, policy.retryBudget);
  if (pool?.tcpKeepalive)
    cluster.upstreamConnectionOptions = {
      $typeName: 'envoy.config.cluster.v3.UpstreamConnectionOptions', setLocalInterfaceNameOnUpstreamConnections: false,
      tcpKeepalive: create(TcpKeepaliveSchema, {
        ...(pool.tcpKeepalive.probes !== undefined && { keepaliveProbes: pool.tcpKeepalive.probes }),
        ...(pool.tcpKeepalive.timeMs !== undefined && { keepaliveTime: Math.round(pool.tcpKeepalive.timeMs / 1000) }),
        ...(pool.tcpKeepalive.intervalMs !== undefined && { keepaliveInterval: Math.round(pool.tcpKeepalive.intervalMs / 1000) }),
      }),
    };
  const upgrade = port.protocol === 'HTTP' && (pool?.h2Upgrade ?? mesh.h2Upgrade);
  cluster.typedExtensionProtocolOptions = httpProtocolOptions({ http2: isHttp2(port.protocol) || upgrade, auto: port.protocol === 'Auto' || (pool?.useClientProtocol ?? false), pool, autoSni: autoSniOf(policy.tls, port.protocol) });
  applyLoadBalancer(policy.loadBalancer, cluster);
  const locality = policy.loadBalancer?.locality ?? mesh.locality;
  // Without this Envoy would not look at the weights of localities.
  if (locality.enabled && subject.type !== Cluster_DiscoveryType.ORIGINAL_DST && isDistributed(view.proxy.locality, locality))
    cluster.commonLbConfig = create(Cluster_CommonLbConfigSchema, { localityConfigSpecifier: { case: 'localityWeightedLbConfig', value: {} } });
  if (policy.outlierDetection) applyOutlierDetection(policy.outlierDetection, cluster);
  // It is told of endpoints that are not ready, which must not be used when they are many.
  else if (subject.type === Cluster_DiscoveryType.EDS) setPanicThreshold(cluster, 0);
  applyTls(view, subject, cluster, upgrade);
  if (policy.proxyProtocol) wrapInProxyProtocol(cluster, policy.proxyProtocol);
  return cluster;
}

export function circuitBreakers(pool: ConnectionPool | undefined, budget?: RetryBudget): CircuitBreakers {
  return create(CircuitBreakersSchema, {
    thresholds: [{
      maxConnections: pool?.maxConnections ?? UNLIMITED, maxPendingRequests: pool?.maxPendingRequests ?? UNLIMITED,
      maxRequests: pool?.maxRequests ?? UNLIMITED, maxRetries: pool?.maxRetries ?? UNLIMITED, trackRemaining: true,
      ...(budget && { retryBudget: { budgetPercent: { value: budget.percent }, minRetryConcurrency: budget.minRetryConcurrency } }),
    }],
  });
}

/** SNI follows the Host header; so does the name the certificate must have, when `verifyHost`. */
export interface AutoSni {
  readonly verifyHost: boolean;
}

/** The HTTP side of a cluster; empty when Envoy's defaults (HTTP/1.1) are right. */
export function httpProtocolOptions(options: { readonly http2: boolean; readonly auto: boolean; readonly pool: ConnectionPool | undefined; readonly idleTimeoutMs?: number; readonly autoSni?: AutoSni | undefined }): Record<string, Any> {
  const idleMs = options.pool?.httpIdleTimeoutMs ?? options.idleTimeoutMs;
  const perConnection = options.pool?.maxRequestsPerConnection;
  const common = idleMs !== undefined || perConnection !== undefined;
  if (!options.http2 && !options.auto && !common && !options.autoSni) return {};
  const streams = options.pool?.maxConcurrentStreams;
  const http2 = streams === undefined ? {} : { maxConcurrentStreams: streams };
  return {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': pack(HttpProtocolOptionsSchema, {
      ...(common && { commonHttpProtocolOptions: { ...(idleMs !== undefined && { idleTimeout: duration(idleMs) }), ...(perConnection !== undefined && { maxRequestsPerConnection: perConnection }) } }),
      ...(options.autoSni && { upstreamHttpProtocolOptions: { autoSni: true, autoSanValidation: options.autoSni.verifyHost } }),
      upstreamProtocolOptions: options.auto
        ? { case: 'useDownstreamProtocolConfig', value: { httpProtocolOptions: {}, http2ProtocolOptions: http2 } }
        : { case: 'explicitHttpConfig', value: { protocolConfig: options.http2 ? { case: 'http2ProtocolOptions', value: http2 } : { case: 'httpProtocolOptions', value: {} } } },
    }),
  };
}

function applyLoadBalancer(balancer: LoadBalancerPolicy | undefined, cluster: Cluster): void {
  if (cluster.lbPolicy === Cluster_LbPolicy.CLUSTER_PROVIDED) return;
  const hash = balancer?.consistentHash;
  if (hash) {
    if (hash.algorithm.kind === 'maglev') {
      cluster.lbPolicy = Cluster_LbPolicy.MAGLEV;
      cluster.lbConfig = { case: 'maglevLbConfig', value: { $typeName: 'envoy.config.cluster.v3.Cluster.MaglevLbConfig', tableSize: BigInt(hash.algorithm.tableSize) } };
    } else {
      cluster.lbPolicy = Cluster_LbPolicy.RING_HASH;
      cluster.lbConfig = { case: 'ringHashLbConfig', value: { $typeName: 'envoy.config.cluster.v3.Cluster.RingHashLbConfig', minimumRingSize: BigInt(hash.algorithm.minimumRingSize), hashFunction: 0 } };
    }
  } else if (balancer?.simple === 'RANDOM') cluster.lbPolicy = Cluster_LbPolicy.RANDOM;
  else if (balancer?.simple === 'ROUND_ROBIN') {
    cluster.lbPolicy = Cluster_LbPolicy.ROUND_ROBIN;
    if (balancer.warmup) cluster.lbConfig = create(ClusterSchema, { lbConfig: { case: 'roundRobinLbConfig', value: { slowStartConfig: slowStart(balancer.warmup) } } }).lbConfig;
  } else {
    cluster.lbPolicy = Cluster_LbPolicy.LEAST_REQUEST;
    if (balancer?.warmup) cluster.lbConfig = create(ClusterSchema, { lbConfig: { case: 'leastRequestLbConfig', value: { slowStartConfig: slowStart(balancer.warmup) } } }).lbConfig;
  }
}

/** New endpoints start with a small share that grows over the time given. */
function slowStart(warmup: NonNullable<LoadBalancerPolicy['warmup']>) {
  return {
    slowStartWindow: duration(warmup.durationMs), minWeightPercent: { value: warmup.minimumPercent },
    ...(warmup.aggression !== 1 && { aggression: { defaultValue: warmup.aggression, runtimeKey: 'meltemi.warmup.aggression' } }),
  };
}

/** Only the detections Istio offers are on: success rate stays off, gateway errors count when asked for. @see features.md §2.2 */
function applyOutlierDetection(outlier: OutlierDetection, cluster: Cluster): void {
  const message = create(OutlierDetectionSchema, { enforcingSuccessRate: 0, splitExternalLocalOriginErrors: outlier.splitExternalLocalOriginErrors });
  if (outlier.consecutive5xx !== undefined) {
    message.consecutive5xx = outlier.consecutive5xx;
    message.enforcingConsecutive5xx = outlier.consecutive5xx > 0 ? 100 : 0;
  }
  if (outlier.consecutiveGatewayErrors !== undefined) {
    message.consecutiveGatewayFailure = outlier.consecutiveGatewayErrors;
    message.enforcingConsecutiveGatewayFailure = outlier.consecutiveGatewayErrors > 0 ? 100 : 0;
  }
  if (outlier.consecutiveLocalOriginFailures !== undefined) {
    message.consecutiveLocalOriginFailure = outlier.consecutiveLocalOriginFailures;
    message.enforcingConsecutiveLocalOriginFailure = outlier.consecutiveLocalOriginFailures > 0 ? 100 : 0;
    message.enforcingLocalOriginSuccessRate = 0;
  }
  if (outlier.intervalMs !== undefined) message.interval = duration(outlier.intervalMs);
  if (outlier.baseEjectionTimeMs !== undefined) message.baseEjectionTime = duration(outlier.baseEjectionTimeMs);
  if (outlier.maxEjectionPercent !== undefined) message.maxEjectionPercent = outlier.maxEjectionPercent;
  cluster.outlierDetection = message;
  // Panic routing is off below minHealthPercent (0 = never panic), so an ejected host really gets nothing.
  setPanicThreshold(cluster, outlier.minHealthPercent);
}

function setPanicThreshold(cluster: Cluster, percent: number): void {
  cluster.commonLbConfig = {
    ...(cluster.commonLbConfig ?? { $typeName: 'envoy.config.cluster.v3.Cluster.CommonLbConfig', localityConfigSpecifier: { case: undefined }, ignoreNewHostsUntilFirstHc: false, closeConnectionsOnHostSetChange: false }),
    healthyPanicThreshold: { $typeName: 'envoy.type.v3.Percent', value: percent },
  };
}

/** Every connection starts with a PROXY header, inside of which the socket's own TLS is spoken. @see envoy.extensions.transport_sockets.proxy_protocol.v3 */
function wrapInProxyProtocol(cluster: Cluster, version: 'V1' | 'V2'): void {
  const wrap = (inner: TransportSocket | undefined): TransportSocket => create(TransportSocketSchema, {
    name: 'envoy.transport_sockets.upstream_proxy_protocol',
    configType: { case: 'typedConfig', value: pack(ProxyProtocolUpstreamTransportSchema, { config: { version: version === 'V2' ? ProxyProtocolConfig_Version.V2 : ProxyProtocolConfig_Version.V1 }, transportSocket: inner ?? rawBuffer() }) },
  });
  for (const match of cluster.transportSocketMatches) match.transportSocket = wrap(match.transportSocket);
  if (cluster.transportSocketMatches.length === 0) cluster.transportSocket = wrap(cluster.transportSocket);
}

function upstreamProtocolOf(protocol: Protocol, upgraded: boolean): UpstreamProtocol {
  if (upgraded || isHttp2(protocol)) return 'http2';
  if (protocol === 'Auto') return 'auto';
  return isHttp(protocol) ? 'http1' : 'tcp';
}

/** Only for TLS the rule asks for without naming an SNI, on ports that speak HTTP. */
function autoSniOf(tls: ClientTls | undefined, protocol: Protocol): AutoSni | undefined {
  if (!tls || tls.sni || (tls.mode !== 'SIMPLE' && tls.mode !== 'MUTUAL') || !isHttp(protocol)) return undefined;
  return { verifyHost: tls.subjectAltNames.length === 0 && !tls.insecureSkipVerify };
}

/** SANs that servers of the service may present: its own list and the accounts of its endpoints. */
export function subjectAltNamesOf(view: ProxyView, service: Service): readonly string[] {
  const accounts = endpointsOf(view.snapshot, service).map((endpoint) => endpoint.serviceAccount).filter(Boolean);
  return [...new Set([...service.subjectAltNames, ...accounts])].sort();
}

/**
 * TLS to the service: what its DestinationRule says; else automatic mutual TLS, chosen per endpoint by its `tlsMode`. Where the proxy does not know
 * the endpoint (original destination) all of them must have a sidecar.
 */
function applyTls(view: ProxyView, subject: ClusterSubject, cluster: Cluster, upgraded: boolean): void {
  const { service, port, subset, policy } = subject;
  const protocol = upstreamProtocolOf(port.protocol, upgraded);
  const sni = sniOf(port.number, subset, service.hostname);
  const alpns = mutualAlpns(protocol, view.proxy.istioFilters);
  if (subject.passTls) return;
  if (policy.tls) {
    if (policy.tls.mode === 'ISTIO_MUTUAL') {
      const sans = policy.tls.subjectAltNames.length > 0 ? policy.tls.subjectAltNames : subjectAltNamesOf(view, service);
      cluster.transportSocket = mutualUpstreamTls({ sni: policy.tls.sni || sni, sans, alpns });
      return;
    }
    const socket = upstreamTls(policy.tls, protocol);
    if (socket) cluster.transportSocket = socket;
    return;
  }
  if (!view.snapshot.mesh.enableAutoMtls || service.meshExternal || serverMtlsMode(view, service) === 'DISABLE') return;
  const mutual = () => mutualUpstreamTls({ sni, sans: subjectAltNamesOf(view, service), alpns });
  if (subject.type === Cluster_DiscoveryType.ORIGINAL_DST) {
    const endpoints = endpointsOf(view.snapshot, service);
    if (endpoints.length > 0 && endpoints.every((endpoint) => endpoint.tlsMode === 'istio')) cluster.transportSocket = mutual();
    return;
  }
  cluster.transportSocketMatches = [
    create(Cluster_TransportSocketMatchSchema, { name: 'tlsMode-istio', match: { tlsMode: 'istio' }, transportSocket: mutual() }),
    create(Cluster_TransportSocketMatchSchema, { name: 'tlsMode-disabled', match: {}, transportSocket: rawBuffer() }),
  ];
}
