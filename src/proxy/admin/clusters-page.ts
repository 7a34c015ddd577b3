/** `/clusters` as text and JSON. */
import { compileRe2 } from '../route/re2.ts';
import type { ClusterHost } from '../cluster/host.ts';
import type { RuntimeCluster } from '../cluster/runtime-cluster.ts';
import type { ConfigManager } from '../config/manager.ts';

/** Clusters that serve, optionally those whose name the RE2 `filter` finds. */
function selected(manager: ConfigManager, filter: string | undefined): readonly RuntimeCluster[] {
  const pattern = filter ? compileRe2(filter) : undefined;
  return [...manager.clusters.all()].filter((cluster) => !manager.clusters.isWarming(cluster.name) && (!pattern || pattern.matcher(cluster.name).find()));
}

const isStatic = (manager: ConfigManager, name: string): boolean => manager.clusters.clusterStore.active.get(name)?.isStatic ?? false;

/** `cluster::10.0.0.1:80::cx_active::1` a line. @see https://www.envoyproxy.io/docs/envoy/latest/operations/admin#get--clusters */
export function clustersText(manager: ConfigManager, filter?: string): string {
  const lines: string[] = [];
  for (const cluster of selected(manager, filter)) {
    const { name, settings } = cluster;
    lines.push(`${name}::observability_name::${name}`);
    const { breakers } = settings;
    lines.push(`${name}::default_priority::max_connections::${breakers.connection}`, `${name}::default_priority::max_pending_requests::${breakers.pending}`, `${name}::default_priority::max_requests::${breakers.request}`, `${name}::default_priority::max_retries::${breakers.retry}`);
    for (const [limit, value] of [['max_connections', 1024], ['max_pending_requests', 1024], ['max_requests', 1024], ['max_retries', 3]] as const) lines.push(`${name}::high_priority::${limit}::${value}`);
    lines.push(`${name}::added_via_api::${!isStatic(manager, name)}`);
    if (settings.edsName) lines.push(`${name}::eds_service_name::${settings.edsName}`);
    for (const host of cluster.hosts) for (const [key, value] of hostFacts(host)) lines.push(`${name}::${host.address}::${key}::${value}`);
    if (cluster.blockedEjection) lines.push(`${name}::last_blocked_ejection::${cluster.blockedEjection.text}`);
  }
  return lines.map((line) => `${line}\n`).join('');
}

function hostFacts(host: ClusterHost): readonly (readonly [string, string | number | boolean])[] {
  const [region = '', zone = '', subZone = ''] = host.locality.split('/');
  return [
    ['cx_active', host.activeConnections], ['cx_connect_fail', host.counts.connectFail], ['cx_total', host.counts.connections], ['rq_active', host.activeRequests], ['rq_error', host.counts.errors], ['rq_pending_active', 0],
    ['rq_success', host.counts.successes], ['rq_timeout', host.counts.timeouts], ['rq_total', host.counts.requests], ['hostname', host.spec.hostname], ['health_flags', healthFlags(host)], ['weight', host.weight],
    ['region', region], ['zone', zone], ['sub_zone', subZone], ['canary', false], ['priority', host.priority], ['success_rate', -1], ['local_origin_success_rate', -1],
  ];
}

function healthFlags(host: ClusterHost): string {
  const flags = [host.ejected && '/failed_outlier_check', host.spec.edsStatus !== 'HEALTHY' && (host.spec.edsStatus === 'DEGRADED' ? '/degraded_eds_health' : '/failed_eds_health')].filter(Boolean).join('');
  return flags || 'healthy';
}

/** @see envoy.admin.v3.Clusters */
export function clustersJson(manager: ConfigManager, filter?: string): unknown {
  return {
    cluster_statuses: selected(manager, filter).map(({ name, settings, hosts }) => ({
      name,
      ...(!isStatic(manager, name) && { added_via_api: true }),
      host_statuses: hosts.map(hostStatus),
      circuit_breakers: {
        thresholds: [
          { max_connections: settings.breakers.connection, max_pending_requests: settings.breakers.pending, max_requests: settings.breakers.request, max_retries: settings.breakers.retry },
          { priority: 'HIGH', max_connections: 1024, max_pending_requests: 1024, max_requests: 1024, max_retries: 3 },
        ],
      },
      observability_name: name,
      ...(settings.edsName && { eds_service_name: settings.edsName }),
    })),
  };
}

function hostStatus(host: ClusterHost): unknown {
  const [region = '', zone = '', subZone = ''] = host.locality.split('/');
  const { counts } = host;
  const counters = { cx_connect_fail: counts.connectFail, cx_total: counts.connections, rq_error: counts.errors, rq_success: counts.successes, rq_timeout: counts.timeouts, rq_total: counts.requests };
  const gauges = { cx_active: host.activeConnections, rq_active: host.activeRequests, rq_pending_active: 0 };
  return {
    address: host.ip === '' ? { pipe: { path: host.address } } : { socket_address: { address: host.ip, port_value: host.port } },
    stats: [
      ...Object.entries(counters).map(([name, value]) => ({ ...(value !== 0 && { value: String(value) }), name })),
      ...Object.entries(gauges).map(([name, value]) => ({ type: 'GAUGE', ...(value !== 0 && { value: String(value) }), name })),
    ],
    health_status: { eds_health_status: host.spec.edsStatus, ...(host.ejected && { failed_outlier_check: true }) },
    weight: host.weight,
    ...(host.spec.hostname && { hostname: host.spec.hostname }),
    ...(host.priority > 0 && { priority: host.priority }),
    locality: { ...(region && { region }), ...(zone && { zone }), ...(subZone && { sub_zone: subZone }) },
  };
}
