/** `proxy-config log` and `proxy-config rootca-compare`: what is asked of running proxies only. */
import type { Command } from 'commander';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import { POD } from '../../objects/resource-types.ts';
import { withClusterOptions, type ClusterOptions } from '../cluster-access.ts';
import { withCluster, type CommandWorld, type OpenedCluster } from '../command-world.ts';
import { resolvePod, type PodName } from '../pod-name.ts';
import { at, parseConfigDump, textOf } from '../proxy-config/dump.ts';

interface LogFlags extends ClusterOptions {
  readonly level?: string;
  readonly reset?: boolean;
  readonly selector?: string;
}

const LEVELS = ['trace', 'debug', 'info', 'warning', 'error', 'critical', 'off'];
const DEFAULT_LEVEL = 'warning';

export function addLog(group: Command, world: CommandWorld): void {
  withClusterOptions(group.command('log [pods...]').alias('o').description('Show or change the log levels of proxies'))
    .option('--level <levels>', `one level for all loggers, or name:level,…; levels: ${LEVELS.join(', ')}`)
    .option('-l, --selector <labels>', 'the pods with these labels, key=value,…')
    .option('-r, --reset', `back to ${DEFAULT_LEVEL}`)
    .action(async (pods: readonly string[], flags: LogFlags) => {
      if (pods.length === 0 && flags.selector === undefined) return world.fail('log requires pod name or --selector');
      if (flags.reset && flags.level !== undefined) return world.fail('--level cannot be combined with --reset');
      await withCluster(world, flags, async (cluster) => {
        const paths = loggingPaths(flags.reset ? DEFAULT_LEVEL : flags.level);
        for (const name of await namesOf(cluster, pods, flags.selector)) {
          let answer = '';
          for (const path of paths) answer = await world.askProxy(flags, name, path, 'POST');
          world.print(`${fullName(name)}:\n${answer}`);
        }
      });
    });
}

async function namesOf({ client, namespace }: OpenedCluster, pods: readonly string[], selector: string | undefined): Promise<readonly PodName[]> {
  if (selector === undefined) return await Promise.all(pods.map((pod) => resolvePod(client, pod, namespace)));
  const { items } = await client.list<Pod>(POD, { namespace, labelSelector: selector });
  if (items.length === 0) throw new Error(`no pods found with selector ${selector} in namespace ${namespace}`);
  return items.map(({ metadata }) => ({ name: metadata.name, namespace: metadata.namespace ?? namespace }));
}

/** One request per logger; without levels the one that lists them. Throws on a level that no proxy knows. */
export function loggingPaths(levels: string | undefined): readonly string[] {
  if (levels === undefined) return ['logging'];
  return levels.split(',').map((part) => {
    const [logger, level] = part.includes(':') ? (part.split(':', 2) as [string, string]) : ['level', part];
    if (!LEVELS.includes(level)) throw new Error(`unrecognized logging level: ${level}; one of ${LEVELS.join(', ')}`);
    return `logging?${encodeURIComponent(logger)}=${level}`;
  });
}

export function addRootCaCompare(group: Command, world: CommandWorld): void {
  withClusterOptions(group.command('rootca-compare [pods...]').alias('rc').description('Compare the root certificates of two proxies: without a common one they cannot talk'))
    .action(async (pods: readonly string[], flags: ClusterOptions) => {
      if (pods.length !== 2) return world.fail('rootca-compare requires 2 pods as an argument');
      await withCluster(world, flags, async (cluster) => {
        const [one, other] = [await rootsOf(world, cluster, pods[0]!, flags), await rootsOf(world, cluster, pods[1]!, flags)];
        const both = `Both [${fullName(one.pod)}] and [${fullName(other.pod)}] have the`;
        if (!one.roots.some((root) => other.roots.includes(root))) throw new Error(`${both} non identical ROOTCA, theoretically the connectivity between them is unavailable`);
        world.print(`${both} identical ROOTCA, theoretically the connectivity between them is available\n`);
      });
    });
}

async function rootsOf(world: CommandWorld, { client, namespace }: OpenedCluster, argument: string, flags: ClusterOptions): Promise<{ readonly pod: PodName; readonly roots: readonly string[] }> {
  const pod = await resolvePod(client, argument, namespace);
  const dump = parseConfigDump(await world.askProxy(flags, pod, 'config_dump'));
  const secret = dump.secrets.find(({ name }) => name === 'ROOTCA')?.secret;
  const text = Buffer.from(textOf(at(secret, ['validationContext', 'trustedCa', 'inlineBytes'])), 'base64').toString();
  const roots = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (roots.length === 0) throw new Error(`${fullName(pod)} holds no ROOTCA: its proxy has not received its certificates yet`);
  return { pod, roots: roots.map((root) => root.replace(/\s+/g, '')) };
}

function fullName({ name, namespace }: PodName): string {
  return `${name}.${namespace}`;
}
