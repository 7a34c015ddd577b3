/** `proxy-status`: every istiod is asked which proxies it serves. */
import type { Command } from 'commander';
import { messageOf } from '../../base/errors.ts';
import { execInPod } from '../../kube/client/exec.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import { POD } from '../../objects/resource-types.ts';
import { openCluster, withClusterOptions, type ClusterOptions } from '../cluster-access.ts';
import { VERSION } from '../mesh-install.ts';
import { formatOption, printData } from '../output.ts';
import { statusResponse, statusTable, type ClientSync, type SyncReport } from '../proxy-status.ts';

interface Flags extends ClusterOptions {
  readonly verbosity: string;
  readonly output: 'table' | 'json' | 'yaml';
}

export function addProxyStatus(program: Command): void {
  withClusterOptions(program.command('proxy-status [pod]').alias('ps').description('Show which proxies are connected and whether they took their configuration'))
    .option('-v, --verbosity <n>', '1 shows the state of every type', '0')
    .addOption(formatOption('format of the output', 'table'))
    .action(async (pod: string | undefined, flags: Flags) => {
      try {
        const reports = (await askIstiods(flags)).map((report) => ({ ...report, clients: report.clients.filter((client) => pod === undefined || client.proxyId === pod || client.proxyId.startsWith(`${pod}.`)) }));
        if (pod !== undefined && reports.every((report) => report.clients.length === 0)) throw new Error(`no proxy "${pod}" is connected; see meltemi proxy-status`);
        if (flags.output === 'table') process.stdout.write(statusTable(reports, { verbosity: Number(flags.verbosity), ...(flags.namespace !== undefined && { namespace: flags.namespace }) }));
        else printData(statusResponse(reports, flags.namespace, VERSION), flags.output);
      } catch (error) {
        process.stderr.write(`Error: ${messageOf(error)}\n`);
        process.exitCode = 1;
      }
    });
}

/** `/debug/syncz` of every running istiod. */
async function askIstiods(flags: Flags): Promise<readonly SyncReport[]> {
  const { client, access } = openCluster(flags);
  const namespace = flags.istioNamespace ?? 'istio-system';
  try {
    const { items } = await client.list<Pod>(POD, { namespace, labelSelector: 'app=istiod' });
    const running = items.filter((pod) => pod.status?.phase === 'Running' && pod.metadata.deletionTimestamp === undefined);
    if (running.length === 0) throw new Error(`no istiod runs in ${namespace}`);
    return await Promise.all(running.map(async ({ metadata: { name } }) => {
      const { stdout, stderr, exitCode } = await execInPod(access, { namespace, pod: name, container: 'discovery', command: ['pilot-discovery', 'request', 'GET', '/debug/syncz'] });
      if (exitCode !== 0) throw new Error(stderr.trim() || `pilot-discovery in ${name} ended with ${exitCode}`);
      return { istiod: name, clients: (JSON.parse(stdout) as { clients: readonly ClientSync[] }).clients };
    }));
  } finally {
    client.close();
  }
}
