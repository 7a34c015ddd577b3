import type { KubeObject } from '../../../objects/meta.ts';
import type { Resource } from '../api/resources.ts';
import type { TokenAuthority } from '../auth/tokens.ts';
import { mayDoEverything, type UserInfo } from '../auth/user.ts';
import { listAt, own, textAt } from '../json.ts';
import { methodNotAllowed } from '../status.ts';
import type { Environment } from './context.ts';
import { reviewToken } from './token.ts';

/** Answers a review of any kind. @throws ApiError 400 */
export function answerReview(env: Environment, tokens: TokenAuthority, resource: Resource, body: unknown, user: UserInfo): KubeObject {
  const answer = (spec: unknown, status: unknown): KubeObject => ({ kind: resource.kind, apiVersion: resource.apiVersion, metadata: { creationTimestamp: null }, ...(spec === undefined ? {} : { spec }), status }) as unknown as KubeObject;
  const spec = own(body, 'spec') ?? {};
  switch (resource.kind) {
    case 'TokenReview': return reviewToken(env, tokens, body);
    case 'SelfSubjectReview': return answer(undefined, { userInfo: user });
    case 'SelfSubjectAccessReview': return answer(spec, accessOf(user));
    case 'SubjectAccessReview': return answer(spec, accessOf({ username: textAt(spec, 'user'), groups: listAt(spec, 'groups').filter((one) => typeof one === 'string') }));
    default: throw methodNotAllowed();
  }
}

function accessOf(user: UserInfo): Record<string, unknown> {
  return mayDoEverything(user) ? { allowed: true, reason: 'RBAC rules are not enforced: administrators and service accounts may do everything' } : { allowed: false };
}
