/**
 * Splits a request target into path and authority; undefined when it is no valid target for the method. An absolute target's authority wins over Host.
 * @see RFC 9112 section 3.2
 */
export function splitTarget(method: string, target: string, host: string): { readonly path: string; readonly authority: string } | undefined {
  if (target.charCodeAt(0) === 47) return { path: target, authority: host };
  if (method === 'CONNECT') return target.includes('/') ? undefined : { path: '', authority: target };
  if (target === '*') return method === 'OPTIONS' ? { path: '*', authority: host } : undefined;
  const match = /^https?:\/\/([^/?#]+)(.*)$/i.exec(target);
  if (match === null) return undefined;
  const authority = match[1]!;
  // User information in a target is never sent by honest clients.
  if (authority.includes('@')) return undefined;
  const rest = match[2]!;
  return { path: rest === '' ? '/' : rest.startsWith('/') ? rest : `/${rest}`, authority };
}
