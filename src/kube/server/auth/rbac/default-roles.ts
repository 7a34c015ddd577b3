/** The roles and bindings every cluster starts with. @see https://kubernetes.io/docs/reference/access-authn-authz/rbac/#default-roles-and-role-bindings */
import type { ClusterRole, PolicyRule, RoleBinding } from '../../../../objects/kubernetes/rbac.ts';
import { RBAC_GROUP } from './authorizer.ts';

const READ = ['get', 'list', 'watch'];
const WRITE = ['create', 'delete', 'deletecollection', 'patch', 'update'];

const rule = (verbs: readonly string[], group: string, ...resources: readonly string[]): PolicyRule => ({ verbs, apiGroups: [group], resources });
const paths = (...nonResourceURLs: readonly string[]): PolicyRule => ({ verbs: ['get'], nonResourceURLs });

const BOOTSTRAP = { labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults' }, annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'true' } };

function role(name: string, rules: readonly PolicyRule[], labels: Readonly<Record<string, string>> = {}): ClusterRole {
  return { apiVersion: `${RBAC_GROUP}/v1`, kind: 'ClusterRole', metadata: { name, labels: { ...BOOTSTRAP.labels, ...labels }, annotations: BOOTSTRAP.annotations }, rules };
}

const aggregateTo = (name: string): string => `rbac.authorization.k8s.io/aggregate-to-${name}`;

function aggregated(name: string, labels: Readonly<Record<string, string>> = {}): ClusterRole {
  return { ...role(name, [], labels), aggregationRule: { clusterRoleSelectors: [{ matchLabels: { [aggregateTo(name)]: 'true' } }] } };
}

/** What people who work in a namespace deal with, by group. */
const NAMESPACED: Readonly<Record<string, readonly string[]>> = {
  '': ['configmaps', 'endpoints', 'persistentvolumeclaims', 'pods', 'replicationcontrollers', 'replicationcontrollers/scale', 'serviceaccounts', 'services'],
  apps: ['daemonsets', 'deployments', 'deployments/scale', 'replicasets', 'replicasets/scale', 'statefulsets', 'statefulsets/scale'],
  autoscaling: ['horizontalpodautoscalers'],
  batch: ['cronjobs', 'jobs'],
  policy: ['poddisruptionbudgets'],
  'networking.k8s.io': ['ingresses', 'networkpolicies'],
};
/** What of it has a status to look at. */
const STATUSES: Readonly<Record<string, readonly string[]>> = {
  '': ['persistentvolumeclaims/status', 'pods/log', 'pods/status', 'replicationcontrollers/status', 'services/status', 'bindings', 'events', 'limitranges', 'namespaces', 'namespaces/status', 'resourcequotas', 'resourcequotas/status'],
  apps: ['controllerrevisions', 'daemonsets/status', 'deployments/status', 'replicasets/status', 'statefulsets/status'],
  autoscaling: ['horizontalpodautoscalers/status'],
  batch: ['cronjobs/status', 'jobs/status'],
  policy: ['poddisruptionbudgets/status'],
  'networking.k8s.io': ['ingresses/status'],
  'discovery.k8s.io': ['endpointslices'],
};
const each = (verbs: readonly string[], table: Readonly<Record<string, readonly string[]>>): PolicyRule[] => Object.entries(table).map(([group, resources]) => rule(verbs, group, ...resources));

const VIEW_RULES = [...each(READ, NAMESPACED), ...each(READ, STATUSES)];
const EDIT_RULES = [
  rule(READ, '', 'pods/attach', 'pods/exec', 'pods/portforward', 'pods/proxy', 'secrets', 'services/proxy'),
  rule(['impersonate'], '', 'serviceaccounts'),
  rule(WRITE, '', 'pods', 'pods/attach', 'pods/exec', 'pods/portforward', 'pods/proxy', 'configmaps', 'events', 'persistentvolumeclaims', 'replicationcontrollers', 'replicationcontrollers/scale', 'secrets', 'serviceaccounts', 'services', 'services/proxy'),
  rule(['create'], '', 'pods/eviction', 'serviceaccounts/token'),
  rule(WRITE, 'apps', ...NAMESPACED['apps']!, 'deployments/rollback'),
  ...['autoscaling', 'batch', 'policy', 'networking.k8s.io'].map((group) => rule(WRITE, group, ...NAMESPACED[group]!)),
  rule([...READ, ...WRITE], 'coordination.k8s.io', 'leases'),
];
const ADMIN_RULES = [rule(['create'], 'authorization.k8s.io', 'localsubjectaccessreviews'), rule([...READ, ...WRITE], RBAC_GROUP, 'rolebindings', 'roles')];

/** Cluster roles, aggregated ones without the rules they get. */
export const DEFAULT_CLUSTER_ROLES: readonly ClusterRole[] = [
  role('cluster-admin', [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }, { verbs: ['*'], nonResourceURLs: ['*'] }]),
  aggregated('admin'),
  aggregated('edit', { [aggregateTo('admin')]: 'true' }),
  aggregated('view', { [aggregateTo('edit')]: 'true' }),
  role('system:aggregate-to-admin', ADMIN_RULES, { [aggregateTo('admin')]: 'true' }),
  role('system:aggregate-to-edit', EDIT_RULES, { [aggregateTo('edit')]: 'true' }),
  role('system:aggregate-to-view', VIEW_RULES, { [aggregateTo('view')]: 'true' }),
  role('system:discovery', [paths('/api', '/api/*', '/apis', '/apis/*', '/healthz', '/livez', '/openapi', '/openapi/*', '/readyz', '/version', '/version/')]),
  role('system:public-info-viewer', [paths('/healthz', '/livez', '/readyz', '/version', '/version/')]),
  role('system:monitoring', [paths('/healthz', '/healthz/*', '/livez', '/livez/*', '/metrics', '/metrics/slis', '/readyz', '/readyz/*')]),
  role('system:service-account-issuer-discovery', [paths('/.well-known/openid-configuration', '/.well-known/openid-configuration/', '/openid/v1/jwks', '/openid/v1/jwks/')]),
  role('system:basic-user', [rule(['create'], 'authorization.k8s.io', 'selfsubjectaccessreviews', 'selfsubjectrulesreviews'), rule(['create'], 'authentication.k8s.io', 'selfsubjectreviews')]),
  role('system:auth-delegator', [rule(['create'], 'authentication.k8s.io', 'tokenreviews'), rule(['create'], 'authorization.k8s.io', 'subjectaccessreviews')]),
];

function binding(name: string, ...groups: readonly string[]): RoleBinding {
  return {
    apiVersion: `${RBAC_GROUP}/v1`, kind: 'ClusterRoleBinding', metadata: { name, ...BOOTSTRAP },
    roleRef: { apiGroup: RBAC_GROUP, kind: 'ClusterRole', name }, subjects: groups.map((group) => ({ apiGroup: RBAC_GROUP, kind: 'Group', name: group })),
  };
}

export const DEFAULT_CLUSTER_ROLE_BINDINGS: readonly RoleBinding[] = [
  binding('cluster-admin', 'system:masters'),
  binding('system:discovery', 'system:authenticated'),
  binding('system:basic-user', 'system:authenticated'),
  binding('system:public-info-viewer', 'system:authenticated', 'system:unauthenticated'),
  binding('system:monitoring', 'system:monitoring'),
  binding('system:service-account-issuer-discovery', 'system:serviceaccounts'),
];
