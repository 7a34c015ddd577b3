/** Earliest deadline first: picks items in proportion to their weights with the smallest possible bursts. */

interface Entry<T> {
  readonly item: T;
  deadline: number;
  /** Ties go to who waited longer. */
  order: number;
}

/** @see https://github.com/envoyproxy/envoy/blob/main/source/common/upstream/edf_scheduler.h (the idea; weights are read again at every pick) */
export class EdfScheduler<T> {
  private readonly heap: Entry<T>[] = [];
  private now = 0;
  private orders = 0;

  /** `random` in [0, 1) staggers the start, so that many proxies do not begin with the same host. */
  constructor(items: readonly T[], private readonly weightOf: (item: T) => number, random: () => number) {
    for (const item of items) this.push({ item, deadline: this.step(item) * (1 - random()), order: this.orders++ });
  }

  /** Undefined only when there are no items. */
  pick(): T | undefined {
    const entry = this.heap[0];
    if (!entry) return undefined;
    this.now = entry.deadline;
    entry.deadline = this.now + this.step(entry.item);
    entry.order = this.orders++;
    this.sink(0);
    return entry.item;
  }

  private step(item: T): number {
    return 1 / Math.max(1e-6, this.weightOf(item));
  }

  private push(entry: Entry<T>): void {
    const { heap } = this;
    heap.push(entry);
    let at = heap.length - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (before(heap[parent]!, entry)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = entry;
  }

  private sink(from: number): void {
    const { heap } = this;
    const entry = heap[from]!;
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (before(entry, heap[child]!)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = entry;
  }
}

function before<T>(a: Entry<T>, b: Entry<T>): boolean {
  return a.deadline < b.deadline || (a.deadline === b.deadline && a.order < b.order);
}
