import type { HeaderMatcher, QueryParameterMatcher } from '../../xds/gen/envoy/config/route/v3/route_components_pb.ts';
import type { HeaderReader, RequestHead } from '../http/message.ts';
import { compileRegex, type TextPredicate } from './regex.ts';
import { compileStringMatcher } from './string-match.ts';

/** All values of one header, a line each; empty = the header is missing. */
export type HeaderSource = (name: string) => readonly string[];

/** Headers of a request with the pseudo headers among them. */
export function requestHeaderSource(head: RequestHead): HeaderSource {
  return (name) => {
    switch (name) {
      case ':method':
        return [head.method];
      case ':path':
        return [head.path];
      case ':authority':
      case 'host':
        return [head.authority];
      case ':scheme':
        return [head.scheme];
      default:
        return head.headers.getAll(name);
    }
  };
}

/** Value of a header, its lines joined by commas. */
export function joined(headers: HeaderReader, name: string): string | undefined {
  const all = headers.getAll(name);
  return all.length === 0 ? undefined : all.join(',');
}

/**
 * Every line is looked at on its own: one that matches is enough, and inverted none may (Envoy 1.40 does not join them by commas).
 * A missing header matches nothing, inverted or not, unless `treat_missing_header_as_empty` is set or presence is what is asked. Throws for a bad pattern.
 * @see envoy.config.route.v3.HeaderMatcher
 */
export function compileHeaderMatcher(matcher: HeaderMatcher): (read: HeaderSource) => boolean {
  const name = matcher.name.toLowerCase();
  if (name === '') throw new Error('header matcher without a name');
  const invert = matcher.invertMatch;
  const specifier = matcher.headerMatchSpecifier;
  if (specifier.case === 'presentMatch' || specifier.case === undefined) {
    const wanted = specifier.case === undefined || specifier.value;
    return (read) => ((read(name).length > 0) === wanted) !== invert;
  }
  const test = valuePredicate(specifier);
  const missing = matcher.treatMissingHeaderAsEmpty ? EMPTY_VALUE : NO_VALUE;
  return (read) => {
    const found = read(name);
    const values = found.length > 0 ? found : missing;
    return values.length > 0 && values.some(test) !== invert;
  };
}

const EMPTY_VALUE: readonly string[] = [''];
const NO_VALUE: readonly string[] = [];

type ValueSpecifier = Exclude<HeaderMatcher['headerMatchSpecifier'], { case: 'presentMatch' } | { case: undefined }>;

function valuePredicate(specifier: ValueSpecifier): TextPredicate {
  switch (specifier.case) {
    case 'exactMatch':
      return (text) => text === specifier.value;
    case 'prefixMatch':
      return (text) => text.startsWith(specifier.value);
    case 'suffixMatch':
      return (text) => text.endsWith(specifier.value);
    case 'containsMatch':
      return (text) => text.includes(specifier.value);
    case 'safeRegexMatch':
      return compileRegex(specifier.value.regex);
    case 'stringMatch':
      return compileStringMatcher(specifier.value);
    case 'rangeMatch': {
      const { start, end } = specifier.value;
      return (text) => /^[+-]?\d{1,19}$/.test(text) && BigInt(text) >= start && BigInt(text) < end;
    }
  }
}

/** Values are compared as they stand in the URL, not decoded; of a repeated parameter the first counts. @see envoy.config.route.v3.QueryParameterMatcher */
export function compileQueryMatcher(matcher: QueryParameterMatcher): (parameters: ReadonlyMap<string, string>) => boolean {
  const { name, queryParameterMatchSpecifier: specifier } = matcher;
  if (name === '') throw new Error('query parameter matcher without a name');
  if (specifier.case === 'stringMatch') {
    const test = compileStringMatcher(specifier.value);
    return (parameters) => {
      const value = parameters.get(name);
      return value !== undefined && test(value);
    };
  }
  const wanted = specifier.case === undefined || specifier.value;
  return (parameters) => parameters.has(name) === wanted;
}

/** First value of every parameter of a path's query, undecoded. */
export function parseQuery(path: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  const start = path.indexOf('?');
  if (start < 0) return parameters;
  const end = path.indexOf('#', start);
  for (const pair of path.slice(start + 1, end < 0 ? undefined : end).split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = equals < 0 ? pair : pair.slice(0, equals);
    if (!parameters.has(name)) parameters.set(name, equals < 0 ? '' : pair.slice(equals + 1));
  }
  return parameters;
}
