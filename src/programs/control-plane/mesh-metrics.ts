/** Metrics of the mesh and of its proxies that are counted when somebody asks. @see features.md §3.8 */
import type { Issue } from '../../base/issue.ts';
import type { MeshSnapshot } from '../../model/snapshot.ts';
import type { ProxyView } from '../../model/view.ts';
import type { MetricRegistry } from '../../telemetry/metrics/registry.ts';
import { patchReport } from '../../translate/envoy-filter/report.ts';
import { meshFindings, type MeshFindings } from './mesh-findings.ts';

/** Where the numbers are read. */
export interface MeshMetricSources {
  /** Undefined before the first snapshot. */
  readonly snapshot: () => MeshSnapshot | undefined;
  readonly issues: () => readonly Issue[];
  /** What connected proxies were given; those with equal resources may be told once. */
  readonly views: () => Iterable<ProxyView>;
}

const GAUGES: readonly (readonly [name: string, help: string, field: keyof MeshFindings])[] = [
  ['pilot_eds_no_instances', 'Number of clusters without instances.', 'emptyServices'],
  ['pilot_dns_cluster_without_endpoints', 'Services resolved by DNS that have no endpoints.', 'emptyDnsServices'],
  ['pilot_endpoint_not_ready', 'Endpoints found in an unready state.', 'unreadyEndpoints'],
  ['endpoint_no_pod', 'Endpoints of selected pods at addresses where no pod is known.', 'endpointsWithoutPod'],
  ['pilot_conflict_inbound_listener', 'Workload ports that services of different protocols lead to.', 'inboundConflicts'],
  ['pilot_conflict_outbound_listener_tcp_over_current_tcp', 'Addresses and ports that more than one host claims for TCP.', 'tcpConflicts'],
  ['pilot_vservice_dup_domain', 'Hosts that several virtual services claim.', 'duplicateDomains'],
  ['pilot_destrule_subsets', 'Subsets that several destination rules declare for one host.', 'duplicateSubsets'],
];

/** Registers them; they are counted once per snapshot at most, and only when metrics are read. */
export function collectMeshMetrics(registry: MetricRegistry, sources: MeshMetricSources): void {
  const gauges = GAUGES.map(([name, help, field]) => ({ gauge: registry.gauge(name, help), field }));
  const noService = registry.gauge('pilot_no_ip', 'Sidecars connected whose workload belongs to no service.');
  const rejected = registry.gauge('pilot_total_rejected_configs', 'Total number of configs that Pilot had to reject or ignore.');
  const filters = registry.gauge('pilot_envoy_filter_status', 'Status of Envoy filters whether it was applied or errored: patches by outcome.');
  let counted: { readonly snapshot: MeshSnapshot; readonly findings: MeshFindings } | undefined;
  registry.onCollect(() => {
    const snapshot = sources.snapshot();
    if (snapshot && counted?.snapshot !== snapshot) counted = { snapshot, findings: meshFindings(snapshot) };
    for (const { gauge, field } of gauges) gauge.set(counted?.findings[field] ?? 0);
    rejected.set(new Set(sources.issues().filter(({ severity }) => severity === 'error').map(({ object }) => `${object.kind} ${object.namespace ?? ''}/${object.name}`)).size);
    const views = [...sources.views()];
    noService.set(views.filter(({ proxy, inbound }) => proxy.type === 'sidecar' && inbound.length === 0).length);
    filters.clear();
    for (const view of views)
      for (const { filter, patch, outcome } of patchReport(view)) {
        const result = outcome.state === 'applied' ? 'applied' : outcome.state === 'no-match' ? 'no_match' : 'error';
        filters.labels({ name: `${filter.namespace}/${filter.name}`, type: patch.applyTo, result }).inc();
      }
    if (filters.size === 0) filters.set(0);
  });
}
