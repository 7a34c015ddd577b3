import type { KubeObject, LabelSelector } from '../meta.ts';
import { CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING } from '../resource-types.ts';
import { defineKind } from '../schema/define-kind.ts';
import { list, obj, req, str, strDefault, type Infer } from '../schema/dsl.ts';
import { labelSelector } from './meta-schema.ts';

const texts = list(str(), { atomic: true });
const rules = list(obj({ verbs: req(texts), apiGroups: texts, resources: texts, resourceNames: texts, nonResourceURLs: texts }), { atomic: true });
const subjects = list(obj({ kind: req(str()), apiGroup: str(), name: req(str()), namespace: str() }, { 'x-kubernetes-map-type': 'atomic' }), { atomic: true });
const roleRef = obj({ apiGroup: strDefault('rbac.authorization.k8s.io'), kind: req(str()), name: req(str()) }, { 'x-kubernetes-map-type': 'atomic' });
const aggregationRule = obj({ clusterRoleSelectors: list(labelSelector, { atomic: true }) });

/** What is allowed: verbs on resources, or on paths that are no resources. `*` is everything. */
export type PolicyRule = Infer<typeof rules>[number];
/** Who is allowed. */
export type RbacSubject = Infer<typeof subjects>[number];

/** Rules of one namespace. @see https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/role-v1/ */
export interface Role extends KubeObject {
  readonly rules?: readonly PolicyRule[];
}
/** Rules of the whole cluster. With an aggregation rule they are those of all chosen roles. */
export interface ClusterRole extends Role {
  readonly aggregationRule?: { readonly clusterRoleSelectors?: readonly LabelSelector[] };
}
/** Gives a role to subjects, in its namespace (RoleBinding) or everywhere (ClusterRoleBinding). */
export interface RoleBinding extends KubeObject {
  readonly subjects?: readonly RbacSubject[];
  readonly roleRef: { readonly apiGroup?: string; readonly kind: string; readonly name: string };
}

export const ROLE_KIND = defineKind(ROLE, { fields: { rules } });
export const CLUSTER_ROLE_KIND = defineKind(CLUSTER_ROLE, { fields: { rules, aggregationRule } });

const bindingFields = { subjects, roleRef };
export const ROLE_BINDING_KIND = defineKind(ROLE_BINDING, { fields: bindingFields, required: ['roleRef'] });
export const CLUSTER_ROLE_BINDING_KIND = defineKind(CLUSTER_ROLE_BINDING, { fields: bindingFields, required: ['roleRef'] });
