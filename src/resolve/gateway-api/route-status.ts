/** Status of a route: one entry per parent reference of ours; entries of other controllers stay. */
import type { RouteStatus } from '../../objects/gateway-api/common.ts';
import { namespaceOf } from '../context.ts';
import { setConditions, type ConditionPlan, type ConfigError } from './condition.ts';
import { referenceKey, type RouteObject, type RouteParent } from './parent.ts';

/** The most telling reason is reported; failures to find a section come last, because a route may mean only some of them. */
const RANKING = ['NotAllowedByListeners', 'NoMatchingListenerHostname', 'ParentRefConflict', 'NoMatchingParent'];

/** `errorOf` says what is wrong with the rules as a parent sees them. */
export function routeStatus(route: RouteObject, parents: readonly RouteParent[], errorOf: (parent: RouteParent) => ConfigError | undefined, controller: string): RouteStatus {
  const existing = (route as { readonly status?: RouteStatus }).status?.parents ?? [];
  const local = namespaceOf(route);
  const groups = new Map<string, RouteParent[]>();
  for (const parent of parents) {
    const key = referenceKey(parent.reference, local);
    groups.set(key, [...(groups.get(key) ?? []), parent]);
  }
  const own = [...groups].map(([key, group]) => {
    const old = existing.find((entry) => entry.controllerName === controller && referenceKey(entry.parentRef, local) === key);
    return {
      parentRef: group[0]!.reference, controllerName: controller,
      conditions: setConditions(route.metadata.generation, old?.conditions, plansOf(group, errorOf(group[0]!))),
    };
  });
  const entries = [...existing.filter((entry) => entry.controllerName !== controller), ...own];
  return { parents: entries.sort((a, b) => (referenceKey(a.parentRef, local) > referenceKey(b.parentRef, local) ? -1 : 1)) as RouteStatus['parents'] };
}

function plansOf(group: readonly RouteParent[], routeError: ConfigError | undefined): Record<string, ConditionPlan> {
  const accepted = group.filter(({ denied }) => denied === undefined).length;
  const reason = RANKING.find((candidate) => group.some(({ denied }) => denied?.reason === candidate));
  const messages = group.flatMap(({ denied }) => (denied !== undefined && denied.reason === reason ? [denied.message] : []));
  const denied = accepted > 0 || reason === undefined ? undefined : { reason, message: messages.join('; ') };
  return {
    Accepted: { reason: 'Accepted', message: accepted > 1 ? `Route was valid, bound to ${accepted} parents` : 'Route was valid', error: denied },
    ResolvedRefs: { reason: 'ResolvedRefs', message: 'All references resolved', error: routeError },
  };
}
