/**
 * Envoy's stats as plain numbers: the data path increments fields (`cluster.stats.counters.upstream_rq_total++`), the admin page reads them.
 * Field names are the tails of Envoy's stat names.
 */

const zeros = <N extends string>(names: readonly N[]): Record<N, number> => Object.fromEntries(names.map((name) => [name, 0])) as Record<N, number>;

/** Counters and gauges of one scope. Response codes are counted by {@link Stats.response}. */
export class Stats<C extends string, G extends string> {
  readonly counters: Record<C, number>;
  readonly gauges: Record<G, number>;
  private readonly counted = new Map<string, number>();
  /** Equal statuses follow each other: they are counted apart and added when another comes or somebody looks. */
  private status = 0;
  private run = 0;

  constructor(counters: readonly C[], gauges: readonly G[]) {
    this.counters = zeros(counters);
    this.gauges = zeros(gauges);
  }

  /** Counts one response by code and by class. */
  response(status: number): void {
    if (status !== this.status) {
      this.addRun();
      this.status = status;
    }
    this.run++;
  }

  /** `200` → count, `2xx` → count; empty until a response was seen. */
  get codes(): ReadonlyMap<string, number> {
    this.addRun();
    return this.counted;
  }

  private addRun(): void {
    const { status, run, counted } = this;
    if (run === 0) return;
    this.run = 0;
    const code = String(status);
    counted.set(code, (counted.get(code) ?? 0) + run);
    const group = CLASS_TEXT[Math.floor(status / 100)] ?? 'xxx';
    counted.set(group, (counted.get(group) ?? 0) + run);
  }

  resetCounters(): void {
    for (const name in this.counters) this.counters[name] = 0;
    this.run = 0;
    this.counted.clear();
  }
}

const CLASS_TEXT: Readonly<Record<number, string>> = { 1: '1xx', 2: '2xx', 3: '3xx', 4: '4xx', 5: '5xx' };

const CLUSTER_COUNTERS = [
  'upstream_cx_total', 'upstream_cx_http1_total', 'upstream_cx_http2_total', 'upstream_cx_connect_fail', 'upstream_cx_connect_timeout', 'upstream_cx_idle_timeout', 'upstream_cx_connect_attempts_exceeded',
  'upstream_cx_overflow', 'upstream_cx_pool_overflow', 'upstream_cx_destroy', 'upstream_cx_destroy_local', 'upstream_cx_destroy_remote', 'upstream_cx_destroy_with_active_rq', 'upstream_cx_destroy_local_with_active_rq',
  'upstream_cx_destroy_remote_with_active_rq', 'upstream_cx_close_notify', 'upstream_cx_rx_bytes_total', 'upstream_cx_tx_bytes_total', 'upstream_cx_protocol_error', 'upstream_cx_max_requests', 'upstream_cx_none_healthy',
  'upstream_rq_total', 'upstream_rq_completed', 'upstream_rq_pending_total', 'upstream_rq_pending_overflow', 'upstream_rq_pending_failure_eject', 'upstream_rq_active_overflow', 'upstream_rq_cancelled', 'upstream_rq_maintenance_mode', 'upstream_rq_timeout',
  'upstream_rq_max_duration_reached', 'upstream_rq_per_try_timeout', 'upstream_rq_rx_reset', 'upstream_rq_tx_reset', 'upstream_rq_retry', 'upstream_rq_retry_backoff_exponential', 'upstream_rq_retry_limit_exceeded', 'upstream_rq_retry_success',
  'upstream_rq_retry_overflow', 'upstream_rq_0rtt', 'bind_errors', 'original_dst_host_invalid', 'assignment_stale', 'update_attempt', 'update_success', 'update_failure', 'update_empty', 'update_no_rebuild', 'membership_change', 'lb_healthy_panic', 'retry_or_shadow_abandoned',
  'ssl.handshake', 'ssl.connection_error', 'ssl.fail_verify_error', 'ssl.fail_verify_no_cert', 'ssl.fail_verify_san', 'ssl.fail_verify_cert_hash', 'ssl.session_reused',
  'outlier_detection.ejections_total', 'outlier_detection.ejections_enforced_total', 'outlier_detection.ejections_overflow', 'outlier_detection.ejections_detected_consecutive_5xx', 'outlier_detection.ejections_enforced_consecutive_5xx',
  'outlier_detection.ejections_detected_consecutive_gateway_failure', 'outlier_detection.ejections_enforced_consecutive_gateway_failure', 'outlier_detection.ejections_detected_consecutive_local_origin_failure',
  'outlier_detection.ejections_enforced_consecutive_local_origin_failure', 'outlier_detection.ejections_consecutive_5xx',
] as const;
const CLUSTER_GAUGES = ['upstream_cx_active', 'upstream_rq_active', 'upstream_rq_pending_active', 'membership_total', 'membership_healthy', 'membership_degraded', 'membership_excluded', 'outlier_detection.ejections_active', 'max_host_weight', 'version', 'warming_state'] as const;

const HTTP_COUNTERS = [
  'downstream_cx_total', 'downstream_cx_ssl_total', 'downstream_cx_http1_total', 'downstream_cx_http2_total', 'downstream_cx_upgrades_total', 'downstream_cx_destroy', 'downstream_cx_destroy_remote', 'downstream_cx_destroy_local', 'downstream_cx_destroy_active_rq',
  'downstream_cx_rx_bytes_total', 'downstream_cx_tx_bytes_total', 'downstream_cx_drain_close', 'downstream_cx_idle_timeout', 'downstream_cx_max_duration_reached', 'downstream_cx_overload_disable_keepalive', 'downstream_cx_protocol_error',
  'downstream_rq_total', 'downstream_rq_http1_total', 'downstream_rq_http2_total', 'downstream_rq_completed', 'downstream_rq_rx_reset', 'downstream_rq_tx_reset', 'downstream_rq_non_relative_path', 'downstream_rq_too_large', 'downstream_rq_timeout',
  'downstream_rq_header_timeout', 'downstream_rq_idle_timeout', 'downstream_rq_max_duration_reached', 'downstream_rq_overload_close', 'downstream_rq_response_before_rq_complete', 'downstream_rq_ws_on_non_ws_route', 'downstream_rq_failed_path_normalization', 'no_route', 'no_cluster', 'rq_direct_response', 'rq_redirect', 'rq_reset_after_downstream_response_started', 'rq_total',
  'rbac.allowed', 'rbac.denied', 'rbac.shadow_allowed', 'rbac.shadow_denied', 'rbac.istio_dry_run_allow_.shadow_allowed', 'rbac.istio_dry_run_allow_.shadow_denied', 'rbac.istio_dry_run_deny_.shadow_allowed',
  'rbac.istio_dry_run_deny_.shadow_denied', 'rbac.istio_ext_authz_.shadow_allowed', 'rbac.istio_ext_authz_.shadow_denied', 'jwt_authn.allowed', 'jwt_authn.denied', 'jwt_authn.cors_preflight_bypassed',
  'ext_authz.ok', 'ext_authz.denied', 'ext_authz.error', 'ext_authz.failure_mode_allowed', 'fault.delays_injected', 'fault.aborts_injected', 'fault.faults_overflow', 'cors.origin_valid', 'cors.origin_invalid',
  'tracing.random_sampling', 'tracing.client_enabled', 'tracing.service_forced', 'tracing.not_traceable', 'rs_too_large',
] as const;
const HTTP_GAUGES = ['downstream_cx_active', 'downstream_cx_ssl_active', 'downstream_cx_http1_active', 'downstream_cx_http2_active', 'downstream_cx_upgrades_active', 'downstream_rq_active', 'fault.active_faults'] as const;

const LISTENER_COUNTERS = ['downstream_cx_total', 'downstream_cx_destroy', 'downstream_cx_overflow', 'downstream_cx_overload_reject', 'downstream_global_cx_overflow', 'downstream_pre_cx_timeout', 'downstream_cx_transport_socket_connect_timeout', 'downstream_listener_filter_error', 'downstream_listener_filter_remote_close', 'no_filter_chain_match', 'downstream_cx_proxy_proto_error',
  'ssl.handshake', 'ssl.connection_error', 'ssl.no_certificate', 'ssl.session_reused', 'ssl.fail_verify_error', 'ssl.fail_verify_no_cert', 'ssl.fail_verify_san', 'ssl.fail_verify_cert_hash'] as const;
const LISTENER_GAUGES = ['downstream_cx_active', 'downstream_pre_cx_active'] as const;

const TCP_COUNTERS = ['downstream_cx_total', 'downstream_cx_no_route', 'downstream_cx_tx_bytes_total', 'downstream_cx_rx_bytes_total', 'downstream_flow_control_paused_reading_total', 'downstream_flow_control_resumed_reading_total', 'idle_timeout', 'max_downstream_connection_duration', 'upstream_flush_total'] as const;
const TCP_GAUGES = ['downstream_cx_rx_bytes_buffered', 'downstream_cx_tx_bytes_buffered', 'upstream_flush_active', 'downstream_cx_active'] as const;

export type ClusterStats = Stats<(typeof CLUSTER_COUNTERS)[number], (typeof CLUSTER_GAUGES)[number]>;
export type HttpStats = Stats<(typeof HTTP_COUNTERS)[number], (typeof HTTP_GAUGES)[number]>;
export type ListenerStats = Stats<(typeof LISTENER_COUNTERS)[number], (typeof LISTENER_GAUGES)[number]>;
export type TcpStats = Stats<(typeof TCP_COUNTERS)[number], (typeof TCP_GAUGES)[number]>;

/** Stats of one cluster, not yet in a store. */
export function createClusterStats(): ClusterStats {
  return new Stats(CLUSTER_COUNTERS, CLUSTER_GAUGES);
}

/** Counters of discovery by resource type, `cluster_manager.cds.update_success` and so on. */
export interface DiscoveryStats {
  update_attempt: number;
  update_success: number;
  update_rejected: number;
  update_time: number;
  version_text: string;
}

/** All scopes of one proxy, made on first use. */
export class ProxyStats {
  readonly clusters = new Map<string, ClusterStats>();
  readonly http = new Map<string, HttpStats>();
  readonly listeners = new Map<string, ListenerStats>();
  readonly tcp = new Map<string, TcpStats>();
  readonly discovery = new Map<'cds' | 'lds' | `rds.${string}` | `sds.${string}`, DiscoveryStats>();
  /** `cluster_manager.*` and `listener_manager.*`; dotted names as Envoy prints them. */
  readonly managers: Record<string, number> = Object.assign(Object.create(null) as Record<string, number>, {
    'cluster_manager.cluster_added': 0, 'cluster_manager.cluster_modified': 0, 'cluster_manager.cluster_removed': 0, 'cluster_manager.cluster_updated': 0,
    'listener_manager.listener_added': 0, 'listener_manager.listener_modified': 0, 'listener_manager.listener_removed': 0, 'listener_manager.listener_create_success': 0, 'listener_manager.listener_create_failure': 0,
  });

  /** `cluster.<name>.` */
  cluster(name: string): ClusterStats {
    return made(this.clusters, name, createClusterStats);
  }

  /** `http.<stat_prefix>.` */
  httpManager(statPrefix: string): HttpStats {
    return made(this.http, statPrefix, () => new Stats(HTTP_COUNTERS, HTTP_GAUGES));
  }

  /** `listener.<address>.`, for example `0.0.0.0_15001`. */
  listener(address: string): ListenerStats {
    return made(this.listeners, address, () => new Stats(LISTENER_COUNTERS, LISTENER_GAUGES));
  }

  /** `tcp.<stat_prefix>.` */
  tcpProxy(statPrefix: string): TcpStats {
    return made(this.tcp, statPrefix, () => new Stats(TCP_COUNTERS, TCP_GAUGES));
  }

  resetCounters(): void {
    for (const scopes of [this.clusters, this.http, this.listeners, this.tcp]) for (const stats of scopes.values()) stats.resetCounters();
  }
}

function made<T>(map: Map<string, T>, key: string, create: () => T): T {
  let value = map.get(key);
  if (!value) map.set(key, (value = create()));
  return value;
}
