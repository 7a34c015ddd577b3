import { create } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { CorsPolicySchema, CorsSchema } from '../../xds/gen/envoy/extensions/filters/http/cors/v3/cors_pb.ts';
import { HttpFilterSchema, type HttpFilter } from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import type { CorsPolicy } from '../../model/virtual-service.ts';
import { fractionalPercent } from '../fraction.ts';
import { pack } from '../proto.ts';
import { stringMatcher } from '../string-matcher.ts';

export const CORS_FILTER = 'envoy.filters.http.cors';

export function corsHttpFilter(): HttpFilter {
  return create(HttpFilterSchema, { name: CORS_FILTER, configType: { case: 'typedConfig', value: pack(CorsSchema) } });
}

export function corsRouteConfig(cors: CorsPolicy): Any {
  return pack(CorsPolicySchema, {
    allowOriginStringMatch: cors.allowOrigins.flatMap((origin) => stringMatcher(origin) ?? []),
    allowMethods: cors.allowMethods.join(','), allowHeaders: cors.allowHeaders.join(','), exposeHeaders: cors.exposeHeaders.join(','),
    maxAge: cors.maxAgeMs === undefined ? '' : String(Math.round(cors.maxAgeMs / 1000)),
    ...(cors.allowCredentials !== undefined && { allowCredentials: cors.allowCredentials }),
    ...(cors.forwardUnmatchedPreflights !== undefined && { forwardNotMatchingPreflights: cors.forwardUnmatchedPreflights }),
    filterEnabled: { defaultValue: fractionalPercent(100) },
  });
}
