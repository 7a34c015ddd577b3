/** ReplicaSet controller: as many active pods as `spec.replicas` says, and a status that counts them. */
import type { Pod } from '../../objects/kubernetes/pod.ts';
import type { ReplicaSet } from '../../objects/kubernetes/replica-set.ts';
import { keyOf } from '../../objects/meta.ts';
import { POD, REPLICA_SET } from '../../objects/resource-types.ts';
import type { InformerEvent } from '../client/informer.ts';
import type { ControllerContext } from './context.ts';
import { recordEvent } from './events.ts';
import { controllerOf, controllerReference, isPodActive, isPodReady } from './pods.ts';
import { createWorkQueue } from './work-queue.ts';

/** Creations that the watch has not shown yet are waited for this long before pods are counted again without them. */
const EXPECTATION_MS = 5000;
const COMPONENT = 'replicaset-controller';

export function startReplicaSetController(context: ControllerContext): void {
  new ReplicaSetController(context).start();
}

class ReplicaSetController {
  private readonly client;
  private readonly sets;
  private readonly pods;
  private readonly queue;
  private readonly podsBySet = new Map<string, Map<string, Pod>>();
  private readonly pending = new Map<string, { readonly uids: Set<string>; readonly until: number }>();

  constructor(context: ControllerContext) {
    this.client = context.client;
    this.sets = context.informer<ReplicaSet>(REPLICA_SET);
    this.pods = context.informer<Pod>(POD);
    this.queue = createWorkQueue('replicaset', (key) => this.reconcile(key), context.signal);
  }

  start(): void {
    this.sets.onEvent(({ object }) => this.queue.add(keyOf(object)));
    this.pods.onEvent((event) => this.onPod(event));
  }

  private onPod(event: InformerEvent<Pod>): void {
    const owner = controllerOf(event.object);
    if (owner?.kind !== 'ReplicaSet') return;
    const owned = this.podsBySet.get(owner.uid) ?? new Map<string, Pod>();
    this.podsBySet.set(owner.uid, owned);
    if (event.type === 'deleted') owned.delete(event.object.metadata.uid!);
    else owned.set(event.object.metadata.uid!, event.object);
    if (owned.size === 0) this.podsBySet.delete(owner.uid);
    this.pending.get(owner.uid)?.uids.delete(event.object.metadata.uid!);
    this.queue.add(`${event.object.metadata.namespace}/${owner.name}`);
  }

  private async reconcile(key: string): Promise<void> {
    const set = this.sets.items().get(key);
    if (!set) return;
    const owned = [...(this.podsBySet.get(set.metadata.uid!)?.values() ?? [])];
    const active = owned.filter(isPodActive);
    if (set.metadata.deletionTimestamp === undefined) await this.scale(set, active);
    await this.updateStatus(set, owned.filter(isPodActive));
  }

  private async scale(set: ReplicaSet, active: readonly Pod[]): Promise<void> {
    const uid = set.metadata.uid!;
    const expected = this.pending.get(uid);
    if (expected && expected.uids.size > 0) {
      if (expected.until > Date.now()) return this.queue.addAfter(keyOf(set), expected.until - Date.now());
      this.pending.delete(uid);
    }
    const wanted = set.spec.replicas ?? 1;
    if (active.length < wanted) {
      const created = await Promise.all(Array.from({ length: wanted - active.length }, () => this.createPod(set)));
      const known = this.podsBySet.get(uid);
      this.pending.set(uid, { uids: new Set(created.filter((podUid) => !known?.has(podUid))), until: Date.now() + EXPECTATION_MS });
      return;
    }
    const surplus = byDeletionOrder(active).slice(0, active.length - wanted);
    await Promise.all(surplus.map(async (pod) => {
      await this.client.delete(POD, pod.metadata.name, pod.metadata.namespace);
      recordEvent(this.client, COMPONENT, set, { reason: 'SuccessfulDelete', message: `Deleted pod: ${pod.metadata.name}` });
    }));
  }

  private async createPod(set: ReplicaSet): Promise<string> {
    const template = set.spec.template ?? {};
    const pod = await this.client.create<Pod>(POD, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: '', generateName: `${set.metadata.name}-`, namespace: set.metadata.namespace!,
        ...(template.metadata?.labels && { labels: template.metadata.labels }),
        ...(template.metadata?.annotations && { annotations: template.metadata.annotations }),
        ownerReferences: [controllerReference(set)],
      },
      spec: template.spec!,
    } as Pod);
    recordEvent(this.client, COMPONENT, set, { reason: 'SuccessfulCreate', message: `Created pod: ${pod.metadata.name}` });
    return pod.metadata.uid!;
  }

  private async updateStatus(set: ReplicaSet, active: readonly Pod[]): Promise<void> {
    const ready = active.filter(isPodReady).length;
    const status = {
      replicas: active.length, fullyLabeledReplicas: active.length, readyReplicas: ready, availableReplicas: ready,
      observedGeneration: set.metadata.generation ?? 1,
    };
    const current = set.status as Partial<typeof status> | undefined;
    if (current && (Object.keys(status) as (keyof typeof status)[]).every((field) => (current[field] ?? 0) === status[field])) return;
    await this.client.mergePatch(REPLICA_SET, set.metadata.name, set.metadata.namespace, { status }, { subresource: 'status' });
  }
}

/** Which pods go first when there are too many: not ready ones, then the youngest. */
export function byDeletionOrder(pods: readonly Pod[]): readonly Pod[] {
  return [...pods].sort((a, b) => Number(isPodReady(a)) - Number(isPodReady(b)) || (b.metadata.creationTimestamp ?? '').localeCompare(a.metadata.creationTimestamp ?? ''));
}
