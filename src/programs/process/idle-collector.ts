// Gives memory back while a process has nothing to do: V8 by itself keeps what starting up or a burst of requests has grown.
import { performance, type EventLoopUtilization } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';

/** How often the collector looks. Half of V8's own window for "allocates little": after two quiet looks a collection also shrinks the young generation. */
const LOOK_MS = 3000;
/** Below this share of time spent in JavaScript a process counts as quiet. */
const QUIET_SHARE = 0.05;
const QUIET_LOOKS = 2;
/** The first collection finds the garbage, the second one returns the pages that the first one emptied. */
const COLLECTIONS_PER_REST = 2;
/** A quiet process collects again once its heap has grown by this much and by this share. */
const GROWTH_BYTES = 2 << 20;
const GROWTH_SHARE = 0.25;

/** What the collector sees of its process, and does to it. */
export interface CollectedProcess {
  /** Share of the time since the last call in which the event loop was busy, 0 to 1. */
  busyShare(): number;
  /** Bytes of live and dead objects in the heap. */
  heapBytes(): number;
  collect(): void;
}

/** Decides when to collect: never while there is work, twice when a rest begins, then only when garbage has gathered. */
export class IdleCollector {
  private quietLooks = 0;
  private collectionsLeft = COLLECTIONS_PER_REST;
  private restingBytes = 0;

  constructor(private readonly observed: CollectedProcess) {}

  /** One look, every {@link LOOK_MS}. Returns whether it collected. */
  look(): boolean {
    if (this.observed.busyShare() > QUIET_SHARE) {
      this.quietLooks = 0;
      this.collectionsLeft = COLLECTIONS_PER_REST;
      return false;
    }
    this.quietLooks++;
    if (this.quietLooks < QUIET_LOOKS) return false;
    if (this.collectionsLeft === 0) {
      if (this.observed.heapBytes() < this.restingBytes + Math.max(GROWTH_BYTES, this.restingBytes * GROWTH_SHARE)) return false;
      this.collectionsLeft = COLLECTIONS_PER_REST;
    }
    this.observed.collect();
    this.collectionsLeft--;
    this.restingBytes = this.observed.heapBytes();
    this.quietLooks = 0;
    return true;
  }
}

/**
 * Starts looking. Does nothing in a process without `--expose-gc`.
 * `trim` runs after each collection: returns freed native memory to the system.
 */
export function collectWhenIdle(trim: () => void = () => {}): void {
  const { gc } = globalThis;
  if (!gc) return;
  let last: EventLoopUtilization = performance.eventLoopUtilization();
  const collector = new IdleCollector({
    busyShare() {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, last);
      last = now;
      return utilization;
    },
    heapBytes: () => getHeapStatistics().used_heap_size,
    collect() {
      gc();
      trim();
    },
  });
  setInterval(() => collector.look(), LOOK_MS).unref();
}
