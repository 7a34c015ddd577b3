/** Metrics of Istio for which nothing happens in this control plane: there, so that dashboards and alerts find them, and always 0. */
import type { MetricRegistry } from '../../telemetry/metrics/registry.ts';

const NEVER: readonly (readonly [name: string, kind: 'counter' | 'gauge', help: string])[] = [
  ['pilot_xds_write_timeout', 'counter', 'Always 0: a proxy that reads slowly is sent the newest state when it reads again, without a timeout.'],
  ['citadel_server_id_extraction_err_count', 'counter', 'Always 0: the identity is the caller\'s, never what the CSR says.'],
  ['webhook_patch_retries_total', 'counter', 'Always 0: a webhook is patched again when it, or the root certificate, changes.'],
  ['remote_cluster_sync_timeouts_total', 'counter', 'Always 0: one control plane manages one cluster.'],
  ['auto_registration_success_total', 'counter', 'Always 0: workloads outside of Kubernetes are not registered automatically.'],
  ['auto_registration_updates_total', 'counter', 'Always 0: workloads outside of Kubernetes are not registered automatically.'],
  ['auto_registration_unregister_total', 'counter', 'Always 0: workloads outside of Kubernetes are not registered automatically.'],
  ['auto_registration_deletes_total', 'counter', 'Always 0: workloads outside of Kubernetes are not registered automatically.'],
  ['auto_registration_errors_total', 'counter', 'Always 0: workloads outside of Kubernetes are not registered automatically.'],
];

/** Registers them, and the number of clusters, which is one. */
export function registerConstantMetrics(registry: MetricRegistry): void {
  for (const [name, kind, help] of NEVER) registry[kind](name, help).inc(0);
  const clusters = registry.gauge('istiod_managed_clusters', 'Number of clusters managed by istiod: the one it runs in.');
  clusters.labels({ cluster_type: 'local' }).set(1);
  clusters.labels({ cluster_type: 'remote' }).set(0);
}
