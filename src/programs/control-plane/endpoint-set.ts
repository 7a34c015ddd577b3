/** The endpoints of a place at one snapshot, made when they are asked for, and which of them a later snapshot changed. */
import type { Endpoint } from '../../model/endpoint.ts';
import type { MergedRule, ProxyView } from '../../model/view.ts';
import type { MeshSnapshot } from '../../model/snapshot.ts';
import { edsClusterNames } from '../../translate/clusters.ts';
import type { EncodedResource } from '../../xds/ads.ts';
import type { ResourceSet } from '../../xds/server/type-subscription.ts';

/** The last assignment made for a cluster, and what it was made of. */
export interface KnownAssignment {
  readonly endpoints: readonly Endpoint[] | undefined;
  /** Digest of the service. */
  readonly service: string | undefined;
  readonly rule: MergedRule | undefined;
  readonly mesh: string;
  /** Policies by which some endpoints refuse mutual TLS. */
  readonly mutual: string;
  readonly near: string;
  readonly resource: EncodedResource;
}

export class EndpointSet implements ResourceSet {
  private readonly made = new Map<string, EncodedResource | undefined>();
  private readonly differences = new WeakMap<EndpointSet, ReadonlySet<string> | 'unknown'>();

  constructor(private readonly view: ProxyView, private readonly clusters: ResourceSet, private readonly make: (name: string) => EncodedResource | undefined) {}

  get(name: string): EncodedResource | undefined {
    let resource = this.made.get(name);
    if (!resource && !this.made.has(name)) this.made.set(name, (resource = this.make(name)));
    return resource;
  }

  *values(): Iterable<EncodedResource> {
    for (const resource of this.made.values()) if (resource) yield resource;
  }

  changesFrom(older: ResourceSet): ReadonlySet<string> | undefined {
    if (!(older instanceof EndpointSet)) return undefined;
    let names = this.differences.get(older);
    if (!names) this.differences.set(older, (names = this.compare(older) ?? 'unknown'));
    return names === 'unknown' ? undefined : names;
  }

  /** Only where nothing but endpoints changed: then the services with other lists say it all. */
  private compare(older: EndpointSet): ReadonlySet<string> | undefined {
    const [now, then] = [this.view, older.view];
    if (this.clusters !== older.clusters || now.services !== then.services || now.snapshot.destinationRules !== then.snapshot.destinationRules || now.snapshot.peerAuthentications !== then.snapshot.peerAuthentications || now.snapshot.mesh !== then.snapshot.mesh) return undefined;
    const keys = changedServices(now.snapshot.endpoints, then.snapshot.endpoints);
    const names = new Set<string>();
    if (keys.size > 0) for (const service of now.services) if (keys.has(service.key)) for (const name of edsClusterNames(now, service)) names.add(name);
    return names;
  }
}

type EndpointMap = MeshSnapshot['endpoints'];

const compared = new WeakMap<EndpointMap, WeakMap<EndpointMap, ReadonlySet<string>>>();

/** Keys of the services whose lists are other objects in both; found once, whatever the number of places. */
function changedServices(now: EndpointMap, then: EndpointMap): ReadonlySet<string> {
  let byOlder = compared.get(now);
  if (!byOlder) compared.set(now, (byOlder = new WeakMap()));
  let keys = byOlder.get(then);
  if (!keys) {
    const changed = new Set<string>();
    for (const [key, list] of now) if (then.get(key) !== list) changed.add(key);
    for (const key of then.keys()) if (!now.has(key)) changed.add(key);
    byOlder.set(then, (keys = changed));
  }
  return keys;
}
