import { create } from '@bufbuild/protobuf';
import { FilterSchema, type Filter } from '../../xds/gen/envoy/config/listener/v3/listener_components_pb.ts';
import { RBAC_Action, RBACSchema, type RBAC } from '../../xds/gen/envoy/config/rbac/v3/rbac_pb.ts';
import { ExtAuthzSchema as HttpExtAuthzSchema } from '../../xds/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.ts';
import { RBACSchema as HttpRbacSchema } from '../../xds/gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.ts';
import { ExtAuthzSchema as TcpExtAuthzSchema } from '../../xds/gen/envoy/extensions/filters/network/ext_authz/v3/ext_authz_pb.ts';
import { HttpFilterSchema, type HttpFilter } from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import { RBACSchema as TcpRbacSchema } from '../../xds/gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.ts';
import type { AuthorizationPolicy } from '../../model/authorization-policy.ts';
import type { ExtAuthzProvider } from '../../model/ext-authz-provider.ts';
import { pack } from '../proto.ts';
import { EXT_AUTHZ_PREFIX, EXT_AUTHZ_STAT_PREFIX, findAuthorizer, httpExtAuthz, tcpExtAuthz, type AuthorizerService } from './ext-authz.ts';
import { ruleSets, type RuleSets } from './rules.ts';

/** Everything authorization filters are made of. */
export interface AuthzInput {
  /** Policies that hold for the workload, oldest first. */
  readonly policies: readonly AuthorizationPolicy[];
  /** The mesh's trust domain, then its aliases; empty = principals stay as they are written. */
  readonly trustDomains: readonly string[];
  readonly providers: readonly ExtAuthzProvider[];
  /** One workload may ask several of them. Default false. */
  readonly severalAuthorizers?: boolean;
  /** Services the proxy sees. */
  readonly services: Iterable<AuthorizerService>;
}

/** In the order they decide; AUDIT only looks. */
const ACTIONS = ['AUDIT', 'DENY', 'ALLOW'] as const;
const TCP_STAT_PREFIX = 'tcp.';

/** RBAC filters for requests: AUDIT, DENY, ALLOW, as far as there are policies. @see features.md C8 */
export function rbacHttpFilters(input: AuthzInput): HttpFilter[] {
  return byAction(input, false).map((sets) => httpRbac(sets.enforced, sets.shadow, shadowPrefix(sets.shadow)));
}

/** RBAC filters for connections. */
export function rbacNetworkFilters(input: AuthzInput): Filter[] {
  return byAction(input, true).map((sets) => tcpRbac(sets.enforced, sets.shadow, shadowPrefix(sets.shadow)));
}

/** CUSTOM for requests: shadow rules that say who is asked about, and the external authorizer. */
export function customHttpFilters(input: AuthzInput): HttpFilter[] {
  return customProviders(input, false).flatMap(({ rules, authorizer }) => {
    if (!authorizer) return [httpRbac(badProviderRules(rules), undefined, '')];
    return [httpRbac(undefined, rules, EXT_AUTHZ_STAT_PREFIX), httpFilter('envoy.filters.http.ext_authz', pack(HttpExtAuthzSchema, httpExtAuthz(authorizer)))];
  });
}

/** CUSTOM for connections; policies with an HTTP authorizer do not concern them. */
export function customNetworkFilters(input: AuthzInput): Filter[] {
  return customProviders(input, true).flatMap(({ rules, authorizer }) => {
    if (!authorizer) return [tcpRbac(badProviderRules(rules), undefined, '')];
    const extAuthz = tcpExtAuthz(authorizer);
    return extAuthz ? [tcpRbac(undefined, rules, EXT_AUTHZ_STAT_PREFIX), networkFilter('envoy.filters.network.ext_authz', pack(TcpExtAuthzSchema, extAuthz))] : [];
  });
}

function byAction({ policies, trustDomains }: AuthzInput, tcp: boolean): readonly RuleSets[] {
  return ACTIONS.flatMap((action) => {
    const chosen = policies.filter((policy) => policy.action === action);
    return chosen.length === 0 ? [] : [ruleSets(chosen, action, { trustDomains, tcp })];
  });
}

interface CustomRules {
  readonly rules: RBAC;
  /** Undefined: what the rules match is refused, because nobody can be asked. */
  readonly authorizer: ReturnType<typeof findAuthorizer>;
}

/**
 * One pair of filters a provider, in the order of their names: a request goes on when every provider whose rules match it agrees. Unless the mesh allows
 * several, one workload has one provider: with more, all that any of them would be asked about is refused. Dry-run policies ask nobody.
 */
function customProviders({ policies, trustDomains, providers, services, severalAuthorizers = false }: AuthzInput, tcp: boolean): readonly CustomRules[] {
  const custom = policies.filter((policy) => policy.action === 'CUSTOM' && !policy.dryRun);
  const names = [...new Set(custom.map((policy) => policy.provider))].sort();
  return names.flatMap((name) => {
    const { enforced } = ruleSets(custom.filter((policy) => policy.provider === name), 'CUSTOM', { trustDomains, tcp }, `${EXT_AUTHZ_PREFIX}${name}-`);
    return enforced ? [{ rules: enforced, authorizer: names.length > 1 && !severalAuthorizers ? undefined : findAuthorizer(name, providers, services) }] : [];
  });
}

function badProviderRules(rules: RBAC): RBAC {
  return create(RBACSchema, { action: RBAC_Action.DENY, policies: Object.fromEntries(Object.entries(rules.policies).map(([name, policy]) => [`${name}-deny-due-to-bad-CUSTOM-action`, policy])) });
}

/** Names shadow results in metadata and stats; Istio gives the ALLOW prefix also where there are no shadow rules. */
function shadowPrefix(shadow: RBAC | undefined): string {
  const action = shadow?.action ?? RBAC_Action.ALLOW;
  return action === RBAC_Action.ALLOW ? 'istio_dry_run_allow_' : action === RBAC_Action.DENY ? 'istio_dry_run_deny_' : '';
}

function httpRbac(rules: RBAC | undefined, shadowRules: RBAC | undefined, shadowRulesStatPrefix: string): HttpFilter {
  return httpFilter('envoy.filters.http.rbac', pack(HttpRbacSchema, { ...(rules && { rules }), ...(shadowRules && { shadowRules }), shadowRulesStatPrefix }));
}

function tcpRbac(rules: RBAC | undefined, shadowRules: RBAC | undefined, shadowRulesStatPrefix: string): Filter {
  return networkFilter('envoy.filters.network.rbac', pack(TcpRbacSchema, { ...(rules && { rules }), ...(shadowRules && { shadowRules }), shadowRulesStatPrefix, statPrefix: TCP_STAT_PREFIX }));
}

function httpFilter(name: string, value: ReturnType<typeof pack>): HttpFilter {
  return create(HttpFilterSchema, { name, configType: { case: 'typedConfig', value } });
}

function networkFilter(name: string, value: ReturnType<typeof pack>): Filter {
  return create(FilterSchema, { name, configType: { case: 'typedConfig', value } });
}
