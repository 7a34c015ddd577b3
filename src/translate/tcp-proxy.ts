import { create } from '@bufbuild/protobuf';
import { FilterSchema, type Filter } from '../xds/gen/envoy/config/listener/v3/listener_components_pb.ts';
import { TcpProxySchema } from '../xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.ts';
import { policyForPort, type Tunnel } from '../model/destination-rule.ts';
import { destinationRuleFor, type ProxyView } from '../model/view.ts';
import { accessLogs } from './access-log.ts';
import { securityNetworkFilters } from './authz/view-filters.ts';
import { sniDynamicDnsFilter } from './dynamic-dns.ts';
import { metadataExchangeNetworkFilter } from './filters/metadata-exchange.ts';
import { statsNetworkFilter } from './filters/stats.ts';
import { parseClusterName } from './names.ts';
import { duration, pack } from './proto.ts';

export interface TcpTarget {
  readonly cluster: string;
  readonly weight: number;
}

/** The network filters of a TCP chain: metadata exchange (server side), metrics, and the proxy itself. Several targets split by weight per connection. */
export function tcpFilters(view: ProxyView, direction: 'inbound' | 'outbound' | 'gateway', targets: readonly TcpTarget[], options: { readonly statPrefix?: string; readonly idleTimeoutMs?: number | undefined } = {}): Filter[] {
  const istio = view.proxy.istioFilters;
  const single = targets.length === 1 ? targets[0] : undefined;
  const tunnel = single && direction !== 'inbound' ? tunnelOf(view, single.cluster) : undefined;
  const proxy = pack(TcpProxySchema, {
    statPrefix: options.statPrefix ?? single?.cluster ?? targets.map((target) => target.cluster).join(';'),
    clusterSpecifier: single ? { case: 'cluster', value: single.cluster } : { case: 'weightedClusters', value: { clusters: targets.map(({ cluster, weight }) => ({ name: cluster, weight })) } },
    accessLog: accessLogs(view.snapshot.mesh),
    ...(options.idleTimeoutMs !== undefined && { idleTimeout: duration(options.idleTimeoutMs) }),
    ...(tunnel && { tunnelingConfig: { hostname: `${tunnel.targetHost}:${tunnel.targetPort}`, usePost: tunnel.protocol === 'POST' } }),
  });
  return [
    ...(istio && direction === 'inbound' ? [metadataExchangeNetworkFilter()] : []),
    ...(direction === 'outbound' ? [] : securityNetworkFilters(view)),
    ...(istio ? [statsNetworkFilter(direction)] : []),
    ...(direction === 'inbound' ? [] : targets.flatMap((target) => sniDynamicDnsFilter(view, target.cluster) ?? []).slice(0, 1)),
    create(FilterSchema, { name: 'envoy.filters.network.tcp_proxy', configType: { case: 'typedConfig', value: proxy } }),
  ];
}

/** The HTTP proxy a DestinationRule puts between us and the cluster. @see features.md §2.2 (tunnel) */
function tunnelOf(view: ProxyView, cluster: string): Tunnel | undefined {
  const parts = parseClusterName(cluster);
  const service = parts?.direction === 'outbound' ? view.byHostname.get(parts.host) : undefined;
  if (!parts || !service) return undefined;
  const rule = destinationRuleFor(view, service.hostname, service.namespace);
  return policyForPort(rule?.policy, rule?.subsets.find((subset) => subset.name === parts.subset)?.policy, parts.port).tunnel;
}
