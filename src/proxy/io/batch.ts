/** Something whose output is collected while a batch runs. */
export interface Flushable {
  flush(): void;
}

/** A burst this long leaves before more is read: its first output must not wait for everybody else's input. */
const LONGEST_BURST = 64;

let depth = 0;
let dirty: Flushable[] = [];
let scheduled = false;

/** Starts a batch: output of every connection is held back until {@link endBatch} at least. Batches nest. */
export function beginBatch(): void {
  depth++;
}

/** Ends a batch. What it wrote leaves with that of all other sockets that were readable in this turn of the event loop. */
export function endBatch(): void {
  if (--depth === 0 && dirty.length >= LONGEST_BURST) flushAll();
}

/**
 * Remembers that `connection` has output. It leaves when every readable socket was read: a peer that slept is woken by the first write of a burst and is
 * still busy when the others come; woken for each of them, waking costs more than writing (docs/decisions/0010-http1-hot-path.md).
 */
export function markDirty(connection: Flushable): void {
  dirty.push(connection);
  if (scheduled) return;
  scheduled = true;
  setImmediate(flushLater);
}

function flushLater(): void {
  scheduled = false;
  flushAll();
}

function flushAll(): void {
  while (dirty.length > 0) {
    const now = dirty;
    dirty = [];
    for (const connection of now) connection.flush();
  }
}
