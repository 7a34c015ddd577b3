import { create } from '@bufbuild/protobuf';
import { HeaderMatcherSchema, QueryParameterMatcherSchema, RouteMatchSchema, type HeaderMatcher, type RouteMatch } from '../xds/gen/envoy/config/route/v3/route_components_pb.ts';
import type { HttpMatch, NamedMatch, StringMatch } from '../model/virtual-service.ts';
import type { MetadataMatcher } from '../xds/gen/envoy/type/matcher/v3/metadata_pb.ts';
import { claimMatcher, claimPath } from './claim-match.ts';
import { stringMatcher } from './string-matcher.ts';

/** Names that are fields of their own; Istio ignores them inside `headers`. */
const RESERVED: ReadonlySet<string> = new Set(['uri', 'scheme', 'method', 'authority']);

/** What Envoy must see for one match block; undefined matches everything. Selectors (port, source, gateways) are decided before. */
export function routeMatch(match: HttpMatch | undefined): RouteMatch {
  const message = create(RouteMatchSchema, { pathSpecifier: { case: 'prefix', value: '/' } });
  if (!match) return message;
  message.pathSpecifier = pathSpecifier(match.uri);
  if (match.ignoreUriCase && match.uri?.kind !== 'regex') message.caseSensitive = false;
  message.headers = [
    ...match.headers.filter(isHeader).map((header) => headerMatcher(header.name.toLowerCase(), header.match)),
    ...match.withoutHeaders.filter(isHeader).map(withoutHeader),
    ...pseudo(':method', match.method), ...pseudo(':authority', match.authority), ...pseudo(':scheme', match.scheme),
  ];
  message.dynamicMetadata = [...claims(match.headers, false), ...claims(match.withoutHeaders, true)];
  message.queryParameters = match.queryParams.map(({ name, match: value }) => {
    const matcher = stringMatcher(value);
    return create(QueryParameterMatcherSchema, { name, queryParameterMatchSpecifier: matcher ? { case: 'stringMatch', value: matcher } : { case: 'presentMatch', value: true } });
  });
  return message;
}

function isHeader({ name }: NamedMatch): boolean {
  return !RESERVED.has(name) && claimPath(name) === undefined;
}

function claims(matches: readonly NamedMatch[], invert: boolean): MetadataMatcher[] {
  return matches.flatMap(({ name, match }) => {
    const path = claimPath(name);
    return path ? [claimMatcher(path, match, invert)] : [];
  });
}

/** True when nothing after it can ever match, so translation of the VirtualService stops there. */
export function isCatchAll(match: RouteMatch): boolean {
  const { pathSpecifier: path } = match;
  const everyPath = (path.case === 'prefix' && path.value === '/') || (path.case === 'safeRegex' && path.value.regex === '.*') || (path.case === 'pathSeparatedPrefix' && path.value === '/');
  return everyPath && match.headers.length === 0 && match.queryParameters.length === 0 && match.dynamicMetadata.length === 0;
}

function pathSpecifier(uri: StringMatch | undefined): RouteMatch['pathSpecifier'] {
  switch (uri?.kind) {
    case 'exact': return { case: 'path', value: uri.value };
    case 'prefix': return { case: 'prefix', value: uri.value };
    case 'segment-prefix': return uri.value === '/' ? { case: 'prefix', value: '/' } : { case: 'pathSeparatedPrefix', value: uri.value.replace(/\/$/, '') };
    case 'regex': return create(RouteMatchSchema, { pathSpecifier: { case: 'safeRegex', value: { regex: uri.value } } }).pathSpecifier;
    default: return { case: 'prefix', value: '/' };
  }
}

function headerMatcher(name: string, match: StringMatch): HeaderMatcher {
  const matcher = stringMatcher(match);
  return create(HeaderMatcherSchema, { name, headerMatchSpecifier: matcher ? { case: 'stringMatch', value: matcher } : { case: 'presentMatch', value: true } });
}

function pseudo(name: string, match: StringMatch | undefined): HeaderMatcher[] {
  return match ? [headerMatcher(name, match)] : [];
}

/** A header that is missing counts as one that does not match. */
function withoutHeader({ name, match }: NamedMatch): HeaderMatcher {
  const matcher = headerMatcher(name.toLowerCase(), match);
  matcher.invertMatch = true;
  if (match.kind !== 'present') matcher.treatMissingHeaderAsEmpty = true;
  return matcher;
}
