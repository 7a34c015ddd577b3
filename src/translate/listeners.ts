import { fromBinary } from '@bufbuild/protobuf';
import type { Listener } from '../xds/gen/envoy/config/listener/v3/listener_pb.ts';
import { HttpConnectionManagerSchema } from '../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import type { ProxyView } from '../model/view.ts';
import { patchListeners } from './envoy-filter/listeners.ts';
import { gatewayListeners } from './gateway-listeners.ts';
import { inboundListeners } from './inbound-listeners.ts';
import { outboundListeners } from './outbound-listeners.ts';

/** Every listener of one proxy: a sidecar's outbound ones, `virtualOutbound` and `virtualInbound`; a gateway's per port. */
export function translateListeners(view: ProxyView): Listener[] {
  return patchListeners(view, view.proxy.type === 'router' ? gatewayListeners(view) : [...outboundListeners(view), ...inboundListeners(view)]);
}

/** The route tables that listeners ask for, for config dumps and simulations; a proxy asks by itself. */
export function routeNamesIn(listeners: readonly Listener[]): ReadonlySet<string> {
  const names = new Set<string>();
  for (const listener of listeners)
    for (const chain of [...listener.filterChains, ...(listener.defaultFilterChain ? [listener.defaultFilterChain] : [])])
      for (const filter of chain.filters) {
        if (filter.name !== 'envoy.filters.network.http_connection_manager' || filter.configType.case !== 'typedConfig') continue;
        const { routeSpecifier } = fromBinary(HttpConnectionManagerSchema, filter.configType.value.value);
        if (routeSpecifier.case === 'rds') names.add(routeSpecifier.value.routeConfigName);
      }
  return names;
}
