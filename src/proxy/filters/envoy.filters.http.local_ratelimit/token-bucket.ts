/** A full bucket that gets `perFill` tokens back every `fillMs`, never more than it holds. */
export class TokenBucket {
  private tokens: number;

  constructor(
    private readonly maxTokens: number,
    private readonly perFill: number,
    private readonly fillMs: number,
    private filledAtMs: number,
  ) {
    this.tokens = maxTokens;
  }

  /** False: there is none left. */
  take(nowMs: number): boolean {
    const fills = Math.floor((nowMs - this.filledAtMs) / this.fillMs);
    if (fills > 0) {
      this.tokens = Math.min(this.maxTokens, this.tokens + fills * this.perFill);
      this.filledAtMs += fills * this.fillMs;
    }
    if (this.tokens < 1) return false;
    this.tokens--;
    return true;
  }
}
