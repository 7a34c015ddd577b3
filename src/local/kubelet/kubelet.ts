/** The kubelet of the only node: a worker per pod, and what other programs may ask about pods. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { ChildProcess } from 'node:child_process';
import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';
import { ApiError, type KubeClient } from '../../kube/client/client.ts';
import type { Informer } from '../../kube/client/informer.ts';
import type { ConfigMap } from '../../objects/kubernetes/config-map.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import type { Secret } from '../../objects/kubernetes/secret.ts';
import type { Service } from '../../objects/kubernetes/service.ts';
import type { TokenRequest } from '../../objects/kubernetes/token.ts';
import { POD } from '../../objects/resource-types.ts';
import type { ImageMapping } from '../images.ts';
import { NODE_NAME, type PrivilegeMode } from '../settings.ts';
import type { EnvSources } from './env.ts';
import type { JoinedStreams } from './container-streams.ts';
import { createEventRecorder } from './events.ts';
import { readLog, type LogReadOptions } from './logs.ts';
import { AddressPool } from './network.ts';
import type { PodNetworks } from './pod-networks.ts';
import { nodeCapacity } from './node.ts';
import { allContainers, serviceAccountOf } from './pod.ts';
import { PodWorker, type NodeContext } from './pod-worker.ts';
import type { VolumeSources } from './volumes.ts';
import type { BindMount } from './rootfs.ts';

const log = createLogger('kubelet');

export interface KubeletOptions {
  readonly client: KubeClient;
  readonly pods: Informer<Pod>;
  readonly configMaps: Informer<ConfigMap>;
  readonly secrets: Informer<Secret>;
  readonly services: Informer<Service>;
  readonly mode: PrivilegeMode;
  /** Our own programs, mounted into every container. */
  readonly programs: BindMount;
  /** Variables of agents, see `PodContext`. */
  readonly agentEnv: Readonly<Record<string, string>>;
  readonly networks: PodNetworks;
  readonly memoryFolder: string;
  readonly podsFolder: string;
  images(): readonly ImageMapping[];
  /** Folder of a claim's volume. Throws VolumeError while there is none. */
  claimFolder(namespace: string, claim: string): string;
}

/** A request about a container that cannot be answered; `code` is the HTTP status. */
export class ContainerRequestError extends Error {
  override name = 'ContainerRequestError';
  constructor(
    readonly code: 400 | 404,
    message: string,
  ) {
    super(message);
  }
}

export interface PodLogRequest extends LogReadOptions {
  readonly namespace: string;
  readonly pod: string;
  /** May be absent when the pod has one container, or names one in `kubectl.kubernetes.io/default-container`. */
  readonly container?: string;
  readonly previous?: boolean;
}

const STATUS_DELAY_MS = 10;
const STATUS_RETRY_MS = 500;
/** A token is asked for again when this part of its life is over. */
const TOKEN_REUSE_FRACTION = 0.75;
const DEFAULT_CONTAINER = 'kubectl.kubernetes.io/default-container';

export class Kubelet {
  private readonly workers = new Map<string, PodWorker>();
  private readonly dirty = new Map<PodWorker, 'waiting' | 'writing' | 'again'>();
  private readonly written = new WeakMap<PodWorker, string>();
  private readonly tokens = new Map<string, { token: string; renewAtMs: number }>();
  private readonly node: NodeContext;

  constructor(private readonly options: KubeletOptions) {
    this.node = {
      mode: options.mode,
      addresses: new AddressPool(),
      networks: options.networks,
      events: createEventRecorder(options.client, 'kubelet'),
      programs: options.programs,
      agentEnv: options.agentEnv,
      memoryFolder: options.memoryFolder,
      podsFolder: options.podsFolder,
      images: () => options.images(),
      envSources: (pod, podIP) => this.envSources(pod, podIP),
      volumeSources: (pod, podIP) => this.volumeSources(pod, podIP),
      claimFolder: (pod, claim) => options.claimFolder(pod.metadata.namespace ?? 'default', claim),
      statusChanged: (worker) => this.markDirty(worker),
    };
  }

  /** Starts to obey the API; resolves when everything it needs to know has been listed. */
  async start(): Promise<void> {
    const { pods, configMaps, secrets, services } = this.options;
    await Promise.all([configMaps.synced, secrets.synced, services.synced]);
    pods.onEvent((event) => (event.type === 'deleted' ? this.forget(event.object) : this.sync(event.object)));
    const refresh = (kind: 'configMap' | 'secret') => (event: { readonly object: ConfigMap | Secret }) => this.refresh(kind, event.object.metadata.namespace ?? '', event.object.metadata.name);
    configMaps.onEvent(refresh('configMap'));
    secrets.onEvent(refresh('secret'));
  }

  /** Ends all pods at once (the cluster goes down); their objects stay. */
  async stopAll(graceMs: number): Promise<void> {
    await Promise.all([...this.workers.values()].map((worker) => worker.stop(graceMs)));
  }

  /** Reads a container's log. Throws {@link ContainerRequestError} when there is no such container or it has no log yet. */
  logs(request: PodLogRequest): AsyncGenerator<Buffer> {
    const worker = this.find(request.namespace, request.pod);
    const name = containerName(worker.pod, request.container);
    const runner = worker.runners.get(name);
    const restarts = runner?.status.restartCount ?? 0;
    const waiting = runner?.status.state.waiting;
    // While a container waits for its next start, "current" is the run that ended last.
    const current = runner?.logs.has(restarts) ? restarts : restarts - 1;
    const count = request.previous ? current - 1 : current;
    const live = runner?.logs.get(count);
    if (!live && request.previous) throw new ContainerRequestError(400, `previous terminated container "${name}" in pod "${request.pod}" not found`);
    if (!live) throw new ContainerRequestError(400, `container "${name}" in pod "${request.pod}" is waiting to start: ${waitingText(waiting)}`);
    return readLog(live.path, live, request);
  }

  /** Starts a program in a running container; its standard streams are pipes. */
  exec(namespace: string, pod: string, container: string | undefined, argv: readonly string[], stdin: boolean): ChildProcess {
    const worker = this.find(namespace, pod);
    const name = containerName(worker.pod, container);
    const child = worker.runners.get(name)?.exec(argv, stdin);
    if (!child) throw new ContainerRequestError(400, `container not found ("${name}")`);
    return child;
  }

  /** Joins a running container's streams; undefined when it does not run. */
  attach(namespace: string, pod: string, container: string | undefined): JoinedStreams | undefined {
    const worker = this.find(namespace, pod);
    return worker.runners.get(containerName(worker.pod, container))?.attach();
  }

  /** Restarts every container whose image satisfies the test, and says why; returns how many. */
  restartImages(matches: (image: string) => boolean, why: string): number {
    const runners = [...this.workers.values()].flatMap((worker) => [...worker.runners.values()]).filter(({ container }) => matches(container.image ?? ''));
    for (const runner of runners) runner.restart(`Container ${runner.container.name} is restarted: ${why}`);
    return runners.length;
  }

  /** Puts a warning on every pod with a container of such an image. */
  warnImages(matches: (image: string) => boolean, reason: string, message: string): void {
    for (const { pod } of this.workers.values()) if (allContainers(pod.spec).some(({ image }) => matches(image ?? ''))) this.node.events.record(pod, 'Warning', reason, message);
  }

  private find(namespace: string, name: string): PodWorker {
    for (const worker of this.workers.values()) if (worker.pod.metadata.namespace === namespace && worker.pod.metadata.name === name) return worker;
    throw new ContainerRequestError(400, `pod "${name}" has not been started on this node`);
  }

  private sync(pod: Pod): void {
    if (pod.spec.nodeName !== NODE_NAME || !pod.metadata.uid) return;
    const worker = this.workers.get(pod.metadata.uid);
    if (!worker) {
      if (pod.metadata.deletionTimestamp) return void this.removeObject(pod);
      if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') return;
      this.workers.set(pod.metadata.uid, new PodWorker(this.node, pod));
      return;
    }
    const before = worker.pod;
    worker.update(pod);
    if (pod.metadata.deletionTimestamp) void this.end(worker, (pod.metadata.deletionGracePeriodSeconds ?? 30) * 1000);
    else if (JSON.stringify([before.metadata.labels, before.metadata.annotations]) !== JSON.stringify([pod.metadata.labels, pod.metadata.annotations])) void worker.refreshVolumes();
  }

  /** The object is gone without our doing (a forced deletion): nothing of the pod may stay. */
  private forget(pod: Pod): void {
    const worker = this.workers.get(pod.metadata.uid ?? '');
    if (!worker) return;
    void worker.stop(0).then(() => this.drop(worker));
  }

  private async end(worker: PodWorker, graceMs: number): Promise<void> {
    await worker.stop(graceMs);
    if (this.workers.get(worker.uid) !== worker || this.ended.has(worker)) return;
    this.ended.add(worker);
    await this.writeStatus(worker);
    await this.removeObject(worker.pod);
  }
  private readonly ended = new WeakSet<PodWorker>();

  private drop(worker: PodWorker): void {
    this.workers.delete(worker.uid);
    for (const key of this.tokens.keys()) if (key.startsWith(`${worker.uid}|`)) this.tokens.delete(key);
    rmSync(join(this.options.podsFolder, worker.uid), { recursive: true, force: true });
  }

  private async removeObject(pod: Pod): Promise<void> {
    try {
      await this.options.client.delete(POD, pod.metadata.name, pod.metadata.namespace, { gracePeriodSeconds: 0, ...(pod.metadata.uid ? { preconditions: { uid: pod.metadata.uid } } : {}) });
    } catch (error) {
      log.warn('pod not removed', { pod: pod.metadata.name, error: messageOf(error) });
    }
  }

  private markDirty(worker: PodWorker): void {
    const state = this.dirty.get(worker);
    if (state === 'writing') this.dirty.set(worker, 'again');
    if (state !== undefined) return;
    this.dirty.set(worker, 'waiting');
    setTimeout(() => void this.flush(worker), STATUS_DELAY_MS).unref();
  }

  private async flush(worker: PodWorker): Promise<void> {
    this.dirty.set(worker, 'writing');
    const ok = await this.writeStatus(worker);
    const again = this.dirty.get(worker) === 'again' || !ok;
    this.dirty.delete(worker);
    if (again && this.workers.get(worker.uid) === worker && !this.ended.has(worker)) setTimeout(() => this.markDirty(worker), ok ? 0 : STATUS_RETRY_MS).unref();
  }

  /** False when it must be tried again. */
  private async writeStatus(worker: PodWorker): Promise<boolean> {
    const { pod } = worker;
    const status = worker.status();
    const text = JSON.stringify(status);
    if (this.written.get(worker) === text) return true;
    try {
      const { resourceVersion: _any, ...metadata } = pod.metadata;
      await this.options.client.update(POD, { ...pod, metadata, status }, { subresource: 'status' });
      this.written.set(worker, text);
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.code === 404) return true;
      log.warn('status not written', { pod: pod.metadata.name, error: messageOf(error) });
      return false;
    }
  }

  private refresh(kind: 'configMap' | 'secret', namespace: string, name: string): void {
    for (const worker of this.workers.values()) {
      if (worker.pod.metadata.namespace !== namespace) continue;
      const uses = (worker.pod.spec.volumes ?? []).some((volume) =>
        kind === 'configMap'
          ? volume.configMap?.name === name || volume.projected?.sources?.some((source) => source.configMap?.name === name)
          : volume.secret?.secretName === name || volume.projected?.sources?.some((source) => source.secret?.name === name),
      );
      if (uses) void worker.refreshVolumes();
    }
  }

  private envSources(pod: Pod, podIP: string): EnvSources {
    const namespace = pod.metadata.namespace ?? 'default';
    return {
      pod,
      podIP,
      node: nodeCapacity(),
      configMap: (name) => this.options.configMaps.items().get(`${namespace}/${name}`)?.data ?? (this.options.configMaps.items().has(`${namespace}/${name}`) ? {} : undefined),
      secret: (name) => {
        const data = this.secretData(namespace, name);
        return data && Object.fromEntries(Object.entries(data).map(([key, value]) => [key, value.toString('utf8')]));
      },
      services: [...this.options.services.items().values()].filter((service) => service.metadata.namespace === namespace || service.metadata.name === 'kubernetes'),
    };
  }

  private volumeSources(pod: Pod, podIP: string): VolumeSources {
    const namespace = pod.metadata.namespace ?? 'default';
    return {
      pod,
      podIP,
      node: nodeCapacity(),
      configMap: (name) => {
        const found = this.options.configMaps.items().get(`${namespace}/${name}`);
        if (!found) return undefined;
        return Object.fromEntries([...Object.entries(found.data ?? {}).map(([key, value]) => [key, Buffer.from(value)] as const), ...Object.entries(found.binaryData ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64')] as const)]);
      },
      secret: (name) => this.secretData(namespace, name),
      token: (audience, seconds) => this.token(pod, audience, seconds),
    };
  }

  private secretData(namespace: string, name: string): Readonly<Record<string, Buffer>> | undefined {
    const found = this.options.secrets.items().get(`${namespace}/${name}`);
    return found && Object.fromEntries(Object.entries(found.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64')]));
  }

  private async token(pod: Pod, audience: string | undefined, expirationSeconds: number): Promise<string> {
    const key = `${pod.metadata.uid}|${audience ?? ''}|${expirationSeconds}`;
    const old = this.tokens.get(key);
    if (old && old.renewAtMs > Date.now()) return old.token;
    const account = serviceAccountOf(pod);
    const request = await this.options.client.post<TokenRequest>(`/api/v1/namespaces/${pod.metadata.namespace}/serviceaccounts/${account}/token`, {
      apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', metadata: { name: account, namespace: pod.metadata.namespace },
      spec: { ...(audience === undefined ? {} : { audiences: [audience] }), expirationSeconds, boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: pod.metadata.name, uid: pod.metadata.uid } },
    });
    const token = request.status?.token ?? '';
    this.tokens.set(key, { token, renewAtMs: Date.now() + expirationSeconds * 1000 * TOKEN_REUSE_FRACTION });
    return token;
  }
}

function containerName(pod: Pod, asked: string | undefined): string {
  const names = allContainers(pod.spec).map((container) => container.name);
  if (asked !== undefined) {
    if (names.includes(asked)) return asked;
    throw new ContainerRequestError(400, `container ${asked} is not valid for pod ${pod.metadata.name}`);
  }
  const preferred = pod.metadata.annotations?.[DEFAULT_CONTAINER];
  if (preferred !== undefined && names.includes(preferred)) return preferred;
  if (pod.spec.containers.length === 1) return pod.spec.containers[0]!.name;
  throw new ContainerRequestError(400, `a container name must be specified for pod ${pod.metadata.name}, choose one of: [${pod.spec.containers.map((container) => container.name).join(' ')}]`);
}

function waitingText(waiting: { readonly reason?: string; readonly message?: string } | undefined): string {
  const reason = waiting?.reason ?? 'ContainerCreating';
  return /Pull/.test(reason) ? `trying and failing to pull image` : reason;
}
