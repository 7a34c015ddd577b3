/** ServiceRole, ServiceRoleBinding and RbacConfig → AuthorizationPolicies. @see features.md §1.6 */
import type { Issue } from '../../base/issue.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { namespaceOf } from '../context.ts';
import { Cursor } from '../cursor.ts';
import { convertedIssue, modern, NOT_CONVERTED, notConverted, type ModernObject } from './modern.ts';
import { rbacScope, type RbacScope } from './rbac-scope.ts';
import { grantsOf, sourceOf, type Grant } from './rbac-rules.ts';
import { covers, namesService, type PolicyService } from './services.ts';

export interface RbacInput {
  readonly ofKind: (groupKind: string) => readonly KubeObject[];
  readonly services: readonly PolicyService[];
  /** Namespaces of the mesh. */
  readonly namespaces: readonly string[];
  readonly rootNamespace: string;
}

type Json = Readonly<Record<string, unknown>>;

/** Everything of `rbac.istio.io`. An OFF config switches all of it off; without any config the roles hold for the services they name. */
export function convertRbac(input: RbacInput, issues: Issue[]): readonly ModernObject[] {
  const roles = input.ofKind('rbac.istio.io/ServiceRole');
  const bindings = input.ofKind('rbac.istio.io/ServiceRoleBinding');
  const configs = [...input.ofKind('rbac.istio.io/ClusterRbacConfig'), ...input.ofKind('rbac.istio.io/RbacConfig')];
  const config = configs[0];
  const scope = config && rbacScope(config, input, issues);
  const closed = config && scope ? closedPolicies(config, scope, input) : [];
  if (config) issues.push(convertedIssue(config, '1.6', closed));
  for (const other of configs.slice(1)) issues.push(notConverted(other, '', `Only one config of access control counts, and it is ${config!.kind} ${config!.metadata.name}; this one changes nothing.`, 'delete it'));
  if (scope?.mode === 'OFF') {
    for (const object of [...roles, ...bindings]) issues.push(notConverted(object, '', `${config!.kind} ${config!.metadata.name} has mode OFF: nothing of rbac.istio.io is enforced.`));
    return [];
  }
  const grants = bindings.flatMap((binding) => convertBinding(binding, roles, scope, input, issues));
  reportRoles(roles, bindings, issues);
  if (!config && bindings.length > 0)
    issues.push({ ...notConverted(bindings[0]!, '', 'No ClusterRbacConfig switches access control on, which Istio needed; the roles are enforced for the services they name.', 'apply a ClusterRbacConfig with mode: OFF to let everything in'), code: NOT_CONVERTED });
  return [...closed, ...grants];
}

/** What is closed until a role opens it. */
function closedPolicies(config: KubeObject, scope: RbacScope, { services, rootNamespace }: RbacInput): readonly ModernObject[] {
  const annotations = scope.dryRun ? { 'istio.io/dry-run': 'true' } : undefined;
  const closed = scope.namespaces.map((namespace) => modern(config, 'AuthorizationPolicy', namespace, 'rbac-closed', {}, annotations));
  const single = services.filter((service) => scope.services(service) && !scope.namespaces.includes(service.namespace) && service.namespace !== rootNamespace)
    .map((service) => modern(config, 'AuthorizationPolicy', service.namespace, `rbac-closed-${service.name}`, { selector: { matchLabels: service.selector } }, annotations));
  const open = services.filter((service) => !scope.services(service) && scope.namespaces.includes(service.namespace))
    .map((service) => modern(config, 'AuthorizationPolicy', service.namespace, `rbac-open-${service.name}`, { selector: { matchLabels: service.selector }, rules: [{}] }));
  return [...closed, ...single, ...open];
}

/** One policy for every service a bound role names, with a rule for each of its rules and subjects. */
function convertBinding(binding: KubeObject, roles: readonly KubeObject[], scope: RbacScope | undefined, input: RbacInput, issues: Issue[]): readonly ModernObject[] {
  const namespace = namespaceOf(binding);
  const spec = specOf(binding, issues);
  const wanted = spec.at('roleRef').at('name').string() || spec.at('role').string();
  const role = roles.find((one) => one.metadata.name === wanted && namespaceOf(one) === namespace);
  if (!role) {
    issues.push(notConverted(binding, 'spec.roleRef.name', `There is no ServiceRole ${namespace}/${wanted}; the binding grants nothing.`));
    return [];
  }
  const subjects = spec.at('subjects').items().flatMap((subject) => sourceOf(binding, subject, issues) ?? []);
  const grants = specOf(role, []).at('rules').items().flatMap((rule) => grantsOf(role, rule, namespace, issues));
  const dryRun = spec.at('mode').string() === 'PERMISSIVE' || scope?.dryRun === true;
  const made = targetsOf(grants, namespace, scope, input).flatMap(({ name, selector, rules }) => {
    const combined = rules.flatMap((grant) => subjects.map((subject): Json => {
      const when = [...subject.when, ...grant.when];
      return { ...(subject.from && { from: [{ source: subject.from }] }), ...(grant.operation && { to: [{ operation: grant.operation }] }), ...(when.length > 0 && { when }) };
    }));
    const spec = { ...(selector && { selector: { matchLabels: selector } }), action: 'ALLOW', rules: combined };
    return [modern(binding, 'AuthorizationPolicy', namespace, `${binding.metadata.name}${name}`, spec, dryRun ? { 'istio.io/dry-run': 'true' } : undefined)];
  });
  if (made.length === 0) issues.push(notConverted(role, 'spec.rules', `No rule of ServiceRole ${namespace}/${wanted} names a service of its namespace that selects pods; it grants nothing.`));
  issues.push(convertedIssue(binding, '1.6', made));
  return made;
}

interface Target {
  readonly name: string;
  readonly selector: Readonly<Record<string, string>> | undefined;
  readonly rules: readonly Grant[];
}

/** The workloads that rules speak of. Rules for all services of a namespace need no selector, unless labels narrow them. */
function targetsOf(grants: readonly Grant[], namespace: string, scope: RbacScope | undefined, { services }: RbacInput): readonly Target[] {
  const targets = new Map<string, { name: string; selector: Readonly<Record<string, string>> | undefined; rules: Grant[] }>();
  const add = (name: string, selector: Readonly<Record<string, string>> | undefined, grant: Grant) => {
    const key = JSON.stringify(selector ?? null);
    const target = targets.get(key) ?? { name, selector, rules: [] };
    target.rules.push(grant);
    targets.set(key, target);
  };
  const governed = services.filter((service) => service.namespace === namespace && (!scope || scope.services(service) || scope.namespaces.includes(namespace)));
  // A policy of the whole namespace would close what the config left open.
  const whole = !scope || scope.namespaces.includes(namespace);
  for (const grant of grants) {
    if (whole && grant.services.some((pattern) => pattern === '*')) add(suffixOf(grant.labels), Object.keys(grant.labels).length > 0 ? grant.labels : undefined, grant);
    else for (const service of governed) if (grant.services.some((pattern) => namesService(pattern, service))) add(`-${service.name}${suffixOf(grant.labels)}`, { ...service.selector, ...grant.labels }, grant);
  }
  return [...targets.values()];
}

function suffixOf(labels: Readonly<Record<string, string>>): string {
  return Object.values(labels).map((value) => `-${value.toLowerCase().replace(/[^a-z0-9.]/g, '-')}`).join('');
}

function specOf(object: KubeObject, issues: Issue[]): Cursor {
  return new Cursor((object as { readonly spec?: unknown }).spec ?? {}, 'spec', (path, message) => issues.push(notConverted(object, path, `${path}: ${message}.`)));
}

/** A role is shown in its bindings; one that nobody binds would otherwise go unsaid. */
function reportRoles(roles: readonly KubeObject[], bindings: readonly KubeObject[], issues: Issue[]): void {
  for (const role of roles) {
    const users = bindings.filter((binding) => namespaceOf(binding) === namespaceOf(role) && covers(role.metadata.name, specOf(binding, []).at('roleRef').at('name').string() || specOf(binding, []).at('role').string()));
    const names = users.map(({ metadata }) => metadata.name).join(', ');
    issues.push(notConverted(role, '', users.length === 0
      ? `${role.apiVersion} ServiceRole is gone from Istio since 1.6, and no ServiceRoleBinding uses this one: it grants nothing.`
      : `${role.apiVersion} ServiceRole is gone from Istio since 1.6; it is read as part of the AuthorizationPolicies of ${users.length === 1 ? 'ServiceRoleBinding' : 'the ServiceRoleBindings'} ${names}.`));
  }
}
