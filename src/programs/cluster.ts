// One machine as a cluster: API server, controllers, kubelet, service addresses, DNS, host relays. Runs inside fresh namespaces, see `meltemi up`.
import { writeSync, closeSync, writeFileSync, mkdirSync, createReadStream } from 'node:fs';
import { setMaxListeners } from 'node:events';
import { join } from 'node:path';
import { systemClock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { createLogger, setLogSink } from '../base/log.ts';
import { startControllers } from '../kube/controllers/start.ts';
import { ApiError, type KubeClient } from '../kube/client/client.ts';
import { createInformer, type Informer } from '../kube/client/informer.ts';
import { createApiServer } from '../kube/server/api-server.ts';
import { kubeconfigOf, openPki } from '../kube/server/auth/pki.ts';
import { openLmdbStore } from '../kube/server/store/lmdb.ts';
import type { PodLogs } from '../kube/server/http/logs.ts';
import { claimFolders, volumeFolders } from '../local/claim-folders.ts';
import { CLUSTER_CONFIG_VARIABLE, type ClusterConfig, type ProgressLine } from '../local/cluster-config.ts';
import { serveDns, zoneSource } from '../local/dns.ts';
import { startHostRelays } from '../local/host-relay.ts';
import { CONTAINER_HOME, mappingOf, type ImageMapping } from '../local/images.ts';
import { startAttach, startExec } from '../local/kubelet/exec-session.ts';
import { ContainerRequestError, Kubelet } from '../local/kubelet/kubelet.ts';
import { namespaceNetworks, type PodNetworks } from '../local/kubelet/pod-networks.ts';
import { registerNode } from '../local/kubelet/node.ts';
import { keepNodeLease } from '../local/kubelet/node-lease.ts';
import { startScheduler } from '../local/kubelet/scheduler.ts';
import { CLUSTER_VARIABLE } from '../local/loopback/launch-on-host.ts';
import { endProcesses, findProcesses, hasVariable } from '../local/loopback/leftovers.ts';
import { loopbackNetworks } from '../local/loopback/loopback-networks.ts';
import { setUpLoopback } from '../local/loopback/loopback-setup.ts';
import { startServiceRelays } from '../local/loopback/service-relay.ts';
import { MEMORY_FOLDER, setUpNode } from '../local/node-setup.ts';
import { startServiceNat } from '../local/service-nat.ts';
import { openProject } from '../local/project/project-watch.ts';
import { API_PORT, API_SERVICE_IP, DNS_SERVICE_IP, networkOf, NODE_IP, SERVICE_CIDR } from '../local/settings.ts';
import { stateDir } from '../local/state-dir.ts';
import { ensureSystemObjects } from '../local/system-objects.ts';
import type { ResourceType } from '../objects/kind.ts';
import type { KubeObject } from '../objects/meta.ts';
import type { ConfigMap } from '../objects/kubernetes/config-map.ts';
import type { EndpointSlice } from '../objects/kubernetes/endpoint-slice.ts';
import type { Node } from '../objects/kubernetes/node.ts';
import type { PersistentVolumeClaim } from '../objects/kubernetes/persistent-volume-claim.ts';
import type { Pod } from '../objects/kubernetes/pod.ts';
import type { Secret } from '../objects/kubernetes/secret.ts';
import type { Service } from '../objects/kubernetes/service.ts';
import type { PersistentVolume } from '../objects/kubernetes/storage.ts';
import { CONFIG_MAP, ENDPOINT_SLICE, NAMESPACE, NODE, PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD, SECRET, SERVICE } from '../objects/resource-types.ts';
import { collectWhenIdle } from './process/idle-collector.ts';
import { readableStack } from './process/readable-stack.ts';

const log = createLogger('cluster');
const VERSION = process.env['MELTEMI_BUILD_VERSION'] ?? '0.0.0';

/** A watch in this process has no connection that could die silently. */
const NEVER_MS = 0x7fffffff;
/** Programs of the package are beside this one. */
const DIST = import.meta.dirname;
/** Between the request to end and the end of everything: programs may say goodbye. */
const GOODBYE_MS = 300;

async function main(): Promise<void> {
  setLogSink((line) => process.stderr.write(line));
  // Containers run as other users; what is secret is written with a mode of its own.
  process.umask(0o022);
  const config = JSON.parse(process.env[CLUSTER_CONFIG_VARIABLE] ?? '') as ClusterConfig;
  delete process.env[CLUSTER_CONFIG_VARIABLE];
  const progress = progressWriter(config.progressFd);
  endWhenAsked(config, () => (networkOf(config.mode) === 'loopback' ? endLoopback(config.home) : endNamespace()));
  try {
    await run(config, (step) => progress({ step }));
    progress({ ready: true });
    collectWhenIdle();
    closeSync(config.progressFd);
  } catch (error) {
    log.error('start failed', { error: readableStack(error) });
    progress({ failed: messageOf(error) });
    process.exit(1);
  }
}

async function run(config: ClusterConfig, step: (text: string) => void): Promise<void> {
  const dir = stateDir(config.home);
  const { signal } = new AbortController();
  // Every controller and informer listens to it; that is no leak.
  setMaxListeners(0, signal);
  step('network of the node');
  const loopback = networkOf(config.mode) === 'loopback' ? setUpLoopback(DIST, join(dir.run, 'node'), config.firstPort) : undefined;
  const programs = loopback?.programs ?? (await setUpNode(DIST, config.envoyPath));
  const agentEnv = { MELTEMI_DATA_PLANE: config.dataPlane === 'envoy' ? 'envoy' : 'meltemi', ...(config.envoyPath === undefined ? {} : { ENVOY_BIN: `${CONTAINER_HOME}/bin/envoy` }) };
  step('API server');
  let kubelet: Kubelet | undefined;
  let networks: PodNetworks = namespaceNetworks;
  const pki = openPki(dir.pki, { names: ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', 'kubernetes.default.svc.cluster.local', 'localhost', '127.0.0.1', NODE_IP, API_SERVICE_IP], nowMs: Date.now() });
  mkdirSync(dir.data, { recursive: true, mode: 0o700 });
  const server = createApiServer({
    store: openLmdbStore(dir.data), pki, logs: podLogs(() => kubelet), exec: { start: (request) => startExec(kubelet, request) }, attach: { start: (request) => startAttach(kubelet, request) },
    portForward: async (namespace, name, port) => networks.dial((await client.get<Pod>(POD, name, namespace))?.metadata.uid ?? '', port),
    serviceRange: SERVICE_CIDR,
  });
  await server.listen({ fd: config.api.fd });
  await server.listen({ host: NODE_IP, port: API_PORT });
  writeFileSync(dir.kubeconfig, kubeconfigOf(pki, `https://127.0.0.1:${config.api.hostPort}`), { mode: 0o600 });
  await server.ready;
  const client = server.client({ agent: 'meltemi-cluster' });
  const informer = sharedInformers(client, signal);
  await ensureSystemObjects(client);
  step('controllers');
  const volumes = volumeFolders(dir.volumes);
  startControllers({ client, signal, caPem: pki.ca.certPem, signers: { cluster: pki.ca, workload: pki.workloadSigner }, informer, volumes });
  step('service addresses and DNS');
  const services = informer<Service>(SERVICE);
  const slices = informer<EndpointSlice>(ENDPOINT_SLICE);
  await (loopback ? startServiceRelays(services, slices, signal) : startServiceNat(services, slices, signal));
  const zone = zoneSource(services, slices, informer(NAMESPACE));
  // Nothing relays UDP on loopback addresses, so DNS answers at the service's own.
  await serveDns(zone, loopback ? DNS_SERVICE_IP : NODE_IP, signal);
  if (loopback) networks = loopbackNetworks({ home: config.home, folder: join(loopback.memoryFolder, 'networks'), preload: loopback.preload, firstPort: config.firstPort, zone });
  startHostRelays(client, services, config.listeners, signal);
  step('kubelet');
  const images = watchProject(config, () => kubelet);
  kubelet = new Kubelet({
    client, pods: informer<Pod>(POD), configMaps: informer<ConfigMap>(CONFIG_MAP), secrets: informer<Secret>(SECRET), services,
    mode: config.mode, networks, programs, agentEnv, memoryFolder: loopback?.memoryFolder ?? MEMORY_FOLDER, podsFolder: dir.pods, images,
    claimFolder: claimFolders(informer<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIM), informer<PersistentVolume>(PERSISTENT_VOLUME), volumes),
  });
  await kubelet.start();
  await registerNode(client, VERSION);
  await keepNodeLease({ client, clock: systemClock, signal });
  startScheduler(client, informer<Pod>(POD), informer<Node>(NODE), signal);
}

/** The user's mappings: those of the command line, which win because they are last, after those of the project's file as it is now. */
function watchProject(config: ClusterConfig, kubelet: () => Kubelet | undefined): () => readonly ImageMapping[] {
  if (config.project === undefined) return () => config.images;
  const runs = (mapping: ImageMapping) => (image: string) => mappingOf(image, images()) === mapping;
  const project = openProject({
    path: config.project,
    restart: (mapping, why) => log.info('restart', { image: mapping.image, why, containers: kubelet()?.restartImages(runs(mapping), why) ?? 0 }),
    buildFailed: (mapping, message) => {
      log.warn('build failed', { image: mapping.image, message });
      kubelet()?.warnImages(runs(mapping), 'BuildFailed', message);
    },
  });
  const images = (): readonly ImageMapping[] => [...project.images(), ...config.images];
  return images;
}

/** One informer per kind, whoever asks. */
function sharedInformers(client: KubeClient, signal: AbortSignal): <T extends KubeObject>(type: ResourceType) => Informer<T> {
  const known = new Map<string, unknown>();
  return <T extends KubeObject>(type: ResourceType): Informer<T> => {
    const key = `${type.group}/${type.plural}`;
    const informer = (known.get(key) as Informer<T> | undefined) ?? createInformer<T>(client, type, { signal, idleTimeoutMs: NEVER_MS });
    known.set(key, informer);
    return informer;
  };
}

function podLogs(kubelet: () => Kubelet | undefined): PodLogs {
  return {
    open(namespace, pod, options) {
      const sinceMs = options.sinceTime ? Date.parse(options.sinceTime) : options.sinceSeconds === undefined ? undefined : Date.now() - options.sinceSeconds * 1000;
      try {
        const running = kubelet();
        if (!running) throw new ContainerRequestError(400, `container "${options.container}" in pod "${pod}" is waiting to start: ContainerCreating`);
        const { sinceTime: _time, sinceSeconds: _seconds, ...rest } = options;
        return running.logs({ ...rest, namespace, pod, ...(sinceMs === undefined ? {} : { sinceMs }) });
      } catch (error) {
        throw error instanceof ContainerRequestError ? new ApiError(error.code, 'BadRequest', error.message) : error;
      }
    },
  };
}

function progressWriter(fd: number): (line: ProgressLine) => void {
  return (line) => {
    try {
      writeSync(fd, `${JSON.stringify(line)}\n`);
    } catch {
      // The launcher has gone; the cluster goes on.
    }
  };
}

/** Everything in this PID namespace but process 1 and ourselves is asked to end; the kernel does the rest. */
function endNamespace(): void {
  try {
    process.kill(-1, 'SIGTERM');
  } catch {
    // There is nothing else.
  }
  setTimeout(() => process.exit(0), GOODBYE_MS);
}

/** The cluster's processes are asked to end, then killed; they are among other people's. */
function endLoopback(home: string): void {
  const ours = hasVariable(CLUSTER_VARIABLE, home);
  for (const pid of findProcesses(ours)) {
    try {
      process.kill(pid, 'SIGTERM');
    } catch {
      // Gone meanwhile.
    }
  }
  setTimeout(() => void endProcesses(ours).finally(() => process.exit(0)), GOODBYE_MS);
}

/** The end of this program ends process 1, and with it everything in the namespaces; on a loopback network `endAll` ends what there is. */
function endWhenAsked(config: ClusterConfig, endAll: () => void): void {
  let ending = false;
  const end = (why: string) => (): void => {
    if (ending) return;
    ending = true;
    log.info('ending', { why });
    endAll();
  };
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, end(signal));
  if (config.tieFd !== undefined) createReadStream('', { fd: config.tieFd }).on('close', end('the launcher is gone')).on('error', () => {}).resume();
  // A mistake in one controller must not end the mesh; the log says what happened.
  process.on('uncaughtException', (error) => log.error('uncaught exception', { error: readableStack(error) }));
  process.on('unhandledRejection', (reason) => log.error('unhandled rejection', { error: readableStack(reason) }));
}

await main();
