/** `proxy-config clusters` and `endpoints`. */
import { at, items, textOf, type ConfigDump, type Json } from './dump.ts';
import type { Row } from '../table.ts';

export interface ClusterFilter {
  readonly fqdn?: string;
  readonly port?: number;
  readonly subset?: string;
  readonly direction?: string;
}

export interface ClusterKey {
  readonly direction: string;
  readonly port: number;
  readonly subset: string;
  readonly fqdn: string;
}

/** `outbound|9080|v1|reviews.default.svc.cluster.local` taken apart; any other name is its own host. */
export function parseClusterName(name: string): ClusterKey {
  const parts = name.split('|');
  if (parts.length < 4) return { direction: '', port: 0, subset: '', fqdn: name };
  return { direction: parts[0]!, port: Number(parts[1]), subset: parts[2]!, fqdn: parts[3]! };
}

/** Order of istioctl: host, subset, port, direction. */
export function compareClusterNames(a: string, b: string): number {
  const [x, y] = [parseClusterName(a), parseClusterName(b)];
  return compare(x.fqdn, y.fqdn) || compare(x.subset, y.subset) || x.port - y.port || compare(x.direction, y.direction);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export function filterClusters(dump: ConfigDump, filter: ClusterFilter): readonly Json[] {
  return dump.clusters
    .filter((cluster) => {
      const name = textOf(cluster['name']);
      if (filter.fqdn !== undefined && !name.includes(filter.fqdn)) return false;
      if (filter.direction !== undefined && !name.includes(filter.direction)) return false;
      if (filter.subset !== undefined && !name.includes(filter.subset)) return false;
      return filter.port === undefined || name.includes(`|${filter.port}|`);
    })
    .toSorted((a, b) => compareClusterNames(textOf(a['name']), textOf(b['name'])));
}

export const CLUSTER_HEADER: Row = ['SERVICE FQDN', 'PORT', 'SUBSET', 'DIRECTION', 'TYPE', 'DESTINATION RULE'];

export function clusterRow(cluster: Json, prefix = ''): Row {
  const name = textOf(cluster['name']);
  const type = textOf(cluster['type']) || textOf(at(cluster, ['clusterType', 'name'])) || 'STATIC';
  const rule = configOwner(cluster);
  if (name.split('|').length < 4) return [prefix + name, '-', '-', '-', type, rule];
  const { direction, port, subset, fqdn } = parseClusterName(name);
  return [fqdn, String(port), subset || '-', direction, type, rule];
}

/** `name.namespace` of the object that `istio.config` metadata names, or ''. */
export function configOwner(resource: Json): string {
  const path = textOf(at(resource, ['metadata', 'filterMetadata', 'istio', 'config']));
  const parts = path.split('/');
  // /apis/<group>/<version>/namespaces/<namespace>/<kind>/<name>
  return parts.length === 8 ? `${parts[7]}.${parts[5]}` : path;
}

export interface EndpointFilter {
  readonly address?: string;
  readonly port?: number;
  readonly cluster?: string;
  readonly status?: string;
}

export const ENDPOINT_HEADER: Row = ['ENDPOINT', 'STATUS', 'OUTLIER CHECK', 'CLUSTER'];
export const EDS_HEADER: Row = ['NAME', 'STATUS', 'LOCALITY', 'CLUSTER'];

/** EDS assignments with the endpoints the filter takes, those without any left out; by cluster. */
export function edsData(dump: ConfigDump, filter: EndpointFilter): readonly Json[] {
  return dump.endpoints
    .map((assignment) => ({ ...assignment, endpoints: items(assignment['endpoints']).map((group) => ({ ...group, lbEndpoints: items(group['lbEndpoints']).filter((endpoint) => takes(filter, textOf(assignment['clusterName']), endpoint)) })) }) as Json)
    .filter((assignment) => items(assignment['endpoints']).some((group) => items(group['lbEndpoints']).length > 0))
    .toSorted((a, b) => compareClusterNames(textOf(a['clusterName']), textOf(b['clusterName'])));
}

/** Rows of EDS assignments in the dump. */
export function edsRows(dump: ConfigDump, filter: EndpointFilter, prefix = ''): readonly Row[] {
  return edsData(dump, filter).flatMap((assignment) => items(assignment['endpoints']).flatMap((group) => items(group['lbEndpoints']).map((endpoint) => {
    const locality = ['region', 'zone', 'subZone'].map((part) => textOf(at(group, ['locality', part]))).filter(Boolean).join('/');
    return [prefix + endpointAddress(endpoint), statusOf(endpoint), locality, textOf(assignment['clusterName'])];
  })));
}

function takes(filter: EndpointFilter, cluster: string, endpoint: Json): boolean {
  const address = endpointAddress(endpoint);
  if (filter.cluster !== undefined && cluster.toLowerCase() !== filter.cluster.toLowerCase()) return false;
  if (filter.status !== undefined && statusOf(endpoint).toLowerCase() !== filter.status.toLowerCase()) return false;
  if (filter.address !== undefined && address !== filter.address && address.replace(/:\d+$/, '') !== filter.address) return false;
  return filter.port === undefined || address.endsWith(`:${filter.port}`);
}

function statusOf(endpoint: Json): string {
  return textOf(endpoint['healthStatus']) || 'UNKNOWN';
}

function endpointAddress(endpoint: Json): string {
  const address = at(endpoint, ['endpoint', 'address']);
  const socket = at(address, ['socketAddress']);
  if (socket !== undefined) return `${textOf(at(socket, ['address']))}:${textOf(at(socket, ['portValue'])) || '0'}`;
  const pipe = at(address, ['pipe', 'path']);
  if (pipe !== undefined) return textOf(pipe);
  const internal = at(address, ['envoyInternalAddress']);
  return internal === undefined ? 'unknown' : `envoy://${textOf(at(internal, ['serverListenerName']))}/${textOf(at(internal, ['endpointId']))}`;
}

/** A saved answer to `/clusters?format=json`, and no config dump. */
export function isClusterStatus(saved: Json): boolean {
  return saved['clusterStatuses'] !== undefined || saved['cluster_statuses'] !== undefined;
}

/** Rows of the proxy's `/clusters?format=json`: what its balancers really use now. */
export function endpointRows(clusters: Json, filter: EndpointFilter): readonly Row[] {
  return endpoints(clusters, filter)
    .toSorted((a, b) => compare(a.address, b.address) || a.port - b.port || compare(a.cluster, b.cluster))
    .map(({ address, port, health, ejected, cluster }) => [port === 0 ? address : `${address}:${port}`, health, ejected ? 'FAILED' : 'OK', cluster]);
}

/** The clusters of Envoy's `/clusters?format=json` that have an endpoint of the filter, whole: the JSON output. */
export function endpointStatuses(clusters: Json, filter: EndpointFilter): readonly Json[] {
  return statusesOf(clusters).filter((status) => endpoints({ clusterStatuses: [status] }, filter).length > 0);
}

interface Endpoint {
  readonly address: string;
  /** 0 without one. */
  readonly port: number;
  readonly health: string;
  readonly ejected: boolean;
  readonly cluster: string;
}

const statusesOf = (clusters: Json): readonly Json[] => items(at(clusters, ['clusterStatuses']) ?? at(clusters, ['cluster_statuses']));

function endpoints(clusters: Json, filter: EndpointFilter): readonly Endpoint[] {
  const all = statusesOf(clusters).flatMap((status) => items(status['hostStatuses'] ?? status['host_statuses']).map((host): Endpoint => {
    const socket = at(host, ['address', 'socketAddress']) ?? at(host, ['address', 'socket_address']);
    const health = host['healthStatus'] ?? host['health_status'];
    return {
      address: socket === undefined ? pipeOrInternal(host['address']) : textOf(at(socket, ['address'])), port: Number(at(socket, ['portValue']) ?? at(socket, ['port_value']) ?? 0),
      health: textOf(at(health, ['edsHealthStatus']) ?? at(health, ['eds_health_status'])) || 'UNKNOWN',
      ejected: (at(health, ['failedOutlierCheck']) ?? at(health, ['failed_outlier_check'])) === true, cluster: textOf(status['name']),
    };
  }));
  return all.filter(({ address, port, health, cluster }) =>
    (filter.cluster === undefined || cluster.toLowerCase() === filter.cluster.toLowerCase()) && (filter.status === undefined || health.toLowerCase() === filter.status.toLowerCase()) &&
    (filter.address === undefined || address.toLowerCase() === filter.address.toLowerCase()) && (filter.port === undefined || port === Number(filter.port)));
}

function pipeOrInternal(address: unknown): string {
  const pipe = textOf(at(address, ['pipe', 'path']));
  if (pipe) return `unix://${pipe}`;
  const internal = at(address, ['envoyInternalAddress']) ?? at(address, ['envoy_internal_address']);
  return internal === undefined ? '' : `envoy://${textOf(at(internal, ['serverListenerName']) ?? at(internal, ['server_listener_name']))}/${textOf(at(internal, ['endpointId']) ?? at(internal, ['endpoint_id']))}`;
}
