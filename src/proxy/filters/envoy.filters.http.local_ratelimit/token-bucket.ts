/** A bucket that is full at first and fills steadily, `perFill` tokens every `fillMs`, never above what it holds. @see Envoy AtomicTokenBucketImpl */
export class TokenBucket {
  private tokens: number;

  constructor(
    readonly maxTokens: number,
    private readonly perFill: number,
    private readonly fillMs: number,
    private filledAtMs: number,
  ) {
    this.tokens = maxTokens;
  }

  /** False: there is none left. */
  take(nowMs: number): boolean {
    this.fill(nowMs);
    if (this.tokens < 1) return false;
    this.tokens--;
    return true;
  }

  /** Whole tokens that are left. */
  remaining(nowMs: number): number {
    this.fill(nowMs);
    return Math.floor(this.tokens);
  }

  /** Tokens a millisecond: of several buckets the slowest is asked first. */
  get rate(): number {
    return this.perFill / this.fillMs;
  }

  /** Seconds until there is a token again, as `x-ratelimit-reset` says it: 0 while there is one. */
  get resetSeconds(): number {
    return this.tokens >= 1 ? 0 : Math.ceil((1 - this.tokens) / this.rate / 1000);
  }

  private fill(nowMs: number): void {
    this.tokens = Math.min(this.maxTokens, this.tokens + (nowMs - this.filledAtMs) * this.rate);
    this.filledAtMs = nowMs;
  }
}
