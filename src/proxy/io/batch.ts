/** Something whose output is collected while a batch runs. */
export interface Flushable {
  flush(): void;
}

let depth = 0;
let dirty: Flushable[] = [];
let scheduled = false;

/** Starts a batch: output of every connection is held back until {@link endBatch}. Batches nest. */
export function beginBatch(): void {
  depth++;
}

/** Ends a batch; the outermost one writes everything that was collected. */
export function endBatch(): void {
  if (--depth > 0 || dirty.length === 0) return;
  flushAll();
}

/** Remembers that `connection` has output. Outside a batch it leaves on the next tick. */
export function markDirty(connection: Flushable): void {
  dirty.push(connection);
  if (depth > 0 || scheduled) return;
  scheduled = true;
  process.nextTick(flushLater);
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
