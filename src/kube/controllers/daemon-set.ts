/** DaemonSet controller: one pod on every node that its template fits, replaced node by node when the template changes. */
import type { ControllerRevision, DaemonSet } from '../../objects/kubernetes/daemon-set.ts';
import type { Node } from '../../objects/kubernetes/node.ts';
import type { Pod, PodSpec } from '../../objects/kubernetes/pod.ts';
import { keyOf } from '../../objects/meta.ts';
import { CONTROLLER_REVISION, DAEMON_SET, NODE, POD } from '../../objects/resource-types.ts';
import type { ControllerContext } from './context.ts';
import { recordEvent } from './events.ts';
import { createPod, OwnedPods } from './owned-pods.ts';
import { isPodActive, isPodReady } from './pods.ts';
import { hashOf, REVISION_HASH, syncRevisions, trimRevisions, type Revisions } from './revisions.ts';
import { canonicalJson, resolveIntOrPercent } from './rollout.ts';
import { createWorkQueue } from './work-queue.ts';

/** Daemons stay on nodes that are in trouble: they may be what mends them. */
const TOLERATIONS = ['not-ready', 'unreachable', 'disk-pressure', 'memory-pressure', 'pid-pressure', 'unschedulable'].map((name) => ({
  key: `node.kubernetes.io/${name}`, operator: 'Exists', effect: name === 'not-ready' || name === 'unreachable' ? 'NoExecute' : 'NoSchedule',
}));

export function startDaemonSetController(context: ControllerContext): void {
  new DaemonSetController(context);
}

class DaemonSetController {
  private readonly client;
  private readonly sets;
  private readonly nodes;
  private readonly revisions;
  private readonly pods;
  private readonly queue;

  constructor(context: ControllerContext) {
    this.client = context.client;
    this.sets = context.informer<DaemonSet>(DAEMON_SET);
    this.nodes = context.informer<Node>(NODE);
    this.revisions = context.informer<ControllerRevision>(CONTROLLER_REVISION);
    this.queue = createWorkQueue('daemonset', (key) => this.reconcile(key), context.signal);
    this.pods = new OwnedPods(context, 'DaemonSet', (key) => this.queue.add(key));
    this.sets.onEvent(({ object }) => this.queue.add(keyOf(object)));
    // Of a node only its coming and going and its labels matter here, not its heartbeats.
    this.nodes.onEvent((event) => {
      if (event.type === 'updated' && canonicalJson(event.old.metadata.labels ?? {}) === canonicalJson(event.object.metadata.labels ?? {}) && canonicalJson(event.old.spec) === canonicalJson(event.object.spec)) return;
      for (const key of this.sets.items().keys()) this.queue.add(key);
    });
  }

  private async reconcile(key: string): Promise<void> {
    const set = this.sets.items().get(key);
    if (!set || set.metadata.deletionTimestamp !== undefined) return;
    await Promise.all([this.revisions.synced, this.nodes.synced]);
    const revisions = await syncRevisions(this.client, this.revisions, set);
    const nodes = [...this.nodes.items().values()].filter((node) => fits(set, node)).map((node) => node.metadata.name);
    const waitMs = this.pods.pendingMs(set);
    if (waitMs > 0) this.queue.addAfter(key, waitMs);
    else await this.place(set, nodes, revisions);
    const pods = this.pods.of(set);
    await trimRevisions(this.client, set, revisions, new Set(pods.map((pod) => pod.metadata.labels?.[REVISION_HASH] ?? '')));
    await this.updateStatus(set, nodes, pods, revisions);
  }

  private async place(set: DaemonSet, nodes: readonly string[], revisions: Revisions): Promise<void> {
    const hash = hashOf(revisions.update);
    const pods = this.pods.of(set);
    const surplus: Pod[] = [];
    const missing: string[] = [];
    for (const pod of pods) if (!nodes.includes(nodeOf(pod)) || pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded') surplus.push(pod);
    for (const node of nodes) {
      const here = pods.filter((pod) => nodeOf(pod) === node && !surplus.includes(pod));
      // One that is ending still holds what it has (ports); its successor waits for its end.
      if (here.length === 0) missing.push(node);
      surplus.push(...here.filter(isPodActive).slice(1));
    }
    await Promise.all(surplus.filter(isPodActive).concat(surplus.filter((pod) => !isPodActive(pod) && pod.metadata.deletionTimestamp === undefined)).map((pod) => this.remove(pod)));
    const created = await Promise.all(missing.map((node) => createPod(this.client, set, set.spec.template, { generateName: `${set.metadata.name}-`, labels: { [REVISION_HASH]: hash }, spec: (spec) => onNode(spec, node) })));
    for (const pod of created) recordEvent(this.client, 'daemonset-controller', set, { reason: 'SuccessfulCreate', message: `Created pod: ${pod.metadata.name}` });
    if (created.length > 0) this.pods.expect(set, created);
    else if (set.spec.updateStrategy?.type !== 'OnDelete') await this.roll(set, nodes.length, pods.filter(isPodActive), hash);
  }

  /** Ends outdated pods: those that are not ready at once, others as far as the strategy allows. */
  private async roll(set: DaemonSet, wanted: number, active: readonly Pod[], hash: string): Promise<void> {
    const old = active.filter((pod) => pod.metadata.labels?.[REVISION_HASH] !== hash);
    if (old.length === 0) return;
    const limit = Math.max(1, resolveIntOrPercent(set.spec.updateStrategy?.rollingUpdate?.maxUnavailable, wanted, 'up', '1'));
    const broken = old.filter((pod) => !isPodReady(pod));
    const spare = Math.max(0, limit - (wanted - active.filter(isPodReady).length));
    await Promise.all([...broken, ...old.filter(isPodReady).slice(0, spare)].map((pod) => this.remove(pod)));
  }

  private async remove(pod: Pod): Promise<void> {
    await this.client.delete(POD, pod.metadata.name, pod.metadata.namespace, { preconditions: { uid: pod.metadata.uid! } });
  }

  private async updateStatus(set: DaemonSet, nodes: readonly string[], pods: readonly Pod[], revisions: Revisions): Promise<void> {
    const active = pods.filter((pod) => isPodActive(pod) && nodes.includes(nodeOf(pod)));
    const ready = active.filter(isPodReady).length;
    const status = {
      observedGeneration: set.metadata.generation ?? 1,
      desiredNumberScheduled: nodes.length,
      currentNumberScheduled: active.length,
      numberMisscheduled: pods.filter((pod) => isPodActive(pod) && !nodes.includes(nodeOf(pod))).length,
      numberReady: ready,
      numberAvailable: ready,
      numberUnavailable: nodes.length - ready,
      updatedNumberScheduled: active.filter((pod) => pod.metadata.labels?.[REVISION_HASH] === hashOf(revisions.update)).length,
    };
    if (canonicalJson(status) !== canonicalJson({ ...set.status, conditions: undefined })) await this.client.mergePatch(DAEMON_SET, set.metadata.name, set.metadata.namespace, { status }, { subresource: 'status' });
  }
}

function fits(set: DaemonSet, node: Node): boolean {
  const wanted = (set.spec.template.spec?.nodeSelector ?? {}) as Readonly<Record<string, string>>;
  const labels = node.metadata.labels ?? {};
  return Object.entries(wanted).every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value);
}

/** The node a pod is on, or is meant for. */
function nodeOf(pod: Pod): string {
  if (pod.spec.nodeName) return pod.spec.nodeName;
  const terms = pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  return terms.flatMap((term) => term.matchFields ?? []).find((field) => field.key === 'metadata.name')?.values?.[0] ?? '';
}

function onNode(spec: PodSpec, node: string): PodSpec {
  const term = { matchFields: [{ key: 'metadata.name', operator: 'In', values: [node] }] };
  const affinity = { ...spec.affinity, nodeAffinity: { ...spec.affinity?.nodeAffinity, requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [term] } } };
  return { ...spec, affinity, tolerations: [...(spec.tolerations ?? []), ...TOLERATIONS] };
}
