/** What the mesh's own accounts may do: istiod reads the cluster and writes its certificates' traces, gateways read the secrets of their namespace. */
import type { PolicyRule } from '../objects/kubernetes/rbac.ts';
import type { KubeObject } from '../objects/meta.ts';

const API = 'rbac.authorization.k8s.io';
const READ = ['get', 'list', 'watch'];

const rule = (group: string, resources: readonly string[], verbs: readonly string[]): PolicyRule => ({ apiGroups: [group], resources, verbs });

/** Istio's groups, those it gave up, and SMI's: configuration, which istiod only reads. */
const CONFIG_GROUPS = ['networking.istio.io', 'security.istio.io', 'telemetry.istio.io', 'extensions.istio.io', 'authentication.istio.io', 'rbac.istio.io', 'split.smi-spec.io', 'specs.smi-spec.io', 'access.smi-spec.io'];

const GATEWAY_API_GROUPS = ['gateway.networking.k8s.io', 'gateway.networking.x-k8s.io'];
const DEPLOY = [...READ, 'create', 'update', 'patch', 'delete'];

const CLUSTER_RULES: readonly PolicyRule[] = [
  rule('', ['nodes', 'pods', 'services', 'namespaces', 'endpoints', 'secrets'], READ),
  // `istio-ca-root-cert` in every namespace.
  rule('', ['configmaps'], [...READ, 'create', 'update', 'patch']),
  rule('discovery.k8s.io', ['endpointslices'], READ),
  rule('networking.k8s.io', ['ingresses', 'ingressclasses'], READ),
  rule('networking.k8s.io', ['ingresses/status'], ['*']),
  rule('extensions', ['ingresses'], READ),
  rule('extensions', ['ingresses/status'], ['*']),
  { apiGroups: CONFIG_GROUPS, resources: ['*'], verbs: READ },
  { apiGroups: CONFIG_GROUPS, resources: ['*/status'], verbs: ['update', 'patch'] },
  rule('networking.istio.io', ['workloadentries'], [...READ, 'create', 'update', 'patch', 'delete']),
  { apiGroups: [...GATEWAY_API_GROUPS, 'multicluster.x-k8s.io'], resources: ['*'], verbs: READ },
  { apiGroups: GATEWAY_API_GROUPS, resources: ['*/status'], verbs: ['update', 'patch'] },
  rule('gateway.networking.k8s.io', ['gatewayclasses'], ['create', 'update', 'patch', 'delete']),
  rule('gateway.networking.k8s.io', ['gateways'], ['update', 'patch']),
  // What is deployed for Gateways of Gateway API.
  rule('apps', ['deployments'], DEPLOY),
  rule('', ['services', 'serviceaccounts'], DEPLOY),
  rule('autoscaling', ['horizontalpodautoscalers'], DEPLOY),
  rule('policy', ['poddisruptionbudgets'], DEPLOY),
  rule('apiextensions.k8s.io', ['customresourcedefinitions'], READ),
  // The CA bundle in the webhook configurations.
  rule('admissionregistration.k8s.io', ['mutatingwebhookconfigurations', 'validatingwebhookconfigurations'], [...READ, 'update', 'patch']),
  rule('authentication.k8s.io', ['tokenreviews'], ['create']),
  rule('authorization.k8s.io', ['subjectaccessreviews'], ['create']),
];

const NAMESPACE_RULES: readonly PolicyRule[] = [
  // The CA's key and certificate.
  rule('', ['secrets'], [...READ, 'create', 'update', 'patch', 'delete']),
  rule('', ['configmaps'], ['delete']),
  rule('coordination.k8s.io', ['leases'], ['get', 'create', 'update', 'patch']),
];

interface Account {
  readonly name: string;
  readonly namespace: string;
}

function grant(name: string, rules: readonly PolicyRule[], account: Account, where: 'cluster' | 'namespace', labels: Readonly<Record<string, string>>): readonly KubeObject[] {
  const kind = where === 'cluster' ? 'ClusterRole' : 'Role';
  const metadata = { name, labels, ...(where === 'namespace' && { namespace: account.namespace }) };
  return [
    { apiVersion: `${API}/v1`, kind, metadata, rules },
    { apiVersion: `${API}/v1`, kind: `${kind}Binding`, metadata, roleRef: { apiGroup: API, kind, name }, subjects: [{ kind: 'ServiceAccount', ...account }] },
  ] as unknown as readonly KubeObject[];
}

/** What a control plane needs that lets signers of Kubernetes sign: requests, and the right to approve them for these signers. */
function signerRules(signers: readonly string[]): readonly PolicyRule[] {
  if (signers.length === 0) return [];
  const group = 'certificates.k8s.io';
  return [
    rule(group, ['certificatesigningrequests'], ['create', 'get', 'list', 'watch', 'delete']),
    rule(group, ['certificatesigningrequests/approval'], ['update', 'patch']),
    { ...rule(group, ['signers'], ['approve']), resourceNames: signers },
  ];
}

/**
 * Roles and bindings of istiod's account. Cluster-wide names carry the namespace, as several control planes may share a cluster. `signers`: of Kubernetes,
 * by name or as `<domain>/*`, whose certificates istiod hands out.
 */
export function istiodRbac(namespace: string, signers: readonly string[] = []): readonly KubeObject[] {
  const account = { name: 'istiod', namespace };
  const labels = { app: 'istiod' };
  return [...grant(`istiod-clusterrole-${namespace}`, [...CLUSTER_RULES, ...signerRules(signers)], account, 'cluster', labels), ...grant('istiod', NAMESPACE_RULES, account, 'namespace', labels)];
}

/** The role of a gateway's account: secrets of its namespace. */
export function gatewayRbac(gateway: string, account: Account, labels: Readonly<Record<string, string>>): readonly KubeObject[] {
  return grant(`${gateway}-sds`, [rule('', ['secrets'], READ)], account, 'namespace', labels);
}
