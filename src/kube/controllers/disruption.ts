/** Keeps the status of PodDisruptionBudgets: how many of their pods may be evicted now. */
import type { Pod } from '../../objects/kubernetes/pod.ts';
import type { PodDisruptionBudget } from '../../objects/kubernetes/policy.ts';
import { keyOf } from '../../objects/meta.ts';
import { POD, POD_DISRUPTION_BUDGET } from '../../objects/resource-types.ts';
import { matcherOf } from '../server/selectors.ts';
import type { ControllerContext } from './context.ts';
import { isPodActive, isPodReady } from './pods.ts';
import { canonicalJson, resolveIntOrPercent } from './rollout.ts';
import { createWorkQueue } from './work-queue.ts';

export function startDisruptionController(context: ControllerContext): void {
  const { client } = context;
  const budgets = context.informer<PodDisruptionBudget>(POD_DISRUPTION_BUDGET);
  const pods = context.informer<Pod>(POD);
  const queue = createWorkQueue('disruption', (key) => reconcile(key), context.signal);

  budgets.onEvent(({ object }) => queue.add(keyOf(object)));
  pods.onEvent(({ object }) => {
    for (const budget of budgets.items().values()) if (budget.metadata.namespace === object.metadata.namespace) queue.add(keyOf(budget));
  });

  async function reconcile(key: string): Promise<void> {
    const budget = budgets.items().get(key);
    if (!budget) return;
    await pods.synced;
    const chosen = matcherOf(budget.spec.selector, true);
    const members = [...pods.items().values()].filter((pod) => pod.metadata.namespace === budget.metadata.namespace && isPodActive(pod) && chosen(pod.metadata.labels));
    const status = { ...budgetStatus(budget, members), observedGeneration: budget.metadata.generation ?? 1 };
    if (canonicalJson(status) !== canonicalJson({ ...budget.status, conditions: undefined, disruptedPods: undefined })) {
      await client.mergePatch(POD_DISRUPTION_BUDGET, budget.metadata.name, budget.metadata.namespace, { status }, { subresource: 'status' });
    }
  }
}

/** The counts of a budget over its pods. */
export function budgetStatus(budget: PodDisruptionBudget, members: readonly Pod[]): { readonly expectedPods: number; readonly currentHealthy: number; readonly desiredHealthy: number; readonly disruptionsAllowed: number } {
  const { minAvailable, maxUnavailable } = budget.spec;
  const expectedPods = members.length;
  const currentHealthy = members.filter(isPodReady).length;
  const desiredHealthy = maxUnavailable === undefined ? resolveIntOrPercent(minAvailable, expectedPods, 'up', '0') : Math.max(0, expectedPods - resolveIntOrPercent(maxUnavailable, expectedPods, 'up', '0'));
  return { expectedPods, currentHealthy, desiredHealthy, disruptionsAllowed: Math.max(0, currentHealthy - desiredHealthy) };
}
