/** CDS and EDS → live clusters. */
import type { Clock } from '../../base/clock.ts';
import { createLogger } from '../../base/log.ts';
import { TYPE_URL, type EncodedResource, type ResourceUpdate } from '../../xds/ads.ts';
import { decodeResource } from '../../xds/codec.ts';
import type { Cluster as ClusterMessage } from '../../xds/gen/envoy/config/cluster/v3/cluster_pb.ts';
import type { ClusterLoadAssignment } from '../../xds/gen/envoy/config/endpoint/v3/endpoint_pb.ts';
import { messageOf } from '../../base/errors.ts';
import { compileCluster } from '../cluster/compile.ts';
import type { ClusterSet } from '../cluster/cluster.ts';
import type { ResolveName } from '../cluster/resolve-name.ts';
import { compileAssignment, type Assignment } from '../cluster/endpoints.ts';
import { RuntimeCluster } from '../cluster/runtime-cluster.ts';
import type { ProxyStats } from '../stats.ts';
import { ResourceStore } from './resource-store.ts';

export interface ClusterManagerOptions {
  readonly clock: Clock;
  readonly random: () => number;
  readonly resolve: ResolveName;
  readonly stats: ProxyStats;
  /** How long a new cluster waits for its endpoints before it serves without. Default 15 s, Envoy's initial_fetch_timeout. */
  readonly warmingMs: number;
  /** The set of names EDS must be asked for changed. */
  readonly onEndpointNames: (names: ReadonlySet<string>) => void;
  /** A cluster was added, removed or finished warming. */
  readonly onChange: () => void;
}

const log = createLogger('cds');

export class ClusterManager implements ClusterSet {
  readonly clusterStore = new ResourceStore();
  readonly endpointStore = new ResourceStore();
  private readonly clusters = new Map<string, RuntimeCluster>();
  private readonly warming = new Set<string>();
  private readonly assignments = new Map<string, Assignment>();

  constructor(private readonly options: ClusterManagerOptions) {}

  /** A cluster that is ready to serve; warming clusters are not there yet. */
  get(name: string): RuntimeCluster | undefined {
    return this.warming.has(name) ? undefined : this.clusters.get(name);
  }

  isWarming(name: string): boolean {
    return this.warming.has(name);
  }

  /** Every cluster, warming ones too. */
  all(): IterableIterator<RuntimeCluster> {
    return this.clusters.values();
  }

  get warmingCount(): number {
    return this.warming.size;
  }

  /** Takes what it can of a CDS update; the text names every cluster that was refused. */
  updateClusters(update: ResourceUpdate, isStatic = false): string | undefined {
    const { clock, stats } = this.options;
    const problems: string[] = [];
    for (const resource of update.updated) {
      if (this.clusterStore.has(resource)) continue;
      try {
        this.apply(resource);
        this.clusterStore.accept(resource, clock.now(), isStatic);
      } catch (error) {
        problems.push(`${resource.name}: ${messageOf(error)}`);
        this.clusterStore.refuse(resource, messageOf(error), clock.now());
      }
    }
    for (const name of update.removed) if (!this.clusterStore.active.get(name)?.isStatic) this.remove(name);
    this.options.onEndpointNames(this.endpointNames());
    this.options.onChange();
    stats.managers['cluster_manager.cluster_updated']!++;
    if (problems.length === 0) return undefined;
    const text = `Error adding/updating cluster(s) ${problems.join(', ')}`;
    log.warn(text);
    return text;
  }

  /** Takes assignments; EDS removals are ignored, as Envoy does: a cluster that is gone leaves by CDS. */
  updateEndpoints(update: ResourceUpdate, isStatic = false): string | undefined {
    const problems: string[] = [];
    for (const resource of update.updated) {
      if (this.endpointStore.has(resource)) continue;
      try {
        const assignment = compileAssignment(decodeResource({ typeUrl: TYPE_URL.endpoint, value: resource.value }) as ClusterLoadAssignment);
        this.assignments.set(resource.name, assignment);
        this.endpointStore.accept(resource, this.options.clock.now(), isStatic);
        for (const cluster of this.clusters.values()) if (cluster.settings.edsName === resource.name) this.assign(cluster, assignment);
      } catch (error) {
        problems.push(`${resource.name}: ${messageOf(error)}`);
        this.endpointStore.refuse(resource, messageOf(error), this.options.clock.now());
      }
    }
    return problems.length === 0 ? undefined : `Error updating endpoints of ${problems.join(', ')}`;
  }

  close(): void {
    for (const cluster of this.clusters.values()) cluster.close();
  }

  private apply(resource: EncodedResource): void {
    const { clock, random, resolve, stats } = this.options;
    const settings = compileCluster(decodeResource({ typeUrl: TYPE_URL.cluster, value: resource.value }) as ClusterMessage, () => clock.now());
    const known = this.clusters.get(settings.name);
    if (known && known.type === settings.type) {
      known.reconfigure(settings);
      stats.managers['cluster_manager.cluster_modified']!++;
    } else {
      known?.close();
      this.clusters.set(settings.name, new RuntimeCluster(settings, { clock, random, resolve, stats: stats.cluster(settings.name) }));
      stats.managers['cluster_manager.cluster_added']!++;
    }
    const cluster = this.clusters.get(settings.name)!;
    const assignment = this.assignments.get(settings.edsName);
    if (assignment) this.assign(cluster, assignment);
    if (!cluster.ready) this.warm(cluster);
  }

  private assign(cluster: RuntimeCluster, assignment: Assignment): void {
    cluster.stats.counters.update_attempt++;
    cluster.stats.counters.update_success++;
    if (assignment.endpoints.length === 0) cluster.stats.counters.update_empty++;
    cluster.setAssignment(assignment);
  }

  private warm(cluster: RuntimeCluster): void {
    const { name } = cluster;
    this.warming.add(name);
    const done = (): void => {
      if (this.clusters.get(name) !== cluster || !this.warming.delete(name)) return;
      timer.cancel();
      this.options.onChange();
    };
    const timer = this.options.clock.after(this.options.warmingMs, done);
    cluster.whenReady(done);
  }

  private remove(name: string): void {
    const cluster = this.clusters.get(name);
    this.clusterStore.remove(name);
    if (!cluster) return;
    this.clusters.delete(name);
    this.warming.delete(name);
    cluster.close();
    this.options.stats.clusters.delete(name);
    this.options.stats.managers['cluster_manager.cluster_removed']!++;
    const { edsName } = cluster.settings;
    if (edsName && ![...this.clusters.values()].some((other) => other.settings.edsName === edsName)) {
      this.assignments.delete(edsName);
      this.endpointStore.remove(edsName);
    }
  }

  private endpointNames(): ReadonlySet<string> {
    const names = new Set<string>();
    for (const { settings } of this.clusters.values()) if (settings.edsName) names.add(settings.edsName);
    return names;
  }
}
