/** What proxies of one place share: clusters to services, outbound listeners, routes, names and endpoints, made again only as far as a change reaches. */
import { toBinary } from '@bufbuild/protobuf';
import type { Endpoint } from '../../model/endpoint.ts';
import type { Service } from '../../model/service.ts';
import { endpointsOf, type MeshSnapshot } from '../../model/snapshot.ts';
import { destinationRuleFor, type MergedRule, type ProxyView } from '../../model/view.ts';
import { clusterScopeKey, mutualKey, nearKey, serviceDigest, serviceKey } from '../../model/view-key.ts';
import { ownClusters, serviceClusters } from '../../translate/clusters.ts';
import { loadAssignment } from '../../translate/endpoints.ts';
import { gatewayListeners } from '../../translate/gateway-listeners.ts';
import { parseClusterName } from '../../translate/names.ts';
import { translateNameTable } from '../../translate/name-table.ts';
import { outboundListeners } from '../../translate/outbound-listeners.ts';
import { assembleRouteTable, placedVirtualHosts } from '../../translate/route-table.ts';
import { isRouteTableUsed } from '../../translate/gateway-routes.ts';
import { routePlans, translateRoutes } from '../../translate/routes.ts';
import { TYPE_URL, type EncodedResource } from '../../xds/ads.ts';
import { encodedFrom } from '../../xds/codec.ts';
import { VirtualHostSchema } from '../../xds/gen/envoy/config/route/v3/route_components_pb.ts';
import type { ResourceSet } from '../../xds/server/type-subscription.ts';
import { EncodedSet, stableSet } from './encoded-set.ts';
import { EndpointSet, type KnownAssignment } from './endpoint-set.ts';
import type { Maker } from './maker.ts';

/** Resources of one part with what they were made of. */
interface Part<T> {
  readonly key: string;
  readonly made: T;
}

interface Made<S> {
  readonly from: readonly unknown[];
  readonly set: S;
}

/** A set that makes its resources when they are asked for. */
export class OnDemandSet implements ResourceSet {
  private readonly made = new Map<string, EncodedResource | undefined>();

  constructor(private readonly make: (name: string) => EncodedResource | undefined) {}

  get(name: string): EncodedResource | undefined {
    if (!this.made.has(name)) this.made.set(name, this.make(name));
    return this.made.get(name);
  }

  *values(): Iterable<EncodedResource> {
    for (const resource of this.made.values()) if (resource) yield resource;
  }
}

/** One place at one snapshot. */
export interface PlaceVersion {
  readonly place: Place;
  readonly view: ProxyView;
  /** Resources that endpoint updates leave alone, as far as they were asked for. */
  readonly sets: Map<string, ResourceSet>;
}

export class Place {
  lastUsed = 0;
  private latest: PlaceVersion | undefined;
  private readonly made = new Map<string, Made<ResourceSet>>();
  private clusterParts: ReadonlyMap<string, Part<readonly EncodedResource[]>> = new Map();
  private readonly tables = new Map<string, { readonly parts: ReadonlyMap<string, Part<Uint8Array>>; readonly hosts: readonly Uint8Array[]; readonly resource: EncodedResource }>();
  private readonly assignments = new Map<string, KnownAssignment>();
  private readonly endpointSets = new WeakMap<ResourceSet, Made<ResourceSet>>();

  constructor(private readonly maker: Maker) {}

  /** Clusters that had a name another one has. */
  get duplicateClusters(): number {
    const clusters = this.made.get(TYPE_URL.cluster)?.set;
    return clusters instanceof EncodedSet ? clusters.duplicates : 0;
  }

  /** Number of resources and parts kept. */
  get size(): number {
    return this.assignments.size + this.clusterParts.size + this.tables.size;
  }

  /** The place under this view's snapshot; all proxies of the place get the same one. */
  at(view: ProxyView): PlaceVersion {
    if (this.latest?.view.snapshot !== view.snapshot) this.latest = { place: this, view, sets: new Map() };
    return this.latest;
  }

  /** The same as `base` in everything but endpoints. */
  withEndpoints(snapshot: MeshSnapshot, base: PlaceVersion): PlaceVersion {
    if (this.latest?.view.snapshot !== snapshot) this.latest = { place: this, view: { ...base.view, snapshot }, sets: base.sets };
    return this.latest;
  }

  /** Forgets what belongs to clusters, services and addresses that are gone. */
  prune(): void {
    const { latest } = this;
    const clusters = latest?.sets.get(TYPE_URL.cluster);
    if (!latest || !clusters) return;
    for (const name of this.assignments.keys()) if (!clusters.get(name)) this.assignments.delete(name);
    for (const name of this.tables.keys()) {
      const colon = name.lastIndexOf(':');
      if (colon >= 0 && !latest.view.byHostname.has(name.slice(0, colon))) this.tables.delete(name);
    }
    for (const key of this.made.keys()) if (key.startsWith(TYPE_URL.listener) && !latest.sets.has(key)) this.made.delete(key);
  }

  /** Clusters to services, and for routers all others. `fallback` has what stands in for what cannot be made. */
  clusters({ view, sets }: PlaceVersion, fallback: ResourceSet | undefined): EncodedSet {
    const { snapshot } = view;
    return this.kept(sets, TYPE_URL.cluster, () => [view.services, snapshot.endpoints, snapshot.destinationRules, snapshot.peerAuthentications, snapshot.mesh], (before) => stableSet(before, this.makeClusters(view, fallback)));
  }

  /** Outbound listeners of a sidecar, all listeners of a router, made from the proxy's own view. `own`: their key beside the place. */
  listeners({ sets }: PlaceVersion, view: ProxyView, own: string, fallback: ResourceSet | undefined): EncodedSet {
    const { snapshot } = view;
    const from = () => [view.services, snapshot.destinationRules, snapshot.mesh, rulesOfListeners(view), ...inlinedEndpoints(view)];
    return this.kept(sets, `${TYPE_URL.listener} ${own}`, from, (before) =>
      stableSet(before, this.maker.all(view, TYPE_URL.listener, () => (view.proxy.type === 'router' ? gatewayListeners(view) : outboundListeners(view)), before ?? fallback)));
  }

  names({ view, sets }: PlaceVersion, fallback: ResourceSet | undefined): EncodedSet {
    return this.kept(sets, TYPE_URL.nameTable, () => [view.services, ...inlinedEndpoints(view)], (before) => stableSet(before, this.maker.all(view, TYPE_URL.nameTable, () => [translateNameTable(view)], before ?? fallback)));
  }

  /** Route tables, made when they are asked for. */
  routes({ view, sets }: PlaceVersion, fallback: ResourceSet | undefined): ResourceSet {
    const from = () => [view.services, view.virtualServices, view.snapshot.destinationRules, view.snapshot.mesh];
    return this.kept<ResourceSet>(sets, TYPE_URL.route, from, (before) => {
      // What the place itself made last is known by name; another place's tables are copied, because its set would keep all earlier ones alive.
      const elsewhere = new Map(before ? [] : [...(fallback?.values() ?? [])].map((resource) => [resource.name, resource]));
      return new OnDemandSet((name) => this.maker.one(view, TYPE_URL.route, name, () => this.makeTable(view, name, elsewhere.get(name)), this.tables.get(name)?.resource ?? elsewhere.get(name)));
    });
  }

  /** Endpoints of the clusters of a set. */
  endpoints({ view }: PlaceVersion, clusters: ResourceSet): ResourceSet {
    const from = [view.services, view.snapshot.endpoints, view.snapshot.destinationRules, view.snapshot.peerAuthentications, view.snapshot.mesh];
    const known = this.endpointSets.get(clusters);
    if (known && sameList(known.from, from)) return known.set;
    const near = nearKey(view);
    const set = new EndpointSet(view, clusters, (name) => this.assignment(view, clusters, near, name));
    this.endpointSets.set(clusters, { from, set });
    return set;
  }

  private kept<S extends ResourceSet>(sets: Map<string, ResourceSet>, key: string, from: () => readonly unknown[], make: (before: S | undefined) => S): S {
    const present = sets.get(key) as S | undefined;
    if (present) return present;
    const known = this.made.get(key) as Made<S> | undefined;
    const madeFrom = from();
    const reused = known !== undefined && sameList(known.from, madeFrom);
    this.maker.onRead(reused);
    const set = reused ? known.set : make(known?.set);
    if (!reused) this.made.set(key, { from: madeFrom, set });
    sets.set(key, set);
    return set;
  }

  private makeClusters(view: ProxyView, fallback: ResourceSet | undefined): readonly EncodedResource[] {
    const scope = clusterScopeKey(view);
    const parts = new Map<string, Part<readonly EncodedResource[]>>();
    const list: EncodedResource[] = [];
    for (const service of view.services) {
      const known = this.clusterParts.get(service.key);
      const key = `${scope}\n${serviceKey(view, service)}`;
      const part = known?.key === key ? known : { key, made: this.maker.shared(key, () => this.maker.several(view, TYPE_URL.cluster, service.hostname, () => serviceClusters(view, service), () => known?.made ?? clustersOf(service, fallback))) };
      parts.set(service.key, part);
      list.push(...part.made);
    }
    this.clusterParts = parts;
    if (view.proxy.type === 'router') list.push(...this.maker.all(view, TYPE_URL.cluster, () => ownClusters(view), undefined));
    return list;
  }

  private makeTable(view: ProxyView, name: string, elsewhere: EncodedResource | undefined): EncodedResource | undefined {
    const known = this.tables.get(name);
    if (view.proxy.type === 'router') {
      const last = known?.resource ?? elsewhere;
      const resource = last && !isRouteTableUsed(view, name) ? last : translateRoutes(view, [name]).map((table) => this.maker.encode(table))[0];
      if (resource) this.tables.set(name, { parts: new Map(), hosts: [], resource });
      return resource;
    }
    const scope = view.snapshot.mesh.digest;
    const parts = new Map<string, Part<Uint8Array>>();
    const hosts = placedVirtualHosts(routePlans(view, name)).map(({ plan, domains }) => {
      const key = `${scope}\n${plan.name}\n${domains.join()}\n${plan.key}`;
      const before = known?.parts.get(plan.name);
      const part = before?.key === key ? before : { key, made: this.maker.sharedBytes(key, () => toBinary(VirtualHostSchema, plan.make(domains))) };
      parts.set(plan.name, part);
      return part.made;
    });
    if (known && sameList(known.hosts, hosts)) return known.resource;
    const resource = this.maker.intern(encodedFrom(TYPE_URL.route, name, assembleRouteTable(name, hosts)));
    this.tables.set(name, { parts, hosts, resource });
    return resource;
  }

  /** An assignment whose cluster is gone stays as it was: routes that still point there are replaced in the same push, but after it. */
  private assignment(view: ProxyView, clusters: ResourceSet, near: string, name: string): EncodedResource | undefined {
    const known = this.assignments.get(name);
    if (known && !clusters.get(name)) return known.resource;
    const host = parseClusterName(name)?.host;
    const service = host === undefined ? undefined : view.byHostname.get(host);
    const from: Omit<KnownAssignment, 'resource'> = {
      endpoints: service && view.snapshot.endpoints.get(service.key), service: service && serviceDigest(service), rule: service && destinationRuleFor(view, service.hostname, service.namespace), mesh: view.snapshot.mesh.digest, mutual: service ? mutualKey(view, service) : '', near,
    };
    if (known && known.endpoints === from.endpoints && known.service === from.service && sameRule(known.rule, from.rule) && known.mesh === from.mesh && known.mutual === from.mutual && known.near === from.near) return known.resource;
    const make = () => this.maker.encode(loadAssignment(view, name));
    const resource = this.maker.one(view, TYPE_URL.endpoint, name, () => (service ? this.maker.sharedAssignment(endpointsOf(view.snapshot, service), `${name}\n${from.service}\n${from.rule?.digests.join() ?? ''}\n${from.mesh}\n${from.mutual}\n${from.near}`, make) : make()), known?.resource);
    if (resource) this.assignments.set(name, { ...from, resource });
    return resource;
  }
}

function sameRule(a: MergedRule | undefined, b: MergedRule | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && sameList(a.digests, b.digests));
}

function sameList(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}

/** The clusters of a service in a set that was given out before. */
function clustersOf(service: Service, set: ResourceSet | undefined): readonly EncodedResource[] {
  return [...(set?.values() ?? [])].filter((resource) => parseClusterName(resource.name)?.host === service.hostname && resource.name.startsWith('outbound'));
}

/** Endpoints that listeners and names are made of. */
function inlinedEndpoints(view: ProxyView): readonly (readonly Endpoint[])[] {
  return view.services.filter((service) => service.resolution !== 'static').map((service) => endpointsOf(view.snapshot, service));
}

const NO_RULES: readonly never[] = [];

/** A sidecar's listeners know of VirtualServices only if some of them route connections. */
function rulesOfListeners(view: ProxyView): unknown {
  return view.proxy.type === 'router' || view.virtualServices.some((rule) => rule.tls.length > 0 || rule.tcp.length > 0) ? view.virtualServices : NO_RULES;
}
