import { fromBinary } from '@bufbuild/protobuf';
import { CorsPolicySchema } from '../../../xds/gen/envoy/extensions/filters/http/cors/v3/cors_pb.ts';
import { compileStringMatcher } from '../../route/string-match.ts';
import { fractionOf } from '../percent.ts';

/** A route's CORS policy; '' = the header is not sent. */
export interface CorsConfig {
  readonly allowsOrigin: (origin: string) => boolean;
  readonly allowMethods: string;
  readonly allowHeaders: string;
  readonly exposeHeaders: string;
  readonly maxAge: string;
  readonly allowCredentials: boolean;
  /** Preflights of other origins go to the workload instead of being answered here. Default true. */
  readonly forwardNotMatchingPreflights: boolean;
  /** Fraction 0–1 of the requests the policy is for. */
  readonly enabled: number;
}

/** @throws Error for matchers that cannot be compiled. */
export function parseCors(bytes: Uint8Array): CorsConfig {
  const policy = fromBinary(CorsPolicySchema, bytes);
  const matchers = policy.allowOriginStringMatch.map((matcher) => compileStringMatcher(matcher));
  return {
    allowsOrigin: (origin) => matchers.some((matches) => matches(origin)),
    allowMethods: policy.allowMethods,
    allowHeaders: policy.allowHeaders,
    exposeHeaders: policy.exposeHeaders,
    maxAge: policy.maxAge,
    allowCredentials: policy.allowCredentials === true,
    forwardNotMatchingPreflights: policy.forwardNotMatchingPreflights !== false,
    enabled: policy.filterEnabled === undefined ? 1 : fractionOf(policy.filterEnabled.defaultValue),
  };
}
