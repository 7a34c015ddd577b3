/** Which of several matching HTTP routes answers. @see https://gateway-api.sigs.k8s.io/reference/spec/#httprouterule */
import type { Json } from './rule-parts.ts';

interface Match {
  readonly uri?: { readonly exact?: string; readonly prefix?: string; readonly regex?: string };
  readonly method?: unknown;
  readonly headers?: Json;
  readonly queryParams?: Json;
}

/** Exact paths, then prefixes, then expressions, each longest first; then a method, more headers, more query parameters. Routes without a match come last. */
export function sortHttpRoutes(routes: readonly Json[]): readonly Json[] {
  const ranks = new Map(routes.map((route) => [route, rankOf(route)]));
  return [...routes].sort((a, b) => {
    const [left, right] = [ranks.get(a)!, ranks.get(b)!];
    const at = left.findIndex((value, index) => value !== right[index]);
    return at < 0 ? 0 : right[at]! - left[at]!;
  });
}

function rankOf(route: Json): readonly number[] {
  const [match] = (route['match'] as readonly Match[] | undefined) ?? [];
  if (!match) return [0, 0, 0, 0, 0, 0];
  const { uri } = match;
  const kind = uri?.exact !== undefined ? 3 : uri?.prefix !== undefined ? 2 : uri?.regex !== undefined ? 1 : 0;
  const length = (uri?.exact ?? uri?.prefix ?? uri?.regex ?? '').length;
  return [1, kind, length, match.method === undefined ? 0 : 1, Object.keys(match.headers ?? {}).length, Object.keys(match.queryParams ?? {}).length];
}
