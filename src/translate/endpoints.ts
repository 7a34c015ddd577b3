import { create } from '@bufbuild/protobuf';
import { HealthStatus } from '../xds/gen/envoy/config/core/v3/health_check_pb.ts';
import { LbEndpointSchema, LocalityLbEndpointsSchema, type LbEndpoint, type LocalityLbEndpoints } from '../xds/gen/envoy/config/endpoint/v3/endpoint_components_pb.ts';
import { ClusterLoadAssignmentSchema, type ClusterLoadAssignment } from '../xds/gen/envoy/config/endpoint/v3/endpoint_pb.ts';
import { policyForPort, type LocalitySettings } from '../model/destination-rule.ts';
import type { Endpoint, Locality } from '../model/endpoint.ts';
import { effectiveMtls } from '../model/peer-authentication.ts';
import { hasPersistentSessions, portByNumber, type Service } from '../model/service.ts';
import { endpointsOf } from '../model/snapshot.ts';
import { destinationRuleFor, policiesWithoutMutual, type ProxyView } from '../model/view.ts';
import { selects } from '../model/workload.ts';
import { compactPriorities, failoverDistance, isDistributed, localityPriorities, topologyLabels } from './locality.ts';
import { parseClusterName } from './names.ts';
import { endpointAddress } from './proto.ts';

/** Load assignments for the named clusters. A name that means nothing gets an empty assignment, so that no proxy waits for it. */
export function translateEndpoints(view: ProxyView, names: Iterable<string>): ClusterLoadAssignment[] {
  return [...names].map((name) => loadAssignment(view, name));
}

/**
 * Endpoints of one cluster, grouped by locality. Those that are not ready are told as unhealthy, except to clusters that use them when too few others are left;
 * draining ones only to clusters with sessions; terminating ones to nobody.
 * @see features.md §3.6 (unhealthy endpoints)
 */
export function loadAssignment(view: ProxyView, clusterName: string): ClusterLoadAssignment {
  const empty = () => create(ClusterLoadAssignmentSchema, { clusterName });
  const parts = parseClusterName(clusterName);
  const service = parts?.direction === 'outbound' ? view.byHostname.get(parts.host) : undefined;
  const port = parts && service && portByNumber(service, parts.port);
  if (!parts || !service || !port) return empty();
  const rule = destinationRuleFor(view, service.hostname, service.namespace);
  const subset = rule?.subsets.find((candidate) => candidate.name === parts.subset);
  if (parts.subset && !subset) return empty();
  const policy = policyForPort(rule?.policy, subset?.policy, port.number);
  const unhealthyToo = toldOfUnhealthy(policy);
  const drainingToo = hasPersistentSessions(service);
  const endpoints = takingMutual(view, service, endpointsOf(view.snapshot, service).filter((endpoint) =>
    endpoint.portName === port.name && endpoint.health !== 'terminating' && (unhealthyToo || endpoint.health !== 'unhealthy') && (drainingToo || endpoint.health !== 'draining')
    && (!subset || selects(subset.labels, endpoint.labels))));
  const settings = policy.loadBalancer?.locality ?? (service.preferClose ? PREFER_CLOSE : view.snapshot.mesh.locality);
  // A service that asks for near endpoints gets them without outlier detection too.
  const failsOver = policy.outlierDetection !== undefined || (service.preferClose && settings === PREFER_CLOSE);
  if (settings.enabled && settings.failoverPriority.length > 0 && failsOver && !isDistributed(view.proxy.locality, settings))
    return create(ClusterLoadAssignmentSchema, { clusterName, endpoints: byLabels(view, endpoints, settings.failoverPriority) });
  const localities = groupedByLocality(endpoints, () => '').map(([, group]) => localityEndpoints(group));
  return create(ClusterLoadAssignmentSchema, { clusterName, endpoints: localityPriorities(view.proxy.locality, localities, settings, policy.outlierDetection !== undefined) });
}

/** With a panic threshold (`minHealthPercent`) a proxy would send to endpoints that it is told are unhealthy. */
export function toldOfUnhealthy(policy: ReturnType<typeof policyForPort>): boolean {
  return (policy.outlierDetection?.minHealthPercent ?? 0) === 0;
}

/** A sidecar whose policy turns mutual TLS off, for its pod or for this port, does not take it: clients are told endpoint by endpoint. */
function takingMutual(view: ProxyView, service: Service, endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const policies = policiesWithoutMutual(view, service.namespace);
  if (policies.length === 0) return endpoints;
  return endpoints.map((endpoint) => {
    if (endpoint.tlsMode !== 'istio') return endpoint;
    const { mode, ports } = effectiveMtls(policies, view.snapshot.mesh.rootNamespace, service.namespace, endpoint.labels);
    return (ports.get(endpoint.port) ?? mode) === 'DISABLE' ? { ...endpoint, tlsMode: 'disabled' as const } : endpoint;
  });
}

/** Kubernetes' `trafficDistribution: PreferClose`. */
const PREFER_CLOSE: LocalitySettings = { enabled: true, distribute: [], failover: [], failoverPriority: ['topology.istio.io/network', 'topology.kubernetes.io/region', 'topology.kubernetes.io/zone'] };

/** Endpoints of one locality and one distance, sorted. */
function groupedByLocality(endpoints: readonly Endpoint[], distance: (endpoint: Endpoint) => string): readonly (readonly [string, readonly Endpoint[]])[] {
  const groups = new Map<string, Endpoint[]>();
  for (const endpoint of endpoints) {
    const key = `${distance(endpoint)}~${localityKey(endpoint.locality)}`;
    const group = groups.get(key);
    if (group) group.push(endpoint);
    else groups.set(key, [endpoint]);
  }
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1));
}

function byLabels(view: ProxyView, endpoints: readonly Endpoint[], failoverPriority: readonly string[]): LocalityLbEndpoints[] {
  const { proxy } = view;
  const own = topologyLabels(proxy.labels, proxy.locality, proxy.network);
  const distanceOf = (endpoint: Endpoint) => failoverDistance(own, topologyLabels(endpoint.labels, endpoint.locality, endpoint.network), failoverPriority);
  const groups = groupedByLocality(endpoints, (endpoint) => String(distanceOf(endpoint)).padStart(3, '0'));
  const priorities = compactPriorities(groups.map(([, group]) => distanceOf(group[0]!)));
  return groups.map(([, group], index) => ({ ...localityEndpoints(group), priority: priorities[index] ?? 0 }));
}

function localityKey(locality: Locality): string {
  return `${locality.region}/${locality.zone}/${locality.subZone}`;
}

function localityEndpoints(endpoints: readonly Endpoint[]): LocalityLbEndpoints {
  const { region, zone, subZone } = endpoints[0]!.locality;
  return create(LocalityLbEndpointsSchema, {
    locality: { region, zone, subZone },
    lbEndpoints: endpoints.map(lbEndpoint),
    loadBalancingWeight: endpoints.reduce((sum, endpoint) => sum + (endpoint.weight || 1), 0),
  });
}

function lbEndpoint(endpoint: Endpoint): LbEndpoint {
  const { workload } = endpoint;
  const istio = workload && { workload: [workload.name, workload.namespace, workload.canonicalName, workload.canonicalRevision, workload.cluster].join(';') };
  const match = endpoint.tlsMode === 'istio' && { tlsMode: 'istio' };
  return create(LbEndpointSchema, {
    hostIdentifier: { case: 'endpoint', value: { address: endpointAddress(endpoint.address, endpoint.port) } },
    loadBalancingWeight: endpoint.weight || 1,
    healthStatus: endpoint.health === 'draining' ? HealthStatus.DRAINING : endpoint.health === 'unhealthy' ? HealthStatus.UNHEALTHY : HealthStatus.HEALTHY,
    metadata: { filterMetadata: { ...(match && { 'envoy.transport_socket_match': match }), ...(istio && { istio }) } },
  });
}
