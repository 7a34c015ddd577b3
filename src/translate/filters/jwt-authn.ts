import { create } from '@bufbuild/protobuf';
import { DataSourceSchema } from '../../xds/gen/envoy/config/core/v3/base_pb.ts';
import {
  JwtAuthenticationSchema, JwtProviderSchema, JwtRequirementSchema, RemoteJwksSchema, type JwtProvider, type JwtRequirement,
} from '../../xds/gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.ts';
import { HttpFilterSchema, type HttpFilter } from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import type { JwtRule, RequestAuthentication } from '../../model/request-authentication.ts';
import { BLACK_HOLE_CLUSTER } from '../names.ts';
import { duration, pack } from '../proto.ts';

/** How long a proxy waits before it tries again to fetch keys that cannot be fetched. */
const RETRY_MS = 3_600_000;
/** Claims that are always lists written with spaces (RFC 8693 and common use). */
const SPACE_DELIMITED = ['scope', 'permission'];

/**
 * Checks the tokens that come, and lets requests without one pass: who may do what is the authorization policies' business. All policies that hold are
 * one list of issuers, sorted, so that their order never changes anything. Undefined: there is nothing to check.
 * `clearRouteCache`: routes are chosen by claims, so they are looked up again once the claims are known.
 * @see features.md §2.10
 */
export function jwtAuthnHttpFilters(policies: readonly RequestAuthentication[], clearRouteCache = false): HttpFilter[] {
  const rules = policies.flatMap((policy) => policy.rules);
  if (rules.length === 0) return [];
  const sorted = rules.map((rule, index) => ({ rule, index })).sort((a, b) => (a.rule.issuer < b.rule.issuer ? -1 : a.rule.issuer > b.rule.issuer ? 1 : a.index - b.index));
  const names = sorted.map((_, index) => `origins-${index}`);
  const config = create(JwtAuthenticationSchema, {
    providers: Object.fromEntries(sorted.map(({ rule }, index) => [names[index]!, providerOf(rule, clearRouteCache)])),
    rules: [{ match: { pathSpecifier: { case: 'prefix', value: '/' } }, requirementType: { case: 'requires', value: requirementOf(names) } }],
    bypassCorsPreflight: true,
  });
  return [create(HttpFilterSchema, { name: 'envoy.filters.http.jwt_authn', configType: { case: 'typedConfig', value: pack(JwtAuthenticationSchema, config) } })];
}

function providerOf(rule: JwtRule, clearRouteCache: boolean): JwtProvider {
  return create(JwtProviderSchema, {
    issuer: rule.issuer, audiences: [...rule.audiences], jwksSourceSpecifier: keysOf(rule),
    clearRouteCache, forward: rule.forwardOriginalToken, payloadInMetadata: 'payload', forwardPayloadHeader: rule.outputPayloadToHeader,
    fromHeaders: rule.fromHeaders.map(({ name, prefix }) => ({ name, valuePrefix: prefix })), fromParams: [...rule.fromParams], fromCookies: [...rule.fromCookies],
    claimToHeaders: rule.outputClaimToHeaders.map(({ header, claim }) => ({ headerName: header, claimName: claim })),
    normalizePayloadInMetadata: { spaceDelimitedClaims: [...new Set([...SPACE_DELIMITED, ...rule.spaceDelimitedClaims])] },
  });
}

/**
 * Keys as text; without any, a fetch that goes nowhere: tokens are refused with "Jwks remote fetch is failed", which is the truth. Envoy refuses a whole
 * listener for a key set without keys, and Istio's way out, a made-up key, hides what is wrong.
 */
function keysOf(rule: JwtRule): JwtProvider['jwksSourceSpecifier'] {
  if (rule.jwks !== '') return { case: 'localJwks', value: create(DataSourceSchema, { specifier: { case: 'inlineString', value: rule.jwks } }) };
  return {
    case: 'remoteJwks',
    value: create(RemoteJwksSchema, {
      httpUri: { uri: 'http://no-keys.invalid/', httpUpstreamType: { case: 'cluster', value: BLACK_HOLE_CLUSTER }, timeout: duration(1000) },
      asyncFetch: { fastListener: true, failedRefetchDuration: duration(RETRY_MS) },
    }),
  };
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
