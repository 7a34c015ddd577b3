/** `x check-inject`: whether a pod is or would be injected, and why. */
import type { Command } from 'commander';
import type { Namespace } from '../../objects/kubernetes/namespace.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import type { MutatingWebhookConfiguration } from '../../objects/kubernetes/webhook-configuration.ts';
import { MUTATING_WEBHOOK_CONFIGURATION, NAMESPACE, POD } from '../../objects/resource-types.ts';
import { checkInjection, injectionTable } from '../check-inject.ts';
import { withClusterOptions, type ClusterOptions } from '../cluster-access.ts';
import { withCluster, type CommandWorld } from '../command-world.ts';
import { resolvePod } from '../pod-name.ts';

interface Flags extends ClusterOptions {
  readonly labels?: string;
}

export function addCheckInject(group: Command, world: CommandWorld): void {
  withClusterOptions(group.command('check-inject [pod]').description('Tell which injection webhook takes a pod, or pods with some labels, and why'))
    .option('-l, --labels <pairs>', 'labels of a pod that does not exist yet, key=value,…')
    .action(async (pod: string | undefined, flags: Flags) => {
      if (pod === undefined && flags.labels === undefined) return world.fail('check-inject requires only [<resource-type>/]<resource-name>[.<namespace>], or specify labels flag');
      await withCluster(world, flags, async ({ client, namespace: current }) => {
        const where = pod === undefined ? undefined : await resolvePod(client, pod, current);
        const found = where && (await client.get<Pod>(POD, where.name, where.namespace));
        if (where && !found) throw new Error(`pods "${where.name}" not found`);
        const namespace = where?.namespace ?? current;
        const owner = await client.get<Namespace>(NAMESPACE, namespace);
        if (!owner) throw new Error(`namespaces "${namespace}" not found`);
        const { items } = await client.list<MutatingWebhookConfiguration>(MUTATING_WEBHOOK_CONFIGURATION);
        world.print(injectionTable(checkInjection(items, found?.metadata.labels ?? labelsOf(flags.labels ?? ''), owner.metadata.labels ?? {})));
      });
    });
}

function labelsOf(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(text.split(',').filter((pair) => pair !== '').map((pair) => {
    const at = pair.indexOf('=');
    if (at < 0) throw new Error(`--labels ${text}: "${pair}" is not key=value`);
    return [pair.slice(0, at), pair.slice(at + 1)];
  }));
}
