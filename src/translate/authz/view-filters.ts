import type { Filter } from '../../xds/gen/envoy/config/listener/v3/listener_components_pb.ts';
import type { HttpFilter } from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import type { ProxyView } from '../../model/view.ts';
import { routesByClaims } from '../claim-match.ts';
import { jwtAuthnHttpFilters } from '../filters/jwt-authn.ts';
import { customHttpFilters, customNetworkFilters, rbacHttpFilters, rbacNetworkFilters, type AuthzInput } from './filters.ts';

interface SecurityFilters {
  readonly http: readonly HttpFilter[];
  readonly network: readonly Filter[];
}

/** A workload's filters are the same in all of its chains. */
const cache = new WeakMap<ProxyView, SecurityFilters>();

function filtersOf(view: ProxyView): SecurityFilters {
  let filters = cache.get(view);
  if (!filters) {
    const { mesh } = view.snapshot;
    const input: AuthzInput = {
      policies: view.authorizationPolicies, trustDomains: [mesh.trustDomain, ...mesh.trustDomainAliases], providers: mesh.extAuthzProviders, severalAuthorizers: mesh.severalAuthorizers, services: view.services,
    };
    filters = {
      http: [...customHttpFilters(input), ...jwtAuthnHttpFilters(view.requestAuthentications, view.proxy.type === 'router' && routesByClaims(view.virtualServices)), ...rbacHttpFilters(input)],
      network: [...customNetworkFilters(input), ...rbacNetworkFilters(input)],
    };
    cache.set(view, filters);
  }
  return filters;
}

/** CUSTOM, token checks, AUDIT, DENY, ALLOW: what stands in front of a workload or on a gateway. @see features.md C8 */
export function securityHttpFilters(view: ProxyView): readonly HttpFilter[] {
  return filtersOf(view).http;
}

/** CUSTOM, AUDIT, DENY, ALLOW for connections. */
export function securityNetworkFilters(view: ProxyView): readonly Filter[] {
  return filtersOf(view).network;
}
