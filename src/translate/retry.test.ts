import { describe, expect, it } from 'vitest';
import type { RetrySettings } from '../model/virtual-service.ts';
import { DEFAULT_RETRY_ON, inboundRetryPolicy, retryPolicy } from './retry.ts';

const settings = (parts: Partial<RetrySettings>): RetrySettings => ({ attempts: 2, perTryTimeoutMs: undefined, retryOn: '', retriableStatusCodes: [], remoteLocalities: false, ignorePreviousHosts: true, backoffMs: undefined, ...parts });

describe('retry policy', () => {
  it('is Istio’s default when nobody says anything: two attempts, no status code', () => {
    const policy = retryPolicy(undefined, undefined, false);
    expect([policy?.retryOn, policy?.numRetries, policy?.retriableStatusCodes, policy?.hostSelectionRetryMaxAttempts]).toEqual([DEFAULT_RETRY_ON, 2, [], 5n]);
    expect(DEFAULT_RETRY_ON).not.toContain('503');
  });
  it.each([
    ['own over mesh', settings({ attempts: 5 }), settings({ attempts: 1 }), 5], ['mesh', undefined, settings({ attempts: 1 }), 1], ['off', settings({ attempts: 0 }), undefined, undefined], ['off by the mesh', undefined, settings({ attempts: 0 }), undefined],
  ])('%s', (_, own, mesh, attempts) => expect(retryPolicy(own, mesh, false)?.numRetries).toBe(attempts));
  it('does not avoid hosts under consistent hashing, or when told so', () => {
    expect(retryPolicy(undefined, undefined, true)?.retryHostPredicate).toEqual([]);
    expect(retryPolicy(settings({ ignorePreviousHosts: false }), undefined, false)?.retryHostPredicate).toEqual([]);
  });
  it('keeps conditions, times and codes', () => {
    const policy = retryPolicy(settings({ retryOn: 'retriable-status-codes', retriableStatusCodes: [503], perTryTimeoutMs: 200, backoffMs: 50 }), undefined, false);
    expect([policy?.retriableStatusCodes, policy?.perTryTimeout?.nanos, policy?.retryBackOff?.baseInterval?.nanos]).toEqual([[503], 200_000_000, 50_000_000]);
  });
  it('retries inbound only what never arrived', () => expect(inboundRetryPolicy(undefined)?.retryOn).toBe('reset-before-request'));
});
