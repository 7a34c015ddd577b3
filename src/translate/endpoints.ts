import { create } from '@bufbuild/protobuf';
import { HealthStatus } from '../xds/gen/envoy/config/core/v3/health_check_pb.ts';
import { LbEndpointSchema, LocalityLbEndpointsSchema, type LbEndpoint, type LocalityLbEndpoints } from '../xds/gen/envoy/config/endpoint/v3/endpoint_components_pb.ts';
import { ClusterLoadAssignmentSchema, type ClusterLoadAssignment } from '../xds/gen/envoy/config/endpoint/v3/endpoint_pb.ts';
import { policyForPort } from '../model/destination-rule.ts';
import type { Endpoint, Locality } from '../model/endpoint.ts';
import { portByNumber } from '../model/service.ts';
import { endpointsOf } from '../model/snapshot.ts';
import { destinationRuleFor, type ProxyView } from '../model/view.ts';
import { selects } from '../model/workload.ts';
import { localityPriorities } from './locality.ts';
import { parseClusterName } from './names.ts';
import { endpointAddress } from './proto.ts';

/** Load assignments for the named clusters. A name that means nothing gets an empty assignment, so that no proxy waits for it. */
export function translateEndpoints(view: ProxyView, names: Iterable<string>): ClusterLoadAssignment[] {
  return [...names].map((name) => loadAssignment(view, name));
}

/** Endpoints of one cluster, grouped by locality; unhealthy ones are left out, draining ones say so. */
export function loadAssignment(view: ProxyView, clusterName: string): ClusterLoadAssignment {
  const empty = () => create(ClusterLoadAssignmentSchema, { clusterName });
  const parts = parseClusterName(clusterName);
  const service = parts?.direction === 'outbound' ? view.byHostname.get(parts.host) : undefined;
  const port = parts && service && portByNumber(service, parts.port);
  if (!parts || !service || !port) return empty();
  const rule = destinationRuleFor(view, service.hostname, service.namespace);
  const subset = rule?.subsets.find((candidate) => candidate.name === parts.subset);
  if (parts.subset && !subset) return empty();
  const endpoints = endpointsOf(view.snapshot, service).filter((endpoint) =>
    endpoint.portName === port.name && endpoint.health !== 'unhealthy' && (!subset || selects(subset.labels, endpoint.labels)));
  const groups = new Map<string, Endpoint[]>();
  for (const endpoint of endpoints) {
    const key = localityKey(endpoint.locality);
    const group = groups.get(key);
    if (group) group.push(endpoint);
    else groups.set(key, [endpoint]);
  }
  const localities = [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => localityEndpoints(group));
  const policy = policyForPort(rule?.policy, subset?.policy, port.number);
  const settings = policy.loadBalancer?.locality ?? view.snapshot.mesh.locality;
  return create(ClusterLoadAssignmentSchema, { clusterName, endpoints: localityPriorities(view.proxy.locality, localities, settings, policy.outlierDetection !== undefined) });
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
    healthStatus: endpoint.health === 'draining' ? HealthStatus.DRAINING : HealthStatus.HEALTHY,
    metadata: { filterMetadata: { ...(match && { 'envoy.transport_socket_match': match }), ...(istio && { istio }) } },
  });
}
