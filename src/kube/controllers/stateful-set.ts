/** StatefulSet controller: pods with stable names and claims, started, updated and ended in order. */
import type { ControllerRevision } from '../../objects/kubernetes/daemon-set.ts';
import type { PersistentVolumeClaim } from '../../objects/kubernetes/persistent-volume-claim.ts';
import type { Pod, PodSpec } from '../../objects/kubernetes/pod.ts';
import type { StatefulSet } from '../../objects/kubernetes/stateful-set.ts';
import { keyOf } from '../../objects/meta.ts';
import { CONTROLLER_REVISION, PERSISTENT_VOLUME_CLAIM, POD, STATEFUL_SET } from '../../objects/resource-types.ts';
import { ApiError } from '../client/client.ts';
import type { ControllerContext } from './context.ts';
import { recordEvent } from './events.ts';
import { createPod, OwnedPods } from './owned-pods.ts';
import { isPodReady } from './pods.ts';
import { hashOf, REVISION_HASH, syncRevisions, templateOf, trimRevisions, type Revisions } from './revisions.ts';
import { canonicalJson } from './rollout.ts';
import { createWorkQueue } from './work-queue.ts';

export function startStatefulSetController(context: ControllerContext): void {
  new StatefulSetController(context);
}

const COMPONENT = 'statefulset-controller';

/** One place of a set: its number, and the pod that has it, if any. */
interface Place {
  readonly ordinal: number;
  readonly pod: Pod | undefined;
}

const isTerminating = (pod: Pod): boolean => pod.metadata.deletionTimestamp !== undefined;
const isOver = (pod: Pod): boolean => pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded';
const isHealthy = (pod: Pod | undefined): boolean => pod !== undefined && !isTerminating(pod) && isPodReady(pod);
const revisionOf = (pod: Pod): string => pod.metadata.labels?.[REVISION_HASH] ?? '';

class StatefulSetController {
  private readonly client;
  private readonly sets;
  private readonly revisions;
  private readonly pods;
  private readonly queue;

  constructor(context: ControllerContext) {
    this.client = context.client;
    this.sets = context.informer<StatefulSet>(STATEFUL_SET);
    this.revisions = context.informer<ControllerRevision>(CONTROLLER_REVISION);
    this.queue = createWorkQueue('statefulset', (key) => this.reconcile(key), context.signal);
    this.pods = new OwnedPods(context, 'StatefulSet', (key) => this.queue.add(key));
    this.sets.onEvent(({ object }) => this.queue.add(keyOf(object)));
  }

  private async reconcile(key: string): Promise<void> {
    const set = this.sets.items().get(key);
    if (!set || set.metadata.deletionTimestamp !== undefined) return;
    await this.revisions.synced;
    const revisions = await syncRevisions(this.client, this.revisions, set);
    const pods = this.pods.of(set);
    const waitMs = this.pods.pendingMs(set);
    if (waitMs > 0) this.queue.addAfter(key, waitMs);
    else await this.act(set, pods, revisions);
    const now = this.pods.of(set);
    await trimRevisions(this.client, set, revisions, new Set([...now.map(revisionOf), currentHash(set, revisions)]));
    await this.updateStatus(set, now, revisions);
  }

  /** Does the next step: what is missing first, then what is too much, then what is outdated. In order, one step waits for the one before. */
  private async act(set: StatefulSet, pods: readonly Pod[], revisions: Revisions): Promise<void> {
    const start = set.spec.ordinals?.start ?? 0;
    const wanted = set.spec.replicas ?? 1;
    const byOrdinal = new Map(pods.map((pod) => [ordinalOf(set, pod), pod]));
    const places: Place[] = Array.from({ length: wanted }, (_, index) => ({ ordinal: start + index, pod: byOrdinal.get(start + index) }));
    const inOrder = set.spec.podManagementPolicy !== 'Parallel';
    const created: Pod[] = [];
    for (const { ordinal, pod } of places) {
      if (pod && !isTerminating(pod) && isOver(pod)) await this.remove(pod);
      if (!pod) created.push(await this.create(set, ordinal, revisions));
      if (inOrder && !isHealthy(pod)) break;
    }
    if (created.length > 0) this.pods.expect(set, created);
    if (created.length > 0 || (inOrder && places.some(({ pod }) => !isHealthy(pod)))) return this.replaceBroken(set, places, revisions);
    const condemned = [...byOrdinal].filter(([ordinal]) => ordinal < start || ordinal >= start + wanted).sort(([a], [b]) => b - a).map(([, pod]) => pod);
    if (condemned.length > 0) {
      for (const pod of inOrder ? condemned.slice(0, 1) : condemned) if (!isTerminating(pod)) await this.remove(pod);
      if (inOrder) return;
    }
    await this.update(set, places, revisions);
  }

  /** A pod of an old template that never becomes ready must not hold up the template that may mend it. */
  private async replaceBroken(set: StatefulSet, places: readonly Place[], revisions: Revisions): Promise<void> {
    if (set.spec.updateStrategy?.type === 'OnDelete' || places.some(({ pod }) => pod && isTerminating(pod))) return;
    const broken = places.filter(({ pod, ordinal }) => pod && !isPodReady(pod) && ordinal >= partitionOf(set) && revisionOf(pod) !== hashOf(revisions.update)).at(-1);
    if (broken?.pod) await this.remove(broken.pod);
  }

  /** Replaces outdated pods from the last to the partition, one at a time. */
  private async update(set: StatefulSet, places: readonly Place[], revisions: Revisions): Promise<void> {
    if (set.spec.updateStrategy?.type === 'OnDelete') return;
    for (const { ordinal, pod } of [...places].reverse()) {
      if (ordinal < partitionOf(set)) return;
      if (pod && revisionOf(pod) !== hashOf(revisions.update) && !isTerminating(pod)) return this.remove(pod);
      if (!isHealthy(pod)) return;
    }
  }

  private async remove(pod: Pod): Promise<void> {
    await this.client.delete(POD, pod.metadata.name, pod.metadata.namespace, { preconditions: { uid: pod.metadata.uid! } });
  }

  private async create(set: StatefulSet, ordinal: number, revisions: Revisions): Promise<Pod> {
    const name = `${set.metadata.name}-${ordinal}`;
    for (const template of set.spec.volumeClaimTemplates ?? []) await this.createClaim(set, `${template.metadata.name}-${name}`, template);
    // Below the partition a set stays what it was.
    const current = revisions.all.find((one) => hashOf(one) === currentHash(set, revisions)) ?? revisions.update;
    const revision = ordinal < partitionOf(set) && set.spec.updateStrategy?.type !== 'OnDelete' ? current : revisions.update;
    const pod = await createPod(this.client, set, templateOf(revision), {
      name,
      labels: { 'statefulset.kubernetes.io/pod-name': name, 'apps.kubernetes.io/pod-index': String(ordinal), [REVISION_HASH]: hashOf(revision) },
      spec: (spec) => withIdentity(spec, set, name),
    });
    recordEvent(this.client, COMPONENT, set, { reason: 'SuccessfulCreate', message: `create Pod ${name} in StatefulSet ${set.metadata.name} successful` });
    return pod;
  }

  private async createClaim(set: StatefulSet, name: string, template: NonNullable<StatefulSet['spec']['volumeClaimTemplates']>[number]): Promise<void> {
    if (await this.client.get(PERSISTENT_VOLUME_CLAIM, name, set.metadata.namespace)) return;
    const { labels, annotations } = template.metadata;
    try {
      await this.client.create<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIM, {
        apiVersion: 'v1', kind: 'PersistentVolumeClaim',
        metadata: { name, namespace: set.metadata.namespace!, labels: { ...labels, ...set.spec.selector.matchLabels }, ...(annotations ? { annotations } : {}) },
        spec: template.spec,
      });
    } catch (thrown) {
      if (!(thrown instanceof ApiError) || thrown.reason !== 'AlreadyExists') throw thrown;
    }
  }

  private async updateStatus(set: StatefulSet, pods: readonly Pod[], revisions: Revisions): Promise<void> {
    const update = hashOf(revisions.update);
    const current = currentHash(set, revisions);
    const counted = pods.filter((pod) => !isOver(pod));
    const of = (hash: string): number => counted.filter((pod) => !isTerminating(pod) && revisionOf(pod) === hash).length;
    const wanted = set.spec.replicas ?? 1;
    const done = of(update) === wanted && counted.length === wanted && counted.every(isHealthy);
    const nameOf = (hash: string): string => `${set.metadata.name}-${hash}`;
    const status = {
      observedGeneration: set.metadata.generation ?? 1,
      replicas: counted.length,
      readyReplicas: counted.filter(isPodReady).length,
      availableReplicas: counted.filter(isHealthy).length,
      currentReplicas: done ? wanted : of(current),
      updatedReplicas: of(update),
      currentRevision: nameOf(done ? update : current),
      updateRevision: nameOf(update),
      collisionCount: 0,
    };
    if (canonicalJson(status) !== canonicalJson({ ...set.status, conditions: undefined })) await this.client.mergePatch(STATEFUL_SET, set.metadata.name, set.metadata.namespace, { status }, { subresource: 'status' });
  }
}

function partitionOf(set: StatefulSet): number {
  return set.spec.updateStrategy?.rollingUpdate?.partition ?? 0;
}

/** The hash of the template that pods had before the update under way. */
function currentHash(set: StatefulSet, revisions: Revisions): string {
  return set.status?.currentRevision?.slice(set.metadata.name.length + 1) || hashOf(revisions.update);
}

function ordinalOf(set: StatefulSet, pod: Pod): number {
  const text = pod.metadata.name.slice(set.metadata.name.length + 1);
  return /^\d+$/.test(text) ? Number(text) : -1;
}

/** Host name, governing service and claims of one pod. */
function withIdentity(spec: PodSpec, set: StatefulSet, name: string): PodSpec {
  const claims = (set.spec.volumeClaimTemplates ?? []).map(({ metadata }) => metadata.name ?? '');
  const volumes = [...(spec.volumes ?? []).filter((volume) => !claims.includes(volume.name)), ...claims.map((claim) => ({ name: claim, persistentVolumeClaim: { claimName: `${claim}-${name}` } }))];
  return { ...spec, hostname: name, ...(set.spec.serviceName ? { subdomain: set.spec.serviceName } : {}), ...(volumes.length > 0 ? { volumes } : {}) };
}
