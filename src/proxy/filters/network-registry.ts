import { connectionLimitFilter } from './envoy.filters.network.connection_limit/filter.ts';
import { extAuthzNetworkFilter } from './envoy.filters.network.ext_authz/filter.ts';
import { localRateLimitNetworkFilter } from './envoy.filters.network.local_ratelimit/filter.ts';
import { rbacNetworkFilter } from './envoy.filters.network.rbac/filter.ts';
import { sniDynamicForwardProxyFilter } from './envoy.filters.network.sni_dynamic_forward_proxy/filter.ts';
import type { NetworkFilterFactory } from './network-filter.ts';

/** Every filter we obey in front of a TCP proxy, by the type URL of its config. */
export const NETWORK_FILTERS: ReadonlyMap<string, NetworkFilterFactory> = new Map([rbacNetworkFilter, extAuthzNetworkFilter, connectionLimitFilter, localRateLimitNetworkFilter, sniDynamicForwardProxyFilter].map((factory) => [factory.typeUrl, factory]));
