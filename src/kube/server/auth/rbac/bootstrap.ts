import type { ClusterRole, PolicyRule } from '../../../../objects/kubernetes/rbac.ts';
import { CLUSTER_ROLE, CLUSTER_ROLE_BINDING } from '../../../../objects/resource-types.ts';
import type { KubeClient } from '../../../client/client.ts';
import { storagePrefix } from '../../api/storage-key.ts';
import { equal } from '../../json.ts';
import { matcherOf } from '../../selectors.ts';
import type { Store } from '../../store/store.ts';
import { DEFAULT_CLUSTER_ROLE_BINDINGS, DEFAULT_CLUSTER_ROLES } from './default-roles.ts';
import { missingRules } from './rules.ts';

const AUTOUPDATE = 'rbac.authorization.kubernetes.io/autoupdate';

/** Creates the default roles and bindings that are missing, and puts back rules that were taken from a default role, unless its annotation `autoupdate` is `false`. */
export async function ensureDefaultRoles(client: KubeClient): Promise<void> {
  await Promise.all(DEFAULT_CLUSTER_ROLES.map(async (wanted) => {
    const stored = await client.get<ClusterRole>(CLUSTER_ROLE, wanted.metadata.name);
    if (!stored) return void (await client.create(CLUSTER_ROLE, wanted));
    if (stored.metadata.annotations?.[AUTOUPDATE] === 'false' || wanted.aggregationRule) return;
    const missing = missingRules(stored.rules ?? [], wanted.rules ?? []);
    if (missing.length > 0) await client.update(CLUSTER_ROLE, { ...stored, rules: [...(stored.rules ?? []), ...missing] });
  }));
  await Promise.all(DEFAULT_CLUSTER_ROLE_BINDINGS.map(async (wanted) => {
    if (!(await client.get(CLUSTER_ROLE_BINDING, wanted.metadata.name))) await client.create(CLUSTER_ROLE_BINDING, wanted);
  }));
  await aggregateRoles(client);
}

/** Gives every role with an aggregation rule the rules of the roles it chooses. A role that feeds another one that feeds a third takes another round. */
async function aggregateRoles(client: KubeClient): Promise<void> {
  const { items } = await client.list<ClusterRole>(CLUSTER_ROLE);
  for (const role of items) {
    if (!role.aggregationRule) continue;
    const rules = aggregatedRules(role, items);
    if (!equal(rules, role.rules ?? [])) await client.mergePatch(CLUSTER_ROLE, role.metadata.name, undefined, { rules });
  }
}

/** The rules a role gets by aggregation, in the order of the roles' names, each once. */
export function aggregatedRules(role: ClusterRole, all: readonly ClusterRole[]): readonly PolicyRule[] {
  const selectors = (role.aggregationRule?.clusterRoleSelectors ?? []).map((selector) => matcherOf(selector));
  const sources = all.filter((one) => one.metadata.name !== role.metadata.name && selectors.some((matches) => matches(one.metadata.labels)));
  const rules: PolicyRule[] = [];
  for (const source of [...sources].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))) for (const rule of source.rules ?? []) if (!rules.some((one) => equal(one, rule))) rules.push(rule);
  return rules;
}

/** Aggregates again whenever a role changes, until the returned function is called. */
export function keepAggregated(store: Store, client: KubeClient, onError: (error: unknown) => void): () => void {
  let running: Promise<void> | undefined;
  let again = false;
  const run = (): void => {
    if (running) {
      again = true;
      return;
    }
    running = aggregateRoles(client).catch(onError).finally(() => {
      running = undefined;
      if (again) {
        again = false;
        run();
      }
    });
  };
  return store.watch(storagePrefix(CLUSTER_ROLE), store.revision(), run);
}
