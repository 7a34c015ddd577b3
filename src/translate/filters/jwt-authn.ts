import { create } from '@bufbuild/protobuf';
import {
  JwtAuthenticationSchema, JwtProviderSchema, JwtRequirementSchema, type JwtProvider, type JwtRequirement,
} from '../../xds/gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.ts';
import { HttpFilterSchema, type HttpFilter } from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import type { JwtRule, RequestAuthentication } from '../../model/request-authentication.ts';
import { pack } from '../proto.ts';

/** A set without keys accepts no token. Istio sends a made-up key here instead. */
const NO_KEYS = '{"keys":[]}';
/** Claims that are always lists written with spaces (RFC 8693 and common use). */
const SPACE_DELIMITED = ['scope', 'permission'];

/**
 * Checks the tokens that come, and lets requests without one pass: who may do what is the authorization policies' business. All policies that hold are
 * one list of issuers, sorted, so that their order never changes anything. Undefined: there is nothing to check.
 * @see features.md §2.10
 */
export function jwtAuthnHttpFilters(policies: readonly RequestAuthentication[]): HttpFilter[] {
  const rules = policies.flatMap((policy) => policy.rules);
  if (rules.length === 0) return [];
  const sorted = rules.map((rule, index) => ({ rule, index })).sort((a, b) => (a.rule.issuer < b.rule.issuer ? -1 : a.rule.issuer > b.rule.issuer ? 1 : a.index - b.index));
  const names = sorted.map((_, index) => `origins-${index}`);
  const config = create(JwtAuthenticationSchema, {
    providers: Object.fromEntries(sorted.map(({ rule }, index) => [names[index]!, providerOf(rule)])),
    rules: [{ match: { pathSpecifier: { case: 'prefix', value: '/' } }, requirementType: { case: 'requires', value: requirementOf(names) } }],
    bypassCorsPreflight: true,
  });
  return [create(HttpFilterSchema, { name: 'envoy.filters.http.jwt_authn', configType: { case: 'typedConfig', value: pack(JwtAuthenticationSchema, config) } })];
}

function providerOf(rule: JwtRule): JwtProvider {
  return create(JwtProviderSchema, {
    issuer: rule.issuer, audiences: [...rule.audiences], jwksSourceSpecifier: { case: 'localJwks', value: { specifier: { case: 'inlineString', value: rule.jwks || NO_KEYS } } },
    forward: rule.forwardOriginalToken, payloadInMetadata: 'payload', forwardPayloadHeader: rule.outputPayloadToHeader,
    fromHeaders: rule.fromHeaders.map(({ name, prefix }) => ({ name, valuePrefix: prefix })), fromParams: [...rule.fromParams], fromCookies: [...rule.fromCookies],
    claimToHeaders: rule.outputClaimToHeaders.map(({ header, claim }) => ({ headerName: header, claimName: claim })),
    normalizePayloadInMetadata: { spaceDelimitedClaims: [...new Set([...SPACE_DELIMITED, ...rule.spaceDelimitedClaims])] },
  });
}

const provider = (providerName: string): JwtRequirement => create(JwtRequirementSchema, { requiresType: { case: 'providerName', value: providerName } });
const any = (requirements: JwtRequirement[]): JwtRequirement => create(JwtRequirementSchema, { requiresType: { case: 'requiresAny', value: { requirements } } });
const orMissing = (name: string): JwtRequirement => any([provider(name), create(JwtRequirementSchema, { requiresType: { case: 'allowMissing', value: {} } })]);

/** A token of any issuer; or none at all, but none that one of the issuers refuses. */
function requirementOf(names: readonly string[]): JwtRequirement {
  if (names.length === 1) return orMissing(names[0]!);
  const all = create(JwtRequirementSchema, { requiresType: { case: 'requiresAll', value: { requirements: names.map(orMissing) } } });
  return any([...names.map(provider), all]);
}
