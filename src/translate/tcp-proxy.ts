import { create } from '@bufbuild/protobuf';
import { FilterSchema, type Filter } from '../xds/gen/envoy/config/listener/v3/listener_components_pb.ts';
import { TcpProxySchema } from '../xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.ts';
import type { ProxyView } from '../model/view.ts';
import { accessLogs } from './access-log.ts';
import { metadataExchangeNetworkFilter } from './filters/metadata-exchange.ts';
import { statsNetworkFilter } from './filters/stats.ts';
import { duration, pack } from './proto.ts';

export interface TcpTarget {
  readonly cluster: string;
  readonly weight: number;
}

/** The network filters of a TCP chain: metadata exchange (server side), metrics, and the proxy itself. Several targets split by weight per connection. */
export function tcpFilters(view: ProxyView, direction: 'inbound' | 'outbound' | 'gateway', targets: readonly TcpTarget[], options: { readonly statPrefix?: string; readonly idleTimeoutMs?: number | undefined } = {}): Filter[] {
  const istio = view.proxy.istioFilters;
  const single = targets.length === 1 ? targets[0] : undefined;
  const proxy = pack(TcpProxySchema, {
    statPrefix: options.statPrefix ?? single?.cluster ?? targets.map((target) => target.cluster).join(';'),
    clusterSpecifier: single ? { case: 'cluster', value: single.cluster } : { case: 'weightedClusters', value: { clusters: targets.map(({ cluster, weight }) => ({ name: cluster, weight })) } },
    accessLog: accessLogs(view.snapshot.mesh),
    ...(options.idleTimeoutMs !== undefined && { idleTimeout: duration(options.idleTimeoutMs) }),
  });
  return [
    ...(istio && direction === 'inbound' ? [metadataExchangeNetworkFilter()] : []),
    ...(istio ? [statsNetworkFilter(direction)] : []),
    create(FilterSchema, { name: 'envoy.filters.network.tcp_proxy', configType: { case: 'typedConfig', value: proxy } }),
  ];
}
