/** Istio's roles before 1.4: still read, as the AuthorizationPolicies they mean. */
import type { SpecObject } from '../../meta.ts';
import { CLUSTER_RBAC_CONFIG, RBAC_CONFIG, SERVICE_ROLE, SERVICE_ROLE_BINDING } from '../../resource-types.ts';
import { AGE, defineKind } from '../../schema/define-kind.ts';
import { list, map, obj, oneOf, req, str, type Infer } from '../../schema/dsl.ts';

const strings = list(str());

const roleSpec = obj({
  rules: req(list(obj({
    /** Names of services, `products`, `products.default.svc.cluster.local`, with `*` at the start or the end; `*` is all of the namespace. */
    services: req(strings),
    hosts: strings,
    notHosts: strings,
    paths: strings,
    notPaths: strings,
    methods: strings,
    notMethods: strings,
    ports: list({ 'x-kubernetes-int-or-string': true } as ReturnType<typeof str>),
    notPorts: list({ 'x-kubernetes-int-or-string': true } as ReturnType<typeof str>),
    constraints: list(obj({ key: req(str()), values: strings })),
  }))),
});
/** @see https://archive.istio.io/v1.4/docs/reference/config/security/istio.rbac.v1alpha1/#ServiceRole */
export type ServiceRole = SpecObject<Infer<typeof roleSpec>>;

const bindingSpec = obj({
  subjects: req(list(obj({
    /** A principal, or `*` for everybody, authenticated or not. */
    user: str(),
    group: str(),
    properties: map(str()),
    names: strings,
    notNames: strings,
    groups: strings,
    notGroups: strings,
    namespaces: strings,
    notNamespaces: strings,
    ips: strings,
    notIps: strings,
  }))),
  roleRef: obj({ kind: str(), name: req(str()) }),
  /** Name of the role, a later spelling of roleRef. */
  role: str(),
  /** PERMISSIVE only logs what it would do. */
  mode: oneOf('ENFORCED', 'PERMISSIVE'),
});
/** @see https://archive.istio.io/v1.4/docs/reference/config/security/istio.rbac.v1alpha1/#ServiceRoleBinding */
export type ServiceRoleBinding = SpecObject<Infer<typeof bindingSpec>>;

const target = obj({ services: strings, namespaces: strings });
const configSpec = obj({ mode: oneOf('OFF', 'ON', 'ON_WITH_INCLUSION', 'ON_WITH_EXCLUSION'), inclusion: target, exclusion: target, enforcementMode: oneOf('ENFORCED', 'PERMISSIVE') });
/** @see https://archive.istio.io/v1.4/docs/reference/config/security/istio.rbac.v1alpha1/#RbacConfig */
export type RbacConfig = SpecObject<Infer<typeof configSpec>>;

const facts = { custom: true, categories: ['istio-io', 'rbac-istio-io'], columns: [AGE] };

export const SERVICE_ROLE_KIND = defineKind(SERVICE_ROLE, { ...facts, fields: { spec: roleSpec } });
export const SERVICE_ROLE_BINDING_KIND = defineKind(SERVICE_ROLE_BINDING, { ...facts, fields: { spec: bindingSpec } });
/** Before 1.1, in any namespace. */
export const RBAC_CONFIG_KIND = defineKind(RBAC_CONFIG, { ...facts, fields: { spec: configSpec } });
/** From 1.1, one for the cluster. */
export const CLUSTER_RBAC_CONFIG_KIND = defineKind(CLUSTER_RBAC_CONFIG, { ...facts, fields: { spec: configSpec } });
