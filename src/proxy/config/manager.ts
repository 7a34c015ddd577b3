/** What a proxy knows of its configuration: subscribes, compiles, keeps the last good version of everything, publishes snapshots. */
import { hostname } from 'node:os';
import { systemClock, type Clock } from '../../base/clock.ts';
import { Watchable } from '../../base/watchable.ts';
import { openLogSink, type LogSink } from '../../telemetry/access-log/sink.ts';
import { IstioMetrics } from '../../telemetry/istio-metrics.ts';
import type { MetricRegistry } from '../../telemetry/metrics/registry.ts';
import { httpSender, ZipkinExporter } from '../../telemetry/tracing/zipkin.ts';
import { TYPE_URL, type AdsClient, type EncodedResource, type ResourceUpdate } from '../../xds/ads.ts';
import { systemResolve, type ResolveName } from '../cluster/resolve-name.ts';
import type { HttpFilterFactory } from '../filters/http-filter.ts';
import type { ProxyStats } from '../stats.ts';
import { ClusterManager } from './cluster-manager.ts';
import type { CompileContext } from './compile-context.ts';
import { ExtensionStore } from './extension-store.ts';
import { ListenerManager } from './listener-manager.ts';
import type { ProxyNode, RuntimeSnapshot } from './runtime.ts';

export interface ConfigManagerOptions {
  readonly node: ProxyNode;
  /** HTTP filters by the type URL of their config. */
  readonly filters: ReadonlyMap<string, HttpFilterFactory>;
  /** Istio's metrics go here. */
  readonly registry: MetricRegistry;
  readonly stats: ProxyStats;
  /** Default the system's. */
  readonly clock?: Clock;
  /** Default `Math.random`. */
  readonly random?: () => number;
  /** Default the system's resolver. */
  readonly resolve?: ResolveName;
  /** How long new clusters and listeners wait for what they need. Default 15 000. */
  readonly warmingMs?: number;
  /** Default opens files and the standard streams. */
  readonly openSink?: (path: string) => LogSink;
}

/** Resources from the bootstrap, or of a test. */
export interface StaticResources {
  readonly clusters?: readonly EncodedResource[];
  readonly endpoints?: readonly EncodedResource[];
  readonly listeners?: readonly EncodedResource[];
  readonly routes?: readonly EncodedResource[];
}

type ShortName = 'cds' | 'eds' | 'lds' | 'rds' | 'ecds';

export class ConfigManager {
  readonly clusters: ClusterManager;
  readonly listeners: ListenerManager;
  /** The configuration in force; a new value on every change. */
  readonly snapshot: Watchable<RuntimeSnapshot>;
  /** Updates by type since start, for `/server_info` and stats. */
  readonly updates: Record<ShortName, { attempts: number; accepted: number; refused: number; lastMs: number }> = { cds: counters(), eds: counters(), lds: counters(), rds: counters(), ecds: counters() };
  /** The newest snapshot is not in force yet: ports are being opened, or secrets fetched. Kept by who puts snapshots in force. */
  applying = false;
  private readonly clock: Clock;
  private readonly sinks = new Map<string, LogSink>();
  private readonly exporters: ZipkinExporter[] = [];
  private subscribed = false;
  private setEndpointNames: (names: ReadonlySet<string>) => void = () => {};
  private setRouteNames: (names: ReadonlySet<string>) => void = () => {};
  private setExtensionNames: (names: ReadonlySet<string>) => void = () => {};

  constructor(private readonly options: ConfigManagerOptions) {
    const { random = Math.random, resolve = systemResolve, warmingMs = 15_000, stats, clock = systemClock } = options;
    this.clock = clock;
    this.clusters = new ClusterManager({ clock, random, resolve, stats, warmingMs, onEndpointNames: (names) => this.setEndpointNames(names), onChange: () => this.publish() });
    this.listeners = new ListenerManager({ ...this.compileContext(random), stats, warmingMs, onRouteNames: (names) => this.setRouteNames(names), onExtensionNames: (names) => this.setExtensionNames(names), onChange: () => this.publish() });
    this.snapshot = new Watchable<RuntimeSnapshot>({ listeners: new Map(), clusters: this.clusters });
  }

  /** True once CDS and LDS have answered (when there is a control plane to ask) and nothing that came with them is still waiting. */
  get initialized(): boolean {
    return (!this.subscribed || (this.updates.cds.attempts > 0 && this.updates.lds.attempts > 0)) && this.clusters.warmingCount === 0 && this.listeners.warmingCount === 0;
  }

  /** Listeners that wait for what they need, and one more while the newest set is being put in force. */
  get warmingListeners(): number {
    return this.listeners.warmingCount + (this.applying ? 1 : 0);
  }

  /** Subscribes to the control plane; names of EDS and RDS follow from CDS and LDS. */
  subscribe(ads: AdsClient): void {
    this.subscribed = true;
    const handle = (type: ShortName, take: (update: ResourceUpdate) => string | undefined) => (update: ResourceUpdate) => this.count(type, take(update));
    const endpoints = ads.subscribe(TYPE_URL.endpoint, handle('eds', (update) => this.clusters.updateEndpoints(update)));
    const routes = ads.subscribe(TYPE_URL.route, handle('rds', (update) => this.listeners.updateRoutes(update)));
    const extensions = ads.subscribe(TYPE_URL.extensionConfig, handle('ecds', (update) => this.listeners.updateExtensions(update)));
    this.setExtensionNames = onChange((names) => extensions.setNames(names));
    this.setEndpointNames = onChange((names) => endpoints.setNames(names));
    this.setRouteNames = onChange((names) => routes.setNames(names));
    ads.subscribeAll(TYPE_URL.cluster, handle('cds', (update) => this.clusters.updateClusters(update)));
    ads.subscribeAll(TYPE_URL.listener, handle('lds', (update) => this.listeners.updateListeners(update)));
  }

  /** Adds resources that no update removes. Returns what was refused, undefined when nothing. */
  addStatic(resources: StaticResources): string | undefined {
    const { clusters = [], endpoints = [], listeners = [], routes = [] } = resources;
    const problems = [
      this.clusters.updateClusters({ updated: clusters, removed: [] }, true),
      this.clusters.updateEndpoints({ updated: endpoints, removed: [] }, true),
      this.listeners.updateRoutes({ updated: routes, removed: [] }, true),
      this.listeners.updateListeners({ updated: listeners, removed: [] }, true),
    ].filter((problem) => problem !== undefined);
    return problems.length === 0 ? undefined : problems.join('\n');
  }

  /** Writes what logs and spans still hold. */
  async flush(): Promise<void> {
    await Promise.all([...[...this.sinks.values()].map((sink) => sink.flush()), ...this.exporters.map((exporter) => exporter.flush())]);
  }

  async close(): Promise<void> {
    this.clusters.close();
    await this.flush();
    await Promise.all([...this.sinks.values()].map((sink) => sink.close()));
  }

  private publish(): void {
    const { clusters } = this;
    this.snapshot.set({ listeners: this.listeners.snapshot(), clusters });
  }

  private count(type: ShortName, problem: string | undefined): string | undefined {
    const counts = this.updates[type];
    counts.attempts++;
    counts.lastMs = this.clock.now();
    if (problem === undefined) counts.accepted++;
    else counts.refused++;
    return problem;
  }

  private compileContext(random: () => number): Omit<CompileContext, 'routes' | 'needExtension'> {
    const { node, filters, registry, openSink = (path) => openLogSink(path, { clock: this.clock }) } = this.options;
    const metrics = new Map<boolean, IstioMetrics>();
    return {
      node, filters, random, clock: this.clock, extensions: new ExtensionStore(filters, () => this.clock.now()),
      environment: { hostname: hostname(), variable: (name) => process.env[name] },
      openSink: (path) => remembered(this.sinks, path, () => openSink(path)),
      istioMetrics: ({ disableHostHeaderFallback }) => remembered(metrics, disableHostHeaderFallback, () => new IstioMetrics({ registry, local: node.workload, disableHostHeaderFallback })),
      spans: this.spanReporters(),
    };
  }

  /** One exporter per collector; its address is asked anew for every batch. */
  private spanReporters(): CompileContext['spans'] {
    const known = new Map<string, ZipkinExporter>();
    return ({ cluster, path, hostname: authority }) => {
      const exporter = remembered(known, `${cluster}\u0000${path}`, () => {
        const made = new ZipkinExporter({
          clock: this.clock,
          send: httpSender(() => {
            const host = this.clusters.get(cluster)?.pick({ hashKey: undefined, previous: [], originalDestination: undefined, random: Math.random });
            return host && { host: host.ip, port: host.port, path, authority };
          }),
        });
        this.exporters.push(made);
        return made;
      });
      return (span) => exporter.report(span);
    };
  }
}

function counters(): { attempts: number; accepted: number; refused: number; lastMs: number } {
  return { attempts: 0, accepted: 0, refused: 0, lastMs: 0 };
}

/** Calls on only when the set differs from the last one. */
function onChange(tell: (names: ReadonlySet<string>) => void): (names: ReadonlySet<string>) => void {
  let last: ReadonlySet<string> = new Set();
  return (names) => {
    if (names.size === last.size && [...names].every((name) => last.has(name))) return;
    last = names;
    tell(names);
  };
}

function remembered<K, V>(map: Map<K, V>, key: K, create: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = create()));
  return value;
}
