/** Keeps something informed about all objects of a kind: list, then watch, forever. */
import { Backoff } from '../../base/backoff.ts';
import { systemClock, type Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';
import type { ResourceType } from '../../objects/kind.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { ApiError, type KubeClient, type ListOptions, type WatchEvent } from './client.ts';

const log = createLogger('reflector');

/** Receives what the API says. A call that throws is logged and does not end the reflector. */
export interface ReflectorSink<T> {
  /** The complete state; objects that are not in it are gone. */
  replace(items: readonly T[]): void;
  change(event: WatchEvent<T>): void;
  /** The API does not serve the kind (yet). Only called with {@link ReflectorOptions.optional}. */
  absent?(): void;
}

export interface ReflectorOptions extends ListOptions {
  /** Ends the reflector. */
  readonly signal: AbortSignal;
  readonly clock?: Clock;
  /** Between failed attempts. Default 100 ms growing to 30 s, half of it random. */
  readonly backoff?: Backoff;
  /** A watch without any event (bookmarks come about once a minute) for so long is dead and opened anew. Default 150 000 ms. */
  readonly idleTimeoutMs?: number;
  /** The kind need not be served: looking for it again and again is no reason to complain. */
  readonly optional?: boolean;
}

const SHORT_WATCH_MS = 1000;
/** Failed watches in a row without an event before the list is fetched again: perhaps an event that cannot be read stands in the way. */
const FAILURES_BEFORE_LIST = 5;

/** Runs until the signal aborts. Never rejects: every failure is logged and tried again with back-off. */
export async function runReflector<T extends KubeObject>(client: KubeClient, type: ResourceType, sink: ReflectorSink<T>, options: ReflectorOptions): Promise<void> {
  const { signal, clock = systemClock, backoff = new Backoff({ baseMs: 100, maxMs: 30_000 }) } = options;
  let resourceVersion: string | undefined;
  let failures = 0;
  while (!signal.aborted) {
    try {
      if (resourceVersion === undefined) {
        const listed = await orAborted(client.list<T>(type, selection(options)), signal);
        if (listed === undefined) return;
        guarded(type, () => sink.replace(listed.items));
        resourceVersion = listed.resourceVersion;
      }
      const startedMs = clock.now();
      const last: string = await watchOnce(client, type, sink, options, clock, resourceVersion, backoff);
      // A watch that ends at once without news (a proxy in between, a restarting server) must not become a busy loop.
      if (last === resourceVersion && clock.now() - startedMs < SHORT_WATCH_MS) await sleep(clock, backoff.next(), signal);
      resourceVersion = last;
      failures = 0;
    } catch (thrown) {
      if (signal.aborted) return;
      const expired = thrown instanceof WatchFailed ? isExpired(thrown.reason) : false;
      failures = thrown instanceof WatchFailed && thrown.resourceVersion === resourceVersion ? failures + 1 : 0;
      resourceVersion = thrown instanceof WatchFailed && !expired && failures < FAILURES_BEFORE_LIST ? thrown.resourceVersion : undefined;
      const delayMs = backoff.next();
      const fields = { resource: type.plural, group: type.group, error: messageOf(thrown), delayMs: Math.round(delayMs) };
      const absent = options.optional && thrown instanceof ApiError && thrown.code === 404;
      if (absent) guarded(type, () => sink.absent?.());
      if (absent) log.debug('not served', fields);
      else if (expired) log.debug('watch is too old, listing again', fields);
      else log.warn(thrown instanceof WatchFailed ? 'watch failed' : 'list failed', fields);
      await sleep(clock, delayMs, signal);
    }
  }
}

/** Carries how far the watch had come. */
class WatchFailed extends Error {
  constructor(
    readonly reason: unknown,
    readonly resourceVersion: string,
  ) {
    super(messageOf(reason));
  }
}

/** Too old, or of a server that lost its data: only a new list helps. */
const isExpired = (thrown: unknown): boolean =>
  thrown instanceof ApiError && (thrown.code === 410 || thrown.reason === 'Expired' || thrown.reason === 'Gone' || (thrown.code === 504 && thrown.message.includes('Too large resource version')));

function selection(options: ListOptions): ListOptions {
  const { namespace, labelSelector, fieldSelector } = options;
  return { ...(namespace === undefined ? {} : { namespace }), ...(labelSelector === undefined ? {} : { labelSelector }), ...(fieldSelector === undefined ? {} : { fieldSelector }) };
}

/** One watch until it ends, goes quiet or is aborted; the version to go on from. */
async function watchOnce<T extends KubeObject>(
  client: KubeClient, type: ResourceType, sink: ReflectorSink<T>, options: ReflectorOptions, clock: Clock, from: string, backoff: Backoff,
): Promise<string> {
  const { signal, idleTimeoutMs = 150_000 } = options;
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  signal.addEventListener('abort', abort, { once: true });
  let resourceVersion = from;
  try {
    const iterator = client.watch<T>(type, { ...selection(options), resourceVersion, signal: controller.signal })[Symbol.asyncIterator]();
    for (;;) {
      const watchdog = clock.after(idleTimeoutMs, abort);
      const next = await orAborted(iterator.next(), controller.signal).finally(() => watchdog.cancel());
      if (next === undefined) {
        if (!signal.aborted) log.warn('watch is silent, opening it anew', { resource: type.plural, idleTimeoutMs });
        // Not awaited: an iterator that hangs in next() would hang here as well.
        iterator.return?.(undefined).catch(() => {});
        return resourceVersion;
      }
      if (next.done) return resourceVersion;
      resourceVersion = next.value.object.metadata.resourceVersion ?? resourceVersion;
      backoff.reset();
      if (next.value.type !== 'BOOKMARK') guarded(type, () => sink.change(next.value));
    }
  } catch (thrown) {
    throw new WatchFailed(thrown, resourceVersion);
  } finally {
    signal.removeEventListener('abort', abort);
    controller.abort();
  }
}

/** The promise's value, or undefined as soon as the signal aborts. */
function orAborted<V>(promise: Promise<V>, signal: AbortSignal): Promise<V | undefined> {
  return new Promise((resolve, reject) => {
    const abort = (): void => resolve(undefined);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

function sleep(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      timer.cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = clock.after(delayMs, done);
    signal.addEventListener('abort', done, { once: true });
  });
}

function guarded(type: ResourceType, call: () => void): void {
  try {
    call();
  } catch (thrown) {
    log.error('a receiver of objects failed', { resource: type.plural, error: messageOf(thrown) });
  }
}
