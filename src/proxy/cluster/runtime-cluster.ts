/** A cluster that lives: its settings, hosts, balancer, breakers and outlier detection change in place while requests run. */
import type { JsonObject } from '@bufbuild/protobuf';
import type { Clock } from '../../base/clock.ts';
import type { ClusterStats } from '../stats.ts';
import { CircuitBreakers, type BreakerResource } from './breakers.ts';
import type { AttemptOutcome, Cluster, Host, Permit, PickContext, UpstreamTransport } from './cluster.ts';
import type { ClusterSettings } from './compile.ts';
import { DnsRefresher } from './dns.ts';
import { isIpAddress, joinAddress, type Assignment, type EndpointSpec } from './endpoints.ts';
import { ClusterHost } from './host.ts';
import { OriginalDstHosts } from './original-dst.ts';
import { OutlierDetector } from './outlier-detection.ts';
import { PrioritySet } from './priority-set.ts';
import type { ResolveName } from './resolve-name.ts';

/** What a cluster needs of the world. */
export interface ClusterContext {
  readonly clock: Clock;
  readonly random: () => number;
  readonly resolve: ResolveName;
  readonly stats: ClusterStats;
}

export class RuntimeCluster implements Cluster {
  readonly stats: ClusterStats;
  /** Every host, in the order of the assignment. */
  hosts: readonly ClusterHost[] = [];
  /** True once endpoints are known (or there are none to wait for): a warming cluster is not ready. */
  ready: boolean;
  private readonly breakers: CircuitBreakers;
  private outlier: OutlierDetector | undefined;
  private dns: DnsRefresher | undefined;
  private assignment: Assignment | undefined;
  private lists: PrioritySet | undefined;
  private readonly originalDst: OriginalDstHosts;
  private readonly readyWaiters: (() => void)[] = [];

  constructor(
    public settings: ClusterSettings,
    private readonly context: ClusterContext,
  ) {
    this.stats = context.stats;
    this.breakers = new CircuitBreakers(settings.breakers);
    this.originalDst = new OriginalDstHosts(context.clock, (host) => this.adopt(host), (hosts) => this.dropOriginal(hosts));
    this.ready = settings.type === 'STATIC' || settings.type === 'ORIGINAL_DST';
    this.start(undefined);
  }

  get name(): string {
    return this.settings.name;
  }
  get type(): Cluster['type'] {
    return this.settings.type;
  }
  get connectTimeoutMs(): number {
    return this.settings.connectTimeoutMs;
  }
  get protocol(): Cluster['protocol'] {
    return this.settings.protocol;
  }
  get maxRequestsPerConnection(): number {
    return this.settings.maxRequestsPerConnection;
  }

  get maxConcurrentStreams(): number {
    return this.settings.maxConcurrentStreams;
  }
  get idleTimeoutMs(): number {
    return this.settings.idleTimeoutMs;
  }
  get sourceAddress(): string | undefined {
    return this.settings.sourceAddress;
  }
  get dynamicPort(): number | undefined {
    return this.settings.dynamicPort;
  }
  get service(): Cluster['service'] {
    return this.settings.service;
  }
  get maxConnections(): number {
    return this.settings.breakers.connection;
  }
  /** The last ejection that the cap prevented. */
  get blockedEjection(): OutlierDetector['lastBlocked'] {
    return this.outlier?.lastBlocked;
  }

  /** New settings from CDS; hosts and their counters stay. */
  reconfigure(settings: ClusterSettings): void {
    const before = this.settings;
    this.settings = settings;
    this.breakers.limits = settings.breakers;
    for (const host of this.hosts) host.transport = this.chooseTransport(host.spec.transportMatch);
    this.start(before);
    this.lists = undefined;
  }

  /** New endpoints from EDS (or from the cluster itself). Hosts are matched by address. */
  setAssignment(assignment: Assignment): void {
    this.assignment = assignment;
    this.setEndpoints(assignment.endpoints);
    this.becomeReady();
  }

  pick(context: PickContext): Host | undefined {
    if (this.type === 'ORIGINAL_DST') {
      const address = context.originalDestination;
      return address === undefined ? undefined : this.originalDst.of(address, this.settings.originalDstPort);
    }
    this.lists ??= this.buildLists();
    let host = this.lists.choose(context);
    if (host && context.previous.length > 0) {
      // Envoy's previous_hosts predicate: a few more tries, then whatever came.
      for (let tries = 5; tries > 0 && host && context.previous.includes(host); tries--) host = this.lists.choose({ ...context, hashKey: undefined });
    }
    return host;
  }

  transportFor(host: Host): UpstreamTransport {
    return host instanceof ClusterHost ? host.transport : this.settings.transport;
  }

  report(host: Host, outcome: AttemptOutcome): void {
    if (!(host instanceof ClusterHost)) return;
    host.count(outcome);
    this.outlier?.report(host, outcome);
  }

  admit(resource: BreakerResource): Permit | undefined {
    return this.breakers.admit(resource);
  }

  /** Breaker gauges by Envoy's names. */
  breakerGauges(): ReadonlyMap<string, number> {
    return this.breakers.gauges();
  }

  /** Calls back once the cluster is ready, at once when it is. */
  whenReady(callback: () => void): void {
    if (this.ready) callback();
    else this.readyWaiters.push(callback);
  }

  /** The cluster left CDS: timers stop, hosts are marked removed so that idle connections close. */
  close(): void {
    this.dns?.close();
    this.outlier?.close();
    this.originalDst.close();
    for (const host of this.hosts) host.removed = true;
    this.readyWaiters.length = 0;
  }

  private start(before: ClusterSettings | undefined): void {
    const { settings, context } = this;
    if (!settings.outlier) {
      this.outlier?.close();
      this.outlier = undefined;
    } else if (this.outlier) this.outlier.reconfigure(settings.outlier);
    else {
      this.outlier = new OutlierDetector(settings.outlier, {
        cluster: settings.name, clock: context.clock, random: context.random, stats: this.stats, hosts: () => this.hosts, onHealthChange: () => this.healthChanged(),
      });
    }
    if (settings.type === 'STATIC') this.setAssignment(settings.assignment ?? { endpoints: [], overprovisioning: 1.4 });
    const isDns = settings.type === 'STRICT_DNS' || settings.type === 'LOGICAL_DNS';
    if (isDns && JSON.stringify([before?.assignment, before?.dns]) !== JSON.stringify([settings.assignment, settings.dns])) this.startDns();
    if (!isDns) this.dns?.close();
  }

  private startDns(): void {
    this.dns?.close();
    const { settings, context } = this;
    const specs = settings.assignment?.endpoints ?? [];
    const names = [...new Set(specs.map(({ ip }) => ip))].filter((name) => !isIpAddress(name));
    this.assignment = settings.assignment;
    this.dns = new DnsRefresher(names, settings.dns, context.clock, context.resolve, (addresses, failed) => {
      this.stats.counters.update_attempt++;
      this.stats.counters[failed > 0 ? 'update_failure' : 'update_success']++;
      this.setEndpoints(specs.flatMap((spec) => resolved(spec, isIpAddress(spec.ip) ? [spec.ip] : (addresses.get(spec.ip) ?? []), settings.type === 'LOGICAL_DNS')));
      this.becomeReady();
    });
  }

  private setEndpoints(endpoints: readonly EndpointSpec[]): void {
    const known = new Map(this.hosts.map((host) => [host.address, host]));
    const next = new Map<string, ClusterHost>();
    for (const spec of endpoints) {
      // Of an address named twice the first counts, as in Envoy's host map.
      if (next.has(spec.address)) continue;
      const host = known.get(spec.address) ?? new ClusterHost(spec, this.context.clock.now());
      host.spec = spec;
      host.transport = this.chooseTransport(spec.transportMatch);
      next.set(spec.address, host);
      known.delete(spec.address);
    }
    const changed = known.size > 0 || next.size !== this.hosts.length;
    for (const gone of known.values()) {
      this.outlier?.forget(gone);
      gone.removed = true;
    }
    if (changed) this.stats.counters.membership_change++;
    this.hosts = [...next.values()];
    this.healthChanged();
  }

  private healthChanged(): void {
    this.lists = undefined;
    this.stats.gauges.membership_total = this.hosts.length;
    this.stats.gauges.membership_healthy = this.hosts.filter((host) => host.healthy).length;
  }

  private buildLists(): PrioritySet {
    const { balancer, panicPercent, localityWeighted } = this.settings;
    return new PrioritySet(this.hosts, {
      policy: balancer, panicPercent, localityWeighted, random: this.context.random, overprovisioning: this.assignment?.overprovisioning ?? 1.4, onPanic: () => void this.stats.counters.lb_healthy_panic++,
    });
  }

  private adopt(host: ClusterHost): void {
    host.transport = this.chooseTransport(host.spec.transportMatch);
    this.hosts = [...this.hosts, host];
    this.healthChanged();
  }

  private dropOriginal(gone: ReadonlySet<ClusterHost>): void {
    for (const host of gone) this.outlier?.forget(host);
    this.hosts = this.hosts.filter((host) => !gone.has(host));
    this.healthChanged();
  }

  private chooseTransport(metadata: JsonObject): UpstreamTransport {
    for (const { match, transport } of this.settings.transportMatches) {
      if (Object.entries(match).every(([key, value]) => Object.hasOwn(metadata, key) && metadata[key] === value)) return transport;
    }
    return this.settings.transport;
  }

  private becomeReady(): void {
    if (this.ready) return;
    this.ready = true;
    for (const waiter of this.readyWaiters.splice(0)) waiter();
  }
}

/** STRICT_DNS makes a host of every address, LOGICAL_DNS one of the first. */
function resolved(spec: EndpointSpec, addresses: readonly string[], logical: boolean): EndpointSpec[] {
  return (logical ? addresses.slice(0, 1) : addresses).map((ip) => ({ ...spec, ip, address: joinAddress(ip, spec.port), hostname: spec.hostname || spec.ip }));
}
