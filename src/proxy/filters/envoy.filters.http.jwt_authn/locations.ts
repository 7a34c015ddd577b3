import type { RequestHead } from '../../http/message.ts';
import { parseQuery } from '../../route/header-match.ts';

/** A place of a request where a token may stand. */
export interface TokenLocation {
  /** The token's text; undefined when there is none. */
  find(head: RequestHead): string | undefined;
  /** Takes the token out of the request, where that is possible. */
  remove(head: RequestHead): void;
}

/** @see envoy.extensions.filters.http.jwt_authn.v3.JwtHeader */
export function headerLocation(name: string, prefix: string): TokenLocation {
  const lower = name.toLowerCase();
  return {
    find(head) {
      const values = head.headers.getAll(lower);
      if (values.length === 0) return undefined;
      const value = values.join(',');
      if (prefix === '') return value;
      const at = value.indexOf(prefix);
      return at < 0 ? undefined : tokenText(value, at + prefix.length);
    },
    remove: (head) => head.headers.remove(lower),
  };
}

export function parameterLocation(name: string): TokenLocation {
  return {
    find(head) {
      const value = parseQuery(head.path).get(name);
      return value === undefined ? undefined : decoded(value);
    },
    remove(head) {
      const mark = head.path.indexOf('?');
      const rest = head.path.slice(mark + 1).split('&').filter((pair) => pair !== name && !pair.startsWith(`${name}=`));
      head.path = head.path.slice(0, mark) + (rest.length === 0 ? '' : `?${rest.join('&')}`);
    },
  };
}

export function cookieLocation(name: string): TokenLocation {
  return {
    find(head) {
      for (const line of head.headers.getAll('cookie'))
        for (const pair of line.split(';')) {
          const equals = pair.indexOf('=');
          if (equals > 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim().replace(/^"(.*)"$/, '$1');
        }
      return undefined;
    },
    // Envoy leaves cookies alone as well: other cookies share their line.
    remove: () => {},
  };
}

/** What looks like a token behind a prefix. */
function tokenText(value: string, from: number): string {
  return /[A-Za-z0-9_\-.=]+/.exec(value.slice(from))?.[0] ?? '';
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
