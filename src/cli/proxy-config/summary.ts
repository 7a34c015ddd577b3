/** `proxy-config bootstrap` summary and `proxy-config all`. */
import { formatTable } from '../table.ts';
import { CLUSTER_HEADER, clusterRow, EDS_HEADER, edsRows, filterClusters } from './clusters.ts';
import { at, textOf, type ConfigDump } from './dump.ts';
import { filterListeners, LISTENER_HEADER, listenerRows } from './listeners.ts';
import { filterRoutes, ROUTE_HEADER, routeRows } from './routes.ts';
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

/** Everything in tables, one after the other; `headers` puts a title above each and the kind before each name. */
export function fullSummary(dump: ConfigDump, headers: boolean, now: Date): string {
  const prefix = (kind: string) => (headers ? `${kind}/` : '');
  const named = (kind: string, name: unknown) => `${prefix(kind)}${textOf(name)}`;
  const clusters = filterClusters(dump, {}).map((cluster) => [named('cluster', cluster['name']), ...clusterRow(cluster, prefix('cluster'))]);
  const listeners = filterListeners(dump, {}).flatMap((listener) => listenerRows(listener).map((row) => [named('listener', listener['name']), ...row]));
  const sections: readonly (readonly [title: string, text: string])[] = [
    ['BOOTSTRAP INFO', bootstrapSummary(dump)],
    ['CLUSTER INFO', formatTable(['NAME', ...CLUSTER_HEADER], clusters)],
    ['LISTENER INFO', formatTable(['NAME', ...LISTENER_HEADER], listeners, 1)],
    ['ROUTE INFO', formatTable(ROUTE_HEADER, filterRoutes(dump, undefined).flatMap((config) => routeRows(config, prefix('route'))))],
    ['SECRET INFO', dump.secrets.length === 0 ? 'No active or warming secrets found.\n' : formatTable(SECRET_HEADER, secretRows(dump, now, prefix('secret')))],
    ['ENDPOINTS INFO', formatTable(EDS_HEADER, edsRows(dump, {}, prefix('endpoint')))],
  ];
  return sections.map(([title, text]) => (headers ? `------ ${title} ------\n\n${text}` : text)).join('\n');
}
