import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';
import type { ResourceType } from '../../objects/kind.ts';
import { keyOf, type KubeObject } from '../../objects/meta.ts';
import type { KubeClient, WatchEvent } from './client.ts';
import { runReflector, type ReflectorOptions } from './reflector.ts';

const log = createLogger('informer');

export type InformerEvent<T> =
  | { readonly type: 'added'; readonly object: T }
  | { readonly type: 'updated'; readonly object: T; readonly old: T }
  | { readonly type: 'deleted'; readonly object: T };

/** A local, always current copy of one kind. List, then watch, with back-off, relist on 410, and no silent stop. */
export interface Informer<T extends KubeObject> {
  /** Resolves when the first list has been delivered, or when an optional kind is not served. Stays pending when the informer is stopped before. */
  readonly synced: Promise<void>;
  /** Current objects by `namespace/name`. */
  items(): ReadonlyMap<string, T>;
  /** Events of objects already known are replayed as `added` to a new listener. */
  onEvent(listener: (event: InformerEvent<T>) => void): () => void;
}

export interface InformerOptions<T extends KubeObject> extends Partial<ReflectorOptions> {
  /** Makes what is kept of an object smaller; it must keep apiVersion, kind, and the metadata's name, namespace, uid and resourceVersion. */
  readonly transform?: (object: T) => T;
}

/** Starts an informer; it runs until `options.signal` aborts (without one: as long as the process). */
export function createInformer<T extends KubeObject>(client: KubeClient, type: ResourceType, options: InformerOptions<T> = {}): Informer<T> {
  const cache = new Cache<T>(options.transform ?? ((object) => object));
  const signal = options.signal ?? new AbortController().signal;
  void runReflector<T>(client, type, cache, { ...options, signal });
  return cache;
}

class Cache<T extends KubeObject> implements Informer<T> {
  readonly synced: Promise<void>;
  private markSynced: () => void = () => {};
  private readonly objects = new Map<string, T>();
  private readonly listeners = new Set<(event: InformerEvent<T>) => void>();

  constructor(private readonly transform: (object: T) => T) {
    this.synced = new Promise((resolve) => (this.markSynced = resolve));
  }

  items(): ReadonlyMap<string, T> {
    return this.objects;
  }

  onEvent(listener: (event: InformerEvent<T>) => void): () => void {
    this.listeners.add(listener);
    for (const object of this.objects.values()) deliver(listener, { type: 'added', object });
    return () => void this.listeners.delete(listener);
  }

  replace(items: readonly T[]): void {
    const present = new Set(items.map(keyOf));
    for (const key of this.objects.keys()) if (!present.has(key)) this.remove(key);
    for (const item of items) this.put(item);
    this.markSynced();
  }

  absent(): void {
    this.markSynced();
  }

  change({ type, object }: WatchEvent<T>): void {
    if (type === 'DELETED') this.remove(keyOf(object), object);
    else this.put(object);
  }

  private put(object: T): void {
    const key = keyOf(object);
    const old = this.objects.get(key);
    if (old && old.metadata.uid !== object.metadata.uid) {
      // Deleted and made anew between a list and the next: not the same object.
      this.remove(key);
      this.put(object);
      return;
    }
    if (old && object.metadata.resourceVersion !== undefined && old.metadata.resourceVersion === object.metadata.resourceVersion) return;
    const kept = this.transform(object);
    this.objects.set(key, kept);
    this.emit(old ? { type: 'updated', object: kept, old } : { type: 'added', object: kept });
  }

  private remove(key: string, last?: T): void {
    const old = this.objects.get(key);
    if (!old) return;
    this.objects.delete(key);
    this.emit({ type: 'deleted', object: last ? this.transform(last) : old });
  }

  private emit(event: InformerEvent<T>): void {
    // A listener that is added meanwhile has been told by its replay.
    const listeners = [...this.listeners];
    for (const listener of listeners) deliver(listener, event);
  }
}

/** One listener's failure must not keep the event from the others. */
function deliver<T extends KubeObject>(listener: (event: InformerEvent<T>) => void, event: InformerEvent<T>): void {
  try {
    listener(event);
  } catch (thrown) {
    log.error('a listener failed', { kind: event.object.kind, name: keyOf(event.object), error: messageOf(thrown) });
  }
}
