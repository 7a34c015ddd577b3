import { storagePrefix } from '../api/storage-key.ts';
import { textAt } from '../json.ts';
import { RevisionConflict } from '../store/store.ts';
import type { Environment } from './context.ts';

/** How long an event is kept after it was last seen, as kube-apiserver's `--event-ttl`. */
export const EVENT_TTL_MS = 3_600_000;
const CHECK_EVERY_MS = 60_000;

/** Deletes old events from now on; returns the end of it. */
export function expireEvents(env: Environment): () => void {
  const timer = setInterval(() => {
    deleteOldEvents(env).catch((thrown: unknown) => env.log.error('events cannot be removed', { error: String(thrown) }));
  }, CHECK_EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** Deletes events that were last seen more than {@link EVENT_TTL_MS} ago. */
export async function deleteOldEvents(env: Environment): Promise<void> {
  const oldest = env.now() - EVENT_TTL_MS;
  for (const { key, revision, object } of env.store.list(storagePrefix({ group: '', plural: 'events' }))) {
    const seen = Math.max(...[textAt(object, 'series', 'lastObservedTime'), textAt(object, 'lastTimestamp'), textAt(object, 'metadata', 'creationTimestamp')].map((time) => Date.parse(time) || 0));
    if (seen > oldest) continue;
    // Seen again meanwhile: it stays.
    await env.store.delete(key, revision).catch((thrown: unknown) => {
      if (!(thrown instanceof RevisionConflict)) throw thrown;
    });
  }
}
