/**
 * Garbage collection by owner references: an object whose owners are all gone is deleted; `foregroundDeletion` and `orphan` finalizers are worked off.
 * @see https://kubernetes.io/docs/concepts/architecture/garbage-collection/
 */
import type { KubeObject } from '../../objects/meta.ts';
import type { ResourceType } from '../../objects/kind.ts';
import {
  CONFIG_MAP, CONTROLLER_REVISION, CRON_JOB, DAEMON_SET, DEPLOYMENT, ENDPOINTS, ENDPOINT_SLICE, JOB, KUBERNETES_GATEWAY, PERSISTENT_VOLUME_CLAIM, POD, REPLICA_SET, SECRET, SERVICE, SERVICE_ACCOUNT, STATEFUL_SET,
} from '../../objects/resource-types.ts';
import { createInformer, type InformerEvent } from '../client/informer.ts';
import type { ControllerContext } from './context.ts';
import { createWorkQueue } from './work-queue.ts';

/** Kinds that own or are owned in this cluster. */
const TRACKED: readonly ResourceType[] = [DEPLOYMENT, REPLICA_SET, STATEFUL_SET, DAEMON_SET, CONTROLLER_REVISION, CRON_JOB, JOB, POD, PERSISTENT_VOLUME_CLAIM, SERVICE, ENDPOINT_SLICE, ENDPOINTS, SERVICE_ACCOUNT, SECRET, CONFIG_MAP];

/** Custom kinds that own something: their definitions come later, if at all. */
const CUSTOM_OWNERS: readonly ResourceType[] = [KUBERNETES_GATEWAY];

interface Node {
  readonly type: ResourceType;
  object: KubeObject;
}

export function startGarbageCollector(context: ControllerContext): void {
  new GarbageCollector(context).start();
}

class GarbageCollector {
  private readonly nodes = new Map<string, Node>();
  private readonly dependents = new Map<string, Set<string>>();
  private readonly client;
  private readonly queue;
  private readonly synced;

  constructor(private readonly context: ControllerContext) {
    this.client = context.client;
    this.synced = Promise.all(TRACKED.map((type) => context.informer(type).synced));
    this.queue = createWorkQueue('garbage', (uid) => this.reconcile(uid), context.signal);
  }

  start(): void {
    const { client, signal } = this.context;
    for (const type of TRACKED) this.context.informer(type).onEvent((event) => this.onEvent(type, event));
    for (const type of CUSTOM_OWNERS) createInformer<KubeObject>(client, type, { signal, optional: true }).onEvent((event) => this.onEvent(type, event));
  }

  private onEvent(type: ResourceType, event: InformerEvent<KubeObject>): void {
    const uid = event.object.metadata.uid!;
    if (event.type === 'deleted') return this.onDeleted(event.object);
    if (event.type === 'updated') for (const owner of event.old.metadata.ownerReferences ?? []) this.forget(owner.uid, uid);
    this.nodes.set(uid, { type, object: event.object });
    for (const owner of event.object.metadata.ownerReferences ?? []) this.remember(owner.uid, uid);
    if (event.object.metadata.ownerReferences?.length || event.object.metadata.deletionTimestamp !== undefined) this.queue.add(uid);
  }

  private onDeleted(object: KubeObject): void {
    const uid = object.metadata.uid!;
    this.nodes.delete(uid);
    for (const owner of object.metadata.ownerReferences ?? []) {
      this.forget(owner.uid, uid);
      this.queue.add(owner.uid);
    }
    for (const child of this.dependents.get(uid) ?? []) this.queue.add(child);
  }

  private remember(owner: string, child: string): void {
    const children = this.dependents.get(owner) ?? new Set();
    this.dependents.set(owner, children.add(child));
  }
  private forget(owner: string, child: string): void {
    const children = this.dependents.get(owner);
    children?.delete(child);
    if (children?.size === 0) this.dependents.delete(owner);
  }

  private async reconcile(uid: string): Promise<void> {
    await this.synced;
    const node = this.nodes.get(uid);
    if (!node) return;
    const { metadata } = node.object;
    if (metadata.deletionTimestamp !== undefined) return this.workOffFinalizers(node);
    const owners = metadata.ownerReferences ?? [];
    if (owners.length === 0 || !(await this.allGone(node, owners))) return;
    await this.client.delete(node.type, metadata.name, metadata.namespace, { preconditions: { uid } });
  }

  /** Owners of a tracked kind are looked up in the graph; others are asked for, because the graph does not know them. */
  private async allGone(node: Node, owners: NonNullable<KubeObject['metadata']['ownerReferences']>): Promise<boolean> {
    for (const owner of owners) {
      if (this.nodes.has(owner.uid)) return false;
      const type = [...TRACKED, ...CUSTOM_OWNERS].find((tracked) => tracked.kind === owner.kind && tracked.group === groupOf(owner.apiVersion));
      if (!type) return false;
      const live = await this.client.get(type, owner.name, node.object.metadata.namespace);
      if (live?.metadata.uid === owner.uid) return false;
    }
    return true;
  }

  private async workOffFinalizers(node: Node): Promise<void> {
    const { metadata } = node.object;
    const finalizers = metadata.finalizers ?? [];
    const children = [...(this.dependents.get(metadata.uid!) ?? [])].map((uid) => this.nodes.get(uid)).filter((child) => child !== undefined);
    if (finalizers.includes('orphan')) {
      for (const child of children) {
        const kept = (child.object.metadata.ownerReferences ?? []).filter((owner) => owner.uid !== metadata.uid);
        await this.client.mergePatch(child.type, child.object.metadata.name, child.object.metadata.namespace, { metadata: { ownerReferences: kept } });
      }
      return this.dropFinalizer(node, 'orphan');
    }
    if (!finalizers.includes('foregroundDeletion')) return;
    if (children.length === 0) return this.dropFinalizer(node, 'foregroundDeletion');
    for (const child of children)
      if (child.object.metadata.deletionTimestamp === undefined)
        await this.client.delete(child.type, child.object.metadata.name, child.object.metadata.namespace, { propagationPolicy: 'Foreground' });
  }

  private async dropFinalizer(node: Node, finalizer: string): Promise<void> {
    const { metadata } = node.object;
    const finalizers = (metadata.finalizers ?? []).filter((name) => name !== finalizer);
    await this.client.mergePatch(node.type, metadata.name, metadata.namespace, { metadata: { finalizers } });
  }
}

function groupOf(apiVersion: string): string {
  return apiVersion.includes('/') ? apiVersion.split('/')[0]! : '';
}
