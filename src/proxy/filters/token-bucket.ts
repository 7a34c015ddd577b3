import type { TokenBucket as TokenBucketMessage } from '../../xds/gen/envoy/type/v3/token_bucket_pb.ts';
import { durationMs } from '../config/scalars.ts';

/** How a bucket is made. */
export interface BucketShape {
  readonly maxTokens: number;
  readonly perFill: number;
  readonly fillMs: number;
}

/** A bucket as its message says. @throws Error for one that Envoy refuses. */
export function shapeOf(bucket: TokenBucketMessage): BucketShape {
  const fillMs = durationMs(bucket.fillInterval) ?? 0;
  if (fillMs < 50) throw new Error('local rate limit token bucket fill timer must be >= 50ms');
  return { maxTokens: bucket.maxTokens, perFill: bucket.tokensPerFill ?? 1, fillMs };
}

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
