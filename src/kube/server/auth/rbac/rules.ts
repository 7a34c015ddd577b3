/** What policy rules allow. Pure. @see https://kubernetes.io/docs/reference/access-authn-authz/rbac/ */
import type { PolicyRule } from '../../../../objects/kubernetes/rbac.ts';

/** Access to a resource. */
export interface ResourceAccess {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  /** '' for the object itself. */
  readonly subresource: string;
  /** '' when no object is named. */
  readonly name: string;
  /** Undefined: the whole cluster. */
  readonly namespace: string | undefined;
}

/** Access to a path that is no resource (`/metrics`). */
export interface PathAccess {
  readonly verb: string;
  readonly path: string;
}

const has = (list: readonly string[] | undefined, value: string): boolean => list !== undefined && (list.includes('*') || list.includes(value));

/** Whether a rule allows access to a resource. */
export function allowsResource(rule: PolicyRule, access: ResourceAccess): boolean {
  const { verb, group, resource, subresource, name } = access;
  if (!has(rule.verbs, verb) || !has(rule.apiGroups, group)) return false;
  const named = rule.resourceNames ?? [];
  return resourceListed(rule, resource, subresource) && (named.length === 0 || named.includes(name));
}

function resourceListed(rule: PolicyRule, resource: string, subresource: string): boolean {
  const full = subresource === '' ? resource : `${resource}/${subresource}`;
  if (has(rule.resources, full)) return true;
  return subresource !== '' && (rule.resources?.includes(`*/${subresource}`) ?? false);
}

/** Whether a rule allows access to a path; `*` at the end of a rule's path stands for any rest. */
export function allowsPath(rule: PolicyRule, { verb, path }: PathAccess): boolean {
  if (!has(rule.verbs, verb)) return false;
  return (rule.nonResourceURLs ?? []).some((pattern) => pattern === '*' || pattern === path || (pattern.endsWith('*') && path.startsWith(pattern.slice(0, -1))));
}

/** Rules with one verb, group, resource, name or path each, so that they can be compared one by one. */
function* breakdown(rule: PolicyRule): Generator<PolicyRule> {
  for (const verb of rule.verbs) {
    for (const path of rule.nonResourceURLs ?? []) yield { verbs: [verb], nonResourceURLs: [path] };
    for (const group of rule.apiGroups ?? []) {
      for (const resource of rule.resources ?? []) {
        const base = { verbs: [verb], apiGroups: [group], resources: [resource] };
        if ((rule.resourceNames ?? []).length === 0) yield base;
        else for (const name of rule.resourceNames ?? []) yield { ...base, resourceNames: [name] };
      }
    }
  }
}

function coversOne(owner: PolicyRule, wanted: PolicyRule): boolean {
  if (!has(owner.verbs, wanted.verbs[0]!)) return false;
  const path = wanted.nonResourceURLs?.[0];
  if (path !== undefined) return (owner.nonResourceURLs ?? []).some((pattern) => pattern === '*' || pattern === path || (pattern.endsWith('*') && path.startsWith(pattern.slice(0, -1))));
  if (!has(owner.apiGroups, wanted.apiGroups![0]!)) return false;
  const [resource = '', subresource = ''] = wanted.resources![0]!.split('/');
  if (!resourceListed(owner, resource, subresource)) return false;
  const names = owner.resourceNames ?? [];
  return names.length === 0 || (wanted.resourceNames !== undefined && names.includes(wanted.resourceNames[0]!));
}

/** What of the wanted rules is not among the owned ones: empty when the owner may pass all of them on. */
export function missingRules(owned: readonly PolicyRule[], wanted: readonly PolicyRule[]): readonly PolicyRule[] {
  const missing: PolicyRule[] = [];
  for (const rule of wanted) for (const one of breakdown(rule)) if (!owned.some((owner) => coversOne(owner, one))) missing.push(one);
  return missing;
}
