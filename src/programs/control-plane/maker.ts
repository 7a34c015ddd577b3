/** Makes and encodes resources, shares equal ones between proxies, and stands in with the last good one for what cannot be made. */
import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import type { ProxyView } from '../../model/view.ts';
import type { EncodedResource } from '../../xds/ads.ts';
import { encodeResource, type ResourceMessage } from '../../xds/codec.ts';
import type { ResourceSet } from '../../xds/server/type-subscription.ts';
import { GenerationCache } from './encoded-set.ts';

const log = createLogger('translate');

/** What went wrong while a resource was made; the proxy keeps the last good one. */
export interface TranslateFailure {
  readonly proxy: string;
  readonly typeUrl: string;
  /** Resource name, or `*` when a whole type failed. */
  readonly name: string;
  readonly message: string;
}

export class Maker {
  private readonly interned = new GenerationCache<EncodedResource>();
  private readonly parts = new GenerationCache<readonly EncodedResource[]>();
  private readonly bytes = new GenerationCache<Uint8Array>();
  private readonly assignments = new WeakMap<readonly Endpoint[], Map<string, EncodedResource>>();

  constructor(private readonly onFailure: (failure: TranslateFailure) => void, readonly onRead: (hit: boolean) => void) {}

  /** Number of resources and parts kept for sharing. */
  get size(): number {
    return this.interned.size + this.parts.size + this.bytes.size;
  }

  nextGeneration(): void {
    for (const cache of [this.interned, this.parts, this.bytes]) cache.nextGeneration();
  }

  /** Proxies with equal resources share one copy of the bytes. */
  encode(message: ResourceMessage): EncodedResource {
    return this.intern(encodeResource(message));
  }

  intern(fresh: EncodedResource): EncodedResource {
    const key = `${fresh.typeUrl}\n${fresh.name}\n${fresh.version}`;
    const known = this.interned.get(key);
    if (!known) this.interned.set(key, fresh);
    return known ?? fresh;
  }

  /** What another place made from the same things. */
  shared(key: string, make: () => { readonly made: readonly EncodedResource[]; readonly isGood: boolean }): readonly EncodedResource[] {
    const known = this.parts.get(key);
    if (known) return known;
    const { made, isGood } = make();
    if (isGood) this.parts.set(key, made);
    return made;
  }

  sharedBytes(key: string, make: () => Uint8Array): Uint8Array {
    let known = this.bytes.get(key);
    if (!known) this.bytes.set(key, (known = make()));
    return known;
  }

  /** An assignment made of this list of endpoints, for any place. */
  sharedAssignment(endpoints: readonly Endpoint[], key: string, make: () => EncodedResource): EncodedResource {
    let byKey = this.assignments.get(endpoints);
    if (!byKey) this.assignments.set(endpoints, (byKey = new Map()));
    let known = byKey.get(key);
    if (!known) byKey.set(key, (known = make()));
    return known;
  }

  /** One resource by name. */
  one(view: ProxyView, typeUrl: string, name: string, make: () => EncodedResource | undefined, lastGood: EncodedResource | undefined): EncodedResource | undefined {
    try {
      return make();
    } catch (error) {
      this.failed(view, typeUrl, name, error);
      return lastGood;
    }
  }

  /** The resources of one part, encoded. */
  several(view: ProxyView, typeUrl: string, name: string, translate: () => readonly ResourceMessage[], lastGood: () => readonly EncodedResource[]): { readonly made: readonly EncodedResource[]; readonly isGood: boolean } {
    try {
      return { made: translate().map((message) => this.encode(message)), isGood: true };
    } catch (error) {
      this.failed(view, typeUrl, name, error);
      return { made: lastGood(), isGood: false };
    }
  }

  /** Everything of a type. */
  all(view: ProxyView, typeUrl: string, translate: () => readonly ResourceMessage[], lastGood: ResourceSet | undefined): readonly EncodedResource[] {
    return this.several(view, typeUrl, '*', translate, () => [...(lastGood?.values() ?? [])]).made;
  }

  private failed(view: ProxyView, typeUrl: string, name: string, error: unknown): void {
    const failure = { proxy: view.proxy.id, typeUrl, name, message: messageOf(error) };
    log.error('a resource could not be made; the proxy keeps its last one', { ...failure, stack: error instanceof Error ? (error.stack ?? '') : '' });
    this.onFailure(failure);
  }
}
