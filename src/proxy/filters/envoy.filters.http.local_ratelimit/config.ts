import { fromBinary } from '@bufbuild/protobuf';
import { LocalRateLimitSchema } from '../../../xds/gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.ts';
import { durationMs } from '../../config/scalars.ts';
import { compileHeaderMutations } from '../../route/header-mutations.ts';
import type { HeaderMutations } from '../../route/route-table.ts';
import { fractionOf } from '../percent.ts';
import { TokenBucket } from './token-bucket.ts';

export interface LocalRateLimitConfig {
  /** Undefined: nothing is limited. One for all requests of this config. */
  readonly bucket: (() => TokenBucket) | undefined;
  readonly shared: TokenBucket | undefined;
  readonly perConnection: boolean;
  readonly status: number;
  /** Shares of requests that are counted, and of those over the limit that are refused; 0 when the config says nothing, as in Envoy. */
  readonly enabled: number;
  readonly enforced: number;
  readonly whenNotEnforced: HeaderMutations | undefined;
  readonly onLimited: HeaderMutations | undefined;
  /** gRPC callers hear RESOURCE_EXHAUSTED instead of UNAVAILABLE. */
  readonly resourceExhausted: boolean;
}

/** @throws Error for descriptors, which need rate limit actions on routes. */
export function parseLocalRateLimit(bytes: Uint8Array): LocalRateLimitConfig {
  const config = fromBinary(LocalRateLimitSchema, bytes);
  if (config.descriptors.length > 0) throw new Error('local_ratelimit: descriptors are not supported');
  const { tokenBucket } = config;
  const fillMs = durationMs(tokenBucket?.fillInterval) ?? 0;
  if (tokenBucket && fillMs < 50) throw new Error('local rate limit token bucket fill timer must be >= 50ms');
  const make = tokenBucket && (() => new TokenBucket(tokenBucket.maxTokens, tokenBucket.tokensPerFill ?? 1, fillMs, performance.now()));
  const status = config.status?.code ?? 0;
  return {
    bucket: make, shared: make?.(), perConnection: config.localRateLimitPerDownstreamConnection, status: status >= 400 ? status : 429,
    enabled: config.filterEnabled ? fractionOf(config.filterEnabled.defaultValue) : 0, enforced: config.filterEnforced ? fractionOf(config.filterEnforced.defaultValue) : 0,
    whenNotEnforced: compileHeaderMutations(config.requestHeadersToAddWhenNotEnforced, []), onLimited: compileHeaderMutations(config.responseHeadersToAdd, []),
    resourceExhausted: config.rateLimitedAsResourceExhausted,
  };
}
