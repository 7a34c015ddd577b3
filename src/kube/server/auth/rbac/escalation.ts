/** Nobody gives more than they have: roles and bindings may carry only what their writer may do. */
import type { ClusterRole, PolicyRule, RoleBinding } from '../../../../objects/kubernetes/rbac.ts';
import { equal } from '../../json.ts';
import type { AdmissionAttributes, Draft, Environment } from '../../rest/context.ts';
import { forbidden, notFound } from '../../status.ts';
import { RBAC_GROUP } from './authorizer.ts';
import { missingRules } from './rules.ts';

/** Refuses a role with rules its writer does not have, unless they may `escalate` roles. @throws ApiError 403 */
export function checkRole(draft: Draft, attributes: AdmissionAttributes, { authorizer }: Environment): void {
  const { resource, namespace, name, old, context } = attributes;
  const { rules = [], aggregationRule } = draft as unknown as ClusterRole;
  const before = old as ClusterRole | undefined;
  if (before && equal(before.rules ?? [], rules) && equal(before.aggregationRule, aggregationRule)) return;
  if (authorizer.resource(context.user, { verb: 'escalate', group: RBAC_GROUP, resource: resource.plural, subresource: '', name, namespace }).allowed) return;
  // What is aggregated later is not known now: only who may do everything may choose it.
  const wanted = aggregationRule ? [...rules, { verbs: ['*'], apiGroups: ['*'], resources: ['*'] }, { verbs: ['*'], nonResourceURLs: ['*'] }] : rules;
  refuseMissing(attributes, authorizer.rulesOf(context.user, namespace), wanted, name);
}

/** Refuses a binding of a role whose rules its writer does not have, unless they may `bind` it. @throws ApiError 403, 404 */
export function checkBinding(draft: Draft, attributes: AdmissionAttributes, { authorizer }: Environment): void {
  const { resource, namespace, name, old, context } = attributes;
  const { roleRef, subjects } = draft as unknown as RoleBinding;
  const before = old as RoleBinding | undefined;
  if (before && equal(before.subjects ?? [], subjects ?? []) && equal(before.roleRef, roleRef)) return;
  const role = roleRef.kind === 'ClusterRole' ? 'clusterroles' : 'roles';
  if (authorizer.resource(context.user, { verb: 'bind', group: RBAC_GROUP, resource: role, subresource: '', name: roleRef.name, namespace }).allowed) return;
  const rules = authorizer.rulesOfRole(roleRef.kind, roleRef.name, namespace);
  if (!rules) throw notFound({ group: RBAC_GROUP, plural: role }, roleRef.name);
  refuseMissing({ ...attributes, resource }, authorizer.rulesOf(context.user, namespace), rules, name);
}

function refuseMissing({ resource, context }: AdmissionAttributes, owned: readonly PolicyRule[], wanted: readonly PolicyRule[], name: string): void {
  const missing = missingRules(owned, wanted);
  if (missing.length === 0) return;
  const { username, groups } = context.user;
  throw forbidden(resource, name, `user "${username}" (groups=${JSON.stringify(groups).replaceAll(',', ' ')}) is attempting to grant RBAC permissions not currently held:\n${missing.map(describe).join('\n')}`);
}

function describe(rule: PolicyRule): string {
  const parts = [['APIGroups', rule.apiGroups], ['Resources', rule.resources], ['ResourceNames', rule.resourceNames], ['NonResourceURLs', rule.nonResourceURLs], ['Verbs', rule.verbs]] as const;
  return `{${parts.filter(([, list]) => list !== undefined).map(([key, list]) => `${key}:${JSON.stringify(list)}`).join(', ')}}`;
}

