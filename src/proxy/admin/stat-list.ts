/** Every stat of the proxy as one list: Envoy's full name, and what Prometheus calls it. */
import type { MetricKind } from '../../telemetry/metrics/registry.ts';
import type { ConfigManager } from '../config/manager.ts';
import type { ProxyStats, Stats } from '../stats.ts';

export interface Stat {
  /** `cluster.outbound|80||a.svc.upstream_rq_total`. */
  readonly name: string;
  readonly kind: Exclude<MetricKind, 'histogram'>;
  readonly value: number;
  /** `envoy_cluster_upstream_rq_total`. */
  readonly metric: string;
  /** In the order they are printed; names as Istio's bootstrap sets them. */
  readonly labels: readonly (readonly [name: string, value: string])[];
}

export interface StatSources {
  readonly stats: ProxyStats;
  readonly manager: ConfigManager;
  readonly server: { readonly startedMs: number; readonly nowMs: number; readonly live: boolean; readonly connectedToControlPlane: boolean; readonly firstCertificateExpiryDays: number | undefined };
}

type Push = (stat: Stat) => void;

/** Sorted by name. */
export function listStats(sources: StatSources): readonly Stat[] {
  const list: Stat[] = [];
  const push: Push = (stat) => void list.push(stat);
  clusterStats(sources, push);
  for (const [prefix, stats] of sources.stats.http) scopeStats({ scope: 'http', id: prefix, label: 'http_conn_manager_prefix', codes: 'downstream_rq', classesOnly: true }, stats, push);
  for (const [address, stats] of sources.stats.listeners) scopeStats({ scope: 'listener', id: address, label: 'listener_address', codes: 'http.downstream_rq', classesOnly: true }, stats, push);
  for (const [prefix, stats] of sources.stats.tcp) scopeStats({ scope: 'tcp', id: prefix, label: 'tcp_prefix', codes: '', classesOnly: true }, stats, push);
  managerStats(sources, push);
  serverStats(sources, push);
  return list.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

interface Scope {
  readonly scope: 'cluster' | 'http' | 'listener' | 'tcp';
  readonly id: string;
  readonly label: string;
  /** Tail that response codes hang on. */
  readonly codes: string;
  readonly classesOnly: boolean;
}

function scopeStats(scope: Scope, stats: Stats<string, string>, push: Push): void {
  const prefix = `${scope.scope}.${scope.id}`;
  const id = [scope.label, scope.id] as const;
  const metric = (tail: string): string => `envoy_${scope.scope}_${metricTail(tail)}`;
  for (const [tail, value] of Object.entries(stats.counters)) push({ name: `${prefix}.${tail}`, kind: 'counter', value, metric: metric(tail), labels: [id] });
  for (const [tail, value] of Object.entries(stats.gauges)) push({ name: `${prefix}.${tail}`, kind: 'gauge', value, metric: metric(tail), labels: [id] });
  if (scope.scope === 'cluster') push({ name: `${prefix}.external.upstream_rq_completed`, kind: 'counter', value: stats.counters['upstream_rq_completed'] ?? 0, metric: metric('external.upstream_rq_completed'), labels: [id] });
  if (!scope.codes) return;
  for (const [code, value] of stats.codes) {
    const isClass = code.endsWith('xx');
    if (scope.classesOnly && !isClass) continue;
    const variants = scope.scope === 'cluster' ? [scope.codes, `external.${scope.codes}`] : [scope.codes];
    for (const tail of variants) {
      push({ name: `${prefix}.${tail}_${code}`, kind: 'counter', value, metric: metric(isClass ? `${tail}_xx` : tail), labels: [isClass ? ['response_code_class', code[0]!] : ['response_code', code], id] });
    }
  }
}

function clusterStats({ stats, manager }: StatSources, push: Push): void {
  for (const [name, cluster] of stats.clusters) scopeStats({ scope: 'cluster', id: name, label: 'cluster_name', codes: 'upstream_rq', classesOnly: false }, cluster, push);
  for (const cluster of manager.clusters.all()) {
    for (const [tail, value] of cluster.breakerGauges()) push({ name: `cluster.${cluster.name}.${tail}`, kind: 'gauge', value, metric: `envoy_cluster_${metricTail(tail)}`, labels: [['cluster_name', cluster.name]] });
  }
}

function managerStats({ stats, manager }: StatSources, push: Push): void {
  const plain = (name: string, kind: Stat['kind'], value: number): void => push({ name, kind, value, metric: `envoy_${metricTail(name)}`, labels: [] });
  for (const name in stats.managers) plain(name, 'counter', stats.managers[name]!);
  let active = 0;
  for (const cluster of manager.clusters.all()) active += manager.clusters.isWarming(cluster.name) ? 0 : 1;
  plain('cluster_manager.active_clusters', 'gauge', active);
  plain('cluster_manager.warming_clusters', 'gauge', manager.clusters.warmingCount);
  plain('listener_manager.total_listeners_active', 'gauge', manager.listeners.activeCount);
  plain('listener_manager.total_listeners_warming', 'gauge', manager.warmingListeners);
  plain('listener_manager.workers_started', 'gauge', 1);
  for (const [type, prefix] of [['cds', 'cluster_manager.cds'], ['lds', 'listener_manager.lds'], ['rds', 'rds'], ['eds', 'eds']] as const) {
    const { attempts, accepted, refused } = manager.updates[type];
    plain(`${prefix}.update_attempt`, 'counter', attempts);
    plain(`${prefix}.update_success`, 'counter', accepted);
    plain(`${prefix}.update_rejected`, 'counter', refused);
  }
}

function serverStats({ server }: StatSources, push: Push): void {
  const gauge = (name: string, value: number): void => push({ name, kind: 'gauge', value, metric: `envoy_${metricTail(name)}`, labels: [] });
  const memory = process.memoryUsage();
  gauge('server.live', server.live ? 1 : 0);
  gauge('server.state', server.live ? 0 : 1);
  gauge('server.uptime', Math.floor((server.nowMs - server.startedMs) / 1000));
  gauge('server.concurrency', 1);
  gauge('server.memory_allocated', memory.heapUsed);
  gauge('server.memory_heap_size', memory.heapTotal);
  gauge('server.memory_physical_size', memory.rss);
  gauge('server.days_until_first_cert_expiring', server.firstCertificateExpiryDays ?? 4_294_967_295);
  gauge('control_plane.connected_state', server.connectedToControlPlane ? 1 : 0);
}

function metricTail(name: string): string {
  return name.replace(/[^A-Za-z0-9_]/g, '_');
}
