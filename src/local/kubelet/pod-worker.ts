/** The life of one pod on the node: network, volumes, init containers, containers, end. */
import { chmodSync, chownSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createLogger } from '../../base/log.ts';
import { messageOf } from '../../base/errors.ts';
import type { Pod, PodStatus } from '../../objects/kubernetes/pod.ts';
import type { Volume } from '../../objects/kubernetes/volume.ts';
import type { ImageMapping } from '../images.ts';
import { CLUSTER_DOMAIN, DNS_SERVICE_IP, type PrivilegeMode } from '../settings.ts';
import { ContainerRunner, rfc3339, type ContainerRole } from './container-runner.ts';
import type { EnvSources } from './env.ts';
import type { EventRecorder } from './events.ts';
import type { AddressPool } from './network.ts';
import type { PodNetworks } from './pod-networks.ts';
import { isSidecar } from './pod.ts';
import type { PodContext } from './pod-context.ts';
import { pause } from './probe.ts';
import type { BindMount } from './rootfs.ts';
import { podStatus } from './status.ts';
import { tokenSeconds, volumeFiles, volumeKind, writeVolume, type VolumeKind, type VolumeSources } from './volumes.ts';

const log = createLogger('kubelet');

/** What the kubelet gives every pod. */
export interface NodeContext {
  readonly mode: PrivilegeMode;
  readonly addresses: AddressPool;
  readonly networks: PodNetworks;
  readonly events: EventRecorder;
  readonly programs: BindMount;
  readonly agentEnv: Readonly<Record<string, string>>;
  /** Container roots and volumes of files: a tmpfs that goes with the cluster. */
  readonly memoryFolder: string;
  /** Logs and emptyDir volumes. */
  readonly podsFolder: string;
  images(): readonly ImageMapping[];
  envSources(pod: Pod, podIP: string): EnvSources;
  volumeSources(pod: Pod, podIP: string): VolumeSources;
  /** Folder of a claim's volume. Throws VolumeError while there is none. */
  claimFolder(pod: Pod, claim: string): string;
  /** The pod's status should be written. */
  statusChanged(worker: PodWorker): void;
}

const MOUNT_RETRY_MS = 1000;
/** Tokens are renewed when this part of their life is over, as the kubelet does. */
const TOKEN_RENEW_FRACTION = 0.8;

export class PodWorker {
  readonly runners = new Map<string, ContainerRunner>();
  private readonly startTime = rfc3339();
  private readonly ending = new AbortController();
  private podIP: string | undefined;
  private network: string | undefined;
  private finished = false;
  private failure: { reason: string; message: string } | undefined;
  private readonly started: Promise<void>;
  private stopped: Promise<void> | undefined;

  constructor(
    private readonly node: NodeContext,
    private current: Pod,
  ) {
    this.started = this.run().catch((error: unknown) => log.error('pod failed', { pod: current.metadata.name, error: messageOf(error) }));
  }

  get pod(): Pod {
    return this.current;
  }

  get uid(): string {
    return this.current.metadata.uid ?? '';
  }

  get isFinished(): boolean {
    return this.finished;
  }

  /** Takes a newer version of the object: labels and annotations go to the downward API. */
  update(pod: Pod): void {
    this.current = pod;
  }

  status(): PodStatus {
    const containers = new Map([...this.runners].map(([name, runner]) => [name, runner.status]));
    return podStatus(this.current, { ...(this.podIP === undefined ? {} : { podIP: this.podIP }), startTime: this.startTime, containers, finished: this.finished, ...(this.failure ? { failure: this.failure } : {}) }, rfc3339());
  }

  /** Ends everything within `graceMs`; resolves when no process, mount or interface of the pod is left. Calling it again can only shorten the grace. */
  stop(graceMs: number): Promise<void> {
    if (this.stopped && graceMs === 0) for (const runner of this.runners.values()) void runner.stop(0);
    this.stopped ??= this.end(graceMs);
    return this.stopped;
  }

  /** Files of volumes are written again: a ConfigMap, a Secret or the pod's metadata changed. */
  async refreshVolumes(): Promise<void> {
    if (this.podIP === undefined || this.ending.signal.aborted || this.finished) return;
    try {
      await this.writeVolumes(this.podIP);
    } catch (error) {
      log.warn('volumes not refreshed', { pod: this.current.metadata.name, error: messageOf(error) });
    }
  }

  /** Folder of the pod's logs. */
  get logsFolder(): string {
    return join(this.node.podsFolder, this.uid, 'logs');
  }

  private async run(): Promise<void> {
    if (this.current.spec.hostNetwork) return this.refuse('HostNetworkRefused', 'hostNetwork is not supported on one machine: every pod has a network of its own');
    this.node.statusChanged(this);
    const ip = await this.openSandbox();
    if (ip === undefined) return;
    void this.renewTokens();
    const context = this.context(ip);
    const initOk = await this.runInits(context);
    if (this.ending.signal.aborted) return;
    if (initOk) await this.runMains(context);
    if (this.ending.signal.aborted) return;
    await this.endSidecars(this.graceMs());
    this.finished = true;
    await this.closeSandbox();
    this.node.statusChanged(this);
  }

  private refuse(reason: string, message: string): void {
    this.node.events.record(this.current, 'Warning', reason, message);
    this.failure = { reason, message };
    this.finished = true;
    this.node.statusChanged(this);
  }

  /** Network and volumes; tried again until they are there. Undefined when the pod ends meanwhile. */
  private async openSandbox(): Promise<string | undefined> {
    while (!this.ending.signal.aborted) {
      try {
        await this.openNetwork();
        await this.writeVolumes(this.podIP!);
        return this.ending.signal.aborted ? undefined : this.podIP;
      } catch (error) {
        const message = messageOf(error);
        this.node.events.record(this.current, 'Warning', this.podIP === undefined ? 'FailedCreatePodSandBox' : 'FailedMount', this.podIP === undefined ? `Failed to create pod sandbox: ${message}` : `MountVolume.SetUp failed: ${message}`);
        await pause(MOUNT_RETRY_MS, this.ending.signal);
      }
    }
    return undefined;
  }

  private async openNetwork(): Promise<void> {
    if (this.podIP !== undefined) return;
    const ip = this.node.addresses.take();
    try {
      this.network = await this.node.networks.open(this.current, ip, Object.fromEntries((this.current.spec.securityContext?.sysctls ?? []).map((sysctl) => [sysctl.name, sysctl.value])));
    } catch (error) {
      await this.node.networks.close(this.uid);
      this.node.addresses.give(ip);
      throw error;
    }
    this.podIP = ip;
    this.node.statusChanged(this);
  }

  private async writeVolumes(podIP: string): Promise<void> {
    const group = this.node.mode === 'root' ? this.current.spec.securityContext?.fsGroup : undefined;
    for (const volume of this.current.spec.volumes ?? []) {
      const kind = volumeKind(volume);
      const folder = this.volumeFolder(volume, kind);
      if (kind === 'files') {
        writeVolume(folder, await volumeFiles(volume, this.node.volumeSources(this.current, podIP)), group);
        continue;
      }
      // What a claim's folder has become, it stays.
      if (mkdirSync(folder, { recursive: true }) === undefined && kind === 'claim') continue;
      chmodSync(folder, group === undefined ? 0o777 : 0o2777);
      if (group !== undefined) chownSync(folder, -1, group);
    }
  }

  private volumeFolder({ name, persistentVolumeClaim: claim }: Volume, kind: VolumeKind): string {
    if (kind === 'claim') return this.node.claimFolder(this.current, claim?.claimName ?? '');
    return kind === 'empty' ? join(this.node.podsFolder, this.uid, 'volumes', name) : join(this.node.memoryFolder, 'volumes', this.uid, name);
  }

  private async renewTokens(): Promise<void> {
    const seconds = tokenSeconds(this.current.spec.volumes ?? []);
    while (seconds !== undefined && !this.ending.signal.aborted && !this.finished) {
      await pause(Math.min(0x7fffffff, seconds * 1000 * TOKEN_RENEW_FRACTION), this.ending.signal);
      await this.refreshVolumes();
    }
  }

  private context(podIP: string): PodContext {
    const { node } = this;
    return {
      pod: () => this.current,
      podIP,
      network: this.network!,
      mode: node.mode,
      loopback: node.networks.loopback(this.current, podIP),
      events: node.events,
      rootsFolder: join(node.memoryFolder, 'roots', this.uid),
      logsFolder: this.logsFolder,
      programs: node.programs,
      agentEnv: node.agentEnv,
      etcFiles: etcFiles(this.current, podIP),
      images: () => node.images(),
      envSources: () => node.envSources(this.current, podIP),
      volumePath: (name) => {
        const volume = this.current.spec.volumes?.find((candidate) => candidate.name === name);
        return volume && this.volumeFolder(volume, volumeKind(volume));
      },
      changed: () => node.statusChanged(this),
    };
  }

  /** Init containers one after the other; a sidecar only has to start. False when one failed for good. */
  private async runInits(context: PodContext): Promise<boolean> {
    for (const container of this.current.spec.initContainers ?? []) {
      if (this.ending.signal.aborted) return false;
      const runner = this.addRunner(context, container, isSidecar(container) ? 'sidecar' : 'init');
      const done = runner.run();
      if (isSidecar(container)) await runner.whenStarted();
      else if ((await done) !== 0) return false;
    }
    return true;
  }

  /** Starts the containers in order, each after the postStart hook of the one before, and waits for their end. */
  private async runMains(context: PodContext): Promise<void> {
    const ends: Promise<unknown>[] = [];
    for (const container of this.current.spec.containers) {
      if (this.ending.signal.aborted) break;
      const runner = this.addRunner(context, container, 'main');
      ends.push(runner.run());
      if (container.lifecycle?.postStart) await runner.whenLaunched();
    }
    await Promise.all(ends);
  }

  private addRunner(context: PodContext, container: Pod['spec']['containers'][number], role: ContainerRole): ContainerRunner {
    const runner = new ContainerRunner(context, container, role);
    this.runners.set(container.name, runner);
    return runner;
  }

  private async end(graceMs: number): Promise<void> {
    const deadline = Date.now() + graceMs;
    this.ending.abort();
    const sidecars = new Set((this.current.spec.initContainers ?? []).filter(isSidecar).map((container) => container.name));
    await Promise.all([...this.runners].filter(([name]) => !sidecars.has(name)).map(([, runner]) => runner.stop(Math.max(0, deadline - Date.now()))));
    await this.endSidecars(graceMs === 0 ? 0 : Math.max(2000, deadline - Date.now()));
    await this.started;
    // A container that was added while the others were ending.
    await Promise.all([...this.runners.values()].map((runner) => runner.stop(0)));
    this.finished = true;
    await this.closeSandbox();
  }

  /** Sidecars end after the containers they serve, the last one first. */
  private async endSidecars(graceMs: number): Promise<void> {
    const deadline = Date.now() + graceMs;
    for (const container of [...(this.current.spec.initContainers ?? [])].filter(isSidecar).reverse()) {
      await this.runners.get(container.name)?.stop(Math.max(0, deadline - Date.now()));
    }
  }

  private async closeSandbox(): Promise<void> {
    if (this.network !== undefined) await this.node.networks.close(this.uid);
    this.network = undefined;
    if (this.podIP !== undefined) this.node.addresses.give(this.podIP);
    for (const kind of ['roots', 'volumes']) rmSync(join(this.node.memoryFolder, kind, this.uid), { recursive: true, force: true });
    rmSync(join(this.node.podsFolder, this.uid, 'volumes'), { recursive: true, force: true });
  }

  private graceMs(): number {
    return (this.current.spec.terminationGracePeriodSeconds ?? 30) * 1000;
  }
}

/** Name files of a pod, as the kubelet manages them. */
function etcFiles(pod: Pod, podIP: string): PodContext['etcFiles'] {
  const { hostname, subdomain, hostAliases = [], dnsConfig, dnsPolicy } = pod.spec;
  const namespace = pod.metadata.namespace ?? 'default';
  const name = hostname || pod.metadata.name;
  const full = subdomain ? `${name}.${subdomain}.${namespace}.svc.${CLUSTER_DOMAIN}\t` : '';
  const aliases = hostAliases.map((alias) => `${alias.ip}\t${(alias.hostnames ?? []).join('\t')}\n`).join('');
  const isNone = dnsPolicy === 'None';
  const nameservers = [...(isNone ? [] : [DNS_SERVICE_IP]), ...(dnsConfig?.nameservers ?? [])];
  const searches = [...(isNone ? [] : [`${namespace}.svc.${CLUSTER_DOMAIN}`, `svc.${CLUSTER_DOMAIN}`, CLUSTER_DOMAIN]), ...(dnsConfig?.searches ?? [])];
  const options = new Map<string, string | undefined>([...(isNone ? [] : [['ndots', '5'] as const]), ...(dnsConfig?.options ?? []).map((option) => [option.name ?? '', option.value] as const)]);
  const optionText = [...options].map(([key, value]) => (value === undefined ? key : `${key}:${value}`)).join(' ');
  return [
    { path: '/etc/hosts', content: `# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n${podIP}\t${full}${name}\n${aliases}` },
    { path: '/etc/hostname', content: `${name}\n` },
    { path: '/etc/resolv.conf', content: `${searches.length > 0 ? `search ${searches.join(' ')}\n` : ''}${nameservers.map((server) => `nameserver ${server}\n`).join('')}${optionText ? `options ${optionText}\n` : ''}` },
  ];
}
