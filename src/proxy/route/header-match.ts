import type { HeaderMatcher, QueryParameterMatcher } from '../../xds/gen/envoy/config/route/v3/route_components_pb.ts';
import type { HeaderReader, RequestHead } from '../http/message.ts';
import { compileRegex, type TextPredicate } from './regex.ts';
import { compileStringMatcher } from './string-match.ts';

/** Reads one header's value; several lines are joined by commas, as Envoy's matchers see them. */
export type HeaderSource = (name: string) => string | undefined;

/** Headers of a request with the pseudo headers among them. */
export function requestHeaderSource(head: RequestHead): HeaderSource {
  return (name) => {
    switch (name) {
      case ':method':
        return head.method;
      case ':path':
        return head.path;
      case ':authority':
      case 'host':
        return head.authority;
      case ':scheme':
        return head.scheme;
      default:
        return joined(head.headers, name);
    }
  };
}

/** Value of a header, its lines joined by commas. */
export function joined(headers: HeaderReader, name: string): string | undefined {
  const first = headers.get(name);
  if (first === undefined) return undefined;
  const all = headers.getAll(name);
  return all.length > 1 ? all.join(',') : first;
}

/**
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
    return (read) => ((read(name) !== undefined) === wanted) !== invert;
  }
  const test = valuePredicate(specifier);
  const missing = matcher.treatMissingHeaderAsEmpty ? '' : undefined;
  return (read) => {
    const value = read(name) ?? missing;
    return value !== undefined && test(value) !== invert;
  };
}

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
