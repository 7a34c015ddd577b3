/** What one proxy gets: view → translated → encoded, with everything kept and shared that did not change. */
import type { ProxyNode } from '../../model/proxy-node.ts';
import type { MeshSnapshot } from '../../model/snapshot.ts';
import { viewOf, type ProxyView } from '../../model/view.ts';
import { inboundKey, listenerKey, placeKey, viewKey } from '../../model/view-key.ts';
import { ownClusters, translateClusters } from '../../translate/clusters.ts';
import { patchedExtensionConfigs } from '../../translate/envoy-filter/clusters.ts';
import { shareReport, type PatchReport } from '../../translate/envoy-filter/report.ts';
import { inboundListeners } from '../../translate/inbound-listeners.ts';
import { translateListeners } from '../../translate/listeners.ts';
import { translateNameTable } from '../../translate/name-table.ts';
import { isRouteTableUsed } from '../../translate/gateway-routes.ts';
import { translateRoutes } from '../../translate/routes.ts';
import { translateSecrets } from '../../translate/secrets.ts';
import { TYPE_URL } from '../../xds/ads.ts';
import type { ResourceMessage } from '../../xds/codec.ts';
import type { ResourceView } from '../../xds/server/state-machine.ts';
import type { ResourceSet } from '../../xds/server/type-subscription.ts';
import { EncodedSet, joinSets } from './encoded-set.ts';
import { Maker, type TranslateFailure } from './maker.ts';
import { PatchQuarantine } from './patch-quarantine.ts';
import { OnDemandSet, Place, type PlaceVersion } from './place.ts';

export interface GeneratorOptions {
  readonly onFailure: (failure: TranslateFailure) => void;
  /** A set of resources was asked for: it was there, or had to be made. */
  readonly onRead?: (hit: boolean) => void;
  /** A place, a workload's own part or a patched view was dropped. */
  readonly onEvicted?: () => void;
}

const EMPTY: ResourceSet = new Map();

/** By type, made when somebody asks. */
type Sets = Map<string, ResourceSet>;

/** Clusters and listeners of one workload's inbound side, or everything that EnvoyFilters may have changed. */
interface OwnPart {
  readonly sets: Sets;
  /** What the proxy had that this was first made for: stands in for what cannot be made. */
  readonly lastGood: ReadonlyMap<string, EncodedSet>;
  /** What became of EnvoyFilter patches. */
  readonly patches: PatchReport;
  /** The newest view with this key: what is made on demand is made from it, and no older snapshot is kept alive. */
  view: ProxyView;
  lastUsed: number;
}

/** What is kept for one connected proxy. */
export interface ProxyResources {
  readonly view: ProxyView;
  readonly resources: ResourceView;
  readonly place: PlaceVersion;
  readonly own: OwnPart;
  readonly listenerKey: string;
  /** False: no keys at all. A function says whether the proxy's account may list the secrets of its namespace; true: it may. */
  readonly maySeeSecrets: boolean | (() => boolean);
  /** The sets it was given so far. */
  readonly given: Sets;
}

export class ResourceGenerator {
  readonly quarantine = new PatchQuarantine();
  private readonly places = new Map<string, Place>();
  private readonly ownParts = new Map<string, OwnPart>();
  private readonly maker: Maker;
  private generation = 0;

  constructor(private readonly options: GeneratorOptions) {
    this.maker = new Maker(options.onFailure, (hit) => options.onRead?.(hit));
  }

  /** A new snapshot is about to be pushed to everybody: what the last two pushes did not use is dropped. Updates of endpoints alone do not count. */
  nextGeneration(): void {
    this.generation++;
    for (const map of [this.places, this.ownParts] as const)
      for (const [key, entry] of map)
        if (entry.lastUsed < this.generation - 2) {
          map.delete(key);
          this.options.onEvicted?.();
        }
    for (const place of this.places.values()) place.prune();
    this.maker.nextGeneration();
  }

  /** Number of places whose proxies share what they get. */
  get placeCount(): number {
    return this.places.size;
  }

  /** What is kept: places, workloads' own parts and encoded resources; and how many clusters had a name twice. */
  get cache(): { readonly size: number; readonly duplicateClusters: number } {
    let size = this.places.size + this.ownParts.size + this.maker.size;
    let duplicateClusters = 0;
    for (const place of this.places.values()) {
      size += place.size;
      duplicateClusters += place.duplicateClusters;
    }
    return { size, duplicateClusters };
  }

  /** Makes what a proxy may have under this snapshot. `last` supplies what cannot be made anew. Keys of gateways go only to proxies that proved who they are. */
  generate(snapshot: MeshSnapshot, version: string, node: ProxyNode, maySeeSecrets: ProxyResources['maySeeSecrets'], last: ProxyResources | undefined, dataPlane = ''): ProxyResources {
    const view = this.quarantine.admit(viewOf(snapshot, node), dataPlane);
    const key = placeKey(view);
    let place = this.places.get(key);
    if (!place) this.places.set(key, (place = new Place(this.maker)));
    const ownKey = view.envoyFilters.length > 0 ? `patched ${viewKey(view)}` : view.proxy.type === 'router' ? 'router' : inboundKey(view);
    let own = this.ownParts.get(ownKey);
    this.options.onRead?.(own !== undefined);
    if (!own) this.ownParts.set(ownKey, (own = { sets: new Map(), lastGood: new Map([...(last?.own.sets ?? [])].flatMap(([typeUrl, set]) => (set instanceof EncodedSet ? [[typeUrl, set]] : []))), patches: new Map(), view, lastUsed: 0 }));
    return this.bind({ view, place: place.at(view), own, listenerKey: listenerKey(view), maySeeSecrets }, version, last);
  }

  /** The endpoint fast path: the same view over a snapshot that differs in endpoints only. */
  withEndpointsOf(snapshot: MeshSnapshot, version: string, last: ProxyResources): ProxyResources {
    return this.bind({ ...last, view: { ...last.view, snapshot }, place: last.place.place.withEndpoints(snapshot, last.place) }, version, last);
  }

  private bind(made: Omit<ProxyResources, 'resources' | 'given'>, version: string, last: ProxyResources | undefined): ProxyResources {
    const { view, place, own, maySeeSecrets } = made;
    place.place.lastUsed = own.lastUsed = this.generation;
    own.view = view;
    shareReport(view, own.patches);
    const given: Sets = new Map();
    // Only the sets of the last time, not what they were made by: that would keep every earlier one alive.
    const before = last?.given;
    const resources: ResourceView = {
      version,
      resources: (typeUrl) => {
        let set = given.get(typeUrl);
        if (!set) given.set(typeUrl, (set = this.setOf({ ...made, resources, given }, typeUrl, maySeeSecrets, before?.get(typeUrl))));
        return set;
      },
    };
    return { ...made, resources, given };
  }

  private setOf(made: ProxyResources, typeUrl: string, maySeeSecrets: ProxyResources['maySeeSecrets'], before: ResourceSet | undefined): ResourceSet {
    const { view, place: at, own } = made;
    const { place } = at;
    if (typeUrl === TYPE_URL.secret) return maySeeSecrets ? this.onDemand(() => view, typeUrl, (name) => translateSecrets(view, [name], maySeeSecrets === true ? undefined : maySeeSecrets)[0], before) : EMPTY;
    if (view.envoyFilters.length > 0) return this.patchedSet(made, typeUrl, before);
    const isRouter = view.proxy.type === 'router';
    switch (typeUrl) {
      case TYPE_URL.cluster: {
        const shared = place.clusters(at, before);
        return isRouter ? shared : joinSets(shared, this.ownSet(own, typeUrl, () => ownClusters(own.view)));
      }
      case TYPE_URL.listener: {
        const shared = place.listeners(at, view, made.listenerKey, before);
        return isRouter ? shared : joinSets(shared, this.ownSet(own, typeUrl, () => inboundListeners(own.view)));
      }
      case TYPE_URL.endpoint: return place.endpoints(at, place.clusters(at, undefined));
      case TYPE_URL.route: return place.routes(at, before);
      case TYPE_URL.nameTable: return place.names(at, before);
      default: return EMPTY;
    }
  }

  /** EnvoyFilters may change anything: proxies that have any share only with those that get exactly the same. */
  private patchedSet({ place, own, resources }: ProxyResources, typeUrl: string, before: ResourceSet | undefined): ResourceSet {
    if (typeUrl === TYPE_URL.endpoint) return place.place.endpoints(place, resources.resources(TYPE_URL.cluster));
    let set = own.sets.get(typeUrl);
    this.options.onRead?.(set !== undefined);
    if (!set) own.sets.set(typeUrl, (set = this.makePatched(own, typeUrl, before)));
    return set;
  }

  private makePatched(own: OwnPart, typeUrl: string, before: ResourceSet | undefined): ResourceSet {
    const { view } = own;
    const all = (translate: () => readonly ResourceMessage[]) => new EncodedSet(this.maker.all(view, typeUrl, translate, before));
    switch (typeUrl) {
      case TYPE_URL.cluster: return all(() => translateClusters(view));
      case TYPE_URL.listener: return all(() => translateListeners(view));
      case TYPE_URL.nameTable: return all(() => [translateNameTable(view)]);
      case TYPE_URL.extensionConfig: return all(() => [...patchedExtensionConfigs(view).values()]);
      case TYPE_URL.route: return this.onDemand(() => own.view, typeUrl, (name) => translateRoutes(own.view, [name])[0], before, (name) => isRouteTableUsed(own.view, name));
      default: return EMPTY;
    }
  }

  private ownSet(own: OwnPart, typeUrl: string, translate: () => readonly ResourceMessage[]): EncodedSet {
    const known = own.sets.get(typeUrl);
    if (known instanceof EncodedSet) return known;
    const set = new EncodedSet(this.maker.all(own.view, typeUrl, translate, own.lastGood.get(typeUrl)));
    own.sets.set(typeUrl, set);
    return set;
  }

  private onDemand(viewOfSet: () => ProxyView, typeUrl: string, translate: (name: string) => ResourceMessage | undefined, before: ResourceSet | undefined, isUsed = (_name: string): boolean => true): ResourceSet {
    const lastGood = new Map([...(before?.values() ?? [])].map((resource) => [resource.name, resource]));
    return new OnDemandSet((name) => this.maker.one(viewOfSet(), typeUrl, name, () => {
      const last = lastGood.get(name);
      if (last && !isUsed(name)) return last;
      const message = translate(name);
      return message && this.maker.encode(message);
    }, lastGood.get(name)));
  }
}
