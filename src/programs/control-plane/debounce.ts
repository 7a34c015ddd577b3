/** Gathers changes: acts when they have paused, but never waits longer than a bound. */
import type { Clock, Timer } from '../../base/clock.ts';

export interface DebounceOptions {
  readonly clock: Clock;
  /** Pause that ends the gathering. */
  readonly quietMs: number;
  /** Longest time from the first change to the action. */
  readonly maxMs: number;
  /** Gets the time of the first gathered change and how many there were. */
  readonly act: (sinceMs: number, count: number) => void;
}

export class Debounce {
  private timer: Timer | undefined;
  private sinceMs: number | undefined;
  private count = 0;

  constructor(private readonly options: DebounceOptions) {}

  /** True while changes wait. */
  get pending(): boolean {
    return this.sinceMs !== undefined;
  }

  /** Notes a change. */
  trigger(): void {
    const { clock, quietMs, maxMs } = this.options;
    const now = clock.now();
    this.sinceMs ??= now;
    this.count++;
    this.timer?.cancel();
    this.timer = clock.after(Math.max(0, Math.min(quietMs, this.sinceMs + maxMs - now)), () => this.fire());
  }

  /** Acts now, if anything waits. */
  flush(): void {
    if (this.pending) this.fire();
  }

  private fire(): void {
    const { sinceMs = this.options.clock.now(), count } = this;
    this.timer?.cancel();
    this.timer = this.sinceMs = undefined;
    this.count = 0;
    this.options.act(sinceMs, count);
  }
}
