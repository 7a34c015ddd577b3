import type { UserInfo } from '../user.ts';
import type { Decision } from './authorizer.ts';
import type { ResourceAccess } from './rules.ts';

/** Why a request is forbidden, in the API server's words. */
export function forbiddenText({ username }: UserInfo, { verb, group, resource, subresource, namespace }: ResourceAccess, { reason }: Decision): string {
  const what = subresource === '' ? resource : `${resource}/${subresource}`;
  const where = namespace === undefined ? 'at the cluster scope' : `in the namespace "${namespace}"`;
  return `User "${username}" cannot ${verb} resource "${what}" in API group "${group}" ${where}${reason && `: ${reason}`}`;
}
