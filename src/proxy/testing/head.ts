/** Test material: heads over plain arrays. */
import type { HeaderMap, RequestHead } from '../http/message.ts';

/** A header map from a record; arrays are several lines. */
export function headers(initial: Readonly<Record<string, string | readonly string[]>> = {}): HeaderMap {
  let lines: [string, string][] = Object.entries(initial).flatMap(([name, value]) => (typeof value === 'string' ? [value] : value).map((one): [string, string] => [name, one]));
  return {
    get: (name) => lines.find(([key]) => key === name)?.[1],
    has: (name) => lines.some(([key]) => key === name),
    getAll: (name) => lines.filter(([key]) => key === name).map(([, value]) => value),
    set: (name, value) => void (lines = [...lines.filter(([key]) => key !== name), [name, value]]),
    put: (name, value) => void (lines = [...lines.filter(([key]) => key !== name), [name, value]]),
    append: (name, value) => void lines.push([name, value]),
    remove: (name) => void (lines = lines.filter(([key]) => key !== name)),
    entries: () => lines[Symbol.iterator](),
  };
}

/** A GET of `/` on `host` over plaintext HTTP/1.1, changed where a case needs it. */
export function head(request: { method?: string; path?: string; authority?: string; scheme?: 'http' | 'https'; headers?: Readonly<Record<string, string | readonly string[]>> } = {}): RequestHead {
  return { method: request.method ?? 'GET', path: request.path ?? '/', authority: request.authority ?? 'host', scheme: request.scheme ?? 'http', protocol: 'HTTP/1.1', headers: headers(request.headers) };
}
