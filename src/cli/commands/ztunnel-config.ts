/** `ztunnel-config`: what a ztunnel knows, read from the ztunnel itself or from a saved dump. */
import type { Command } from 'commander';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import { POD } from '../../objects/resource-types.ts';
import { withClusterOptions, type ClusterOptions } from '../cluster-access.ts';
import { commandGroup, guarded, REAL_WORLD, type CommandWorld } from '../command-world.ts';
import { dataText, formatOption } from '../output.ts';
import { resolvePod } from '../pod-name.ts';
import { parseZtunnelDump, policyData, serviceData, stateData, workloadData, type ZtunnelDump } from '../ztunnel-config/dump.ts';
import { certificateTable, connectionTable, filterPolicies, filterServices, filterStates, filterWorkloads, fullZtunnelSummary, policyTable, serviceTable, workloadTable, type ZtunnelFilter } from '../ztunnel-config/tables.ts';

interface Flags extends ClusterOptions {
  readonly file?: string;
  readonly output: 'short' | 'json' | 'yaml';
  readonly node?: string;
  readonly workloadNode?: string;
  readonly workloadNamespace?: string;
  readonly serviceNamespace?: string;
  readonly policyNamespace?: string;
  readonly address?: string;
  readonly direction?: string;
  readonly raw?: boolean;
  readonly withHeaders?: boolean;
  readonly verbose?: boolean;
}

interface View {
  table(dump: ZtunnelDump, filter: ZtunnelFilter, flags: Flags, now: Date): string;
  data(dump: ZtunnelDump, filter: ZtunnelFilter): unknown;
}

const VIEWS: Readonly<Record<string, View>> = {
  workload: { table: (dump, filter, flags) => workloadTable(dump, filter, flags.verbose === false), data: (dump, filter) => filterWorkloads(dump, filter).map(workloadData) },
  service: { table: serviceTable, data: (dump, filter) => filterServices(dump, filter).map(serviceData) },
  policy: { table: policyTable, data: (dump, filter) => filterPolicies(dump, filter).map(policyData) },
  certificate: { table: (dump, _filter, _flags, now) => certificateTable(dump, now), data: (dump) => dump.certificates },
  connections: { table: connectionTable, data: (dump, filter) => filterStates(dump, filter).map(stateData) },
  all: { table: (dump, _filter, flags, now) => fullZtunnelSummary(dump, flags.withHeaders === true, now), data: (dump) => dump.raw },
};

export function addZtunnelConfig(program: Command, world = REAL_WORLD): void {
  const group = commandGroup(program, 'ztunnel-config', 'A group of commands used to retrieve information about a ztunnel\'s configuration from its config dump', world).alias('zc');
  const add = (name: string, aliases: readonly string[], description: string) =>
    withClusterOptions(group.command(`${name} [pod]`).aliases([...aliases]).description(description))
      .option('-f, --file <file>', 'a saved config dump instead of a running ztunnel')
      .addOption(formatOption('format of the output', 'short'))
      .option('--node <name>', 'the ztunnel of this node; of workloads, those on it')
      .action((pod: string | undefined, flags: Flags) => guarded(world, () => show(world, name, pod, flags)));
  add('workload', ['workloads', 'w'], 'Workloads').option('--workload-namespace <name>', 'namespace').option('--workload-node <name>', 'node').option('--address <ip>', 'address').option('--no-verbose', 'without waypoints and protocols');
  add('service', ['services', 's', 'svc'], 'Services').option('--service-namespace <name>', 'namespace');
  add('policy', ['policies', 'p', 'pol'], 'Authorization policies').option('--policy-namespace <name>', 'namespace');
  add('certificate', ['certificates', 'certs', 'cert'], 'Certificates; keys are never shown');
  add('connections', ['connection', 'cons'], 'Open connections; of one workload when a pod is named').option('--workload-namespace <name>', 'namespace').option('--direction <d>', 'inbound or outbound').option('--raw', 'addresses instead of names');
  add('all', ['a'], 'Everything').option('--with-headers', 'a title above every table');
}

async function show(world: CommandWorld, name: string, pod: string | undefined, flags: Flags): Promise<void> {
  const dump = parseZtunnelDump(flags.file === undefined ? await ask(world, name, pod, flags) : world.readFile(flags.file));
  const [workload, podNamespace] = name === 'connections' && pod !== undefined ? splitName(pod) : [undefined, undefined];
  const namespace = flags.workloadNamespace ?? flags.serviceNamespace ?? flags.policyNamespace ?? podNamespace;
  const filter: ZtunnelFilter = {
    ...(namespace !== undefined && { namespace }), ...(workload !== undefined && { workload }), ...(flags.address !== undefined && { address: flags.address }),
    ...nodeOf(flags), ...(flags.direction !== undefined && { direction: flags.direction }), ...(flags.raw !== undefined && { raw: flags.raw }),
  };
  const view = VIEWS[name]!;
  if (flags.output === 'short') return world.print(view.table(dump, filter, flags, world.now()));
  const data = view.data(dump, filter);
  world.print(dataText(data, flags.output));
}

function splitName(argument: string): readonly [string, string | undefined] {
  const name = argument.slice(argument.indexOf('/') + 1);
  const dot = name.lastIndexOf('.');
  return dot > 0 ? [name.slice(0, dot), name.slice(dot + 1)] : [name, undefined];
}

/** `--node` names a ztunnel and, for older habits, also filters. */
function nodeOf({ node, workloadNode }: Flags): Pick<ZtunnelFilter, 'node'> {
  const wanted = workloadNode ?? node;
  return wanted === undefined ? {} : { node: wanted };
}

/** The named ztunnel, the one of a node (or of the named pod's node), else any. */
async function ask(world: CommandWorld, name: string, pod: string | undefined, flags: Flags): Promise<string> {
  const cluster = world.open(flags);
  try {
    const { items } = await cluster.client.list<Pod>(POD, { labelSelector: 'app=ztunnel' });
    const named = pod === undefined ? undefined : await resolvePod(cluster.client, pod, name === 'connections' ? cluster.namespace : (flags.istioNamespace ?? 'istio-system'));
    const target = named && (await cluster.client.get<Pod>(POD, named.name, named.namespace));
    const node = flags.node ?? target?.spec.nodeName;
    const ztunnel = items.find((one) => one.metadata.name === named?.name) ?? items.find((one) => node === undefined || one.spec.nodeName === node);
    if (!ztunnel) throw new Error(`no ztunnel runs${node === undefined ? '' : ` on node ${node}`}; ambient mode needs one per node, or give a saved dump with --file`);
    return await world.askProxy(flags, { name: ztunnel.metadata.name, namespace: ztunnel.metadata.namespace ?? '' }, 'config_dump');
  } finally {
    cluster.close();
  }
}
