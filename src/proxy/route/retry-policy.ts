import { durationMs } from '../config/scalars.ts';
import type { RetryPolicy as RetryPolicyMessage } from '../../xds/gen/envoy/config/route/v3/route_components_pb.ts';
import { compileHeaderMatcher } from './header-match.ts';
import type { RetryPolicy } from './route-table.ts';

/** Every value Envoy knows; others are ignored, as Envoy does. @see https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter#x-envoy-retry-on */
const RETRY_ON = new Set(['5xx', 'gateway-error', 'reset', 'reset-before-request', 'connect-failure', 'envoy-ratelimited', 'retriable-4xx', 'refused-stream', 'retriable-status-codes', 'retriable-headers',
  'http3-post-connect-failure', 'cancelled', 'deadline-exceeded', 'internal', 'resource-exhausted', 'unavailable']);

/** Envoy's default base interval. */
const DEFAULT_BASE_MS = 25;

/**
 * Retries of a route. Defaults: one retry, back-off 25 ms to ten times the base, one try to find another host.
 * Throws for a back-off whose maximum is below its base.
 * @see envoy.config.route.v3.RetryPolicy
 */
export function compileRetryPolicy(policy: RetryPolicyMessage | undefined): RetryPolicy | undefined {
  if (!policy) return undefined;
  const retryOn = policy.retryOn.split(',').map((value) => value.trim()).filter((value) => RETRY_ON.has(value));
  const backoffBaseMs = Math.max(1, durationMs(policy.retryBackOff?.baseInterval) ?? DEFAULT_BASE_MS);
  const backoffMaxMs = durationMs(policy.retryBackOff?.maxInterval) ?? backoffBaseMs * 10;
  if (backoffMaxMs < backoffBaseMs) throw new Error('retry_back_off.max_interval must not be less than the base_interval');
  return {
    retryOn: new Set(retryOn),
    retriableStatusCodes: [...policy.retriableStatusCodes],
    numRetries: policy.numRetries ?? 1,
    perTryTimeoutMs: durationMs(policy.perTryTimeout) ?? 0,
    backoffBaseMs,
    backoffMaxMs,
    avoidPreviousHosts: policy.retryHostPredicate.some((predicate) => predicate.name.endsWith('previous_hosts') || (predicate.configType.value?.typeUrl ?? '').endsWith('.PreviousHostsPredicate')),
    hostSelectionMaxAttempts: Number(policy.hostSelectionRetryMaxAttempts) || 1,
    retriableHeaders: policy.retriableHeaders.map(compileHeaderMatcher).map((matches) => (head) => matches((name) => (name === ':status' ? [String(head.status)] : head.headers.getAll(name)))),
  };
}
