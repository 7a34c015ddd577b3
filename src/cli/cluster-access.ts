/** Which cluster a command talks to: the one that was named, the mesh on this machine, or the user's kubeconfig. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { createHttpsClient, type HttpsKubeClient } from '../kube/client/https-client.ts';
import { readKubeConfig, type ClusterAccess } from '../kube/client/kube-config.ts';
import { readRuntime } from '../local/launcher/runtime.ts';
import { stateDir } from '../local/state-dir.ts';
import { withGoFlags } from './go-flags.ts';

export interface ClusterOptions {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly namespace?: string;
  readonly istioNamespace?: string;
  readonly home?: string;
}

/** The options every command that talks to a cluster takes, spelled as istioctl spells them. */
export function withClusterOptions(command: Command): Command {
  return withGoFlags(command)
    .option('-c, --kubeconfig <file>', 'kubeconfig file (default: $KUBECONFIG unless --home is given, else the mesh on this machine, else ~/.kube/config)')
    .option('--context <name>', 'context of the kubeconfig')
    .option('-n, --namespace <name>', 'namespace')
    .option('-i, --istioNamespace <name>', 'namespace of the control plane', 'istio-system');
}

/** A client and the namespace commands act in when they name none. Throws when only the mesh on this machine can be meant and it does not run. */
export function openCluster(options: ClusterOptions): { readonly client: HttpsKubeClient; readonly namespace: string; readonly access: ClusterAccess } {
  const dir = stateDir(options.home);
  const own = dir.kubeconfig;
  const path = options.kubeconfig ?? (!process.env['KUBECONFIG'] && existsSync(own) ? own : undefined);
  const named = path ?? process.env['KUBECONFIG'];
  if (named !== undefined && resolve(named) === own && !readRuntime(dir)) throw new Error(`the mesh on this machine does not run (${own}): start it with "meltemi up", or name another cluster with --kubeconfig`);
  const access = readKubeConfig({ ...(path !== undefined && { path }), ...(options.context !== undefined && { context: options.context }) });
  return { client: createHttpsClient(access), namespace: options.namespace ?? access.namespace, access };
}
