/** Objects whose status says that something is wrong with them. */
import type { Issue } from '../../base/issue.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { message } from '../message.ts';
import type { ObjectSet } from '../object-set.ts';

interface Condition {
  readonly type?: string;
  readonly status?: string;
  readonly reason?: string;
  readonly message?: string;
}

interface WithStatus extends KubeObject {
  readonly status?: { readonly conditions?: readonly Condition[]; readonly parents?: readonly { readonly conditions?: readonly Condition[] }[] };
}

const ROUTE = ['Accepted', 'Programmed', 'ResolvedRefs'];
const GATEWAY_API = 'gateway.networking.k8s.io';

/** Kind, group (absent = any), and the conditions that are bad news when they are False. Others belong to other controllers. */
const WATCHED: readonly (readonly [string, string | undefined, readonly string[]])[] = [
  ['Service', undefined, ['istio.io/WaypointBound']],
  ['ServiceEntry', undefined, ['istio.io/WaypointBound']],
  ['AuthorizationPolicy', undefined, ['ZtunnelAccepted', 'WaypointAccepted']],
  ['Gateway', GATEWAY_API, ROUTE],
  ['HTTPRoute', GATEWAY_API, ROUTE],
  ['GRPCRoute', GATEWAY_API, ROUTE],
];

export function analyzeConditions(set: ObjectSet): readonly Issue[] {
  return WATCHED.flatMap(([kind, group, types]) => set.of<WithStatus>(kind, group).flatMap((object) =>
    conditionsOf(object)
      .filter(([, condition]) => isNegative(kind, types, condition))
      .map(([path, { type = '', reason = '', message: text = '' }]) => message('IST0171', object, path, [type, reason, text], 'remove what its message names'))));
}

function isNegative(kind: string, types: readonly string[], { type = '', status, reason }: Condition): boolean {
  if (types.includes(type) && status === 'False') return true;
  // Half of the policy holds: the condition is True, its reason is not.
  return kind === 'AuthorizationPolicy' && type === 'WaypointAccepted' && reason === 'PartiallyInvalid';
}

function conditionsOf({ status }: WithStatus): readonly (readonly [string, Condition])[] {
  const own = (status?.conditions ?? []).map((condition, index) => [`status.conditions[${index}]`, condition] as const);
  const ofParents = (status?.parents ?? []).flatMap((parent, index) => (parent.conditions ?? []).map((condition, at) => [`status.parents[${index}].conditions[${at}]`, condition] as const));
  return [...own, ...ofParents];
}
