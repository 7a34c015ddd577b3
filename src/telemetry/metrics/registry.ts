/** Metrics as handles: labels are looked up once, then a handle is a number in memory. */

/** Label names to values; printed in the order given. */
export type Labels = Readonly<Record<string, string>>;

export type MetricKind = 'counter' | 'gauge' | 'histogram';

/** A number that only grows. */
export class CounterHandle {
  value = 0;

  constructor(readonly labels: Labels) {}

  /** Adds `by` (default 1). */
  inc(by = 1): void {
    this.value += by;
  }

  reset(): void {
    this.value = 0;
  }
}

/** A number that goes both ways. */
export class GaugeHandle {
  value = 0;

  constructor(readonly labels: Labels) {}

  set(value: number): void {
    this.value = value;
  }

  inc(by = 1): void {
    this.value += by;
  }

  dec(by = 1): void {
    this.value -= by;
  }

  /** Gauges keep their value over `/reset_counters`, as Envoy's do. */
  reset(): void {}
}

/** Counts observations per bucket; bounds are upper and inclusive. */
export class HistogramHandle {
  sum = 0;
  count = 0;
  /** Not cumulative; the last cell is `+Inf`. */
  readonly cells: Float64Array;

  constructor(
    readonly labels: Labels,
    readonly bounds: readonly number[],
  ) {
    this.cells = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const { bounds, cells } = this;
    let low = 0;
    let high = bounds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (value <= bounds[middle]!) high = middle;
      else low = middle + 1;
    }
    cells[low]!++;
    this.sum += value;
    this.count++;
  }

  reset(): void {
    this.sum = 0;
    this.count = 0;
    this.cells.fill(0);
  }
}

type Handle = CounterHandle | GaugeHandle | HistogramHandle;

/** All series of one metric name. */
export class MetricFamily<H extends Handle = Handle> {
  private readonly series = new Map<string, H>();

  constructor(
    readonly name: string,
    readonly help: string,
    readonly kind: MetricKind,
    private readonly create: (labels: Labels) => H,
  ) {}

  /** The handle of one label set, made on first use. Keep it: the lookup is what costs. */
  labels(labels: Labels): H {
    const key = seriesKey(labels);
    let handle = this.series.get(key);
    if (!handle) {
      handle = this.create(Object.freeze({ ...labels }));
      this.series.set(key, handle);
    }
    return handle;
  }

  /** Forgets one series; a handle somebody kept goes on counting unseen. */
  remove(labels: Labels): boolean {
    return this.series.delete(seriesKey(labels));
  }

  clear(): void {
    this.series.clear();
  }

  handles(): IterableIterator<H> {
    return this.series.values();
  }

  get size(): number {
    return this.series.size;
  }
}

/** A family that can be used without labels: its own methods are those of the empty label set. */
export class Counter extends MetricFamily<CounterHandle> {
  constructor(name: string, help: string) {
    super(name, help, 'counter', (labels) => new CounterHandle(labels));
  }

  inc(by = 1): void {
    this.labels(NO_LABELS).inc(by);
  }
}

/** A gauge family; `set`, `inc` and `dec` act on the empty label set. */
export class Gauge extends MetricFamily<GaugeHandle> {
  constructor(name: string, help: string) {
    super(name, help, 'gauge', (labels) => new GaugeHandle(labels));
  }

  set(value: number): void {
    this.labels(NO_LABELS).set(value);
  }

  inc(by = 1): void {
    this.labels(NO_LABELS).inc(by);
  }

  dec(by = 1): void {
    this.labels(NO_LABELS).dec(by);
  }
}

/** A histogram family; `observe` acts on the empty label set. */
export class Histogram extends MetricFamily<HistogramHandle> {
  constructor(name: string, help: string, bounds: readonly number[]) {
    super(name, help, 'histogram', (labels) => new HistogramHandle(labels, bounds));
  }

  observe(value: number): void {
    this.labels(NO_LABELS).observe(value);
  }
}

const NO_LABELS: Labels = {};

/** Bucket bounds of Prometheus clients, for seconds. */
export const DEFAULT_SECONDS_BUCKETS: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/**
 * The metrics of one program. Asking twice for the same name gives the same family; asking for it as another kind throws.
 */
export class MetricRegistry {
  private readonly families = new Map<string, MetricFamily>();
  private readonly collectors = new Set<() => void>();

  /** A counter family. Give the whole name: `_total` is not added. */
  counter(name: string, help: string): Counter {
    return this.family(name, Counter, () => new Counter(name, help));
  }

  gauge(name: string, help: string): Gauge {
    return this.family(name, Gauge, () => new Gauge(name, help));
  }

  /** `bounds` ascend; `+Inf` is added. Default {@link DEFAULT_SECONDS_BUCKETS}. */
  histogram(name: string, help: string, bounds: readonly number[] = DEFAULT_SECONDS_BUCKETS): Histogram {
    return this.family(name, Histogram, () => new Histogram(name, help, bounds));
  }

  /** Runs before every exposition, for gauges that are read rather than kept. Returns how to stop. */
  onCollect(collect: () => void): () => void {
    this.collectors.add(collect);
    return () => void this.collectors.delete(collect);
  }

  /** Families in name order, after the collectors ran. */
  collect(): readonly MetricFamily[] {
    for (const collect of this.collectors) collect();
    return [...this.families.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Sets counters and histograms to zero; gauges stay. */
  resetCounters(): void {
    for (const family of this.families.values()) for (const handle of family.handles()) handle.reset();
  }

  private family<F extends MetricFamily>(name: string, type: new (...args: never[]) => F, create: () => F): F {
    const known = this.families.get(name);
    if (known instanceof type) return known;
    if (known) throw new TypeError(`metric ${name} is already a ${known.kind}`);
    const family = create();
    this.families.set(name, family as unknown as MetricFamily);
    return family;
  }
}

/** A new, empty registry. */
export function createRegistry(): MetricRegistry {
  return new MetricRegistry();
}

function seriesKey(labels: Labels): string {
  let key = '';
  for (const name in labels) key += `${name}\u0000${labels[name]}\u0001`;
  return key;
}
