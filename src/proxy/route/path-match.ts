/** The path part of a route: whether it matches, and how the matched part is rewritten. */
import type { RouteMatch } from '../../xds/gen/envoy/config/route/v3/route_components_pb.ts';
import { compileRegex, compileSubstitution } from './regex.ts';

/** Both work on the path without query and fragment. */
export interface PathMatch {
  readonly matches: (path: string, method: string) => boolean;
  /** How much of a matching path a prefix rewrite replaces. */
  readonly matchedLength: (path: string) => number;
  /** For traces: `prefix "/api"`. */
  readonly text: string;
}

/** The path up to `?` or `#`. */
export function withoutQuery(path: string): string {
  const end = path.search(/[?#]/);
  return end < 0 ? path : path.slice(0, end);
}

/** @see envoy.config.route.v3.RouteMatch.path_specifier */
export function compilePathMatch(match: RouteMatch): PathMatch {
  const specifier = match.pathSpecifier;
  const fold = match.caseSensitive === false ? (text: string) => text.toLowerCase() : (text: string) => text;
  switch (specifier.case) {
    case 'prefix': {
      const prefix = fold(specifier.value);
      return { matches: (path) => fold(path).startsWith(prefix), matchedLength: () => prefix.length, text: `prefix "${specifier.value}"` };
    }
    case 'path': {
      const wanted = fold(specifier.value);
      return { matches: (path) => fold(path) === wanted, matchedLength: () => wanted.length, text: `path "${specifier.value}"` };
    }
    case 'pathSeparatedPrefix': {
      const prefix = fold(specifier.value);
      if (!/^\/.*[^/?#]$/s.test(prefix) || /[?#]/.test(prefix)) throw new Error(`path_separated_prefix "${specifier.value}" must start with a slash, not end with one and have neither ? nor #`);
      const matches = (path: string): boolean => fold(path).startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === '/');
      return { matches, matchedLength: () => prefix.length, text: `path_separated_prefix "${specifier.value}"` };
    }
    case 'safeRegex': {
      const test = compileRegex(specifier.value.regex);
      return { matches: test, matchedLength: (path) => path.length, text: `safe_regex "${specifier.value.regex}"` };
    }
    case 'connectMatcher':
      return { matches: (_, method) => method === 'CONNECT', matchedLength: () => 0, text: 'connect_matcher' };
    case 'pathMatchPolicy':
      throw new Error(`path_match_policy ${specifier.value.name} is not supported`);
    case undefined:
      throw new Error('a route match needs a path_specifier');
  }
}

/** What `prefix_rewrite` and `regex_rewrite` ask; both at once is refused, as Envoy does. */
export interface PathRewrite {
  readonly prefixRewrite: string;
  readonly regexRewrite?: { readonly pattern?: { readonly regex: string } | undefined; readonly substitution: string } | undefined;
}

/** A rewriter that keeps query and fragment; undefined when nothing is to be rewritten. */
export function compilePathRewrite(rewrite: PathRewrite, match: PathMatch): ((path: string) => string) | undefined {
  const { prefixRewrite, regexRewrite } = rewrite;
  if (prefixRewrite && regexRewrite) throw new Error('only one of prefix_rewrite and regex_rewrite may be given');
  if (prefixRewrite) return (path) => prefixRewrite + path.slice(match.matchedLength(withoutQuery(path)));
  if (!regexRewrite) return undefined;
  const substitute = compileSubstitution(regexRewrite.pattern?.regex ?? '', regexRewrite.substitution);
  return (path) => {
    const bare = withoutQuery(path);
    return substitute(bare) + path.slice(bare.length);
  };
}
