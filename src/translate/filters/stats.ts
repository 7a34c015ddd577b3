import { create } from '@bufbuild/protobuf';
import { FilterSchema, type Filter } from '../../xds/gen/envoy/config/listener/v3/listener_components_pb.ts';
import { HttpFilterSchema, type HttpFilter } from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import { PluginConfigSchema } from '../../xds/gen/istio/stats/stats_pb.ts';
import { pack } from '../proto.ts';

/** Istio's metrics. A Host header of strangers must not become a label, so only sidecars' outbound side falls back to it. */
export function statsHttpFilter(direction: 'inbound' | 'outbound' | 'gateway'): HttpFilter {
  return create(HttpFilterSchema, { name: 'istio.stats', configType: { case: 'typedConfig', value: pack(PluginConfigSchema, { disableHostHeaderFallback: direction !== 'outbound' }) } });
}

export function statsNetworkFilter(direction: 'inbound' | 'outbound' | 'gateway'): Filter {
  return create(FilterSchema, { name: 'istio.stats', configType: { case: 'typedConfig', value: pack(PluginConfigSchema, { disableHostHeaderFallback: direction !== 'outbound' }) } });
}
