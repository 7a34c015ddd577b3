/**
 * Calls back when something was idle for a time. Its use only notes the hour: a timer that was moved for every request would cost more than the request's
 * route. Does not keep the process alive.
 */
export class IdleTimer {
  private timer: NodeJS.Timeout | undefined;
  /** By performance.now(); -1 = in use. */
  private idleSince = -1;
  private timeoutMs = 0;
  private stopped = false;

  constructor(private readonly onIdle: () => void) {}

  /** Idle from now on; `timeoutMs` 0 = for ever. */
  idle(timeoutMs: number): void {
    if (timeoutMs <= 0 || this.stopped) return;
    this.idleSince = performance.now();
    if (this.timer !== undefined && timeoutMs < this.timeoutMs) this.disarm();
    this.timeoutMs = timeoutMs;
    this.timer ??= this.arm(timeoutMs);
  }

  busy(): void {
    this.idleSince = -1;
  }

  stop(): void {
    this.stopped = true;
    this.disarm();
  }

  private disarm(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  private arm(delayMs: number): NodeJS.Timeout {
    return setTimeout(() => this.fired(), Math.ceil(delayMs)).unref();
  }

  private fired(): void {
    this.timer = undefined;
    if (this.idleSince < 0) return;
    const leftMs = this.idleSince + this.timeoutMs - performance.now();
    if (leftMs > 0) this.timer = this.arm(leftMs);
    else this.onIdle();
  }
}
