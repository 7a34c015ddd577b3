/** `x describe pod|service`: the configuration that holds for one workload. */
import type { Command } from 'commander';
import type { KubeObject } from '../../objects/meta.ts';
import type { ResourceType } from '../../objects/kind.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import type { Service } from '../../objects/kubernetes/service.ts';
import { POD, SERVICE } from '../../objects/resource-types.ts';
import { withClusterOptions, type ClusterOptions } from '../cluster-access.ts';
import { commandGroup, withCluster, type ClusterReader, type CommandWorld } from '../command-world.ts';
import { describePod, describeService, type DescribeOptions } from '../describe/describe.ts';
import { namingIn } from '../describe/rules.ts';

interface Flags extends ClusterOptions {
  readonly ignoreUnmeshed?: boolean;
}

export function addDescribe(group: Command, world: CommandWorld): void {
  const describe = commandGroup(group, 'describe', 'Describe resource and related Istio configuration', world).alias('des');
  const add = <T extends KubeObject>(kind: 'pod' | 'service', alias: string, type: ResourceType, show: (options: DescribeOptions, object: T) => Promise<readonly string[]>) =>
    withClusterOptions(describe.command(`${kind} [name]`).alias(alias).description(`Describe a ${kind}: name, or name.namespace`))
      .option('--ignoreUnmeshed', 'no warnings about pods without a sidecar')
      .action(async (name: string | undefined, flags: Flags) => {
        if (name === undefined) return world.fail(`expecting ${kind} name`);
        await withCluster(world, flags, async ({ client, namespace }) => {
          const object = await find<T>(client, type, name, namespace);
          const options = { client, naming: namingIn(namespace), ignoreUnmeshed: flags.ignoreUnmeshed === true, istioNamespace: flags.istioNamespace ?? 'istio-system', askProxy: (pod: { name: string; namespace: string }, path: string) => world.askProxy(flags, pod, path) };
          world.print(`${(await show(options, object)).join('\n')}\n`);
        });
      });
  add<Pod>('pod', 'po', POD, describePod);
  add<Service>('service', 'svc', SERVICE, describeService);
}

/** `name.namespace` is tried when the namespace has no object of the whole name. */
async function find<T extends KubeObject>(client: ClusterReader, type: ResourceType, argument: string, namespace: string): Promise<T> {
  const dot = argument.lastIndexOf('.');
  const object = (await client.get<T>(type, argument, namespace)) ?? (dot > 0 ? await client.get<T>(type, argument.slice(0, dot), argument.slice(dot + 1)) : undefined);
  if (!object) throw new Error(`${type.plural} "${dot > 0 ? argument.slice(0, dot) : argument}" not found`);
  return object;
}
