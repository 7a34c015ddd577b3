/** ClusterLoadAssignment → plain endpoints. */
import type { JsonObject } from '@bufbuild/protobuf';
import { HealthStatus } from '../../xds/gen/envoy/config/core/v3/health_check_pb.ts';
import type { Address } from '../../xds/gen/envoy/config/core/v3/address_pb.ts';
import type { Metadata } from '../../xds/gen/envoy/config/core/v3/base_pb.ts';
import type { LbEndpoint, LocalityLbEndpoints } from '../../xds/gen/envoy/config/endpoint/v3/endpoint_components_pb.ts';
import type { ClusterLoadAssignment } from '../../xds/gen/envoy/config/endpoint/v3/endpoint_pb.ts';
import type { PeerMetadata } from '../../telemetry/traffic-record.ts';
import { eachWithin } from '../config/config-error.ts';

/** One endpoint as EDS names it. For DNS clusters `ip` is a host name. */
export interface EndpointSpec {
  readonly address: string;
  readonly ip: string;
  readonly port: number;
  readonly hostname: string;
  readonly weight: number;
  readonly priority: number;
  /** `region/zone/subzone`. */
  readonly locality: string;
  /** 0 when the locality has no weight. */
  readonly localityWeight: number;
  readonly healthy: boolean;
  /** EDS status as the admin page prints it. */
  readonly edsStatus: 'HEALTHY' | 'UNHEALTHY' | 'DRAINING' | 'TIMEOUT' | 'DEGRADED';
  /** `envoy.transport_socket_match` metadata, with which the cluster's transport sockets are chosen. */
  readonly transportMatch: JsonObject;
  readonly workload: PeerMetadata | undefined;
}

export interface Assignment {
  readonly endpoints: readonly EndpointSpec[];
  /** Default 1.4. */
  readonly overprovisioning: number;
}

/** Throws ConfigError with the path of the endpoint that cannot be used. */
export function compileAssignment(assignment: ClusterLoadAssignment): Assignment {
  const endpoints = eachWithin('endpoints', assignment.endpoints, (group) => {
    if (group.priority > 127) throw new Error(`priority ${group.priority} is over 127`);
    return eachWithin('lb_endpoints', group.lbEndpoints, (endpoint) => compileEndpoint(group, endpoint));
  });
  return { endpoints: endpoints.flat(), overprovisioning: (assignment.policy?.overprovisioningFactor ?? 140) / 100 };
}

function compileEndpoint(group: LocalityLbEndpoints, endpoint: LbEndpoint): EndpointSpec {
  if (endpoint.hostIdentifier.case !== 'endpoint') throw new Error('an endpoint needs an address');
  const { ip, port, address } = compileAddress(endpoint.hostIdentifier.value.address);
  const { region = '', zone = '', subZone = '' } = group.locality ?? {};
  const status = STATUS[endpoint.healthStatus] ?? 'HEALTHY';
  return {
    address,
    ip,
    port,
    hostname: endpoint.hostIdentifier.value.hostname,
    weight: endpoint.loadBalancingWeight ?? 1,
    priority: group.priority,
    locality: region || zone || subZone ? [region, zone, subZone].join('/').replace(/\/+$/, '') : '',
    localityWeight: group.loadBalancingWeight ?? 0,
    healthy: status === 'HEALTHY' || status === 'DEGRADED',
    edsStatus: status,
    transportMatch: metadataOf(endpoint.metadata, 'envoy.transport_socket_match'),
    workload: parseWorkload(metadataOf(endpoint.metadata, 'istio')['workload']),
  };
}

const STATUS: Readonly<Record<HealthStatus, EndpointSpec['edsStatus']>> = {
  [HealthStatus.UNKNOWN]: 'HEALTHY',
  [HealthStatus.HEALTHY]: 'HEALTHY',
  [HealthStatus.UNHEALTHY]: 'UNHEALTHY',
  [HealthStatus.DRAINING]: 'DRAINING',
  [HealthStatus.TIMEOUT]: 'TIMEOUT',
  [HealthStatus.DEGRADED]: 'DEGRADED',
};

/** Throws for internal addresses (HBONE) and named ports. */
export function compileAddress(address: Address | undefined): { readonly ip: string; readonly port: number; readonly address: string } {
  const where = address?.address;
  if (where?.case === 'pipe') return { ip: '', port: 0, address: where.value.path };
  if (where?.case !== 'socketAddress') throw new Error(where?.case === 'envoyInternalAddress' ? 'internal addresses are not supported' : 'an address is missing');
  const { address: ip, portSpecifier } = where.value;
  if (portSpecifier.case === 'namedPort') throw new Error(`named port "${portSpecifier.value}" is not supported`);
  const port = portSpecifier.value ?? 0;
  return { ip, port, address: joinAddress(ip, port) };
}

/** `10.0.0.1:80`, `[::1]:80`. */
export function joinAddress(ip: string, port: number): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/** True for IPv4 and IPv6 addresses, false for host names. */
export function isIpAddress(text: string): boolean {
  return text.includes(':') || /^\d{1,3}(?:\.\d{1,3}){3}$/.test(text);
}

/** One namespace of filter metadata, {} when it is not there. */
export function metadataOf(metadata: Metadata | undefined, name: string): JsonObject {
  return metadata && Object.hasOwn(metadata.filterMetadata, name) ? (metadata.filterMetadata[name] ?? {}) : {};
}

/** Istio's `name;namespace;canonical service;canonical revision;cluster`. */
function parseWorkload(value: unknown): PeerMetadata | undefined {
  if (typeof value !== 'string' || value === '') return undefined;
  const [workload = '', namespace = '', canonicalService = '', canonicalRevision = '', cluster = ''] = value.split(';');
  return { workload, namespace, app: '', version: '', canonicalService, canonicalRevision, cluster };
}
