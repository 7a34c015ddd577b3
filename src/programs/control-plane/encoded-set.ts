/** Sets of encoded resources that many proxies share, and what is different between two of them. */
import type { EncodedResource } from '../../xds/ads.ts';
import type { ResourceSet } from '../../xds/server/type-subscription.ts';

/** An immutable set by name; of two resources with one name the later counts. */
export class EncodedSet implements ResourceSet {
  private readonly byName: ReadonlyMap<string, EncodedResource>;
  private readonly differences = new WeakMap<ResourceSet, ReadonlySet<string>>();

  constructor(readonly list: readonly EncodedResource[]) {
    this.byName = new Map(list.map((resource) => [resource.name, resource]));
  }

  /** How many resources had a name another one has. */
  get duplicates(): number {
    return this.list.length - this.byName.size;
  }

  get(name: string): EncodedResource | undefined {
    return this.byName.get(name);
  }

  values(): Iterable<EncodedResource> {
    return this.byName.values();
  }

  changesFrom(older: ResourceSet): ReadonlySet<string> | undefined {
    if (!(older instanceof EncodedSet)) return undefined;
    let names = this.differences.get(older);
    if (!names) {
      const changed = new Set<string>();
      for (const [name, resource] of this.byName) if (older.byName.get(name) !== resource) changed.add(name);
      for (const name of older.byName.keys()) if (!this.byName.has(name)) changed.add(name);
      this.differences.set(older, (names = changed));
    }
    return names;
  }
}

/** The set of these resources: the one before when nothing is different, so that nobody has to compare. */
export function stableSet(before: EncodedSet | undefined, list: readonly EncodedResource[]): EncodedSet {
  return before && before.list.length === list.length && before.list.every((resource, index) => resource === list[index]) ? before : new EncodedSet(list);
}

/** What proxies of a place share, and what one workload has of its own. */
class JoinedSet implements ResourceSet {
  constructor(private readonly shared: EncodedSet, private readonly own: EncodedSet) {}

  get(name: string): EncodedResource | undefined {
    return this.own.get(name) ?? this.shared.get(name);
  }

  *values(): Iterable<EncodedResource> {
    for (const resource of this.shared.values()) if (!this.own.get(resource.name)) yield resource;
    yield* this.own.values();
  }

  changesFrom(older: ResourceSet): ReadonlySet<string> | undefined {
    if (!(older instanceof JoinedSet)) return undefined;
    const [shared, own] = [this.shared.changesFrom(older.shared), this.own.changesFrom(older.own)];
    if (!shared || !own || own.size === 0) return own && shared;
    return new Set([...shared, ...own]);
  }
}

const joined = new WeakMap<EncodedSet, WeakMap<EncodedSet, ResourceSet>>();

/** Both together; the same two sets give the same set. */
export function joinSets(shared: EncodedSet, own: EncodedSet): ResourceSet {
  let withOwn = joined.get(shared);
  if (!withOwn) joined.set(shared, (withOwn = new WeakMap()));
  let set = withOwn.get(own);
  if (!set) withOwn.set(own, (set = new JoinedSet(shared, own)));
  return set;
}

/** Results of the present and of the last generation: what neither used is dropped. */
export class GenerationCache<T> {
  private present = new Map<string, T>();
  private before = new Map<string, T>();

  get size(): number {
    return this.present.size;
  }

  nextGeneration(): void {
    this.before = this.present;
    this.present = new Map();
  }

  get(key: string): T | undefined {
    let value = this.present.get(key);
    if (value === undefined) {
      value = this.before.get(key);
      if (value !== undefined) this.present.set(key, value);
    }
    return value;
  }

  set(key: string, value: T): void {
    this.present.set(key, value);
  }
}
