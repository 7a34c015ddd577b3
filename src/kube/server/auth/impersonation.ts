/** Acting as somebody else (`kubectl --as`), for those who may. @see https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation */
import type { IncomingMessage } from 'node:http';
import { forbidden, internal, type GroupResource } from '../status.ts';
import type { Authorizer } from './rbac/authorizer.ts';
import { forbiddenText } from './rbac/forbidden.ts';
import type { ResourceAccess } from './rbac/rules.ts';
import type { UserInfo } from './user.ts';

const EXTRA = 'impersonate-extra-';
const ACCOUNT = /^system:serviceaccount:([^:]+):([^:]+)$/;

/** The user a request acts as: the caller, or whom its headers name. @throws ApiError 403 when the caller may not, 500 for headers without a user */
export function impersonate(request: IncomingMessage, caller: UserInfo, authorizer: Authorizer): UserInfo {
  const headers = request.headersDistinct;
  const username = headers['impersonate-user']?.[0];
  const groups = headers['impersonate-group'] ?? [];
  const uid = headers['impersonate-uid']?.[0];
  const extras = Object.entries(headers).filter(([name]) => name.startsWith(EXTRA)).map(([name, values]) => [decodeKey(name.slice(EXTRA.length)), values ?? []] as const);
  if (!username) {
    if (groups.length > 0 || uid || extras.length > 0) throw internal('requested impersonation of groups, uid or extra without impersonating a user');
    return caller;
  }
  const check = (resource: GroupResource, name: string, namespace?: string, subresource = ''): void => {
    const access: ResourceAccess = { verb: 'impersonate', group: resource.group, resource: resource.plural, subresource, name, namespace };
    const decision = authorizer.resource(caller, access);
    if (!decision.allowed) throw forbidden(resource, name, forbiddenText(caller, access, decision));
  };
  const account = ACCOUNT.exec(username);
  if (account) check({ group: '', plural: 'serviceaccounts' }, account[2]!, account[1]);
  else check({ group: '', plural: 'users' }, username);
  for (const group of groups) check({ group: '', plural: 'groups' }, group);
  if (uid) check({ group: 'authentication.k8s.io', plural: 'uids' }, uid);
  for (const [key, values] of extras) for (const value of values) check({ group: 'authentication.k8s.io', plural: 'userextras' }, value, undefined, key);
  const implied = account && groups.length === 0 ? ['system:serviceaccounts', `system:serviceaccounts:${account[1]}`] : [];
  const own = [...groups, ...implied];
  const status = username === 'system:anonymous' ? 'system:unauthenticated' : 'system:authenticated';
  return {
    username,
    groups: own.includes(status) ? own : [...own, status],
    ...(uid ? { uid } : {}),
    ...(extras.length > 0 ? { extra: Object.fromEntries(extras.filter(([key]) => key !== '__proto__')) } : {}),
  };
}

function decodeKey(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
