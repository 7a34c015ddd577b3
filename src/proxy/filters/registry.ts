import { bufferFilter } from './envoy.filters.http.buffer/filter.ts';
import { compressorFilter } from './envoy.filters.http.compressor/filter.ts';
import { corsFilter } from './envoy.filters.http.cors/filter.ts';
import { dynamicForwardProxyFilter } from './envoy.filters.http.dynamic_forward_proxy/filter.ts';
import { faultFilter } from './envoy.filters.http.fault/filter.ts';
import { extAuthzFilter } from './envoy.filters.http.ext_authz/filter.ts';
import { grpcWebFilter } from './envoy.filters.http.grpc_web/filter.ts';
import { headerMutationFilter } from './envoy.filters.http.header_mutation/filter.ts';
import { jwtAuthnFilter } from './envoy.filters.http.jwt_authn/filter.ts';
import { localRateLimitFilter } from './envoy.filters.http.local_ratelimit/filter.ts';
import { luaFilter } from './envoy.filters.http.lua/filter.ts';
import { rbacFilter } from './envoy.filters.http.rbac/filter.ts';
import type { HttpFilterFactory } from './http-filter.ts';
import { alpnFilter } from './istio.alpn/filter.ts';
import { peerMetadataFilter } from './istio.peer-metadata/filter.ts';

/** A filter whose work is done elsewhere: its place in the chain is accepted. */
function elsewhere(name: string, typeUrl: string): HttpFilterFactory {
  return { name, typeUrl, routeTypeUrl: undefined, parse: () => undefined, create: () => undefined };
}

/** Every HTTP filter we obey, by the type URL of its config. */
const FACTORIES: readonly HttpFilterFactory[] = [
  peerMetadataFilter,
  extAuthzFilter,
  jwtAuthnFilter,
  rbacFilter,
  alpnFilter,
  faultFilter,
  corsFilter,
  localRateLimitFilter,
  grpcWebFilter,
  compressorFilter,
  headerMutationFilter,
  bufferFilter,
  luaFilter,
  dynamicForwardProxyFilter,
  // The stream itself forwards: the router is the end of every chain.
  elsewhere('envoy.filters.http.router', 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router'),
  // Istio's metrics are made from the record at the end of the request; the config compiler reads this filter's config.
  elsewhere('istio.stats', 'type.googleapis.com/stats.PluginConfig'),
  // gRPC status and message counts come with the record too.
  elsewhere('envoy.filters.http.grpc_stats', 'type.googleapis.com/envoy.extensions.filters.http.grpc_stats.v3.FilterConfig'),
];

const byTypeUrl = new Map<string, HttpFilterFactory>();
for (const factory of FACTORIES) {
  byTypeUrl.set(factory.typeUrl, factory);
  if (factory.routeTypeUrl !== undefined) byTypeUrl.set(factory.routeTypeUrl, factory);
}

/** Factories by the type URLs of their configs and per-route configs. */
export const HTTP_FILTERS: ReadonlyMap<string, HttpFilterFactory> = byTypeUrl;

/** The factory for a filter config or a per-route config; undefined: we do not have this filter. */
export function httpFilterFactory(typeUrl: string): HttpFilterFactory | undefined {
  return byTypeUrl.get(typeUrl);
}
