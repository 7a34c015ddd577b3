/** `kube-inject`: sidecars written into manifests, for clusters without the webhook and for reading. */
import { readFileSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { parse } from 'yaml';
import { messageOf } from '../../base/errors.ts';
import { kubeInject } from '../../admission/inject/kube-inject.ts';
import type { InjectionContext } from '../../admission/inject/types.ts';
import { DEFAULT_VALUES, mergeValues } from '../../install/values.ts';
import type { ConfigMap } from '../../objects/kubernetes/config-map.ts';
import { CONFIG_MAP } from '../../objects/resource-types.ts';
import { openCluster, withClusterOptions, type ClusterOptions } from '../cluster-access.ts';
import { VERSION } from '../mesh-install.ts';

interface Flags extends ClusterOptions {
  readonly filename?: string;
  readonly output?: string;
  readonly meshConfigFile?: string;
  readonly valuesFile?: string;
}

export function addKubeInject(program: Command): void {
  withClusterOptions(program.command('kube-inject').description('Add the sidecar to the pods of a manifest'))
    .option('-f, --filename <file>', 'manifest, - for standard input')
    .option('-o, --output <file>', 'where to write, default standard output')
    .option('--meshConfigFile <file>', 'mesh configuration instead of the cluster\'s')
    .option('--valuesFile <file>', 'injection values instead of the cluster\'s')
    .action(async (flags: Flags) => {
      try {
        if (flags.filename === undefined) throw new Error('filename not specified (see --filename or -f)');
        const result = kubeInject(readFileSync(flags.filename === '-' ? 0 : flags.filename, 'utf8'), await contextOf(flags));
        for (const note of result.notes) process.stderr.write(`${note}\n`);
        if (result.errors.length > 0) throw new Error(result.errors.join('\n'));
        if (flags.output) writeFileSync(flags.output, result.output);
        else process.stdout.write(result.output);
      } catch (error) {
        process.stderr.write(`Error: ${messageOf(error)}\n`);
        process.exitCode = 1;
      }
    });
}

async function contextOf(flags: Flags): Promise<InjectionContext> {
  const file = (path: string | undefined) => (path === undefined ? undefined : (parse(readFileSync(path, 'utf8')) as object));
  const given = { values: file(flags.valuesFile), meshConfig: file(flags.meshConfigFile) };
  const fromCluster = given.values && given.meshConfig ? undefined : await clusterConfig(flags);
  const values = given.values ?? fromCluster?.values ?? mergeValues(DEFAULT_VALUES, { global: { tag: VERSION } });
  return { values, meshConfig: given.meshConfig ?? fromCluster?.meshConfig ?? {} } as unknown as InjectionContext;
}

/** What istiod uses; undefined when no cluster can be reached or none is installed, which defaults stand in for. */
async function clusterConfig(flags: Flags): Promise<{ values: object; meshConfig: object } | undefined> {
  try {
    const { client } = openCluster(flags);
    const namespace = flags.istioNamespace ?? 'istio-system';
    const [injector, mesh] = await Promise.all([client.get<ConfigMap>(CONFIG_MAP, 'istio-sidecar-injector', namespace), client.get<ConfigMap>(CONFIG_MAP, 'istio', namespace)]);
    client.close();
    if (!injector?.data?.['values']) return undefined;
    return { values: JSON.parse(injector.data['values']) as object, meshConfig: (parse(mesh?.data?.['mesh'] ?? '{}') as object | null) ?? {} };
  } catch (error) {
    process.stderr.write(`note: no installed mesh could be read (${messageOf(error)}), using the defaults\n`);
    return undefined;
  }
}
