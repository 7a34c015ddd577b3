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

/** Rows of EDS assignments in the dump. */
export function edsRows(dump: ConfigDump, filter: EndpointFilter, prefix = ''): readonly Row[] {
  const assignments = dump.endpoints.toSorted((a, b) => compareClusterNames(textOf(a['clusterName']), textOf(b['clusterName'])));
  return assignments.flatMap((assignment) => items(assignment['endpoints']).flatMap((group) => items(group['lbEndpoints']).flatMap((endpoint) => {
    const [cluster, status, address] = [textOf(assignment['clusterName']), textOf(endpoint['healthStatus']) || 'UNKNOWN', endpointAddress(endpoint)];
    if (filter.cluster !== undefined && cluster !== filter.cluster) return [];
    if (filter.status !== undefined && status.toLowerCase() !== filter.status.toLowerCase()) return [];
    if (filter.address !== undefined && address.replace(/:\d+$/, '') !== filter.address) return [];
    if (filter.port !== undefined && !address.endsWith(`:${filter.port}`)) return [];
    const locality = ['region', 'zone', 'subZone'].map((part) => textOf(at(group, ['locality', part]))).filter(Boolean).join('/');
    return [[prefix + address, status, locality, cluster]];
  })));
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

/** Rows of the proxy's `/clusters?format=json`: what its balancers really use now. */
export function endpointRows(clusters: Json, filter: EndpointFilter): readonly Row[] {
  const statuses = items(at(clusters, ['clusterStatuses']) ?? at(clusters, ['cluster_statuses']));
  const rows = statuses.flatMap((status) => items(status['hostStatuses'] ?? status['host_statuses']).map((host): Row => {
    const socket = at(host, ['address', 'socketAddress']) ?? at(host, ['address', 'socket_address']);
    const address = socket === undefined ? textOf(at(host, ['address', 'pipe', 'path'])) : `${textOf(at(socket, ['address']))}:${textOf(at(socket, ['portValue']) ?? at(socket, ['port_value']))}`;
    const health = host['healthStatus'] ?? host['health_status'];
    const ejected = at(health, ['failedOutlierCheck']) ?? at(health, ['failed_outlier_check']);
    return [address, textOf(at(health, ['edsHealthStatus']) ?? at(health, ['eds_health_status'])) || 'HEALTHY', ejected === true ? 'FAILED' : 'OK', textOf(status['name'])];
  }));
  return rows
    .filter(([address, status, , cluster]) =>
      (filter.cluster === undefined || cluster === filter.cluster) && (filter.status === undefined || status!.toLowerCase() === filter.status.toLowerCase()) &&
      (filter.address === undefined || address!.replace(/:\d+$/, '') === filter.address) && (filter.port === undefined || address!.endsWith(`:${filter.port}`)))
    .toSorted((a, b) => compareClusterNames(a[3]!, b[3]!) || compare(a[0]!, b[0]!));
}
