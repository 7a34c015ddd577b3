import { fromBinary } from '@bufbuild/protobuf';
import { JwtAuthenticationSchema, PerRouteConfigSchema, type RequirementRule } from '../../../xds/gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.ts';
import { eachWithin, within } from '../../config/config-error.ts';
import type { RequestHead } from '../../http/message.ts';
import { compileHeaderMatcher, requestHeaderSource } from '../../route/header-match.ts';
import { compileRegex } from '../../route/regex.ts';
import { compileProvider, type Provider } from './provider.ts';
import { compileRequirement, type Requirement } from './requirement.ts';

export interface JwtConfig {
  readonly kind: 'filter';
  /** The first rule that matches decides; undefined = nothing is asked. */
  readonly rules: readonly { readonly matches: (head: RequestHead) => boolean; readonly requirement: Requirement | undefined }[];
  readonly named: ReadonlyMap<string, Requirement>;
  /** Headers that requests must not bring. */
  readonly ownHeaders: readonly string[];
  readonly bypassCorsPreflight: boolean;
  readonly stripFailureResponse: boolean;
}

export interface JwtRouteConfig {
  readonly kind: 'route';
  readonly disabled: boolean;
  readonly requirementName: string;
}

export const PER_ROUTE_TYPE = 'type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig';

/** @throws ConfigError for what cannot be obeyed. @see envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication */
export function parseJwtAuthn(typeUrl: string, bytes: Uint8Array): JwtConfig | JwtRouteConfig {
  if (typeUrl === PER_ROUTE_TYPE) {
    const { requirementSpecifier: specifier } = fromBinary(PerRouteConfigSchema, bytes);
    return { kind: 'route', disabled: specifier.case === 'disabled' && specifier.value, requirementName: specifier.case === 'requirementName' ? specifier.value : '' };
  }
  const config = fromBinary(JwtAuthenticationSchema, bytes);
  if (config.filterStateRules !== undefined) throw new Error('filter_state_rules are not supported');
  const providers = new Map<string, Provider>(Object.entries(config.providers).map(([name, provider]) => [name, within(`providers["${name}"]`, () => compileProvider(provider))]));
  const named = new Map(Object.entries(config.requirementMap).map(([name, requirement]) => [name, within(`requirement_map["${name}"]`, () => compileRequirement(requirement, providers))]));
  return {
    kind: 'filter', named,
    rules: eachWithin('rules', config.rules, (rule) => ({ matches: compileMatch(rule), requirement: requirementOf(rule, named, providers) })),
    ownHeaders: [...new Set([...providers.values()].flatMap((provider) => provider.ownHeaders))],
    bypassCorsPreflight: config.bypassCorsPreflight, stripFailureResponse: config.stripFailureResponse,
  };
}

function requirementOf({ requirementType: type }: RequirementRule, named: ReadonlyMap<string, Requirement>, providers: ReadonlyMap<string, Provider>): Requirement | undefined {
  if (type.case === 'requires') return compileRequirement(type.value, providers);
  if (type.case === undefined) return undefined;
  const requirement = named.get(type.value);
  if (requirement === undefined) throw new Error(`there is no requirement ${type.value}`);
  return requirement;
}

function compileMatch({ match }: RequirementRule): (head: RequestHead) => boolean {
  const headers = (match?.headers ?? []).map((matcher) => compileHeaderMatcher(matcher));
  const path = pathTest(match?.pathSpecifier);
  if (match && (match.queryParameters.length > 0 || match.grpc || match.dynamicMetadata.length > 0)) throw new Error('only paths and headers can be matched');
  return (head) => path(head.path.split(/[?#]/, 1)[0]!) && headers.every((matches) => matches(requestHeaderSource(head)));
}

function pathTest(specifier: NonNullable<RequirementRule['match']>['pathSpecifier'] | undefined): (path: string) => boolean {
  switch (specifier?.case) {
    case 'prefix':
      return (path) => path.startsWith(specifier.value);
    case 'path':
      return (path) => path === specifier.value;
    case 'safeRegex':
      return compileRegex(specifier.value.regex);
    default:
      throw new Error(`match ${specifier?.case ?? 'without a path'} is not supported`);
  }
}
