/** What a Deployment's status says of its ReplicaSets: the counts and the two conditions that `kubectl rollout status` and `describe` read. */
import type { Deployment } from '../../objects/kubernetes/deployment.ts';
import type { ReplicaSet } from '../../objects/kubernetes/replica-set.ts';

interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
  readonly lastUpdateTime: string;
  readonly lastTransitionTime: string;
}

/** The whole new status. Times of conditions that did not change are kept. */
export function deploymentStatus(deployment: Deployment, current: ReplicaSet | undefined, all: readonly ReplicaSet[], maxUnavailable: number, now: Date): Readonly<Record<string, unknown>> {
  const sum = (field: 'replicas' | 'readyReplicas' | 'availableReplicas') => all.reduce((total, set) => total + (set.status?.[field] ?? 0), 0);
  const wanted = deployment.spec.replicas ?? 1;
  const replicas = sum('replicas');
  const available = sum('availableReplicas');
  const updated = current?.status?.replicas ?? 0;
  const done = current !== undefined && updated === wanted && replicas === wanted && available === wanted;
  const previous = (deployment.status?.conditions ?? []) as readonly Condition[];
  const stamp = now.toISOString().replace(/\.\d+Z$/, 'Z');
  const condition = (type: string, status: 'True' | 'False', reason: string, message: string): Condition => {
    const old = previous.find((entry) => entry.type === type);
    if (old && old.status === status && old.reason === reason && old.message === message) return old;
    return { type, status, reason, message, lastUpdateTime: stamp, lastTransitionTime: old?.status === status ? old.lastTransitionTime : stamp };
  };
  const set = current?.metadata.name ?? '';
  return {
    observedGeneration: deployment.metadata.generation ?? 1,
    replicas,
    updatedReplicas: updated,
    readyReplicas: sum('readyReplicas'),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, wanted - available),
    conditions: [
      available >= wanted - maxUnavailable
        ? condition('Available', 'True', 'MinimumReplicasAvailable', 'Deployment has minimum availability.')
        : condition('Available', 'False', 'MinimumReplicasUnavailable', 'Deployment does not have minimum availability.'),
      deployment.spec.paused
        ? condition('Progressing', 'True', 'DeploymentPaused', 'Deployment is paused')
        : done
          ? condition('Progressing', 'True', 'NewReplicaSetAvailable', `ReplicaSet "${set}" has successfully progressed.`)
          : condition('Progressing', 'True', 'ReplicaSetUpdated', `ReplicaSet "${set}" is progressing.`),
    ],
  };
}
