/** `proxy-config`: what one proxy was given, read from the proxy itself or from a saved dump. */
import type { Command } from 'commander';
import { withClusterOptions, type ClusterOptions } from '../cluster-access.ts';
import { commandGroup, guarded, REAL_WORLD, type CommandWorld } from '../command-world.ts';
import { dataText, formatOption } from '../output.ts';
import { addLog, addRootCaCompare } from './proxy-log.ts';
import { resolvePod } from '../pod-name.ts';
import { CLUSTER_HEADER, clusterRow, EDS_HEADER, edsData, edsRows, ENDPOINT_HEADER, endpointRows, endpointStatuses, filterClusters, isClusterStatus, type ClusterFilter, type EndpointFilter } from '../proxy-config/clusters.ts';
import { parseConfigDump, sectionOf, untyped, type ConfigDump, type Json } from '../proxy-config/dump.ts';
import { ecdsTable } from '../proxy-config/ecds.ts';
import { filterListeners, LISTENER_HEADER, LISTENER_TYPE_HEADER, listenerRows, listenerTypeRow } from '../proxy-config/listeners.ts';
import { BRIEF_ROUTE_HEADER, briefRouteRow, filterRoutes, ROUTE_HEADER, routeRows } from '../proxy-config/routes.ts';
import { SECRET_HEADER, secretRows } from '../proxy-config/secrets.ts';
import { bootstrapSummary, fullSummary } from '../proxy-config/summary.ts';
import { formatTable } from '../table.ts';

interface Flags extends ClusterOptions {
  readonly file?: string;
  readonly output: 'short' | 'json' | 'yaml';
  readonly fqdn?: string;
  readonly port?: string;
  readonly subset?: string;
  readonly direction?: string;
  readonly address?: string;
  readonly type?: string;
  readonly name?: string;
  readonly cluster?: string;
  readonly status?: string;
  readonly verbose: boolean;
  readonly withHeaders?: boolean;
}

/** Prints one view of a dump. */
type View = (dump: ConfigDump, flags: Flags, now: Date) => { readonly table: string; readonly data: unknown };

const port = (flags: Flags) => (flags.port === undefined ? {} : { port: Number(flags.port) });
const pick = (flags: Flags, ...names: readonly (keyof Flags)[]) => Object.fromEntries(names.filter((name) => flags[name] !== undefined).map((name) => [name, flags[name]]));
const clusterFilter = (flags: Flags): ClusterFilter => ({ ...pick(flags, 'fqdn', 'subset', 'direction'), ...port(flags) });
const listenerFilter = (flags: Flags) => ({ ...pick(flags, 'address', 'type'), ...port(flags) });
const VIEWS: Readonly<Record<string, View>> = {
  clusters: (dump, flags) => {
    const clusters = filterClusters(dump, clusterFilter(flags));
    return { table: formatTable(CLUSTER_HEADER, clusters.map((cluster) => clusterRow(cluster))), data: clusters.map(untyped) };
  },
  listeners: (dump, flags) => {
    const listeners = filterListeners(dump, listenerFilter(flags));
    return { table: flags.verbose ? formatTable(LISTENER_HEADER, listeners.flatMap(listenerRows), 1) : formatTable(LISTENER_TYPE_HEADER, listeners.map(listenerTypeRow), 1), data: listeners.map(untyped) };
  },
  routes: (dump, flags) => {
    const routes = filterRoutes(dump, flags.name);
    return { table: flags.verbose ? formatTable(ROUTE_HEADER, routes.flatMap((route) => routeRows(route))) : formatTable(BRIEF_ROUTE_HEADER, routes.map((route) => briefRouteRow(route))), data: routes.map(untyped) };
  },
  secret: (dump, _flags, now) => ({ table: dump.secrets.length > 0 ? formatTable(SECRET_HEADER, secretRows(dump, now)) : 'No active or warming secrets found.\n', data: sectionOf(dump, 'Secrets') }),
  bootstrap: (dump) => ({ table: bootstrapSummary(dump), data: sectionOf(dump, 'Bootstrap') }),
  eds: (dump, flags) => ({ table: formatTable(EDS_HEADER, edsRows(dump, endpointFilter(flags))), data: edsData(dump, endpointFilter(flags)).map(untyped) }),
  ecds: (dump) => ({ table: ecdsTable(dump), data: sectionOf(dump, 'Ecds') }),
  all: (dump, flags, now) => ({
    table: fullSummary(dump, { headers: flags.withHeaders === true, now, clusters: clusterFilter(flags), listeners: listenerFilter(flags), endpoints: endpointFilter(flags), ...pick(flags, 'name'), verbose: flags.verbose }),
    data: { configs: dump.raw },
  }),
};

export function addProxyConfig(program: Command, world = REAL_WORLD): void {
  const group = commandGroup(program, 'proxy-config', 'A group of commands used to retrieve information about proxy configuration from the Envoy config dump', world).alias('pc')
    .addHelpText('after', '\nA pod is written as name, name.namespace, or deploy/name, svc/name for their first running pod.');
  const add = (name: string, aliases: readonly string[], description: string) =>
    withClusterOptions(group.command(`${name} [pod]`).aliases([...aliases]).description(description))
      .option('-f, --file <file>', 'a saved config dump instead of a running proxy')
      // What a proxy was started with says little in a table, so that it is data unless a table is asked for.
      .addOption(formatOption('format of the output', 'short').default(name === 'bootstrap' ? 'json' : 'short'))
      .action((pod: string | undefined, flags: Flags) => guarded(world, () => show(world, name, pod, flags)));
  const addEndpoints = (name: string, aliases: readonly string[], description: string) =>
    add(name, aliases, description).option('--address <ip>', 'address').option('--port <n>', 'port').option('--cluster <name>', 'cluster').option('--status <s>', 'healthy, unhealthy …');
  add('clusters', ['cluster', 'c'], 'Clusters').option('--fqdn <name>', 'host, or a part of it').option('--port <n>', 'service port').option('--subset <name>', 'subset').option('--direction <d>', 'inbound or outbound');
  add('listeners', ['listener', 'l'], 'Listeners and their filter chains').option('--address <ip>', 'address').option('--port <n>', 'port').option('--type <type>', 'HTTP, TCP or HTTP+TCP').option('--no-verbose', 'only addresses and types');
  add('routes', ['route', 'r'], 'Routes').option('--name <name>', 'route configuration').option('--no-verbose', 'only names and the number of virtual hosts');
  addEndpoints('endpoints', ['endpoint', 'ep'], 'Endpoints as the load balancers see them now');
  addEndpoints('eds', [], 'Endpoints as istiod sent them, with their localities');
  add('secret', ['secrets', 's'], 'Certificates; keys are never shown');
  add('bootstrap', ['b'], 'How the proxy was started');
  add('ecds', ['ec'], 'Filters that are discovered on their own');
  add('all', ['a'], 'Everything').option('--with-headers', 'a title above every table')
    .option('--fqdn <name>', 'clusters of this host, or a part of it').option('--subset <name>', 'clusters of this subset').option('--direction <d>', 'clusters inbound or outbound')
    .option('--port <n>', 'clusters, listeners and endpoints of this port').option('--address <ip>', 'listeners and endpoints of this address').option('--type <type>', 'listeners of this type')
    .option('--name <name>', 'this route configuration').option('--no-verbose', 'listeners and routes in short');
  addLog(group, world);
  addRootCaCompare(group, world);
}

/** What istioctl calls a command in its errors, where that is not its own name. */
const TITLES: Readonly<Record<string, string>> = { clusters: 'cluster', listeners: 'listener', routes: 'route' };

async function show(world: CommandWorld, name: string, pod: string | undefined, flags: Flags): Promise<void> {
  if ((pod === undefined) === (flags.file === undefined)) throw new Error(`${TITLES[name] ?? name} requires pod name or --file parameter`);
  if (name === 'endpoints' && flags.file === undefined) return showEndpoints(world, JSON.parse(await askProxy(world, pod!, 'clusters?format=json', flags)) as Json, flags);
  const text = flags.file === undefined ? await askProxy(world, pod!, 'config_dump?include_eds', flags) : world.readFile(flags.file);
  // A file may hold either of the two things that know endpoints.
  const saved = name === 'endpoints' ? (JSON.parse(text) as Json) : undefined;
  if (saved && isClusterStatus(saved)) return showEndpoints(world, saved, flags);
  const { table, data } = VIEWS[name === 'endpoints' ? 'eds' : name]!(parseConfigDump(text), flags, world.now());
  world.print(flags.output === 'short' ? table : dataText(data, flags.output));
}

function endpointFilter(flags: Flags): EndpointFilter {
  return { ...pick(flags, 'address', 'cluster', 'status'), ...port(flags) };
}

function showEndpoints(world: CommandWorld, clusters: Json, flags: Flags): void {
  world.print(flags.output === 'short' ? formatTable(ENDPOINT_HEADER, endpointRows(clusters, endpointFilter(flags))) : dataText(endpointStatuses(clusters, endpointFilter(flags)), flags.output));
}

/** The proxy's admin answers only inside its pod, so the agent there is asked to ask it. */
async function askProxy(world: CommandWorld, argument: string, path: string, flags: Flags): Promise<string> {
  const cluster = world.open(flags);
  try {
    return await world.askProxy(flags, await resolvePod(cluster.client, argument, cluster.namespace), path);
  } finally {
    cluster.close();
  }
}
