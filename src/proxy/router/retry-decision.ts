import type { ResponseHead } from '../http/message.ts';
import type { ResetReason } from '../http/stream.ts';
import type { RetryPolicy } from '../route/route-table.ts';

/** gRPC conditions of `retry_on` by status number. */
const GRPC_CONDITION: ReadonlyMap<string, string> = new Map([
  ['1', 'cancelled'],
  ['4', 'deadline-exceeded'],
  ['8', 'resource-exhausted'],
  ['13', 'internal'],
  ['14', 'unavailable'],
]);

/**
 * Whether a response may be tried again. Trailers-only gRPC responses count by their status.
 * @see https://github.com/envoyproxy/envoy/blob/main/source/common/router/retry_state_impl.cc (wouldRetryFromHeaders)
 */
export function retriesResponse(policy: RetryPolicy, head: ResponseHead): boolean {
  // The other side asks not to be bothered again, whatever the policy says.
  if (head.headers.has('x-envoy-overloaded')) return false;
  const { retryOn } = policy;
  const { status } = head;
  if (head.headers.has('x-envoy-ratelimited')) return retryOn.has('envoy-ratelimited');
  if (status >= 500 && retryOn.has('5xx')) return true;
  if (status >= 502 && status <= 504 && retryOn.has('gateway-error')) return true;
  if (status === 409 && retryOn.has('retriable-4xx')) return true;
  if (retryOn.has('retriable-status-codes') && policy.retriableStatusCodes.includes(status)) return true;
  if (retryOn.has('retriable-headers') && policy.retriableHeaders.some((matches) => matches(head))) return true;
  const condition = GRPC_CONDITION.get(head.headers.get('grpc-status') ?? '');
  return condition !== undefined && retryOn.has(condition);
}

/**
 * Whether a lost attempt may be tried again. `sentAnything`: request bytes had left.
 * @see https://github.com/envoyproxy/envoy/blob/main/source/common/router/retry_state_impl.cc (wouldRetryFromReset)
 */
export function retriesReset(policy: RetryPolicy, reason: ResetReason, sentAnything: boolean): boolean {
  if (reason === 'overflow') return false;
  const { retryOn } = policy;
  if (retryOn.has('reset')) return true;
  if (retryOn.has('reset-before-request') && !sentAnything) return true;
  if (retryOn.has('5xx') || retryOn.has('gateway-error')) return true;
  if (reason === 'remote refused stream reset') return retryOn.has('refused-stream');
  const connect = reason === 'remote connection failure' || reason === 'local connection failure' || reason === 'connection timeout';
  return connect && retryOn.has('connect-failure');
}

/** A per-try timeout counts like a 504 of the host. */
export function retriesTimeout(policy: RetryPolicy): boolean {
  return policy.retryOn.has('5xx') || policy.retryOn.has('gateway-error') || policy.retryOn.has('reset');
}

/** Milliseconds before retry number `attempt` (from 1): uniform in [0, base·(2^attempt − 1)), capped. */
export function retryDelayMs(policy: RetryPolicy, attempt: number, random: number): number {
  const span = Math.min(policy.backoffBaseMs * (2 ** attempt - 1), policy.backoffMaxMs);
  return Math.floor(random * Math.max(1, span));
}
