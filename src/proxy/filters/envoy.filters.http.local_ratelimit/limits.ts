import type { DescriptorEntry } from '../../route/rate-limits.ts';
import { TokenBucket } from '../token-bucket.ts';
import type { BucketShape } from '../token-bucket.ts';

export interface DescriptorShape {
  readonly entries: readonly DescriptorEntry[];
  readonly bucket: BucketShape;
}

/** What became of a request. `bucket`: the one that speaks for it in `x-ratelimit` headers. */
export interface LimitVerdict {
  readonly allowed: boolean;
  readonly bucket: TokenBucket | undefined;
}

/** The buckets of one config: of the whole process, or of one connection. @see Envoy LocalRateLimiterImpl */
export class Limits {
  private readonly shared: TokenBucket;
  private readonly described: ReadonlyMap<string, TokenBucket>;

  constructor(
    shared: BucketShape,
    descriptors: readonly DescriptorShape[],
    private readonly alwaysShared: boolean,
    nowMs: number,
  ) {
    const make = ({ maxTokens, perFill, fillMs }: BucketShape): TokenBucket => new TokenBucket(maxTokens, perFill, fillMs, nowMs);
    this.shared = make(shared);
    this.described = new Map(descriptors.map(({ entries, bucket }) => [keyOf(entries), make(bucket)]));
  }

  /** Takes a token of every bucket that counts the request; the first empty one refuses it. */
  take(descriptors: readonly (readonly DescriptorEntry[])[], nowMs: number): LimitVerdict {
    const matched: TokenBucket[] = [];
    for (const entries of descriptors) {
      const bucket = this.described.get(keyOf(entries));
      if (bucket !== undefined && !matched.includes(bucket)) matched.push(bucket);
    }
    matched.sort((one, other) => one.rate - other.rate);
    for (const bucket of matched) if (!bucket.take(nowMs)) return { allowed: false, bucket };
    if (matched.length > 0 && !this.alwaysShared) return { allowed: true, bucket: matched[0] };
    const allowed = this.shared.take(nowMs);
    return { allowed, bucket: allowed ? (matched[0] ?? this.shared) : this.shared };
  }
}

/** Entries in order, as Envoy compares them. */
export function keyOf(entries: readonly DescriptorEntry[]): string {
  return JSON.stringify(entries.map(({ key, value }) => [key, value]));
}
