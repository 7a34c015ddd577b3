/** `kube-inject`: sidecars written into manifests, for clusters without the webhook and for reading. */
import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { parse } from 'yaml';
import { messageOf } from '../../base/errors.ts';
import { kubeInject } from '../../admission/inject/kube-inject.ts';
import type { InjectionContext } from '../../admission/inject/types.ts';
import { DEFAULT_VALUES, mergeValues } from '../../install/values.ts';
import type { ConfigMap } from '../../objects/kubernetes/config-map.ts';
import { CONFIG_MAP } from '../../objects/resource-types.ts';
import { withClusterOptions, type ClusterOptions } from '../cluster-access.ts';
import { guarded, REAL_WORLD, type CommandWorld } from '../command-world.ts';
import { VERSION } from '../mesh-install.ts';

interface Flags extends ClusterOptions {
  readonly filename?: string;
  readonly output?: string;
  readonly meshConfigFile?: string;
  readonly valuesFile?: string;
  readonly injectConfigFile?: string;
  readonly meshConfigMapName?: string;
  readonly injectConfigMapName?: string;
  readonly revision?: string;
}

export function addKubeInject(program: Command, world = REAL_WORLD): void {
  withClusterOptions(program.command('kube-inject').description('Add the sidecar to the pods of a manifest'))
    .option('-f, --filename <file>', 'manifest, - for standard input')
    .option('-o, --output <file>', 'where to write, default standard output')
    .option('--meshConfigFile <file>', 'mesh configuration instead of the cluster\'s')
    .option('--valuesFile <file>', 'injection values instead of the cluster\'s')
    .option('--injectConfigFile <file>', 'injection templates instead of the built-in ones: the config of a sidecar injector')
    .option('--meshConfigMapName <name>', 'ConfigMap of the mesh configuration, default that of the revision')
    .option('--injectConfigMapName <name>', 'ConfigMap of the injection values, default that of the revision')
    .option('-r, --revision <name>', 'control plane revision')
    .action((flags: Flags) => guarded(world, async () => {
      if (flags.filename === undefined) throw new Error('filename not specified (see --filename or -f)');
      const result = kubeInject(world.readFile(flags.filename), await contextOf(world, flags));
      for (const note of result.notes) world.note(`${note}\n`);
      if (result.errors.length > 0) throw new Error(result.errors.join('\n'));
      if (flags.output) writeFileSync(flags.output, result.output);
      else world.print(result.output);
    }));
}

async function contextOf(world: CommandWorld, flags: Flags): Promise<InjectionContext> {
  const file = (path: string | undefined) => (path === undefined ? undefined : (parse(world.readFile(path)) as object));
  const given = { values: file(flags.valuesFile), meshConfig: file(flags.meshConfigFile) };
  const fromCluster = given.values && given.meshConfig ? undefined : await clusterConfig(world, flags);
  const values = given.values ?? fromCluster?.values ?? mergeValues(DEFAULT_VALUES, { global: { tag: VERSION } });
  return { values: withTemplates(values, file(flags.injectConfigFile)), meshConfig: given.meshConfig ?? fromCluster?.meshConfig ?? {} } as unknown as InjectionContext;
}

/** Templates of an injector's own configuration stand where an installation's values keep theirs. */
function withTemplates(values: object, config: { readonly templates?: object; readonly defaultTemplates?: readonly string[] } | undefined): object {
  if (!config?.templates) return values;
  const webhook = (values as { readonly sidecarInjectorWebhook?: { readonly templates?: object } }).sidecarInjectorWebhook;
  return { ...values, sidecarInjectorWebhook: { ...webhook, templates: { ...webhook?.templates, ...config.templates }, ...(config.defaultTemplates && { defaultTemplates: config.defaultTemplates }) } };
}

/** What istiod uses; undefined when no cluster can be reached or none is installed, which defaults stand in for. */
async function clusterConfig(world: CommandWorld, flags: Flags): Promise<{ values: object; meshConfig: object } | undefined> {
  try {
    const cluster = world.open(flags);
    const namespace = flags.istioNamespace ?? 'istio-system';
    const suffix = flags.revision && flags.revision !== 'default' ? `-${flags.revision}` : '';
    const [injector, mesh] = await Promise.all([
      cluster.client.get<ConfigMap>(CONFIG_MAP, flags.injectConfigMapName ?? `istio-sidecar-injector${suffix}`, namespace),
      cluster.client.get<ConfigMap>(CONFIG_MAP, flags.meshConfigMapName ?? `istio${suffix}`, namespace),
    ]);
    cluster.close();
    if (!injector?.data?.['values']) return undefined;
    return { values: JSON.parse(injector.data['values']) as object, meshConfig: (parse(mesh?.data?.['mesh'] ?? '{}') as object | null) ?? {} };
  } catch (error) {
    world.note(`note: no installed mesh could be read (${messageOf(error)}), using the defaults\n`);
    return undefined;
  }
}
