import type { KubeObject } from '../../../objects/meta.ts';
import type { Resource } from '../api/resources.ts';
import type { Decision } from '../auth/rbac/authorizer.ts';
import type { TokenAuthority } from '../auth/tokens.ts';
import type { UserInfo } from '../auth/user.ts';
import { at, isObject, listAt, own, textAt } from '../json.ts';
import { badRequest, invalid, methodNotAllowed, required } from '../status.ts';
import type { Environment } from './context.ts';
import { reviewToken } from './token.ts';

/** Answers a review of any kind. `namespace` is the one of the request's path. @throws ApiError 400, 422 */
export function answerReview(env: Environment, tokens: TokenAuthority, resource: Resource, body: unknown, user: UserInfo, namespace?: string): KubeObject {
  const answer = (spec: unknown, status: unknown): KubeObject =>
    ({ kind: resource.kind, apiVersion: resource.apiVersion, metadata: { creationTimestamp: null }, ...(spec === undefined ? {} : { spec }), status }) as unknown as KubeObject;
  const spec = own(body, 'spec') ?? {};
  switch (resource.kind) {
    case 'TokenReview': return reviewToken(env, tokens, body);
    case 'SelfSubjectReview': return answer(undefined, { userInfo: user });
    case 'SelfSubjectAccessReview': return answer(spec, accessOf(env, resource, spec, user));
    case 'SubjectAccessReview': return answer(spec, accessOf(env, resource, spec, userOf(resource, spec)));
    case 'LocalSubjectAccessReview':
      if (textAt(spec, 'resourceAttributes', 'namespace') !== namespace) throw badRequest('spec.resourceAttributes.namespace must match metadata.namespace');
      return answer(spec, accessOf(env, resource, spec, userOf(resource, spec)));
    case 'SelfSubjectRulesReview': return answer(spec, rulesOf(env, user, textAt(spec, 'namespace')));
    default: throw methodNotAllowed();
  }
}

function userOf(resource: Resource, spec: unknown): UserInfo {
  const user: UserInfo = { username: textAt(spec, 'user'), groups: listAt(spec, 'groups').filter((one) => typeof one === 'string') };
  if (user.username === '' && user.groups.length === 0) throw invalid(resource, '', [required('spec.user', 'at least one of user or group must be specified')]);
  return user;
}

function accessOf({ authorizer }: Environment, resource: Resource, spec: unknown, user: UserInfo): Record<string, unknown> {
  const attributes = own(spec, 'resourceAttributes');
  const path = own(spec, 'nonResourceAttributes');
  if (isObject(attributes) === isObject(path)) throw invalid(resource, '', [required('spec.resourceAttributes', 'exactly one of nonResourceAttributes or resourceAttributes must be specified')]);
  const text = (field: string): string => textAt(attributes ?? path, field);
  const decision: Decision = isObject(path)
    ? authorizer.path(user, { verb: text('verb'), path: text('path') })
    : authorizer.resource(user, { verb: text('verb'), group: text('group'), resource: text('resource'), subresource: text('subresource'), name: text('name'), namespace: text('namespace') || undefined });
  return { allowed: decision.allowed, ...(decision.reason ? { reason: decision.reason } : {}) };
}

function rulesOf({ authorizer }: Environment, user: UserInfo, namespace: string): Record<string, unknown> {
  if (namespace === '') throw badRequest('no namespace on request');
  const rules = authorizer.rulesOf(user, namespace);
  return {
    resourceRules: rules.filter((rule) => at(rule, 'resources') !== undefined).map(({ verbs, apiGroups, resources, resourceNames }) => ({ verbs, apiGroups, resources, ...(resourceNames ? { resourceNames } : {}) })),
    nonResourceRules: rules.filter((rule) => at(rule, 'nonResourceURLs') !== undefined).map(({ verbs, nonResourceURLs }) => ({ verbs, nonResourceURLs })),
    incomplete: false,
  };
}
