/** Kinds that answer a question and store nothing, besides TokenReview: who am I, may I. */
import type { KindInfo } from '../../../objects/kind.ts';
import { defineKind } from '../../../objects/schema/define-kind.ts';
import { anyObject, bool, list, obj, str } from '../../../objects/schema/dsl.ts';

const resourceAttributes = obj({ namespace: str(), verb: str(), group: str(), version: str(), resource: str(), subresource: str(), name: str(), fieldSelector: anyObject(), labelSelector: anyObject() });
const nonResourceAttributes = obj({ path: str(), verb: str() });
const status = obj({ allowed: bool(), denied: bool(), reason: str(), evaluationError: str() });
const groups = list(str(), { atomic: true });

/** @see https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/ */
export const REVIEW_KINDS: readonly KindInfo[] = [
  defineKind({ group: 'authorization.k8s.io', version: 'v1', kind: 'SelfSubjectAccessReview', plural: 'selfsubjectaccessreviews', namespaced: false }, { fields: { spec: obj({ resourceAttributes, nonResourceAttributes }), status } }),
  defineKind({ group: 'authorization.k8s.io', version: 'v1', kind: 'SubjectAccessReview', plural: 'subjectaccessreviews', namespaced: false }, { fields: { spec: obj({ resourceAttributes, nonResourceAttributes, user: str(), groups, uid: str(), extra: anyObject() }), status } }),
  defineKind({ group: 'authorization.k8s.io', version: 'v1', kind: 'LocalSubjectAccessReview', plural: 'localsubjectaccessreviews', namespaced: true }, { fields: { spec: obj({ resourceAttributes, nonResourceAttributes, user: str(), groups, uid: str(), extra: anyObject() }), status } }),
  defineKind({ group: 'authorization.k8s.io', version: 'v1', kind: 'SelfSubjectRulesReview', plural: 'selfsubjectrulesreviews', namespaced: false }, { fields: { spec: obj({ namespace: str() }), status: anyObject() } }),
  defineKind({ group: 'authentication.k8s.io', version: 'v1', kind: 'SelfSubjectReview', plural: 'selfsubjectreviews', namespaced: false }, { fields: { status: obj({ userInfo: obj({ username: str(), uid: str(), groups, extra: anyObject() }) }) } }),
];
