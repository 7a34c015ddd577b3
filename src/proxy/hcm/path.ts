import type { HcmRuntime } from '../config/runtime.ts';

export type PathOutcome = { readonly kind: 'ok'; readonly path: string } | { readonly kind: 'reject' } | { readonly kind: 'redirect'; readonly path: string };

type PathOptions = Pick<HcmRuntime, 'normalizePath' | 'mergeSlashes' | 'escapedSlashes'>;

/** Nearly every path: nothing that normalization could change. */
const PLAIN = /^(?:\/[A-Za-z0-9_~!$&'()*+,;=:@-][A-Za-z0-9._~!$&'()*+,;=:@-]*)*\/?(?:\?[^#]*)?$/;

/** True when {@link normalizeRequestPath} would change nothing, whatever the options. */
export function isPlainPath(path: string): boolean {
  return PLAIN.test(path);
}

/**
 * Normalizes the path of a request: RFC 3986 dot segments and percent-encoded unreserved bytes, backslashes, doubled and escaped slashes, as the options ask.
 * A fragment is dropped, as Istio's bootstrap tells Envoy (`http_reject_path_with_fragment: false`); `%00` is refused.
 * @see Envoy path_utility.cc
 */
export function normalizeRequestPath(written: string, options: PathOptions): PathOutcome {
  if (isPlainPath(written)) return { kind: 'ok', path: written };
  const fragment = written.indexOf('#');
  const path = fragment < 0 ? written : written.slice(0, fragment);
  const mark = path.indexOf('?');
  let route = mark < 0 ? path : path.slice(0, mark);
  const query = mark < 0 ? '' : path.slice(mark);
  if (options.normalizePath) {
    const normalized = canonical(route);
    if (normalized === undefined) return { kind: 'reject' };
    route = normalized;
  }
  let redirect = false;
  if (options.escapedSlashes !== 'KEEP_UNCHANGED' && /%2f|%5c/i.test(route)) {
    if (options.escapedSlashes === 'REJECT_REQUEST') return { kind: 'reject' };
    redirect = options.escapedSlashes === 'UNESCAPE_AND_REDIRECT';
    route = route.replace(/%2f/gi, '/').replace(/%5c/gi, '\\');
    if (options.normalizePath) route = canonical(route) ?? route;
  }
  if (options.mergeSlashes) route = route.replace(/\/{2,}/g, '/');
  return { kind: redirect ? 'redirect' : 'ok', path: route + query };
}

/** Undefined: the path cannot be normalized. */
function canonical(route: string): string | undefined {
  if (!route.startsWith('/') || /%00/.test(route)) return undefined;
  const text = route.replaceAll('\\', '/').replace(/%([0-9A-Fa-f]{2})/g, (whole, hex: string) => {
    const byte = Number.parseInt(hex, 16);
    const unreserved = (byte >= 48 && byte <= 57) || (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122) || byte === 45 || byte === 46 || byte === 95 || byte === 126;
    return unreserved ? String.fromCharCode(byte) : whole;
  });
  const out: string[] = [];
  const segments = text.slice(1).split('/');
  segments.forEach((written, index) => {
    const last = index === segments.length - 1;
    // Servers that know path parameters read `..;x` as `..`, so it must not get past rules as a name; Envoy sees it the same way.
    const segment = /^\.{1,2};/.test(written) ? written.slice(0, written.indexOf(';')) : written;
    if (segment === '..') out.pop();
    else if (segment !== '.') out.push(segment);
    if (last && (segment === '.' || segment === '..')) out.push('');
  });
  return `/${out.join('/')}`;
}
