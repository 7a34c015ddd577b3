import { create } from '@bufbuild/protobuf';
import { MetadataMatcherSchema, type MetadataMatcher } from '../xds/gen/envoy/type/matcher/v3/metadata_pb.ts';
import { ValueMatcherSchema, type ValueMatcher } from '../xds/gen/envoy/type/matcher/v3/value_pb.ts';
import type { VirtualService, StringMatch } from '../model/virtual-service.ts';
import { stringMatcher } from './string-matcher.ts';

const PREFIX = '@request.auth.claims';

/** Path of the claim a header name of a VirtualService means: `@request.auth.claims.a.b` or `@request.auth.claims[a][b]`. Undefined: it is a header. */
export function claimPath(name: string): readonly string[] | undefined {
  if (!name.startsWith(PREFIX)) return undefined;
  const rest = name.slice(PREFIX.length);
  if (/^(?:\[[^[\]]+\])+$/.test(rest)) return rest.slice(1, -1).split('][');
  return rest.startsWith('.') && rest.length > 1 ? rest.slice(1).split('.') : undefined;
}

/** Routes by a claim of the token that jwt_authn proved: the claim is a text, or a list with it. @see https://istio.io/latest/docs/tasks/security/authentication/jwt-route/ */
export function claimMatcher(path: readonly string[], match: StringMatch, invert: boolean): MetadataMatcher {
  const matcher = stringMatcher(match);
  const text = matcher && create(ValueMatcherSchema, { matchPattern: { case: 'stringMatch', value: matcher } });
  const value: ValueMatcher = text
    ? create(ValueMatcherSchema, { matchPattern: { case: 'orMatch', value: { valueMatchers: [text, create(ValueMatcherSchema, { matchPattern: { case: 'listMatch', value: { matchPattern: { case: 'oneOf', value: text } } } })] } } })
    : create(ValueMatcherSchema, { matchPattern: { case: 'presentMatch', value: true } });
  return create(MetadataMatcherSchema, { filter: 'envoy.filters.http.jwt_authn', path: ['payload', ...path].map((key) => ({ segment: { case: 'key' as const, value: key } })), value, invert });
}

/** True when a token must be checked before the route is chosen. */
export function routesByClaims(rules: readonly VirtualService[]): boolean {
  return rules.some((rule) => rule.http.some((route) => route.matches.some((match) => [...match.headers, ...match.withoutHeaders].some(({ name }) => claimPath(name) !== undefined))));
}
