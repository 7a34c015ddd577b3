export interface BackoffOptions {
  /** First delay. */
  readonly baseMs: number;
  /** Upper bound of every delay. */
  readonly maxMs: number;
  /** Growth per attempt. Default 2. */
  readonly factor?: number;
  /** Fraction (0–1) of the delay that is random. Default 0.5. */
  readonly jitter?: number;
  /** Source of randomness in [0, 1). Default `Math.random`. */
  readonly random?: () => number;
}

/** Delays that grow with every failure until {@link Backoff.reset}. */
export class Backoff {
  private attempt = 0;

  constructor(private readonly options: BackoffOptions) {}

  /** The delay in milliseconds before the next attempt. */
  next(): number {
    const { baseMs, maxMs, factor = 2, jitter = 0.5, random = Math.random } = this.options;
    const full = Math.min(maxMs, baseMs * factor ** this.attempt);
    this.attempt++;
    return full * (1 - jitter * random());
  }

  reset(): void {
    this.attempt = 0;
  }
}
