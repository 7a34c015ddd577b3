/** `proxy-status`: which proxies are connected to which istiod, and whether they took what they were sent. */
import { formatTable, type Row } from './table.ts';

/** One istiod's answer to `/debug/syncz`. */
export interface SyncReport {
  readonly istiod: string;
  readonly clients: readonly ClientSync[];
}

export interface ClientSync {
  /** `pod.namespace`. */
  readonly proxyId: string;
  readonly clusterId: string;
  readonly istioVersion: string;
  readonly namespace: string;
  /** SYNCED, STALE, NOT_SENT, ERROR or IGNORED by short type name. */
  readonly status: Readonly<Partial<Record<XdsShortName, string>>>;
}

export type XdsShortName = 'CDS' | 'LDS' | 'EDS' | 'RDS' | 'ECDS';

const TYPES: Readonly<Record<XdsShortName, string>> = {
  CDS: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  LDS: 'type.googleapis.com/envoy.config.listener.v3.Listener',
  EDS: 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
  RDS: 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
  ECDS: 'type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig',
};
const SHORT_NAMES = Object.keys(TYPES) as XdsShortName[];

interface Client extends ClientSync {
  readonly istiod: string;
}

function clientsOf(reports: readonly SyncReport[], namespace: string | undefined): readonly Client[] {
  return reports
    .flatMap((report) => report.clients.map((client) => ({ ...client, istiod: report.istiod })))
    .filter((client) => namespace === undefined || client.namespace === namespace)
    .toSorted((a, b) => (a.proxyId < b.proxyId ? -1 : a.proxyId > b.proxyId ? 1 : 0));
}

/** The summary, or with verbosity ≥ 1 one column per type any proxy subscribes to, in alphabetical order. */
export function statusTable(reports: readonly SyncReport[], options: { readonly verbosity?: number; readonly namespace?: string } = {}): string {
  const clients = clientsOf(reports, options.namespace);
  if (!options.verbosity) {
    const rows = clients.map((client): Row => {
      const types = SHORT_NAMES.filter((type) => client.status[type] !== undefined && client.status[type] !== 'UNKNOWN');
      return [client.proxyId, client.clusterId, client.istiod, client.istioVersion, types.length > 0 ? `${types.length} (${types.join(',')})` : '0'];
    });
    return formatTable(['NAME', 'CLUSTER', 'ISTIOD', 'VERSION', 'SUBSCRIBED TYPES'], rows);
  }
  const seen = SHORT_NAMES.filter((type) => clients.some((client) => client.status[type] !== undefined)).toSorted();
  const cell = (client: Client, type: XdsShortName) => (client.status[type] ?? 'IGNORED').replace('_', ' ');
  return formatTable(['NAME', 'CLUSTER', ...seen, 'ISTIOD', 'VERSION'], clients.map((client) => [client.proxyId, client.clusterId, ...seen.map((type) => cell(client, type)), client.istiod, client.istioVersion]));
}

/** The same as a DiscoveryResponse of ClientConfigs, which is what `-o json` and `-o yaml` print. */
export function statusResponse(reports: readonly SyncReport[], namespace: string | undefined, version: string): Readonly<Record<string, unknown>> {
  const resources = clientsOf(reports, namespace).map((client) => ({
    '@type': 'type.googleapis.com/envoy.service.status.v3.ClientConfig',
    node: { id: client.proxyId, metadata: { CLUSTER_ID: client.clusterId, ISTIO_VERSION: client.istioVersion, ...(client.namespace && { NAMESPACE: client.namespace }) } },
    genericXdsConfigs: (Object.keys(client.status) as XdsShortName[]).filter((type) => Object.hasOwn(TYPES, type)).map((type) => ({ typeUrl: TYPES[type], configStatus: client.status[type] })),
  }));
  const info = { version, revision: '', golang_version: '', status: '', tag: '' };
  return {
    versionInfo: version, resources, typeUrl: 'type.googleapis.com/envoy.service.status.v3.ClientConfig',
    controlPlane: { identifier: JSON.stringify({ Component: 'istiod', ID: reports[0]?.istiod ?? '', Info: info }) },
  };
}
