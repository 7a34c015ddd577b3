import { create } from '@bufbuild/protobuf';
import { RetryPolicySchema, type RetryPolicy } from '../xds/gen/envoy/config/route/v3/route_components_pb.ts';
import { PreviousHostsPredicateSchema } from '../xds/gen/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.ts';
import type { RetrySettings } from '../model/virtual-service.ts';
import { duration, pack } from './proto.ts';

/** Istio's conditions since 1.24: no status code is retried unless it is asked for (correction C1). */
export const DEFAULT_RETRY_ON = 'connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes';
const DEFAULT_ATTEMPTS = 2;
const HOST_SELECTION_ATTEMPTS = 5n;

/**
 * The retry policy of an outbound route: the route's own, else the mesh's, else Istio's default. `attempts: 0` turns it off. With consistent hashing the
 * hash decides the host, so hosts that failed are not avoided.
 */
export function retryPolicy(own: RetrySettings | undefined, mesh: RetrySettings | undefined, consistentHash: boolean): RetryPolicy | undefined {
  const settings = own ?? mesh;
  if (settings && settings.attempts <= 0) return undefined;
  const policy = create(RetryPolicySchema, {
    retryOn: settings?.retryOn || DEFAULT_RETRY_ON,
    numRetries: settings?.attempts ?? DEFAULT_ATTEMPTS,
    retriableStatusCodes: [...(settings?.retriableStatusCodes ?? [])],
  });
  if (!consistentHash && (settings?.ignorePreviousHosts ?? true)) {
    policy.retryHostPredicate = [{
      $typeName: 'envoy.config.route.v3.RetryPolicy.RetryHostPredicate', name: 'envoy.retry_host_predicates.previous_hosts',
      configType: { case: 'typedConfig', value: pack(PreviousHostsPredicateSchema) },
    }];
    policy.hostSelectionRetryMaxAttempts = HOST_SELECTION_ATTEMPTS;
  }
  if (settings?.perTryTimeoutMs) policy.perTryTimeout = duration(settings.perTryTimeoutMs);
  if (settings?.backoffMs) policy.retryBackOff = create(RetryPolicySchema, { retryBackOff: { baseInterval: duration(settings.backoffMs) } }).retryBackOff!;
  return policy;
}

/** Inbound: only what never reached the application (correction C2); not for gRPC ports. */
export function inboundRetryPolicy(mesh: RetrySettings | undefined): RetryPolicy | undefined {
  if (mesh && mesh.attempts <= 0) return undefined;
  return create(RetryPolicySchema, { retryOn: mesh?.retryOn || 'reset-before-request', numRetries: mesh?.attempts ?? DEFAULT_ATTEMPTS, retriableStatusCodes: [...(mesh?.retriableStatusCodes ?? [])] });
}
