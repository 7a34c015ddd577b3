import { create } from '@bufbuild/protobuf';
import { FilterSchema as ClusterFilterSchema, type Filter as ClusterFilter } from '../../xds/gen/envoy/config/cluster/v3/filter_pb.ts';
import { FilterSchema, type Filter } from '../../xds/gen/envoy/config/listener/v3/listener_components_pb.ts';
import { HttpFilterSchema, type HttpFilter } from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import { MetadataExchangeSchema } from '../../xds/gen/istio/metadata/metadata_exchange_pb.ts';
import { ConfigSchema } from '../../xds/gen/istio/metadata/peer_metadata_pb.ts';
import { isHttp, type Protocol } from '../../model/protocol.ts';
import type { ProxyView } from '../../model/view.ts';
import { pack } from '../proto.ts';

/** Istio's filter that tells both ends who the other workload is: by headers in HTTP, by the ALPN `istio-peer-exchange` in TCP. */
const NAME = 'istio.metadata_exchange';
const TCP_ALPN = 'istio-peer-exchange';

export function metadataExchangeHttpFilter(direction: 'inbound' | 'outbound'): HttpFilter {
  const headers = { methodSpecifier: { case: 'istioHeaders' as const, value: {} } };
  const discovery = { methodSpecifier: { case: 'workloadDiscovery' as const, value: {} } };
  const config = direction === 'inbound'
    ? { downstreamDiscovery: [headers, discovery], downstreamPropagation: [headers] }
    : { upstreamDiscovery: [headers, discovery], upstreamPropagation: [{ methodSpecifier: { case: 'istioHeaders' as const, value: { skipExternalClusters: true } } }] };
  return create(HttpFilterSchema, { name: NAME, configType: { case: 'typedConfig', value: pack(ConfigSchema, config) } });
}

export function metadataExchangeNetworkFilter(): Filter {
  return create(FilterSchema, { name: NAME, configType: { case: 'typedConfig', value: pack(MetadataExchangeSchema, { protocol: TCP_ALPN, enableDiscovery: true }) } });
}

/** On clusters, for what is not HTTP. */
export function metadataExchangeUpstreamFilter(view: ProxyView, protocol: Protocol): ClusterFilter[] {
  if (!view.proxy.istioFilters || isHttp(protocol)) return [];
  return [create(ClusterFilterSchema, { name: NAME, typedConfig: pack(MetadataExchangeSchema, { protocol: TCP_ALPN, enableDiscovery: true }) })];
}
