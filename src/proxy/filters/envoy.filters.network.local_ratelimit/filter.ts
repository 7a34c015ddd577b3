import { fromBinary } from '@bufbuild/protobuf';
import { LocalRateLimitSchema } from '../../../xds/gen/envoy/extensions/filters/network/local_ratelimit/v3/local_rate_limit_pb.ts';
import { shapeOf, TokenBucket } from '../token-bucket.ts';
import { PASS, type NetworkFilterFactory } from '../network-filter.ts';

/** Buckets that several filters share, by `share_key` and shape, as long as one of them lives. */
const shared = new Map<string, WeakRef<TokenBucket>>();

/** Refuses connections over a rate. @see https://www.envoyproxy.io/docs/envoy/latest/configuration/listeners/network_filters/local_rate_limit_filter */
export const localRateLimitNetworkFilter: NetworkFilterFactory = {
  typeUrl: 'type.googleapis.com/envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit',
  create(bytes) {
    const config = fromBinary(LocalRateLimitSchema, bytes);
    if (config.tokenBucket === undefined) throw new Error('local_ratelimit: token_bucket is missing');
    const bucket = bucketOf(config.shareKey, shapeOf(config.tokenBucket));
    const enabled = config.runtimeEnabled?.defaultValue ?? true;
    return {
      onConnection(context) {
        if (!enabled || bucket.take(performance.now())) return PASS;
        context.count(`local_rate_limit.${config.statPrefix}.rate_limited`);
        return { kind: 'close', details: '', flag: 'URX' };
      },
    };
  },
};

function bucketOf(shareKey: string, shape: ReturnType<typeof shapeOf>): TokenBucket {
  const make = (): TokenBucket => new TokenBucket(shape.maxTokens, shape.perFill, shape.fillMs, performance.now());
  if (shareKey === '') return make();
  const key = JSON.stringify([shareKey, shape]);
  const known = shared.get(key)?.deref();
  if (known !== undefined) return known;
  const bucket = make();
  shared.set(key, new WeakRef(bucket));
  return bucket;
}
