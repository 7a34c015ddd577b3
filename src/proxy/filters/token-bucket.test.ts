import { describe, expect, it } from 'vitest';
import { TokenBucket } from './token-bucket.ts';

describe('a token bucket', () => {
  it('is full at first, fills steadily and never above what it holds', () => {
    const bucket = new TokenBucket(2, 2, 1000, 0);
    expect([bucket.take(0), bucket.take(0), bucket.take(0)]).toEqual([true, true, false]);
    expect([bucket.take(499), bucket.take(501), bucket.take(502)]).toEqual([false, true, false]);
    expect(bucket.remaining(60_000)).toBe(2);
  });
  it('says when there is a token again', () => {
    const bucket = new TokenBucket(1, 1, 10_000, 0);
    expect(bucket.resetSeconds).toBe(0);
    bucket.take(0);
    expect(bucket.resetSeconds).toBe(10);
  });
});
