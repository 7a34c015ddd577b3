import { fromBinary } from '@bufbuild/protobuf';
import { VhRateLimitsOptions, XRateLimitHeadersRFCVersion } from '../../../xds/gen/envoy/extensions/common/ratelimit/v3/ratelimit_pb.ts';
import { LocalRateLimitSchema } from '../../../xds/gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.ts';
import { eachWithin } from '../../config/config-error.ts';
import { compileHeaderMutations } from '../../route/header-mutations.ts';
import type { HeaderMutations } from '../../route/route-table.ts';
import { fractionOf } from '../percent.ts';
import { shapeOf } from '../token-bucket.ts';
import { Limits, keyOf } from './limits.ts';
import type { DescriptorShape } from './limits.ts';

export interface LocalRateLimitConfig {
  /** Undefined: nothing is limited. */
  readonly make: (() => Limits) | undefined;
  /** For all requests of this config, whatever their connection. */
  readonly shared: Limits | undefined;
  readonly perConnection: boolean;
  readonly status: number;
  /** Shares of requests that are counted, and of those over the limit that are refused; 0 when the config says nothing, as in Envoy. */
  readonly enabled: number;
  readonly enforced: number;
  readonly whenNotEnforced: HeaderMutations | undefined;
  readonly onLimited: HeaderMutations | undefined;
  /** gRPC callers hear RESOURCE_EXHAUSTED instead of UNAVAILABLE. */
  readonly resourceExhausted: boolean;
  /** There are descriptors, so that routes' rate limits have to be asked. */
  readonly described: boolean;
  readonly stage: number;
  /** Answers carry `x-ratelimit-limit`, `-remaining` and `-reset`. */
  readonly tellsLimits: boolean;
}

/** @throws Error for what would be counted otherwise than asked. */
export function parseLocalRateLimit(bytes: Uint8Array): LocalRateLimitConfig {
  const config = fromBinary(LocalRateLimitSchema, bytes);
  if (config.localClusterRateLimit) throw new Error('local_cluster_rate_limit is not supported');
  if (config.vhRateLimits !== VhRateLimitsOptions.OVERRIDE) throw new Error('vh_rate_limits other than OVERRIDE is not supported');
  const descriptors = eachWithin('descriptors', config.descriptors, (descriptor): DescriptorShape => {
    const entries = eachWithin('entries', descriptor.entries, ({ key, value }) => {
      if (value === '') throw new Error(`an entry for every value of ${key} is not supported`);
      return { key, value };
    });
    if (descriptor.tokenBucket === undefined) throw new Error('a descriptor needs a token_bucket');
    return { entries, bucket: shapeOf(descriptor.tokenBucket) };
  });
  if (new Set(descriptors.map(({ entries }) => keyOf(entries))).size !== descriptors.length) throw new Error('two descriptors are the same');
  const bucket = config.tokenBucket && shapeOf(config.tokenBucket);
  const make = bucket && (() => new Limits(bucket, descriptors, config.alwaysConsumeDefaultTokenBucket ?? true, performance.now()));
  const status = config.status?.code ?? 0;
  return {
    make, shared: make?.(), perConnection: config.localRateLimitPerDownstreamConnection, status: status >= 400 ? status : 429,
    enabled: config.filterEnabled ? fractionOf(config.filterEnabled.defaultValue) : 0, enforced: config.filterEnforced ? fractionOf(config.filterEnforced.defaultValue) : 0,
    whenNotEnforced: compileHeaderMutations(config.requestHeadersToAddWhenNotEnforced, []), onLimited: compileHeaderMutations(config.responseHeadersToAdd, []),
    resourceExhausted: config.rateLimitedAsResourceExhausted, described: descriptors.length > 0, stage: config.stage, tellsLimits: config.enableXRatelimitHeaders === XRateLimitHeadersRFCVersion.DRAFT_VERSION_03,
  };
}
