import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { Cluster_DiscoveryType, Cluster_DnsLookupFamily, Cluster_LbPolicy, ClusterSchema, type Cluster } from '../xds/gen/envoy/config/cluster/v3/cluster_pb.ts';
import { policyForPort } from '../model/destination-rule.ts';
import { isIpv6 } from '../model/hostname.ts';
import { isHttp2 } from '../model/protocol.ts';
import type { Service, ServicePort } from '../model/service.ts';
import { destinationRuleFor, type ProxyView, type ServiceTarget } from '../model/view.ts';
import { applyPolicy, circuitBreakers, httpProtocolOptions, MAX } from './cluster-policy.ts';
import { allowAnyDynamicDnsCluster, takeDynamicHosts } from './dynamic-dns.ts';
import { loadAssignment } from './endpoints.ts';
import { patchClusters } from './envoy-filter/clusters.ts';
import { metadataExchangeUpstreamFilter } from './filters/metadata-exchange.ts';
import { BLACK_HOLE_CLUSTER, INBOUND_PASSTHROUGH_CLUSTER, inboundClusterName, outboundClusterName, PASSTHROUGH_CLUSTER, sniOf } from './names.ts';
import { passesTlsByName } from './gateway-servers.ts';
import { adsSource, duration, endpointAddress } from './proto.ts';
import type { JsonObject } from '@bufbuild/protobuf';

/** Plain initialiser, never a message itself, so that it can be spread. */
type ClusterInit = Exclude<MessageInitShape<typeof ClusterSchema>, Cluster>;

/** All clusters of one proxy: outbound, inbound, and the special ones. */
export function translateClusters(view: ProxyView): Cluster[] {
  return patchClusters(view, generatedClusters(view));
}

function generatedClusters(view: ProxyView): Cluster[] {
  return [...view.services.flatMap((service) => serviceClusters(view, service)), ...ownClusters(view)];
}

/** The outbound clusters of one service: made of what its `serviceKey` and the `placeKey` say, and of nothing else. */
export function serviceClusters(view: ProxyView, service: Service): Cluster[] {
  if (service.resolution === 'alias') return [];
  return service.ports.filter((port) => port.protocol !== 'UDP').flatMap((port) => outboundClusters(view, service, port));
}

/** The clusters that belong to no visible service alone: those of the workload, and the special ones. */
export function ownClusters(view: ProxyView): Cluster[] {
  if (view.proxy.type === 'router') return [...(passesTlsByName(view) ? sniClusters(view) : []), blackHole(view)];
  return [...inboundClusters(view), blackHole(view), passthrough(view), ...(view.outboundPolicy === 'ALLOW_ANY_DYNAMIC_DNS' ? [allowAnyDynamicDnsCluster(view)] : []), inboundPassthrough(view)];
}

/** How Envoy finds the endpoints. A gateway has no original destination, so it lists what sidecars would pass through. */
export function discoveryTypeOf(view: ProxyView, service: Service): Cluster_DiscoveryType {
  switch (service.resolution) {
    case 'dns': return Cluster_DiscoveryType.STRICT_DNS;
    case 'dns-round-robin': return Cluster_DiscoveryType.LOGICAL_DNS;
    case 'dynamic-dns': return Cluster_DiscoveryType.ORIGINAL_DST;
    case 'passthrough': return view.proxy.type === 'router' ? Cluster_DiscoveryType.EDS : Cluster_DiscoveryType.ORIGINAL_DST;
    default: return Cluster_DiscoveryType.EDS;
  }
}

function outboundClusters(view: ProxyView, service: Service, port: ServicePort): Cluster[] {
  const rule = destinationRuleFor(view, service.hostname, service.namespace);
  const subsets = [undefined, ...(rule?.subsets ?? [])];
  return subsets.flatMap((subset) => {
    const name = outboundClusterName(port.number, subset?.name ?? '', service.hostname);
    const policy = policyForPort(rule?.policy, subset?.policy, port.number);
    const type = policy.loadBalancer?.simple === 'PASSTHROUGH' ? Cluster_DiscoveryType.ORIGINAL_DST : discoveryTypeOf(view, service);
    const init: ClusterInit = {
      name,
      clusterDiscoveryType: { case: 'type', value: type },
      metadata: { filterMetadata: { istio: clusterMetadata(service, port, rule?.origin, subset?.name) } },
      filters: metadataExchangeUpstreamFilter(view, port.protocol),
    };
    if (type === Cluster_DiscoveryType.EDS) init.edsClusterConfig = { serviceName: name, edsConfig: adsSource() };
    else if (type === Cluster_DiscoveryType.ORIGINAL_DST) init.lbPolicy = Cluster_LbPolicy.CLUSTER_PROVIDED;
    else {
      const assignment = loadAssignment(view, name);
      // Envoy would resolve nothing; Istio leaves such a cluster out too, so that requests say NC.
      if (assignment.endpoints.length === 0) return [];
      init.loadAssignment = assignment;
      init.dnsLookupFamily = Cluster_DnsLookupFamily.V4_ONLY;
      init.respectDnsTtl = true;
      init.dnsRefreshRate = duration(view.snapshot.mesh.dnsRefreshRateMs);
    }
    const cluster = applyPolicy(view, { service, port, subset: subset?.name ?? '', type, policy }, create(ClusterSchema, init));
    return [service.resolution === 'dynamic-dns' && policy.loadBalancer?.simple !== 'PASSTHROUGH' ? takeDynamicHosts(view, cluster) : cluster];
  });
}

/** Clusters of an AUTO_PASSTHROUGH gateway, named by the server name that leads to them; their traffic is mutual TLS between others. */
function sniClusters(view: ProxyView): Cluster[] {
  return view.services.filter((service) => service.resolution === 'static').flatMap((service) => service.ports.filter((port) => port.protocol !== 'UDP').flatMap((port) => {
    const rule = destinationRuleFor(view, service.hostname, service.namespace);
    return [undefined, ...(rule?.subsets ?? [])].map((subset) => {
      const name = sniOf(port.number, subset?.name ?? '', service.hostname);
      const policy = policyForPort(rule?.policy, subset?.policy, port.number);
      const cluster = create(ClusterSchema, {
        name, clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.EDS }, edsClusterConfig: { serviceName: name, edsConfig: adsSource() },
        metadata: { filterMetadata: { istio: clusterMetadata(service, port, rule?.origin, subset?.name) } },
      });
      // Whatever the port speaks, here it is bytes.
      return applyPolicy(view, { service, port: { ...port, protocol: 'TLS' }, subset: subset?.name ?? '', type: Cluster_DiscoveryType.EDS, policy, passTls: true }, cluster);
    });
  }));
}

function clusterMetadata(service: Service, port: ServicePort, config: string | undefined, subset: string | undefined): JsonObject {
  return {
    ...(config !== undefined && { config }),
    default_original_port: port.number,
    services: [{ host: service.hostname, name: service.name, namespace: service.namespace }],
    ...(subset !== undefined && { subset }),
  };
}

/** One cluster per workload port, to the original destination from 127.0.0.6 so that redirection lets it pass. */
function inboundClusters(view: ProxyView): Cluster[] {
  const { mesh } = view.snapshot;
  const byPort = new Map<number, ServiceTarget[]>();
  for (const target of view.inbound) byPort.set(target.targetPort, [...(byPort.get(target.targetPort) ?? []), target]);
  if (view.sidecar && view.sidecar.ingress.length > 0) return sidecarIngressClusters(view);
  return [...byPort].map(([port, targets]) => {
    const { protocol } = targets[0]!.port;
    const services = targets.map(({ service }) => ({ host: service.hostname, name: service.name, namespace: service.namespace }));
    const pool = view.sidecar?.inboundConnectionPool ?? inboundPool(view, targets[0]!);
    const cluster = create(ClusterSchema, {
      name: inboundClusterName(port),
      connectTimeout: duration(mesh.connectTimeoutMs),
      metadata: { filterMetadata: { istio: { services } } },
      circuitBreakers: circuitBreakers(pool),
      typedExtensionProtocolOptions: httpProtocolOptions({ http2: isHttp2(protocol), auto: protocol === 'Auto', pool }),
      ...(mesh.inboundPolicy === 'LOCALHOST' ? localEndpoint('127.0.0.1', port, inboundClusterName(port)) : originalDestination(view)),
    });
    return cluster;
  });
}

function inboundPool(view: ProxyView, target: ServiceTarget) {
  const rule = destinationRuleFor(view, target.service.hostname, target.service.namespace);
  return policyForPort(rule?.policy, undefined, target.port.number).connectionPool;
}

function originalDestination(view: ProxyView): ClusterInit {
  return {
    clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.ORIGINAL_DST }, lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED, cleanupInterval: duration(60_000),
    upstreamBindConfig: { sourceAddress: { address: isIpv6(view.proxy.ipAddresses[0] ?? '') ? '::6' : '127.0.0.6', portSpecifier: { case: 'portValue', value: 0 } } },
  };
}

function localEndpoint(address: string, port: number, clusterName: string): ClusterInit {
  return {
    clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.STATIC },
    loadAssignment: { clusterName, endpoints: [{ lbEndpoints: [{ hostIdentifier: { case: 'endpoint', value: { address: endpointAddress(address, port) } } }] }] },
  };
}

function sidecarIngressClusters(view: ProxyView): Cluster[] {
  return (view.sidecar?.ingress ?? []).map((listener) => {
    const name = inboundClusterName(listener.port.number);
    const target = view.inbound.find((candidate) => candidate.targetPort === listener.port.number || candidate.port.number === listener.port.number);
    const services = target ? [{ host: target.service.hostname, name: target.service.name, namespace: target.service.namespace }] : [];
    const pool = listener.connectionPool ?? view.sidecar?.inboundConnectionPool ?? (target && inboundPool(view, target));
    const { protocol } = listener.port;
    return create(ClusterSchema, {
      name, connectTimeout: duration(view.snapshot.mesh.connectTimeoutMs), circuitBreakers: circuitBreakers(pool),
      metadata: { filterMetadata: { istio: { services } } },
      typedExtensionProtocolOptions: httpProtocolOptions({ http2: isHttp2(protocol), auto: protocol === 'Auto', pool }),
      ...ingressDestination(view, listener.defaultEndpoint, name),
    });
  });
}

/** `127.0.0.1:8080` → localhost, `0.0.0.0:8080` → the instance's own address, `unix://` → a pipe, '' → the original destination. */
function ingressDestination(view: ProxyView, endpoint: string, name: string): ClusterInit {
  if (!endpoint) return originalDestination(view);
  if (endpoint.startsWith('unix://')) return localEndpoint(endpoint, 0, name);
  const colon = endpoint.lastIndexOf(':');
  const host = endpoint.slice(0, colon).replace(/^\[|\]$/g, '');
  const port = Number(endpoint.slice(colon + 1));
  if (host === '0.0.0.0' || host === '::') return localEndpoint(view.proxy.ipAddresses.find((ip) => isIpv6(ip) === (host === '::')) ?? '127.0.0.1', port, name);
  return localEndpoint(host, port, name);
}

function blackHole(view: ProxyView): Cluster {
  return create(ClusterSchema, { name: BLACK_HOLE_CLUSTER, clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.STATIC }, connectTimeout: duration(view.snapshot.mesh.connectTimeoutMs) });
}

function passthrough(view: ProxyView): Cluster {
  return create(ClusterSchema, {
    name: PASSTHROUGH_CLUSTER, clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.ORIGINAL_DST }, lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED,
    connectTimeout: duration(view.snapshot.mesh.connectTimeoutMs), circuitBreakers: circuitBreakers(undefined),
    typedExtensionProtocolOptions: httpProtocolOptions({ http2: false, auto: true, pool: undefined, idleTimeoutMs: 300_000 }),
  });
}

function inboundPassthrough(view: ProxyView): Cluster {
  return create(ClusterSchema, {
    name: INBOUND_PASSTHROUGH_CLUSTER, clusterDiscoveryType: { case: 'type', value: Cluster_DiscoveryType.ORIGINAL_DST }, lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED,
    connectTimeout: duration(view.snapshot.mesh.connectTimeoutMs), circuitBreakers: { thresholds: [{ ...MAX }] },
    typedExtensionProtocolOptions: httpProtocolOptions({ http2: false, auto: true, pool: undefined, idleTimeoutMs: 300_000 }),
    upstreamBindConfig: { sourceAddress: { address: isIpv6(view.proxy.ipAddresses[0] ?? '') ? '::6' : '127.0.0.6', portSpecifier: { case: 'portValue', value: 0 } } },
  });
}

/** Names of the clusters that take their endpoints by EDS: what the endpoint fast path must push for a service. */
export function edsClusterNames(view: ProxyView, service: Service): readonly string[] {
  const rule = destinationRuleFor(view, service.hostname, service.namespace);
  if (discoveryTypeOf(view, service) !== Cluster_DiscoveryType.EDS) return [];
  const byName = passesTlsByName(view);
  return service.ports.flatMap((port) => ['', ...(rule?.subsets ?? []).map((subset) => subset.name)].flatMap((subset) =>
    [outboundClusterName(port.number, subset, service.hostname), ...(byName ? [sniOf(port.number, subset, service.hostname)] : [])]));
}

