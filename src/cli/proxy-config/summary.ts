/** `proxy-config bootstrap` summary and `proxy-config all`. */
import { formatTable } from '../table.ts';
import { CLUSTER_HEADER, clusterRow, EDS_HEADER, edsRows, filterClusters, type ClusterFilter, type EndpointFilter } from './clusters.ts';
import { at, textOf, type ConfigDump } from './dump.ts';
import { filterListeners, LISTENER_HEADER, LISTENER_TYPE_HEADER, listenerRows, listenerTypeRow, type ListenerFilter } from './listeners.ts';
import { BRIEF_ROUTE_HEADER, briefRouteRow, filterRoutes, ROUTE_HEADER, routeRows } from './routes.ts';
import { SECRET_HEADER, secretRows } from './secrets.ts';

/** Versions from the bootstrap's node. */
export function bootstrapSummary(dump: ConfigDump): string {
  const node = at(dump.bootstrap, ['bootstrap', 'node']);
  const metadata = at(node, ['metadata']);
  const build = at(node, ['userAgentBuildVersion']);
  const number = (part: string) => textOf(at(build, ['version', part])) || '0';
  const label = ['build.label', 'revision.status', 'build.type', 'ssl.version'].map((key, index) => {
    const value = textOf(at(build, ['metadata', key]));
    return value && `${index === 0 ? '-' : '/'}${value}`;
  });
  const sha = textOf(at(metadata, ['ISTIO_PROXY_SHA']));
  const rows = [
    ['Istio Version:', textOf(at(metadata, ['ISTIO_VERSION']))],
    ['Istio Proxy Version:', sha.includes(':') ? sha.split(':')[1]! : sha],
    ['Envoy Version:', `${number('majorNumber')}.${number('minorNumber')}.${number('patch')}${label.join('')}`],
  ].filter(([, value]) => value);
  return rows.length > 0 ? formatTable(rows[0]!, rows.slice(1), 1) : '';
}

/** What of everything is shown. */
export interface SummaryOptions {
  /** A title above each table and the kind before each name. */
  readonly headers: boolean;
  /** Certificates are judged as of now. */
  readonly now: Date;
  readonly clusters: ClusterFilter;
  readonly listeners: ListenerFilter;
  readonly endpoints: EndpointFilter;
  /** Only this route configuration. */
  readonly name?: string;
  /** False: listeners and routes in short. */
  readonly verbose: boolean;
}

/** Everything in tables, one after the other. */
export function fullSummary(dump: ConfigDump, options: SummaryOptions): string {
  const { headers, now, verbose } = options;
  const prefix = (kind: string) => (headers ? `${kind}/` : '');
  const named = (kind: string, name: unknown) => `${prefix(kind)}${textOf(name)}`;
  const clusters = filterClusters(dump, options.clusters).map((cluster) => [named('cluster', cluster['name']), ...clusterRow(cluster, prefix('cluster'))]);
  const listeners = filterListeners(dump, options.listeners).flatMap((listener) => (verbose ? listenerRows(listener) : [listenerTypeRow(listener)]).map((row) => [named('listener', listener['name']), ...row]));
  const routes = filterRoutes(dump, options.name);
  const sections: readonly (readonly [title: string, text: string])[] = [
    ['BOOTSTRAP INFO', bootstrapSummary(dump)],
    ['CLUSTER INFO', formatTable(['NAME', ...CLUSTER_HEADER], clusters)],
    ['LISTENER INFO', formatTable(['NAME', ...(verbose ? LISTENER_HEADER : LISTENER_TYPE_HEADER)], listeners, 1)],
    ['ROUTE INFO', verbose ? formatTable(ROUTE_HEADER, routes.flatMap((config) => routeRows(config, prefix('route')))) : formatTable(BRIEF_ROUTE_HEADER, routes.map((config) => briefRouteRow(config, prefix('route'))))],
    ['SECRET INFO', dump.secrets.length === 0 ? 'No active or warming secrets found.\n' : formatTable(SECRET_HEADER, secretRows(dump, now, prefix('secret')))],
    ['ENDPOINTS INFO', formatTable(EDS_HEADER, edsRows(dump, options.endpoints, prefix('endpoint')))],
  ];
  return sections.map(([title, text]) => (headers ? `------ ${title} ------\n\n${text}` : text)).join('\n');
}
