import { isAuthority } from './h1-syntax.ts';

/**
 * Splits a request target into path and authority; undefined when it is no valid target for the method. An absolute target's authority wins over Host.
 * @see RFC 9112 section 3.2
 */
export function splitTarget(method: string, target: string, host: string): { readonly path: string; readonly authority: string } | undefined {
  if (!isAuthority(host)) return undefined;
  if (target.charCodeAt(0) === 47) return { path: target, authority: host };
  if (method === 'CONNECT') return isAuthority(target) ? { path: '', authority: target } : undefined;
  if (target === '*') return method === 'OPTIONS' ? { path: '*', authority: host } : undefined;
  const match = /^https?:\/\/([^/?#]+)(.*)$/i.exec(target);
  if (match === null) return undefined;
  const authority = match[1]!;
  if (!isAuthority(authority)) return undefined;
  const rest = match[2]!;
  return { path: rest === '' ? '/' : rest.startsWith('/') ? rest : `/${rest}`, authority };
}
