/** `completion`: the script that makes a shell complete our command lines. */
import { Argument, type Command } from 'commander';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import { POD } from '../../objects/resource-types.ts';
import { openCluster } from '../cluster-access.ts';
import { completionScript, SHELLS, type Shell } from '../completion.ts';

export function addCompletion(program: Command): void {
  program
    .command('completion')
    .description('Print a completion script for a shell')
    .addArgument(new Argument('<shell>').choices([...SHELLS]))
    .addHelpText('after', '\nbash: source <(meltemi completion bash)\nzsh:  meltemi completion zsh > "${fpath[1]}/_meltemi"\nfish: meltemi completion fish | source')
    .action((shell: Shell) => void process.stdout.write(completionScript(shell)));
}

/** Pods of the current cluster as `name.namespace`; none when no cluster can be asked. */
export async function podNames(): Promise<readonly string[]> {
  try {
    const { client } = openCluster({});
    const { items } = await client.list<Pod>(POD);
    client.close();
    return items.map((pod) => `${pod.metadata.name}.${pod.metadata.namespace}`);
  } catch {
    return [];
  }
}
