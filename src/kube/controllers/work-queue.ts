/** A controller's queue: keys wait until reconciled, a key that is added while it runs runs again, and failures come back later. */
import { Backoff } from '../../base/backoff.ts';
import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';

const log = createLogger('controller');

export interface WorkQueue {
  add(key: string): void;
  /** Adds the key once the delay has passed. */
  addAfter(key: string, delayMs: number): void;
}

/** Runs `reconcile` for one key at a time per key, at most `concurrency` keys at once, until the signal aborts. A rejected key is tried again after 50 ms to 30 s. */
export function createWorkQueue(name: string, reconcile: (key: string) => Promise<void>, signal: AbortSignal, concurrency = 4): WorkQueue {
  const waiting = new Set<string>();
  const running = new Set<string>();
  const failures = new Map<string, Backoff>();

  const addAfter = (key: string, delayMs: number): void => {
    if (signal.aborted) return;
    setTimeout(() => add(key), delayMs).unref();
  };
  const run = async (key: string): Promise<void> => {
    try {
      await reconcile(key);
      failures.delete(key);
    } catch (error) {
      const backoff = failures.get(key) ?? new Backoff({ baseMs: 50, maxMs: 30_000 });
      failures.set(key, backoff);
      const delayMs = backoff.next();
      log.debug(`${name} could not reconcile ${key}, trying again`, { error: messageOf(error), delayMs: Math.round(delayMs) });
      addAfter(key, delayMs);
    } finally {
      running.delete(key);
      pump();
    }
  };
  const pump = (): void => {
    for (const key of waiting) {
      if (signal.aborted || running.size >= concurrency) return;
      if (running.has(key)) continue;
      waiting.delete(key);
      running.add(key);
      void run(key);
    }
  };
  const add = (key: string): void => {
    if (signal.aborted) return;
    waiting.add(key);
    // Later in this turn, so that a burst of events about one key is one run.
    queueMicrotask(pump);
  };
  return { add, addAfter };
}
