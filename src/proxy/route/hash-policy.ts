/** Keys for consistent hashing. */
import { xxHash64 } from '../cluster/xxhash64.ts';
import { durationMs } from '../config/scalars.ts';
import type { RequestHead } from '../http/message.ts';
import type { RouteAction_HashPolicy as HashPolicy, RouteAction_HashPolicy_Cookie as Cookie } from '../../xds/gen/envoy/config/route/v3/route_components_pb.ts';
import { joined, parseQuery, requestHeaderSource } from './header-match.ts';
import { compileSubstitution } from './regex.ts';
import type { RouteAction } from './route-table.ts';

type Hasher = NonNullable<Extract<RouteAction, { kind: 'forward' }>['hash']>;
type Part = ReturnType<Hasher>;

/**
 * All policies contribute to the key, up to a terminal one that had something to say.
 * @see envoy.config.route.v3.RouteAction.HashPolicy
 */
export function compileHashPolicies(policies: readonly HashPolicy[]): Hasher | undefined {
  if (policies.length === 0) return undefined;
  const parts = policies.map((policy) => ({ read: compileHashPolicy(policy), terminal: policy.terminal }));
  return (head, sourceIp) => {
    let key: string | undefined;
    let setCookie: string | undefined;
    for (const { read, terminal } of parts) {
      const part = read(head, sourceIp);
      setCookie = part.setCookie ?? setCookie;
      if (part.key === undefined) continue;
      key = key === undefined ? part.key : `${key}\u0000${part.key}`;
      if (terminal) break;
    }
    return setCookie === undefined ? { key } : { key, setCookie };
  };
}

function compileHashPolicy(policy: HashPolicy): (head: RequestHead, sourceIp: string) => Part {
  const specifier = policy.policySpecifier;
  switch (specifier.case) {
    case 'header': {
      const name = specifier.value.headerName.toLowerCase();
      const rewrite = specifier.value.regexRewrite;
      const change = rewrite ? compileSubstitution(rewrite.pattern?.regex ?? '', rewrite.substitution) : (text: string) => text;
      return (head) => {
        const value = name.startsWith(':') || name === 'host' ? requestHeaderSource(head)(name)[0] : joined(head.headers, name);
        return { key: value === undefined ? undefined : change(value) };
      };
    }
    case 'cookie':
      return compileCookie(specifier.value);
    case 'connectionProperties':
      return (_, sourceIp) => ({ key: specifier.value.sourceIp && sourceIp ? sourceIp : undefined });
    case 'queryParameter':
      return (head) => ({ key: parseQuery(head.path).get(specifier.value.name) });
    default:
      throw new Error(`hash policy ${specifier.case ?? 'without a specifier'} is not supported`);
  }
}

/** A missing cookie with a ttl is made up and set: `ttl` 0 is a session cookie. Without ttl a missing cookie has no key. */
function compileCookie(cookie: Cookie): (head: RequestHead, sourceIp: string) => Part {
  const ttlMs = durationMs(cookie.ttl);
  const tail = [ttlMs ? `Max-Age=${Math.floor(ttlMs / 1000)}` : '', cookie.path && `Path=${cookie.path}`, ...cookie.attributes.map(({ name, value }) => (value ? `${name}=${value}` : name)), 'HttpOnly'].filter(Boolean).join('; ');
  return (head, sourceIp) => {
    const sent = cookieValue(head, cookie.name);
    if (sent !== undefined) return { key: sent };
    if (ttlMs === undefined) return { key: undefined };
    const value = xxHash64(`${sourceIp}\u0000${head.headers.get('x-request-id') ?? head.path}`).toString(16).padStart(16, '0');
    return { key: value, setCookie: `${cookie.name}="${value}"; ${tail}` };
  };
}

function cookieValue(head: RequestHead, name: string): string | undefined {
  for (const line of head.headers.getAll('cookie')) {
    for (const pair of line.split(';')) {
      const equals = pair.indexOf('=');
      if (equals > 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim().replace(/^"(.*)"$/s, '$1');
    }
  }
  return undefined;
}
