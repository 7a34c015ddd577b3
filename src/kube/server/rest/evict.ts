import type { PodDisruptionBudget } from '../../../objects/kubernetes/policy.ts';
import { ApiError } from '../../client/client.ts';
import type { Resource } from '../api/resources.ts';
import { storageKey, storagePrefix } from '../api/storage-key.ts';
import { isObject, listAt, own, textAt } from '../json.ts';
import { matcherOf } from '../selectors.ts';
import { badRequest, internal } from '../status.ts';
import type { Environment, WriteContext } from './context.ts';
import { deleteObject, type Deletion } from './delete.ts';
import { getObject } from './read.ts';
import { modifyObject } from './update.ts';

const BUDGETS = { group: 'policy', plural: 'poddisruptionbudgets' };

/**
 * Deletes a pod if its disruption budget allows it: what `kubectl drain` asks for.
 * @throws ApiError 404, 429 when the budget is used up, 500 when several budgets choose the pod
 * @see https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/
 */
export async function evictPod(env: Environment, pods: Resource, namespace: string, name: string, eviction: unknown, context: WriteContext): Promise<void> {
  const written = textAt(eviction, 'metadata', 'name');
  if (written !== '' && written !== name) throw badRequest(`name in URL does not match name in Eviction object: ${JSON.stringify(name)} != ${JSON.stringify(written)}`);
  const pod = getObject(env, pods, namespace, name);
  const phase = textAt(pod, 'status', 'phase');
  const harmless = phase === 'Pending' || phase === 'Succeeded' || phase === 'Failed' || pod.metadata.deletionTimestamp !== undefined;
  if (!harmless) await takeFromBudget(env, namespace, pod.metadata.labels, listAt(pod, 'status', 'conditions').some((one) => textAt(one, 'type') === 'Ready' && textAt(one, 'status') === 'True'), context);
  const options = own(eviction, 'deleteOptions');
  await deleteObject(env, pods, namespace, name, isObject(options) ? (options as Deletion) : {}, context);
}

async function takeFromBudget(env: Environment, namespace: string, labels: Readonly<Record<string, string>> | undefined, ready: boolean, context: WriteContext): Promise<void> {
  const chosen = env.store.list(storagePrefix(BUDGETS, namespace)).map((entry) => entry.object as PodDisruptionBudget).filter((budget) => matcherOf(budget.spec.selector, true)(labels));
  if (chosen.length > 1) throw internal('This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.');
  const budget = chosen[0];
  if (!budget || !ready) return;
  const allowed = budget.status?.disruptionsAllowed ?? 0;
  const { name, generation } = budget.metadata;
  const observed = (budget.status?.observedGeneration ?? 0) >= (generation ?? 1);
  if (allowed <= 0 || !observed) {
    const message = `The disruption budget ${name} needs ${budget.status?.desiredHealthy ?? 0} healthy pods and has ${budget.status?.currentHealthy ?? 0} currently`;
    throw new ApiError(429, 'TooManyRequests', "Cannot evict pod as it would violate the pod's disruption budget.", { causes: [{ reason: 'DisruptionBudget', message: observed ? message : `The disruption budget ${name} is still being processed by the server.` }] });
  }
  const resource = env.resources.find('policy', 'v1', 'poddisruptionbudgets');
  // Two evictions at a time must not take the same permission.
  if (resource && env.store.get(storageKey(BUDGETS, name, namespace))) {
    await modifyObject(env, { resource, namespace, name, subresource: 'status' }, context, (live) => {
      const status = (live as PodDisruptionBudget).status ?? {};
      if ((status.disruptionsAllowed ?? 0) <= 0) throw new ApiError(429, 'TooManyRequests', "Cannot evict pod as it would violate the pod's disruption budget.");
      return { ...live, metadata: { ...live.metadata }, status: { ...status, disruptionsAllowed: status.disruptionsAllowed! - 1 } } as never;
    });
  }
}
