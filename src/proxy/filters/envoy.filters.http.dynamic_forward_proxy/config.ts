import { fromBinary } from '@bufbuild/protobuf';
import { FilterConfigSchema, PerRouteConfigSchema } from '../../../xds/gen/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy_pb.ts';
import { compileDnsCache, type DnsCacheSettings } from '../../cluster/dns-cache.ts';
import { within } from '../../config/config-error.ts';

export const PER_ROUTE_TYPE = 'type.googleapis.com/envoy.extensions.filters.http.dynamic_forward_proxy.v3.PerRouteConfig';

/** Which host is looked up instead of the request's own. */
export type HostChoice = { readonly literal: string } | { readonly header: string };

export type DynamicForwardConfig = { readonly cache: DnsCacheSettings } | { readonly host: HostChoice | undefined };

/** @throws Error when the config cannot be obeyed */
export function parseDynamicForward(typeUrl: string, bytes: Uint8Array): DynamicForwardConfig {
  if (typeUrl === PER_ROUTE_TYPE) {
    const { hostRewriteSpecifier: rewrite } = fromBinary(PerRouteConfigSchema, bytes);
    if (rewrite.case === 'hostRewriteLiteral') return { host: { literal: rewrite.value } };
    return { host: rewrite.case === 'hostRewriteHeader' ? { header: rewrite.value.toLowerCase() } : undefined };
  }
  const { implementationSpecifier: how, saveUpstreamAddress } = fromBinary(FilterConfigSchema, bytes);
  if (how.case === 'subClusterConfig') throw new Error('sub_cluster_config is not supported, use dns_cache_config');
  if (saveUpstreamAddress) throw new Error('save_upstream_address is not supported');
  return { cache: within('dns_cache_config', () => compileDnsCache(how.value)) };
}
