/** Time as a dependency, so that state machines are tested without waiting. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Runs `fn` once after `delayMs`; the returned timer does not keep the process alive on its own. */
  after(delayMs: number, fn: () => void): Timer;
}

export interface Timer {
  cancel(): void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  after(delayMs, fn) {
    const handle = setTimeout(fn, delayMs) as unknown as { unref?: () => void };
    handle.unref?.();
    return { cancel: () => clearTimeout(handle as unknown as Parameters<typeof clearTimeout>[0]) };
  },
};

/** A clock that moves only when told; timers fire in order of their due time. */
export class VirtualClock implements Clock {
  private time: number;
  private timers: { due: number; fn: () => void }[] = [];

  constructor(startMs = 0) {
    this.time = startMs;
  }

  now(): number {
    return this.time;
  }

  after(delayMs: number, fn: () => void): Timer {
    const timer = { due: this.time + delayMs, fn };
    this.timers.push(timer);
    return { cancel: () => void (this.timers = this.timers.filter((other) => other !== timer)) };
  }

  /** Moves time forward and fires every timer that becomes due, including those set meanwhile. */
  advance(ms: number): void {
    const end = this.time + ms;
    for (;;) {
      const next = this.timers.filter((timer) => timer.due <= end).sort((a, b) => a.due - b.due)[0];
      if (!next) break;
      this.timers = this.timers.filter((timer) => timer !== next);
      this.time = Math.max(this.time, next.due);
      next.fn();
    }
    this.time = end;
  }
}
