import type { KubeObject } from '../../../objects/meta.ts';
import type { Resource } from '../api/resources.ts';
import { storagePrefix } from '../api/storage-key.ts';
import { expired, versionTooLarge } from '../status.ts';
import { RevisionCompacted, type StoreEvent } from '../store/store.ts';
import type { Environment } from './context.ts';
import { selectorOf, type ListQuery } from './read.ts';

/** A change as a client with selectors sees it: an object that stops being chosen is deleted for it. */
export interface ObjectEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: KubeObject;
}

/**
 * Calls back with every change of chosen objects after a resourceVersion. Callbacks are synchronous and share their objects.
 * @throws ApiError 400, 410 when the history does not reach back to `from`, 504 when `from` is still to come
 */
export function watchObjects(env: Environment, resource: Resource, namespace: string | undefined, query: ListQuery, from: number, listener: (event: ObjectEvent) => void): () => void {
  const selected = selectorOf(resource, query);
  const now = env.store.revision();
  if (from > now) throw versionTooLarge(from, now);
  try {
    return env.store.watch(storagePrefix(resource, namespace), from, (change) => {
      // A watcher that fails must not fail the write it is told about.
      try {
        const event = seen(change, selected);
        if (event) listener(event);
      } catch (thrown) {
        env.log.error('watch failed', { key: change.key, error: thrown instanceof Error ? thrown.stack : String(thrown) });
      }
    });
  } catch (thrown) {
    if (thrown instanceof RevisionCompacted) throw expired(thrown.message);
    throw thrown;
  }
}

function seen({ type, object, previous }: StoreEvent, selected: (object: KubeObject) => boolean): ObjectEvent | undefined {
  const before = previous !== undefined && selected(previous);
  const after = type === 'put' && selected(object);
  if (after) return { type: before ? 'MODIFIED' : 'ADDED', object };
  if (!before) return undefined;
  if (type === 'delete') return { type: 'DELETED', object };
  // Gone for this client only: the last state it knows, at the version of the change.
  return { type: 'DELETED', object: { ...previous, metadata: { ...previous.metadata, resourceVersion: object.metadata.resourceVersion! } } };
}
