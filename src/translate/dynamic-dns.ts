/** Hosts that are looked up when a request asks for them: Envoy's dynamic forward proxy. @see https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/http/http_proxy */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { Cluster_DnsLookupFamily, Cluster_LbPolicy, ClusterSchema, type Cluster } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.ts';
import { FilterSchema, type Filter } from '../xds/gen/envoy/config/listener/v3/listener_components_pb.ts';
import { ClusterConfigSchema } from '../xds/gen/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster_pb.ts';
import type { DnsCacheConfigSchema } from '../xds/gen/envoy/extensions/common/dynamic_forward_proxy/v3/dns_cache_pb.ts';
import { FilterConfigSchema } from '../xds/gen/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy_pb.ts';
import { HttpFilterSchema, type HttpFilter } from '../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import { FilterConfigSchema as SniFilterConfigSchema } from '../xds/gen/envoy/extensions/filters/network/sni_dynamic_forward_proxy/v3/sni_dynamic_forward_proxy_pb.ts';
import { isIpv6 } from '../model/hostname.ts';
import { portByNumber, type Service } from '../model/service.ts';
import type { ProxyView } from '../model/view.ts';
import { circuitBreakers, httpProtocolOptions } from './cluster-policy.ts';
import { ALLOW_ANY_DYNAMIC_DNS_CLUSTER, parseClusterName } from './names.ts';
import { duration, pack } from './proto.ts';
import { upstreamTls } from './tls.ts';

/** One cache for the whole proxy: filters and clusters that share a name must say the same of it, or Envoy refuses the second. */
const CACHE_NAME = 'dynamic_dns';
/** Istio's default of PILOT_ALLOW_ANY_DYNAMIC_DNS_MAX_HOSTS, and Envoy's own. */
const MAX_HOSTS = 1024;

function dnsCache(view: ProxyView): MessageInitShape<typeof DnsCacheConfigSchema> {
  const onlyIpv6 = view.proxy.ipAddresses.length > 0 && view.proxy.ipAddresses.every(isIpv6);
  return {
    name: CACHE_NAME, maxHosts: MAX_HOSTS, dnsRefreshRate: duration(view.snapshot.mesh.dnsRefreshRateMs),
    dnsLookupFamily: onlyIpv6 ? Cluster_DnsLookupFamily.V6_ONLY : Cluster_DnsLookupFamily.V4_ONLY,
  };
}

/** True when some route or chain of this proxy may lead to a host that is looked up per request. */
export function usesDynamicDns(view: ProxyView): boolean {
  return view.outboundPolicy === 'ALLOW_ANY_DYNAMIC_DNS' || view.services.some((service) => service.resolution === 'dynamic-dns');
}

/** Gives a cluster the hosts of the cache instead of endpoints. TLS is checked where its DestinationRule asks for it, so Envoy's own demand for it is off. */
export function takeDynamicHosts(view: ProxyView, cluster: Cluster): Cluster {
  cluster.lbPolicy = Cluster_LbPolicy.CLUSTER_PROVIDED;
  cluster.clusterDiscoveryType = create(ClusterSchema, {
    clusterDiscoveryType: {
      case: 'clusterType',
      value: {
        name: 'envoy.clusters.dynamic_forward_proxy',
        typedConfig: pack(ClusterConfigSchema, { allowInsecureClusterOptions: true, clusterImplementationSpecifier: { case: 'dnsCacheConfig', value: dnsCache(view) } }),
      },
    },
  }).clusterDiscoveryType;
  return cluster;
}

/** Where hosts go that nobody declared, under ALLOW_ANY_DYNAMIC_DNS; with the TLS of `outboundTrafficPolicy.tls`. */
export function allowAnyDynamicDnsCluster(view: ProxyView): Cluster {
  const { mesh } = view.snapshot;
  const tls = mesh.outboundTls;
  const socket = tls && upstreamTls(tls, 'http1');
  const verifyHost = tls !== undefined && tls.subjectAltNames.length === 0 && !tls.insecureSkipVerify;
  return takeDynamicHosts(view, create(ClusterSchema, {
    name: ALLOW_ANY_DYNAMIC_DNS_CLUSTER, connectTimeout: duration(mesh.connectTimeoutMs), circuitBreakers: circuitBreakers(undefined),
    ...(socket && { transportSocket: socket }),
    typedExtensionProtocolOptions: httpProtocolOptions({ http2: false, auto: !socket, pool: undefined, ...(socket && !tls.sni && { autoSni: { verifyHost } }) }),
  }));
}

/** Looks the Host header up before the router asks the cluster for a host; requests of other clusters pass. */
export function dynamicDnsHttpFilter(view: ProxyView): HttpFilter {
  return create(HttpFilterSchema, {
    name: 'envoy.filters.http.dynamic_forward_proxy',
    configType: { case: 'typedConfig', value: pack(FilterConfigSchema, { implementationSpecifier: { case: 'dnsCacheConfig', value: dnsCache(view) } }) },
  });
}

/** Looks the server name of the ClientHello up, for a chain that leads to the named cluster. Undefined: the cluster lists its hosts itself. */
export function sniDynamicDnsFilter(view: ProxyView, cluster: string): Filter | undefined {
  const parts = parseClusterName(cluster);
  const service = parts?.direction === 'outbound' ? view.byHostname.get(parts.host) : undefined;
  if (!parts || service?.resolution !== 'dynamic-dns') return undefined;
  const config = pack(SniFilterConfigSchema, { dnsCacheConfig: dnsCache(view), portSpecifier: { case: 'portValue', value: targetPortOf(service, parts.port) } });
  return create(FilterSchema, { name: 'envoy.filters.network.sni_dynamic_forward_proxy', configType: { case: 'typedConfig', value: config } });
}

function targetPortOf(service: Service, port: number): number {
  const target = portByNumber(service, port)?.targetPort;
  return typeof target === 'number' ? target : port;
}
