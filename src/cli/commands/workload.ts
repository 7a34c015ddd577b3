/** `x workload`: groups and files for machines outside of Kubernetes. */
import type { Command } from 'commander';
import type { WorkloadGroup } from '../../objects/istio/workload-group.ts';
import type { ConfigMap } from '../../objects/kubernetes/config-map.ts';
import type { Service } from '../../objects/kubernetes/service.ts';
import { CONFIG_MAP, SERVICE, WORKLOAD_GROUP } from '../../objects/resource-types.ts';
import { withClusterOptions, type ClusterOptions } from '../cluster-access.ts';
import { commandGroup, guarded, withCluster, type ClusterReader, type CommandWorld } from '../command-world.ts';
import { entryFiles, hostsFile, isRevisioned, istiodHost, readWorkloadGroup, type EntryFlags } from '../workload/entry.ts';
import { listOption, workloadGroupYaml } from '../workload/group.ts';

interface GroupFlags extends ClusterOptions {
  readonly name?: string;
  readonly labels: readonly string[];
  readonly annotations: readonly string[];
  readonly ports: readonly string[];
  readonly serviceAccount: string;
  readonly weight: string;
}

interface ConfigureFlags extends ClusterOptions {
  readonly file?: string;
  readonly name?: string;
  readonly output?: string;
  readonly clusterID?: string;
  readonly tokenDuration: string;
  readonly ingressService: string;
  readonly ingressIP?: string;
  readonly autoregister?: boolean;
  readonly captureDns: boolean;
  readonly internalIP?: string;
  readonly externalIP?: string;
  readonly revision?: string;
}

export function addWorkload(group: Command, world: CommandWorld): void {
  const workload = commandGroup(group, 'workload', 'Commands to assist in configuring and deploying workloads running on VMs and other non-Kubernetes environments', world);
  addGroup(workload, world);
  addEntry(workload, world);
}

function addGroup(workload: Command, world: CommandWorld): void {
  withClusterOptions(commandGroup(workload, 'group', 'Commands dealing with WorkloadGroup resources', world).command('create').description('Print a WorkloadGroup, the template of WorkloadEntries; pipe it into kubectl apply -f -'))
    .option('--name <name>', 'name of the group')
    .option('-l, --labels <pairs>', 'labels of its workloads, key=value,…', listOption, [])
    .option('-a, --annotations <pairs>', 'annotations of its workloads, key=value,…', listOption, [])
    .option('-p, --ports <pairs>', 'ports its workloads open, name=number,…', listOption, [])
    .option('-s, --serviceAccount <name>', 'identity of its workloads', 'default')
    .option('--weight <n>', 'share of requests of each workload', '0')
    .action((flags: GroupFlags) => guarded(world, () => {
      if (!flags.name) throw new Error('expecting a workload name');
      if (!flags.namespace) throw new Error('expecting a workload namespace');
      world.print(workloadGroupYaml({ ...flags, name: flags.name, namespace: flags.namespace, weight: Number(flags.weight) }));
    }));
}

function addEntry(workload: Command, world: CommandWorld): void {
  withClusterOptions(commandGroup(workload, 'entry', 'Commands dealing with WorkloadEntry resources', world).command('configure').description('Write the files with which a machine joins the mesh as a workload of a group'))
    .option('-f, --file <file>', 'the WorkloadGroup; without it, the one of --name in the cluster')
    .option('--name <name>', 'name of the group')
    .option('-o, --output <folder>', 'folder for the files')
    .option('--clusterID <id>', 'cluster whose network the machine joins (default: the one the injector has)')
    .option('--tokenDuration <seconds>', 'life of the token', '3600')
    .option('--ingressService <service>', 'gateway through which istiod is reached, service or service.namespace', 'istio-eastwestgateway')
    .option('--ingressIP <ip>', 'address of that gateway')
    .option('--autoregister', 'istiod makes the WorkloadEntry when the machine connects')
    .option('--no-capture-dns', 'leave the machine\'s DNS alone')
    .option('--internalIP <ip>', 'address of the machine inside its network')
    .option('--externalIP <ip>', 'address of the machine outside its network')
    .option('-r, --revision <name>', 'control plane revision')
    .action(async (flags: ConfigureFlags) => {
      const problem = usageProblem(flags);
      if (problem !== undefined) return world.fail(problem);
      await withCluster(world, flags, ({ client }) => configure(world, client, flags));
    });
}

function usageProblem({ file, name, namespace, output, internalIP, externalIP }: ConfigureFlags): string | undefined {
  if (!file && (!name || !namespace)) return 'expecting a WorkloadGroup artifact file or the name and namespace of an existing WorkloadGroup';
  if (!output) return 'expecting an output directory';
  return internalIP && externalIP ? 'the flags --internalIP and --externalIP are mutually exclusive' : undefined;
}

async function configure(world: CommandWorld, client: ClusterReader, flags: ConfigureFlags): Promise<void> {
  const [folder, istioNamespace, revision] = [flags.output!, flags.istioNamespace ?? 'istio-system', flags.revision ?? ''];
  const group = flags.file ? readWorkloadGroup(world.readFile(flags.file)) : await groupOf(client, flags);
  const namespace = group.metadata.namespace ?? flags.namespace ?? 'default';
  const account = group.spec.template.serviceAccount ?? 'default';
  const mesh = await configMap(client, revisioned('istio', revision), istioNamespace);
  const root = await configMap(client, 'istio-ca-root-cert', namespace);
  const entry: EntryFlags = {
    istioNamespace, revision, clusterId: flags.clusterID ?? (await injectorCluster(client, istioNamespace, revision)), internalIp: flags.internalIP ?? '', externalIp: flags.externalIP ?? '',
    autoRegister: flags.autoregister === true, captureDns: flags.captureDns,
  };
  const { meshYaml, clusterEnv } = entryFiles(group, mesh['mesh'] ?? '', entry);
  const token = await createToken(client, namespace, account, Number(flags.tokenDuration));
  const hosts = hostsFile(flags.ingressIP ?? (await ingressAddress(client, flags.ingressService, istioNamespace)), istioNamespace, revision);
  const files = { 'mesh.yaml': meshYaml, 'cluster.env': clusterEnv, 'root-cert.pem': root['root-cert.pem'] ?? '', 'istio-token': token, hosts };
  for (const [name, text] of Object.entries(files)) world.writeFile(folder, name, text);
  if (hosts === '') world.note(`Warning: no address of ${istiodHost(istioNamespace, revision)} could be found; give the gateway's with --ingressIP\n`);
  world.note(`Warning: a security token for namespace ${JSON.stringify(namespace)} and service account ${JSON.stringify(account)} has been generated and stored at "${folder}/istio-token"\n`);
  world.print(`Configuration generation into directory ${folder} was successful\n`);
}

async function groupOf(client: ClusterReader, { name = '', namespace = '' }: ConfigureFlags): Promise<WorkloadGroup> {
  const group = await client.get<WorkloadGroup>(WORKLOAD_GROUP, name, namespace);
  if (!group) throw new Error(`workloadgroup ${name} not found in namespace ${namespace}`);
  return group;
}

async function configMap(client: ClusterReader, name: string, namespace: string): Promise<Readonly<Record<string, string>>> {
  const map = await client.get<ConfigMap>(CONFIG_MAP, name, namespace);
  if (!map) throw new Error(`configmap ${name} was not found in namespace ${namespace}`);
  return map.data ?? {};
}

function revisioned(name: string, revision: string): string {
  return isRevisioned(revision) ? `${name}-${revision}` : name;
}

/** The cluster that the injector writes into pods; empty when it names none. */
async function injectorCluster(client: ClusterReader, istioNamespace: string, revision: string): Promise<string> {
  const { values } = await configMap(client, revisioned('istio-sidecar-injector', revision), istioNamespace).catch((error: unknown) => {
    throw new Error(`failed to automatically determine the --clusterID: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  });
  const parsed = JSON.parse(values ?? '{}') as { readonly global?: { readonly multiCluster?: { readonly clusterName?: string } } };
  return parsed.global?.multiCluster?.clusterName ?? '';
}

async function createToken(client: ClusterReader, namespace: string, account: string, expirationSeconds: number): Promise<string> {
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/serviceaccounts/${encodeURIComponent(account)}/token`;
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', metadata: { name: account, namespace }, spec: { audiences: ['istio-ca'], expirationSeconds } };
  const { status } = await client.post<{ readonly status?: { readonly token?: string } }>(path, body);
  return status?.token ?? '';
}

async function ingressAddress(client: ClusterReader, service: string, istioNamespace: string): Promise<string> {
  const [name, namespace = istioNamespace] = service.split('.', 2) as [string, string?];
  const found = await client.get<Service>(SERVICE, name, namespace);
  return found?.status?.loadBalancer?.ingress?.[0]?.ip ?? found?.spec.externalIPs?.[0] ?? '';
}
