/** `waypoint`: list and status of the waypoints of ambient meshes, and the Gateway that asks for one. */
import type { Command } from 'commander';
import { stringify } from 'yaml';
import { KUBERNETES_GATEWAY } from '../../objects/resource-types.ts';
import { parseDurationMs } from '../../base/duration.ts';
import { withClusterOptions, type ClusterOptions } from '../cluster-access.ts';
import { commandGroup, guarded, REAL_WORLD, withCluster, type ClusterReader, type CommandWorld } from '../command-world.ts';
import { isProgrammed, sortedWaypoints, statusRow, STATUS_HEADER, TRAFFIC_TYPES, waypointGateway, waypointTable, type KubernetesGateway } from '../waypoint.ts';
import { formatTable } from '../table.ts';

interface Flags extends ClusterOptions {
  readonly allNamespaces?: boolean;
  readonly wait: boolean;
  readonly waypointTimeout: string;
  readonly name: string;
  readonly for?: string;
  readonly revision?: string;
}

const POLL_MS = 1000;
const NONE = 'No waypoints found.\n';

export function addWaypoint(program: Command, world = REAL_WORLD): void {
  const group = commandGroup(program, 'waypoint', 'Waypoints of ambient meshes: list, status, generate', world);
  withClusterOptions(group.command('list').description('List waypoints'))
    .option('-A, --all-namespaces', 'in all namespaces')
    .action((flags: Flags) => withCluster(world, flags, async ({ client, namespace }) => {
      const all = await gateways(client, flags, namespace);
      world.print(all.length === 0 ? NONE : waypointTable(sortedWaypoints(all), flags.allNamespaces === true));
    }));
  withClusterOptions(group.command('status').description('Show whether waypoints are programmed, by default when they are'))
    .option('-A, --all-namespaces', 'in all namespaces')
    .option('-w, --wait [yes]', 'wait until they are programmed', (value: string) => value !== 'false', true)
    .option('--waypoint-timeout <duration>', 'how long to wait', '90s')
    .action((flags: Flags) => withCluster(world, flags, async ({ client, namespace }) => {
      const all = await gateways(client, flags, namespace);
      world.print(all.length === 0 ? NONE : await status(world, client, sortedWaypoints(all), flags));
    }));
  withClusterOptions(group.command('generate').description('Print the Gateway that asks for a waypoint'))
    .option('--name <name>', 'name of the waypoint', 'waypoint')
    .option('--for <type>', `traffic it takes: ${TRAFFIC_TYPES.join(', ')}`)
    .option('-r, --revision <name>', 'control plane revision')
    .action((flags: Flags) => guarded(world, () => world.print(stringify(waypointGateway(flags), { lineWidth: 0, sortMapEntries: true }))));
}

async function gateways(client: ClusterReader, flags: Flags, namespace: string): Promise<readonly KubernetesGateway[]> {
  return (await client.list<KubernetesGateway>(KUBERNETES_GATEWAY, flags.allNamespaces ? {} : { namespace })).items;
}

/** Rows of the waypoints, each when it is programmed; throws when one is not in time. */
async function status(world: CommandWorld, client: ClusterReader, waypoints: readonly KubernetesGateway[], flags: Flags): Promise<string> {
  const timeoutMs = parseDurationMs(flags.waypointTimeout);
  if (timeoutMs === undefined) throw new Error(`--waypoint-timeout ${flags.waypointTimeout} is not a duration, as 90s`);
  const deadlineMs = world.now().getTime() + timeoutMs;
  const rows: (readonly string[])[] = [];
  for (const waypoint of waypoints) {
    const { name, namespace = '' } = waypoint.metadata;
    let current = waypoint;
    while (flags.wait && !isProgrammed(current)) {
      if (world.now().getTime() >= deadlineMs) throw new Error(`failed to print waypoint status: timed out while retrieving status for waypoint\t${namespace}/${name}`);
      await new Promise((done) => setTimeout(done, Math.min(POLL_MS, Math.max(1, deadlineMs - world.now().getTime()))));
      current = (await client.get<KubernetesGateway>(KUBERNETES_GATEWAY, name, namespace)) ?? current;
    }
    rows.push(flags.allNamespaces ? [namespace, ...statusRow(current)] : statusRow(current));
  }
  return formatTable(flags.allNamespaces ? ['NAMESPACE', ...STATUS_HEADER] : STATUS_HEADER, rows);
}
