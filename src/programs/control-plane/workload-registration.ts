/** WorkloadEntries of workloads that connect by themselves: made when they come, marked when they go, deleted when they stay away. */
import type { Clock } from '../../base/clock.ts';
import { parseDurationMs } from '../../base/duration.ts';
import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';
import { parseSpiffeId } from '../../identity/spiffe.ts';
import { ApiError, type KubeClient } from '../../kube/client/client.ts';
import { createInformer, type Informer } from '../../kube/client/informer.ts';
import { parseProxyNode, type ProxyNode } from '../../model/proxy-node.ts';
import type { WorkloadEntry } from '../../objects/istio/workload-entry.ts';
import type { WorkloadGroup } from '../../objects/istio/workload-group.ts';
import { POD, WORKLOAD_ENTRY, WORKLOAD_GROUP } from '../../objects/resource-types.ts';
import type { AdsEvent, ConnectedClient } from '../../xds/server/connection.ts';
import type { NodeInfo } from '../../xds/wire.ts';
import { CONNECTED_ANNOTATION, CONTROLLER_ANNOTATION, DISCONNECTED_ANNOTATION, entryNameOf, GROUP_ANNOTATION, groupOf, healthCondition, registrationProblem, workloadEntryOf } from './workload-entry-of.ts';

const log = createLogger('workloads');

export interface RegistrationOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Name of this control plane's pod, and where it runs. */
  readonly podName: string;
  readonly systemNamespace: string;
  /** How long a workload may be away. Default 10 s (`PILOT_WORKLOAD_ENTRY_GRACE_PERIOD`). */
  readonly graceMs: number;
  /** `PILOT_ENABLE_WORKLOAD_ENTRY_HEALTHCHECKS`. */
  readonly healthChecks: boolean;
}

type Env = Readonly<Record<string, string | undefined>>;

const isOff = (value: string | undefined): boolean => value !== undefined && /^(0|f|false)$/i.test(value);

/** False only where `PILOT_ENABLE_WORKLOAD_ENTRY_AUTOREGISTRATION` says so. */
export function registersWorkloads(env: Env): boolean {
  return !isOff(env['PILOT_ENABLE_WORKLOAD_ENTRY_AUTOREGISTRATION']);
}

/** Istio's settings, with its defaults. */
export function registrationSettings(env: Env): Pick<RegistrationOptions, 'graceMs' | 'healthChecks'> {
  return { graceMs: parseDurationMs(env['PILOT_WORKLOAD_ENTRY_GRACE_PERIOD'] ?? '') ?? 10_000, healthChecks: !isOff(env['PILOT_ENABLE_WORKLOAD_ENTRY_HEALTHCHECKS']) };
}

/** Times the sweep for entries of control planes that are gone. */
const SWEEP_GRACES = 10;

export class WorkloadRegistrations {
  private readonly groups: Informer<WorkloadGroup>;
  private readonly entries: Informer<WorkloadEntry>;
  private groupsKnown = false;
  /** Open streams by `namespace/name` of their entry. */
  private readonly connected = new Map<string, Set<ConnectedClient>>();
  /** What is being written of an entry: one thing after another. */
  private readonly work = new Map<string, Promise<void>>();

  constructor(private readonly options: RegistrationOptions) {
    const { client, signal } = options;
    this.groups = createInformer(client, WORKLOAD_GROUP, { signal, optional: true });
    this.entries = createInformer(client, WORKLOAD_ENTRY, { signal, optional: true });
    void Promise.all([this.groups.synced, this.entries.synced]).then(() => {
      this.groupsKnown = true;
      this.sweep();
    });
  }

  /** Why a proxy that wants to be registered is refused; undefined when it may come. */
  checkNode(info: NodeInfo): string | undefined {
    const node = parseProxyNode(info);
    if (!node || groupOf(node) === '' || !this.groupsKnown) return undefined;
    return registrationProblem(this.groupFor(node), node, undefined);
  }

  onEvent(event: AdsEvent): void {
    if (event.kind !== 'connected' && event.kind !== 'disconnected' && event.kind !== 'health') return;
    const node = parseProxyNode(event.client.node);
    if (!node || groupOf(node) === '') return;
    const key = `${node.namespace}/${entryNameOf(node)}`;
    if (event.kind === 'connected') this.arrived(key, node, event.client);
    else if (event.kind === 'disconnected') this.left(key, node, event.client);
    else if (this.options.healthChecks && this.connected.get(key)?.has(event.client)) this.enqueue(key, () => this.writeHealth(node, event.problem));
  }

  private groupFor(node: ProxyNode): WorkloadGroup | undefined {
    return this.groups.items().get(`${node.namespace}/${groupOf(node)}`);
  }

  private arrived(key: string, node: ProxyNode, client: ConnectedClient): void {
    const account = client.spiffeId && parseSpiffeId(client.spiffeId)?.serviceAccount;
    const group = this.groupFor(node);
    const problem = registrationProblem(group, node, account);
    if (problem !== undefined || !group) return log.warn('a workload is not registered', { node: node.id, reason: problem ?? '' });
    const streams = this.connected.get(key) ?? new Set();
    streams.add(client);
    this.connected.set(key, streams);
    this.enqueue(key, () => this.register(workloadEntryOf(group, node, this.options.podName, this.now())));
  }

  private left(key: string, node: ProxyNode, client: ConnectedClient): void {
    const streams = this.connected.get(key);
    if (!streams?.delete(client) || streams.size > 0) return;
    this.connected.delete(key);
    this.enqueue(key, () => this.markGone(node));
    this.options.clock.after(this.options.graceMs, () => this.enqueue(key, () => this.removeIfGone(node.namespace, entryNameOf(node))));
  }

  /** Makes the entry, or takes it over from the control plane it was connected to before. */
  private async register(entry: WorkloadEntry): Promise<void> {
    const { client } = this.options;
    const { name, namespace, annotations } = entry.metadata;
    const known = await client.get<WorkloadEntry>(WORKLOAD_ENTRY, name, namespace);
    if (!known) {
      await client.create(WORKLOAD_ENTRY, entry);
      return log.info('workload registered', { entry: `${namespace}/${name}`, address: entry.spec.address ?? '' });
    }
    if (known.metadata.annotations?.[GROUP_ANNOTATION] === undefined) return log.warn('an entry of that name was written by hand and stays', { entry: `${namespace}/${name}` });
    await client.mergePatch(WORKLOAD_ENTRY, name, namespace, { metadata: { labels: entry.metadata.labels, annotations: { ...annotations, [DISCONNECTED_ANNOTATION]: null } }, spec: entry.spec });
    log.info('workload is back', { entry: `${namespace}/${name}` });
  }

  private async markGone(node: ProxyNode): Promise<void> {
    const name = entryNameOf(node);
    const known = await this.options.client.get<WorkloadEntry>(WORKLOAD_ENTRY, name, node.namespace);
    // Somebody else has it now.
    if (known?.metadata.annotations?.[CONTROLLER_ANNOTATION] !== this.options.podName) return;
    await this.options.client.mergePatch(WORKLOAD_ENTRY, name, node.namespace, { metadata: { annotations: { [CONNECTED_ANNOTATION]: null, [DISCONNECTED_ANNOTATION]: this.now() } } });
  }

  private async removeIfGone(namespace: string, name: string): Promise<void> {
    const { client, clock, graceMs } = this.options;
    if (this.connected.has(`${namespace}/${name}`)) return;
    const annotations = (await client.get<WorkloadEntry>(WORKLOAD_ENTRY, name, namespace))?.metadata.annotations ?? {};
    const goneMs = Date.parse(annotations[DISCONNECTED_ANNOTATION] ?? '');
    if (annotations[GROUP_ANNOTATION] === undefined || !(clock.now() - goneMs >= graceMs - 1000)) return;
    await client.delete(WORKLOAD_ENTRY, name, namespace);
    log.info('workload stayed away and is no longer registered', { entry: `${namespace}/${name}` });
  }

  private async writeHealth(node: ProxyNode, problem: string | undefined): Promise<void> {
    const { client } = this.options;
    const name = entryNameOf(node);
    const known = await client.get<WorkloadEntry>(WORKLOAD_ENTRY, name, node.namespace);
    if (!known) return;
    const others = ((known.status as { readonly conditions?: readonly { readonly type?: string }[] } | undefined)?.conditions ?? []).filter(({ type }) => type !== 'Healthy');
    await client.mergePatch(WORKLOAD_ENTRY, name, node.namespace, { status: { conditions: [...others, healthCondition(problem, this.now())] } }, { subresource: 'status' });
    log.info('workload reported its health', { entry: `${node.namespace}/${name}`, healthy: problem === undefined, ...(problem !== undefined && { problem }) });
  }

  /** Entries that nobody else would delete: marked by a control plane that ended, or connected to one that did not even mark them. */
  private sweep(): void {
    for (const { metadata } of this.entries.items().values()) {
      const { name, namespace = '', annotations = {} } = metadata;
      if (annotations[GROUP_ANNOTATION] === undefined || this.connected.has(`${namespace}/${name}`)) continue;
      this.enqueue(`${namespace}/${name}`, async () => {
        const controller = annotations[CONTROLLER_ANNOTATION] ?? '';
        if (annotations[DISCONNECTED_ANNOTATION] === undefined && (controller === this.options.podName || !(await this.options.client.get(POD, controller, this.options.systemNamespace))))
          await this.options.client.mergePatch(WORKLOAD_ENTRY, name, namespace, { metadata: { annotations: { [CONNECTED_ANNOTATION]: null, [DISCONNECTED_ANNOTATION]: this.now() } } });
        else await this.removeIfGone(namespace, name);
      });
    }
    if (!this.options.signal.aborted) this.options.clock.after(this.options.graceMs * SWEEP_GRACES, () => this.sweep());
  }

  private enqueue(key: string, write: () => Promise<void>): void {
    const done = (this.work.get(key) ?? Promise.resolve()).then(() => (this.options.signal.aborted ? undefined : write())).catch((error: unknown) => {
      if (!(error instanceof ApiError && error.code === 404)) log.warn('a workload entry could not be written', { entry: key, error: messageOf(error) });
    }).finally(() => {
      if (this.work.get(key) === done) this.work.delete(key);
    });
    this.work.set(key, done);
  }

  private now(): string {
    return new Date(this.options.clock.now()).toISOString();
  }
}
