/** `status`: is the mesh on this machine up, where, and how are its pods? */
import type { Command } from 'commander';
import { messageOf } from '../../base/errors.ts';
import { createHttpsClient } from '../../kube/client/https-client.ts';
import { readKubeConfig } from '../../kube/client/kube-config.ts';
import { readRuntime, type RuntimeInfo } from '../../local/launcher/runtime.ts';
import { stateDir } from '../../local/state-dir.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import { POD } from '../../objects/resource-types.ts';
import { formatOption, printData, type OutputFormat } from '../output.ts';
import { runtimeUrls } from '../runtime-urls.ts';
import { formatTable } from '../table.ts';

interface PodLine {
  readonly namespace: string;
  readonly name: string;
  /** Every container passes its readiness probe. */
  readonly ready: boolean;
  readonly phase: string;
  readonly ip: string;
  readonly restarts: number;
}

/** What `-o json` prints. */
interface Status {
  /** The API answers and every pod that should be ready is. */
  readonly ready: boolean;
  /** `root` or `user-namespace`: as whom the pods' network namespaces were made; `unprivileged`: pods are on loopback addresses; absent when nothing runs. */
  readonly network?: string;
  readonly dataPlane?: string;
  readonly kubeconfig?: string;
  readonly urls: Readonly<Record<string, string>>;
  readonly pods: readonly PodLine[];
  /** Why it is not ready. */
  readonly message?: string;
}

export function addStatus(program: Command): void {
  program
    .command('status')
    .description('Show whether the mesh on this machine runs, its addresses and its pods')
    .addOption(formatOption())
    .action(async (flags: { readonly output?: OutputFormat }) => {
      const status = await readStatus();
      if (flags.output) printData(status, flags.output);
      else printStatus(status);
      process.exitCode = status.ready ? 0 : 1;
    });
}

/** The state of the mesh of the current state directory; never rejects. */
export async function readStatus(): Promise<Status> {
  const runtime = readRuntime(stateDir());
  if (!runtime) return { ready: false, urls: {}, pods: [], message: 'not running: start it with "meltemi up"' };
  const { mode, dataPlane, kubeconfig } = runtime;
  const common = { network: mode, dataPlane, kubeconfig, urls: runtimeUrls() ?? runtime.urls };
  try {
    const pods = await listPods(runtime);
    const late = pods.filter((pod) => !pod.ready && pod.phase !== 'Succeeded');
    return { ready: late.length === 0, ...common, pods, ...(late.length > 0 ? { message: `waiting for ${late.map((pod) => `${pod.namespace}/${pod.name}`).join(', ')}` } : {}) };
  } catch (error) {
    return { ready: false, ...common, pods: [], message: `the API server does not answer: ${messageOf(error)}` };
  }
}

async function listPods(runtime: RuntimeInfo): Promise<readonly PodLine[]> {
  const client = createHttpsClient(readKubeConfig({ path: runtime.kubeconfig }));
  try {
    const { items } = await client.list<Pod>(POD);
    return items.map((pod) => ({
      namespace: pod.metadata.namespace ?? '',
      name: pod.metadata.name,
      ready: pod.status?.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') ?? false,
      phase: pod.metadata.deletionTimestamp ? 'Terminating' : (pod.status?.phase ?? 'Pending'),
      ip: pod.status?.podIP ?? '',
      restarts: [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])].reduce((sum, container) => sum + container.restartCount, 0),
    }));
  } finally {
    client.close();
  }
}

/** What the keys of `network` mean, in words. */
const NETWORKS: Readonly<Record<string, string>> = {
  root: 'network namespaces as root',
  'user-namespace': 'network namespaces inside a user namespace',
  unprivileged: 'loopback addresses, without privileges',
};

/** What people read for the keys of `urls`. */
const URL_NAMES: Readonly<Record<string, string>> = { api: 'API server', ingressTls: 'ingress TLS' };

function printStatus(status: Status): void {
  const out = (text: string) => process.stdout.write(`${text}\n`);
  out(status.ready ? '✔ The mesh is ready' : `✘ The mesh is not ready: ${status.message ?? ''}`);
  if (status.network) out(`  network      ${NETWORKS[status.network] ?? status.network}`);
  if (status.dataPlane) out(`  data plane   ${status.dataPlane}`);
  if (status.kubeconfig) out(`  kubeconfig   ${status.kubeconfig}`);
  for (const [name, url] of Object.entries(status.urls)) out(`  ${(URL_NAMES[name] ?? name).padEnd(12)} ${url}`);
  if (status.pods.length === 0) return;
  out('');
  process.stdout.write(formatTable(['NAMESPACE', 'NAME', 'READY', 'PHASE', 'IP', 'RESTARTS'], status.pods.map((pod) => [pod.namespace, pod.name, pod.ready ? 'yes' : 'no', pod.phase, pod.ip, String(pod.restarts)]), 3));
}
