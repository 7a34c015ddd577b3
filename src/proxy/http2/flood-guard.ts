/** What a peer may do that costs us more than it costs the peer. Every kind has a budget that grows with time and with useful work. */
export const FLOOD_LIMITS = {
  /** Young streams reset before their answer, or malformed (CVE-2023-44487): so many at once, so many a second, and one more for each answered stream. */
  resets: { burst: 500, perSecond: 100 },
  /** A stream that lived longer is reset for a reason, such as a deadline. */
  youngStreamMs: 1000,
  /** PING, SETTINGS, PRIORITY, WINDOW_UPDATE, unknown frames (CVE-2019-9512, -9513, -9515, -9517). */
  noise: { burst: 2000, perSecond: 500 },
  /** What an empty DATA frame (CVE-2019-9518) or a SETTINGS frame costs of the noise budget. */
  expensiveNoise: 10,
  /** What a stream, or a DATA frame of a reasonable size in either direction, adds to the noise budget. */
  usefulWork: 10,
  /** Smaller DATA frames are no useful work: a peer with a tiny window could ask for any number of them (CVE-2019-9511). */
  usefulFrameBytes: 256,
} as const;

interface Rate {
  readonly burst: number;
  readonly perSecond: number;
}

class Budget {
  private tokens: number;
  private filledAtMs: number;

  constructor(private readonly rate: Rate, private readonly nowMs: () => number) {
    this.tokens = rate.burst;
    this.filledAtMs = nowMs();
  }

  add(tokens: number): void {
    if (this.tokens < this.rate.burst) this.tokens = Math.min(this.rate.burst, this.tokens + tokens);
  }

  /** False: spent. The clock is read only when the budget looks empty. */
  take(tokens: number): boolean {
    this.tokens -= tokens;
    if (this.tokens >= 0) return true;
    const now = this.nowMs();
    this.add(((now - this.filledAtMs) * this.rate.perSecond) / 1000);
    this.filledAtMs = now;
    return this.tokens >= 0;
  }
}

/** Keeps the account of one connection. Methods say false when a limit is passed. */
export class FloodGuard {
  private readonly resets: Budget;
  private readonly noise: Budget;

  /** `countsResets`: of servers only. A server that resets what we asked for harms itself. */
  constructor(
    readonly nowMs: () => number,
    private readonly countsResets: boolean,
  ) {
    this.resets = new Budget(FLOOD_LIMITS.resets, nowMs);
    this.noise = new Budget(FLOOD_LIMITS.noise, nowMs);
  }

  /** A stream was reset by the peer, or because of it. */
  onReset(openedAtMs = Infinity): boolean {
    return !this.countsResets || this.nowMs() - openedAtMs > FLOOD_LIMITS.youngStreamMs || this.resets.take(1);
  }

  onAnswered(): void {
    this.resets.add(1);
  }

  onNoise(expensive: boolean): boolean {
    return this.noise.take(expensive ? FLOOD_LIMITS.expensiveNoise : 1);
  }

  onStream(): void {
    this.noise.add(FLOOD_LIMITS.usefulWork);
  }

  /** DATA of some size was sent or received. */
  onBody(bytes: number): void {
    if (bytes >= FLOOD_LIMITS.usefulFrameBytes) this.noise.add(FLOOD_LIMITS.usefulWork);
  }
}
