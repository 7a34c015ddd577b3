/** `version`: of this program, and of the control plane and proxies of a cluster. */
import type { Command } from 'commander';
import { messageOf } from '../../base/errors.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import { POD } from '../../objects/resource-types.ts';
import { openCluster, withClusterOptions, type ClusterOptions } from '../cluster-access.ts';
import { VERSION } from '../mesh-install.ts';
import { formatOption, printData } from '../output.ts';

interface Flags extends ClusterOptions {
  readonly remote: boolean | string;
  readonly short?: boolean;
  readonly output?: 'json' | 'yaml';
}

export function addVersion(program: Command): void {
  withClusterOptions(program.command('version').description('Print versions'))
    .option('--remote [yes]', 'also ask the cluster; --remote=false prints only this program\'s', true)
    .option('-s, --short', 'only numbers')
    .addOption(formatOption())
    .action(async (flags: Flags) => {
      const remote = flags.remote === true || flags.remote === 'true' ? await remoteVersions(flags) : undefined;
      if (flags.output) return printData({ clientVersion: { version: VERSION }, ...(typeof remote === 'object' && remote) }, flags.output);
      process.stdout.write(`client version: ${VERSION}\n`);
      if (typeof remote === 'string') process.stderr.write(`${remote}\n`);
      else if (remote) {
        process.stdout.write(`control plane version: ${remote.controlPlane.join(', ') || 'none'}\n`);
        process.stdout.write(`data plane version: ${Object.entries(remote.dataPlane).map(([version, count]) => `${version} (${count} proxies)`).join(', ') || 'none'}\n`);
      }
    });
}

async function remoteVersions(flags: Flags): Promise<{ controlPlane: readonly string[]; dataPlane: Readonly<Record<string, number>> } | string> {
  try {
    const { client } = openCluster(flags);
    const { items } = await client.list<Pod>(POD);
    client.close();
    const tags = (name: string) => items.flatMap((pod) => [...pod.spec.containers, ...(pod.spec.initContainers ?? [])]).filter((container) => container.name === name).map((container) => container.image?.split(':').at(-1) ?? 'unknown');
    const dataPlane: Record<string, number> = Object.create(null) as Record<string, number>;
    for (const tag of tags('istio-proxy')) dataPlane[tag] = (dataPlane[tag] ?? 0) + 1;
    return { controlPlane: [...new Set(tags('discovery'))], dataPlane };
  } catch (error) {
    return `unable to ask a cluster: ${messageOf(error)}`;
  }
}
