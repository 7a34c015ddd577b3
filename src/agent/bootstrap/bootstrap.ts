// Envoy's bootstrap as Istio writes it: JSON with proto field names. Pure.
import { formatProtoDuration, parseDurationMs } from '../../base/duration.ts';
import type { ProxyIdentity } from '../node-metadata.ts';
import type { AgentProxyConfig } from '../proxy-config.ts';
import { collectorCluster, tlsToSds, tracingConfig } from './collectors.ts';
import { isIpv6First, type BootstrapInput } from './input.ts';
import { staticListeners } from './listeners.ts';
import { statsConfig } from './stats.ts';
import { grpcCluster, localCluster, pipeCluster, socketAddress, typed, type JsonMap, type Resolution } from './parts.ts';

/** Builds the bootstrap of one proxy. @see https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/bootstrap/v3/bootstrap.proto */
export function buildBootstrap(input: BootstrapInput): JsonMap {
  const { proxyConfig, identity } = input;
  const loopback = isIpv6First(input) ? '::1' : '127.0.0.1';
  const tracing = tracingConfig(proxyConfig, input.lightstepTokenPath, identity.cluster);
  const sinks = statsSinks(proxyConfig, input.hostIp ?? '');
  return {
    application_log_config: { log_format: { text_format: '%Y-%m-%dT%T.%fZ\t%l\tenvoy %n %g:%#\t%v\tthread=%t' } },
    node: nodeOf(identity),
    layered_runtime: { layers: [{ name: 'global config', static_layer: runtime(input) }, { name: 'admin', admin_layer: {} }] },
    bootstrap_extensions: [{
      name: 'envoy.bootstrap.internal_listener',
      typed_config: { '@type': 'type.googleapis.com/udpa.type.v1.TypedStruct', type_url: 'type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener', value: { buffer_size_kb: 64 } },
    }],
    stats_config: statsConfig(input),
    admin: {
      access_log: [typed('envoy.access_loggers.file', 'envoy.extensions.access_loggers.file.v3.FileAccessLog', { path: '/dev/null' })],
      profile_path: '/var/lib/istio/data/envoy.prof',
      address: { socket_address: { address: loopback, port_value: proxyConfig.proxyAdminPort } },
    },
    dynamic_resources: dynamicResources(),
    static_resources: { clusters: clusters(input, loopback), listeners: staticListeners(input) },
    overload_manager: {
      resource_monitors: [typed('envoy.resource_monitors.global_downstream_max_connections', 'envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig', { max_active_downstream_connections: connectionLimit(input) })],
    },
    ...(tracing ? { tracing: { http: tracing } } : {}),
    ...(sinks.length > 0 ? { stats_sinks: sinks } : {}),
    ...statsTimes(input.annotations),
    cluster_manager: {
      ...(input.outlierLogPath === '' ? {} : { outlier_detection: { event_log_path: input.outlierLogPath } }),
      ...(typeof input.meta['LOAD_STATS_CONFIG_JSON'] === 'string' ? { load_stats_config: parseMap(input.meta['LOAD_STATS_CONFIG_JSON']) } : {}),
      ...(input.socketMark === 0 ? {} : { upstream_bind_config: { socket_options: [{ level: 1, name: 36, int_value: input.socketMark, state: 'STATE_PREBIND', description: 'SO_MARK' }] } }),
      enable_deferred_cluster_creation: true,
    },
    deferred_stat_options: { enable_deferred_creation_stats: true },
  };
}

function nodeOf(identity: ProxyIdentity): JsonMap {
  const { region, zone, subZone } = identity.locality;
  const locality = { ...(region ? { region } : {}), ...(zone ? { zone } : {}), ...(subZone ? { sub_zone: subZone } : {}) };
  return { id: identity.id, cluster: identity.cluster, locality, metadata: identity.metadata as JsonMap };
}

/** Envoy's switches that Istio sets, then the user's. */
function runtime(input: BootstrapInput): JsonMap {
  const own = (input.proxyConfig.raw['runtimeValues'] as Readonly<Record<string, unknown>> | undefined) ?? {};
  const flags: Record<string, unknown> = {
    're2.max_program_size.error_level': '32768',
    'envoy.deprecated_features:envoy.config.listener.v3.Listener.hidden_envoy_deprecated_use_original_dst': true,
    'envoy.reloadable_features.http_reject_path_with_fragment': false,
    'envoy.reloadable_features.fixed_heap_use_allocated': true,
    'envoy.reloadable_features.coalesce_lb_rebuilds_on_batch_update': false,
    ...(input.compliancePolicy === 'fips-140-2' ? { 'envoy.reloadable_features.google_grpc_disable_tls_13': true } : {}),
  };
  for (const [key, value] of Object.entries(own)) {
    // Nothing takes one of ours back.
    if (value === '') delete flags[key];
    else flags[key] = value === 'true' ? true : value === 'false' ? false : value;
  }
  return flags;
}

/** Default: no limit. The ProxyConfig field wins over the environment. */
function connectionLimit(input: BootstrapInput): number {
  const settings = input.proxyConfig.raw['connectionSettings'] as { globalDownstreamConnectionLimit?: unknown } | undefined;
  const limit = Number(settings?.globalDownstreamConnectionLimit ?? input.meta['GLOBAL_DOWNSTREAM_MAX_CONNECTIONS']);
  return Number.isInteger(limit) && limit > 0 ? limit : 2_147_483_647;
}

function dynamicResources(): JsonMap {
  const ads = { ads: {}, initial_fetch_timeout: '0s', resource_api_version: 'V3' };
  return {
    lds_config: ads, cds_config: ads,
    ads_config: { api_type: 'DELTA_GRPC', set_node_on_first_message_only: true, transport_api_version: 'V3', grpc_services: [{ envoy_grpc: { cluster_name: 'xds-grpc' } }] },
  };
}

function clusters(input: BootstrapInput, loopback: string): JsonMap[] {
  const { proxyConfig } = input;
  const resolution: Resolution = { family: input.dualStack ? 'ALL' : input.ipv6Only ? 'V6_ONLY' : 'V4_ONLY', hostIp: input.hostIp ?? '' };
  const limits = { max_connections: 100_000, max_pending_requests: 100_000, max_requests: 100_000 };
  const list: (JsonMap | undefined)[] = [
    localCluster('prometheus_stats', loopback, proxyConfig.proxyAdminPort),
    localCluster('agent', loopback, proxyConfig.statusPort),
    pipeCluster('sds-grpc', input.sdsSocket),
    {
      ...pipeCluster('xds-grpc', input.xdsSocket),
      circuit_breakers: { thresholds: [{ priority: 'DEFAULT', ...limits }, { priority: 'HIGH', ...limits }] },
      upstream_connection_options: { tcp_keepalive: { keepalive_time: 300 } },
      max_requests_per_connection: 1,
    },
    collectorCluster(proxyConfig, resolution, input.meta),
    serviceCluster(input, resolution, 'envoyMetricsService', 'envoy_metrics_service'),
    serviceCluster(input, resolution, 'envoyAccessLogService', 'envoy_accesslog_service'),
  ];
  return list.filter((cluster): cluster is JsonMap => cluster !== undefined);
}

/** A gRPC collector of the user's (`envoyMetricsService`, `envoyAccessLogService`). */
function serviceCluster(input: BootstrapInput, resolution: Resolution, field: string, name: string): JsonMap | undefined {
  const service = input.proxyConfig.raw[field] as { address?: string; tlsSettings?: Readonly<Record<string, unknown>>; tcpKeepalive?: Readonly<Record<string, unknown>> } | undefined;
  if (!service?.address) return undefined;
  const alive = service.tcpKeepalive;
  const seconds = (value: unknown): number => Math.floor((parseDurationMs(typeof value === 'string' ? value : '') ?? 0) / 1000);
  const set = (key: string, value: number): JsonMap => (value > 0 ? { [key]: value } : {});
  const keepalive = { ...set('keepalive_probes', Number(alive?.['probes'] ?? 0)), ...set('keepalive_time', seconds(alive?.['time'])), ...set('keepalive_interval', seconds(alive?.['interval'])) };
  return {
    ...grpcCluster(name, service.address, resolution),
    ...tlsToSds(service.tlsSettings, name, true, input.meta),
    ...(alive ? { upstream_connection_options: { tcp_keepalive: keepalive } } : {}),
  };
}

function statsSinks(config: AgentProxyConfig, hostIp: string): JsonMap[] {
  const sinks: JsonMap[] = [];
  if ((config.raw['envoyMetricsService'] as { address?: string } | undefined)?.address)
    sinks.push(typed('envoy.stat_sinks.metrics_service', 'envoy.config.metrics.v3.MetricsServiceConfig', { transport_api_version: 'V3', grpc_service: { envoy_grpc: { cluster_name: 'envoy_metrics_service' } } }));
  const statsd = config.raw['statsdUdpAddress'];
  if (typeof statsd === 'string' && statsd !== '') sinks.push(typed('envoy.stat_sinks.statsd', 'envoy.config.metrics.v3.StatsdSink', { address: socketAddress(statsd, hostIp) }));
  return sinks;
}

/** Intervals from annotations; eviction must be a whole multiple of flushing (5 s by default), or Envoy would refuse to start. */
function statsTimes(annotations: Readonly<Record<string, string>>): JsonMap {
  const flush = parseDurationMs(annotations['sidecar.istio.io/statsFlushInterval'] ?? '') ?? 0;
  const evict = parseDurationMs(annotations['sidecar.istio.io/statsEvictionInterval'] ?? '') ?? 0;
  return {
    ...(flush > 0 ? { stats_flush_interval: formatProtoDuration(flush) } : {}),
    ...(evict > 0 && evict % (flush > 0 ? flush : 5000) === 0 ? { stats_eviction_interval: formatProtoDuration(evict) } : {}),
  };
}

function parseMap(text: string): JsonMap {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonMap) : {};
  } catch {
    return {};
  }
}
