/** Who may do what, out of the stored roles and bindings. */
import type { ClusterRole, PolicyRule, RbacSubject, Role, RoleBinding } from '../../../../objects/kubernetes/rbac.ts';
import { storageKey, storagePrefix } from '../../api/storage-key.ts';
import { equal } from '../../json.ts';
import type { Store } from '../../store/store.ts';
import type { UserInfo } from '../user.ts';
import { allowsPath, allowsResource, type PathAccess, type ResourceAccess } from './rules.ts';

export const RBAC_GROUP = 'rbac.authorization.k8s.io';
/** Members may do everything, whatever the stored rules say, so that nobody can lock the last administrator out. */
const MASTERS = 'system:masters';

const EVERYTHING: readonly PolicyRule[] = [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }, { verbs: ['*'], nonResourceURLs: ['*'] }];

/** The answer to "may they": with the reason when they may, with broken bindings when they may not. */
export interface Decision {
  readonly allowed: boolean;
  readonly reason: string;
}

export interface Authorizer {
  resource(user: UserInfo, access: ResourceAccess): Decision;
  path(user: UserInfo, access: PathAccess): Decision;
  /** All rules that hold for a user in a namespace, or in the whole cluster. */
  rulesOf(user: UserInfo, namespace: string | undefined): readonly PolicyRule[];
  /** The rules of a role by reference; undefined when there is no such role. */
  rulesOfRole(kind: string, name: string, namespace: string | undefined): readonly PolicyRule[] | undefined;
  close(): void;
}

/** The names a subject goes by in {@link namesOf}. */
function subjectName(subject: RbacSubject, bindingNamespace: string | undefined): string {
  if (subject.kind === 'ServiceAccount') return `User system:serviceaccount:${subject.namespace ?? bindingNamespace ?? ''}:${subject.name}`;
  return `${subject.kind} ${subject.name}`;
}

const namesOf = (user: UserInfo): string[] => [`User ${user.username}`, ...user.groups.map((group) => `Group ${group}`)];

/** Bindings by subject. Cluster bindings under '', others under their namespace. */
type Index = ReadonlyMap<string, ReadonlyMap<string, readonly RoleBinding[]>>;

function buildIndex(bindings: Iterable<RoleBinding>): Index {
  const index = new Map<string, Map<string, RoleBinding[]>>();
  for (const binding of bindings) {
    const { namespace } = binding.metadata;
    for (const subject of binding.subjects ?? []) {
      const name = subjectName(subject, namespace);
      const byNamespace = index.get(name) ?? new Map<string, RoleBinding[]>();
      index.set(name, byNamespace);
      byNamespace.set(namespace ?? '', [...(byNamespace.get(namespace ?? '') ?? []), binding]);
    }
  }
  return index;
}

/** Reads the store when asked; bindings are indexed anew after they changed. */
export function createAuthorizer(store: Store): Authorizer {
  let index: Index | undefined;
  const prefixes = ['rolebindings', 'clusterrolebindings'].map((plural) => storagePrefix({ group: RBAC_GROUP, plural }));
  const stops = prefixes.map((prefix) => store.watch(prefix, store.revision(), () => void (index = undefined)));
  const current = (): Index => (index ??= buildIndex(prefixes.flatMap((prefix) => store.list(prefix).map((entry) => entry.object as RoleBinding))));

  const rulesOfRole = (kind: string, name: string, namespace: string | undefined): readonly PolicyRule[] | undefined => {
    const key = kind === 'ClusterRole' ? storageKey({ group: RBAC_GROUP, plural: 'clusterroles' }, name) : storageKey({ group: RBAC_GROUP, plural: 'roles' }, name, namespace);
    const role = store.get(key)?.object as Role | ClusterRole | undefined;
    return role && (role.rules ?? []);
  };
  function* bindingsOf(user: UserInfo, namespace: string | undefined): Generator<readonly [RoleBinding, string]> {
    for (const name of namesOf(user)) {
      const byNamespace = current().get(name);
      for (const binding of byNamespace?.get('') ?? []) yield [binding, name];
      if (namespace !== undefined) for (const binding of byNamespace?.get(namespace) ?? []) yield [binding, name];
    }
  }
  const decide = (user: UserInfo, namespace: string | undefined, allows: (rule: PolicyRule) => boolean): Decision => {
    if (user.groups.includes(MASTERS)) return { allowed: true, reason: '' };
    const broken: string[] = [];
    for (const [binding, subject] of bindingsOf(user, namespace)) {
      const { kind, name } = binding.roleRef;
      const rules = rulesOfRole(kind, name, binding.metadata.namespace);
      if (!rules) broken.push(`${kind.toLowerCase()}.${RBAC_GROUP} "${name}" not found`);
      if (rules?.some(allows)) return { allowed: true, reason: allowReason(binding, subject) };
    }
    return { allowed: false, reason: broken.length === 0 ? '' : `RBAC: ${broken.length === 1 ? broken[0]! : `[${broken.join(', ')}]`}` };
  };
  return {
    resource: (user, access) => decide(user, access.namespace, (rule) => allowsResource(rule, access)),
    path: (user, access) => decide(user, undefined, (rule) => allowsPath(rule, access)),
    rulesOf(user, namespace) {
      const bound = [...bindingsOf(user, namespace)].flatMap(([binding]) => rulesOfRole(binding.roleRef.kind, binding.roleRef.name, binding.metadata.namespace) ?? []);
      return user.groups.includes(MASTERS) ? [...EVERYTHING.filter((rule) => !bound.some((one) => equal(one, rule))), ...bound] : bound;
    },
    rulesOfRole,
    close: () => stops.forEach((stop) => stop()),
  };
}

function allowReason(binding: RoleBinding, subject: string): string {
  const { name, namespace } = binding.metadata;
  const [kind, who = ''] = subject.split(' ', 2);
  const account = /^system:serviceaccount:([^:]*):(.*)$/.exec(who);
  const whom = account ? `ServiceAccount "${account[2]}/${account[1]}"` : `${kind} "${who}"`;
  const where = namespace === undefined ? `ClusterRoleBinding "${name}"` : `RoleBinding "${name}/${namespace}"`;
  return `RBAC: allowed by ${where} of ${binding.roleRef.kind} "${binding.roleRef.name}" to ${whom}`;
}
