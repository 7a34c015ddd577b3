/** What one proxy gets: view → translated → encoded, with everything kept that did not change. */
import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import type { ProxyNode } from '../../model/proxy-node.ts';
import type { MeshSnapshot } from '../../model/snapshot.ts';
import { viewKey, viewOf, type ProxyView } from '../../model/view.ts';
import { translateClusters } from '../../translate/clusters.ts';
import { loadAssignment } from '../../translate/endpoints.ts';
import { patchedExtensionConfigs } from '../../translate/envoy-filter/clusters.ts';
import { shareReport, type PatchReport } from '../../translate/envoy-filter/report.ts';
import { translateListeners } from '../../translate/listeners.ts';
import { translateNameTable } from '../../translate/name-table.ts';
import { parseClusterName } from '../../translate/names.ts';
import { translateRoutes } from '../../translate/routes.ts';
import { translateSecrets } from '../../translate/secrets.ts';
import { TYPE_URL, type EncodedResource } from '../../xds/ads.ts';
import { encodeResource, type ResourceMessage } from '../../xds/codec.ts';
import type { ResourceView } from '../../xds/server/state-machine.ts';
import type { ResourceSet } from '../../xds/server/type-subscription.ts';
import { PatchQuarantine } from './patch-quarantine.ts';

const log = createLogger('translate');

/** What went wrong while a resource was made; the proxy keeps the last good one. */
export interface TranslateFailure {
  readonly proxy: string;
  readonly typeUrl: string;
  /** Resource name, or `*` when a whole type failed. */
  readonly name: string;
  readonly message: string;
}

export interface GeneratorOptions {
  readonly onFailure: (failure: TranslateFailure) => void;
  /** A view, or a resource of one, was asked for: it was there, or had to be made. */
  readonly onRead?: (hit: boolean) => void;
  /** A view was dropped. */
  readonly onEvicted?: () => void;
}

const EMPTY: ResourceSet = new Map();

/** Listeners, clusters, routes and names of one view key: they do not depend on endpoints. */
interface Compiled {
  readonly sets: Map<string, ResourceSet>;
  /** What became of EnvoyFilter patches. */
  readonly patches: PatchReport;
  readonly endpoints: Map<string, { readonly from: readonly Endpoint[] | undefined; readonly resource: EncodedResource }>;
  /** The newest view with this key: what is made on demand is made from it, and no older snapshot is kept alive. */
  view: ProxyView;
  lastUsed: number;
  /** Clusters that had a name another one has. */
  duplicateClusters: number;
}

/** What is kept for one connected proxy. */
export interface ProxyResources {
  readonly view: ProxyView;
  readonly resources: ResourceView;
  readonly compiled: Compiled;
  readonly maySeeSecrets: boolean;
}

export class ResourceGenerator {
  readonly quarantine = new PatchQuarantine();
  private readonly compiled = new Map<string, Compiled>();
  private interned = new Map<string, EncodedResource>();
  private internedBefore = new Map<string, EncodedResource>();
  private generation = 0;

  constructor(private readonly options: GeneratorOptions) {}

  /** A new snapshot is about to be pushed: what the last two pushes did not use is dropped. */
  nextGeneration(): void {
    this.generation++;
    for (const [key, entry] of this.compiled)
      if (entry.lastUsed < this.generation - 2) {
        this.compiled.delete(key);
        this.options.onEvicted?.();
      }
    this.internedBefore = this.interned;
    this.interned = new Map();
  }

  /** Number of distinct views kept. */
  get viewCount(): number {
    return this.compiled.size;
  }

  /** What is kept: views, their endpoints and encoded resources; and how many clusters of the views had a name twice. */
  get cache(): { readonly size: number; readonly duplicateClusters: number } {
    let size = this.compiled.size + this.interned.size;
    let duplicateClusters = 0;
    for (const entry of this.compiled.values()) {
      size += entry.endpoints.size;
      duplicateClusters += entry.duplicateClusters;
    }
    return { size, duplicateClusters };
  }

  /** Makes what a proxy may have under this snapshot. `last` supplies what cannot be made anew. Keys of gateways go only to proxies that proved who they are. */
  generate(snapshot: MeshSnapshot, version: string, node: ProxyNode, maySeeSecrets: boolean, last: ProxyResources | undefined, dataPlane = ''): ProxyResources {
    const view = this.quarantine.admit(viewOf(snapshot, node), dataPlane);
    const key = viewKey(view);
    let compiled = this.compiled.get(key);
    this.options.onRead?.(compiled !== undefined);
    if (!compiled) this.compiled.set(key, (compiled = { sets: new Map(), patches: new Map(), endpoints: new Map(), view, lastUsed: 0, duplicateClusters: 0 }));
    return this.bind(view, version, compiled, maySeeSecrets, last);
  }

  /** The endpoint fast path: the same view over a snapshot that differs in endpoints only. */
  withEndpointsOf(snapshot: MeshSnapshot, version: string, last: ProxyResources): ProxyResources {
    return this.bind({ ...last.view, snapshot }, version, last.compiled, last.maySeeSecrets, last);
  }

  private bind(view: ProxyView, version: string, compiled: Compiled, maySeeSecrets: boolean, last: ProxyResources | undefined): ProxyResources {
    compiled.lastUsed = this.generation;
    compiled.view = view;
    shareReport(view, compiled.patches);
    const endpoints: ResourceSet = { get: (name) => this.endpoint(view, compiled, name, resources.resources(TYPE_URL.cluster), last), values: () => [] };
    const secrets = this.onDemand(compiled, TYPE_URL.secret, (name) => translateSecrets(view, [name])[0], last);
    const resources: ResourceView = {
      version,
      resources: (typeUrl) => {
        if (typeUrl === TYPE_URL.endpoint) return endpoints;
        // Keys are no part of the view key: a set of their own for every snapshot notices a rotated one.
        if (typeUrl === TYPE_URL.secret) return maySeeSecrets ? secrets : EMPTY;
        let set = compiled.sets.get(typeUrl);
        if (!set) compiled.sets.set(typeUrl, (set = this.make(compiled, typeUrl, last)));
        return set;
      },
    };
    return { view, resources, compiled, maySeeSecrets };
  }

  private make(compiled: Compiled, typeUrl: string, last: ProxyResources | undefined): ResourceSet {
    const { view } = compiled;
    switch (typeUrl) {
      case TYPE_URL.cluster:
        return this.all(view, typeUrl, () => {
          const clusters = translateClusters(view);
          compiled.duplicateClusters = clusters.length - new Set(clusters.map(({ name }) => name)).size;
          return clusters;
        }, last);
      case TYPE_URL.listener:
        return this.all(view, typeUrl, () => translateListeners(view), last);
      case TYPE_URL.nameTable:
        return this.all(view, typeUrl, () => [translateNameTable(view)], last);
      case TYPE_URL.extensionConfig:
        return this.all(view, typeUrl, () => [...patchedExtensionConfigs(view).values()], last);
      case TYPE_URL.route:
        return this.onDemand(compiled, typeUrl, (name) => translateRoutes(compiled.view, [name])[0], last);
      default:
        return EMPTY;
    }
  }

  private all(view: ProxyView, typeUrl: string, translate: () => readonly ResourceMessage[], last: ProxyResources | undefined): ResourceSet {
    try {
      return new Map(translate().map((message) => this.encode(message)).map((resource) => [resource.name, resource]));
    } catch (error) {
      this.failed(view, typeUrl, '*', error);
      return last?.compiled.sets.get(typeUrl) ?? EMPTY;
    }
  }

  private onDemand(compiled: Compiled, typeUrl: string, translate: (name: string) => ResourceMessage | undefined, last: ProxyResources | undefined): ResourceSet {
    const made = new Map<string, EncodedResource | undefined>();
    const lastGood = new Map([...(last?.compiled.sets.get(typeUrl)?.values() ?? [])].map((resource) => [resource.name, resource]));
    const get = (name: string) => {
      this.options.onRead?.(made.has(name));
      if (made.has(name)) return made.get(name);
      let resource: EncodedResource | undefined;
      try {
        const message = translate(name);
        resource = message && this.encode(message);
      } catch (error) {
        this.failed(compiled.view, typeUrl, name, error);
        resource = lastGood.get(name);
      }
      made.set(name, resource);
      return resource;
    };
    return { get, values: () => [...made.values()].filter((resource) => resource !== undefined) };
  }

  /**
   * An assignment is made again only when the service's list of endpoints is another one. One whose cluster is gone stays as it was: routes that still
   * point there are replaced in the same push, but after it.
   */
  private endpoint(view: ProxyView, compiled: Compiled, name: string, clusters: ResourceSet, last: ProxyResources | undefined): EncodedResource | undefined {
    const before = compiled.endpoints.get(name) ?? last?.compiled.endpoints.get(name);
    if (before && !clusters.get(name)) {
      compiled.endpoints.set(name, before);
      return before.resource;
    }
    const host = parseClusterName(name)?.host;
    const service = host === undefined ? undefined : view.byHostname.get(host);
    const from = service && view.snapshot.endpoints.get(service.key);
    const known = compiled.endpoints.get(name);
    this.options.onRead?.(known?.from === from && known !== undefined);
    if (known && known.from === from) return known.resource;
    try {
      const resource = this.encode(loadAssignment(view, name));
      compiled.endpoints.set(name, { from, resource });
      return resource;
    } catch (error) {
      this.failed(view, TYPE_URL.endpoint, name, error);
      return known?.resource;
    }
  }

  /** Proxies with equal resources share one copy of the bytes. */
  private encode(message: ResourceMessage): EncodedResource {
    const fresh = encodeResource(message);
    const key = `${fresh.typeUrl}\n${fresh.name}\n${fresh.version}`;
    const shared = this.interned.get(key) ?? this.internedBefore.get(key) ?? fresh;
    this.interned.set(key, shared);
    return shared;
  }

  private failed(view: ProxyView, typeUrl: string, name: string, error: unknown): void {
    const failure = { proxy: view.proxy.id, typeUrl, name, message: messageOf(error) };
    log.error('a resource could not be made; the proxy keeps its last one', { ...failure, stack: error instanceof Error ? (error.stack ?? '') : '' });
    this.options.onFailure(failure);
  }
}
