/** Deployment controller: one ReplicaSet per pod template, rolled from old to new within the surge and unavailability that the strategy allows. */
import type { Deployment } from '../../objects/kubernetes/deployment.ts';
import type { ReplicaSet } from '../../objects/kubernetes/replica-set.ts';
import { keyOf } from '../../objects/meta.ts';
import { DEPLOYMENT, REPLICA_SET } from '../../objects/resource-types.ts';
import type { ControllerContext } from './context.ts';
import { recordEvent } from './events.ts';
import { deploymentStatus } from './deployment-status.ts';
import { controllerOf, controllerReference } from './pods.ts';
import { canonicalJson, nextReplicas, resolveIntOrPercent, templateHash } from './rollout.ts';
import { createWorkQueue } from './work-queue.ts';

const REVISION = 'deployment.kubernetes.io/revision';
const HASH_LABEL = 'pod-template-hash';
const COMPONENT = 'deployment-controller';

export function startDeploymentController(context: ControllerContext): void {
  new DeploymentController(context).start();
}

class DeploymentController {
  private readonly client;
  private readonly deployments;
  private readonly sets;
  private readonly queue;

  constructor(context: ControllerContext) {
    this.client = context.client;
    this.deployments = context.informer<Deployment>(DEPLOYMENT);
    this.sets = context.informer<ReplicaSet>(REPLICA_SET);
    this.queue = createWorkQueue('deployment', (key) => this.reconcile(key), context.signal);
  }

  start(): void {
    this.deployments.onEvent(({ object }) => this.queue.add(keyOf(object)));
    this.sets.onEvent(({ object }) => {
      const owner = controllerOf(object);
      if (owner?.kind === 'Deployment') this.queue.add(`${object.metadata.namespace}/${owner.name}`);
    });
  }

  private async reconcile(key: string): Promise<void> {
    const deployment = this.deployments.items().get(key);
    if (!deployment || deployment.metadata.deletionTimestamp !== undefined) return;
    const owned = [...this.sets.items().values()].filter((set) => controllerOf(set)?.uid === deployment.metadata.uid);
    const hash = templateHash(deployment.spec.template);
    const existing = owned.find((set) => set.metadata.labels?.[HASH_LABEL] === hash);
    if (!existing && deployment.spec.paused) return this.updateStatus(deployment, undefined, owned);
    const current = existing ?? (await this.createSet(deployment, owned, hash));
    const old = owned.filter((set) => set !== existing);
    await this.syncRevision(deployment, current, old);
    if (!deployment.spec.paused) await this.roll(deployment, current, old);
    await this.removeHistory(deployment, old);
    await this.updateStatus(deployment, current, [...old, current]);
  }

  private async createSet(deployment: Deployment, owned: readonly ReplicaSet[], hash: string): Promise<ReplicaSet> {
    const { template } = deployment.spec;
    const labels = { ...template.metadata?.labels, [HASH_LABEL]: hash };
    const recreate = deployment.spec.strategy?.type === 'Recreate';
    const total = owned.reduce((sum, set) => sum + (set.spec.replicas ?? 0), 0);
    const limits = limitsOf(deployment);
    const first = recreate ? (total === 0 ? limits.wanted : 0) : Math.max(0, Math.min(limits.wanted, limits.wanted + limits.maxSurge - total));
    const created = await this.client.create<ReplicaSet>(REPLICA_SET, {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: {
        name: `${deployment.metadata.name}-${hash}`, namespace: deployment.metadata.namespace!, labels,
        annotations: { ...annotationsToCopy(deployment), [REVISION]: String(latestRevision(owned) + 1) },
        ownerReferences: [controllerReference(deployment)],
      },
      spec: {
        replicas: first,
        selector: { ...deployment.spec.selector, matchLabels: { ...deployment.spec.selector.matchLabels, [HASH_LABEL]: hash } },
        template: { ...template, metadata: { ...template.metadata, labels } },
      },
    } as unknown as ReplicaSet);
    this.tellScaled(deployment, created, 0, first);
    return created;
  }

  private tellScaled(deployment: Deployment, set: ReplicaSet, from: number, to: number): void {
    if (from !== to) recordEvent(this.client, COMPONENT, deployment, { reason: 'ScalingReplicaSet', message: `Scaled ${to > from ? 'up' : 'down'} replica set ${set.metadata.name} from ${from} to ${to}` });
  }

  private async syncRevision(deployment: Deployment, current: ReplicaSet, old: readonly ReplicaSet[]): Promise<void> {
    const highestOld = latestRevision(old);
    let revision = Number(current.metadata.annotations?.[REVISION] ?? 0);
    if (revision <= highestOld) {
      // A rollback: the template's old set becomes the newest revision again.
      revision = highestOld + 1;
      await this.client.mergePatch(REPLICA_SET, current.metadata.name, current.metadata.namespace, { metadata: { annotations: { [REVISION]: String(revision) } } });
    }
    if (deployment.metadata.annotations?.[REVISION] !== String(revision))
      await this.client.mergePatch(DEPLOYMENT, deployment.metadata.name, deployment.metadata.namespace, { metadata: { annotations: { [REVISION]: String(revision) } } });
  }

  private async roll(deployment: Deployment, current: ReplicaSet, old: readonly ReplicaSet[]): Promise<void> {
    const limits = limitsOf(deployment);
    const live = old.filter((set) => (set.spec.replicas ?? 0) > 0 || (set.status?.replicas ?? 0) > 0);
    if (deployment.spec.strategy?.type === 'Recreate') {
      await Promise.all(live.filter((set) => (set.spec.replicas ?? 0) > 0).map((set) => this.scaleSet(deployment, set, 0)));
      if (live.length === 0 && current.spec.replicas !== limits.wanted) await this.scaleSet(deployment, current, limits.wanted);
      return;
    }
    const view = (set: ReplicaSet) => ({ name: set.metadata.name, replicas: set.spec.replicas ?? 0, ready: Math.min(set.spec.replicas ?? 0, set.status?.readyReplicas ?? 0) });
    const changes = nextReplicas(view(current), live.map(view), limits);
    await Promise.all([current, ...live].filter((set) => changes.has(set.metadata.name)).map((set) => this.scaleSet(deployment, set, changes.get(set.metadata.name)!)));
  }

  private async scaleSet(deployment: Deployment, set: ReplicaSet, replicas: number): Promise<void> {
    await this.client.mergePatch(REPLICA_SET, set.metadata.name, set.metadata.namespace, { spec: { replicas } });
    this.tellScaled(deployment, set, set.spec.replicas ?? 0, replicas);
  }

  private async removeHistory(deployment: Deployment, old: readonly ReplicaSet[]): Promise<void> {
    const idle = old.filter((set) => (set.spec.replicas ?? 0) === 0 && (set.status?.replicas ?? 0) === 0);
    const surplus = [...idle].sort((a, b) => revisionOf(a) - revisionOf(b)).slice(0, Math.max(0, idle.length - (deployment.spec.revisionHistoryLimit ?? 10)));
    await Promise.all(surplus.map((set) => this.client.delete(REPLICA_SET, set.metadata.name, set.metadata.namespace)));
  }

  private async updateStatus(deployment: Deployment, current: ReplicaSet | undefined, all: readonly ReplicaSet[]): Promise<void> {
    const status = deploymentStatus(deployment, current, all, limitsOf(deployment).maxUnavailable, new Date());
    if (status && canonicalJson(status) !== canonicalJson(deployment.status ?? {}))
      await this.client.mergePatch(DEPLOYMENT, deployment.metadata.name, deployment.metadata.namespace, { status }, { subresource: 'status' });
  }
}

function limitsOf(deployment: Deployment): { wanted: number; maxSurge: number; maxUnavailable: number } {
  const wanted = deployment.spec.replicas ?? 1;
  const rolling = deployment.spec.strategy?.rollingUpdate;
  return {
    wanted,
    maxSurge: resolveIntOrPercent(rolling?.maxSurge, wanted, 'up', '25%'),
    maxUnavailable: resolveIntOrPercent(rolling?.maxUnavailable, wanted, 'down', '25%'),
  };
}

function revisionOf(set: ReplicaSet): number {
  return Number(set.metadata.annotations?.[REVISION] ?? 0);
}

function latestRevision(sets: readonly ReplicaSet[]): number {
  return Math.max(0, ...sets.map(revisionOf));
}

function annotationsToCopy(deployment: Deployment): Record<string, string> {
  const { 'kubectl.kubernetes.io/last-applied-configuration': _applied, [REVISION]: _revision, ...rest } = deployment.metadata.annotations ?? {};
  return rest;
}
