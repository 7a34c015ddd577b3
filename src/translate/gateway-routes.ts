import { VirtualHost_TlsRequirementType, type Route, type VirtualHost } from '../xds/gen/envoy/config/route/v3/route_components_pb.ts';
import type { RouteConfiguration } from '../xds/gen/envoy/config/route/v3/route_pb.ts';
import type { Server } from '../model/gateway.ts';
import { covers } from '../model/hostname.ts';
import { virtualServicesOn, type ProxyView } from '../model/view.ts';
import type { VirtualService } from '../model/virtual-service.ts';
import { gatewayPorts, routeNameOf } from './gateway-servers.ts';
import { virtualServiceRoutes } from './http-route.ts';
import { hostWithPort } from './names.ts';
import { isCatchAll } from './route-match.ts';
import { routeConfiguration, virtualHost } from './virtual-host.ts';

/** Whether some listener of this router asks for the table. One that is drained asks on, and goes on with the table it had. */
export function isRouteTableUsed(view: ProxyView, name: string): boolean {
  return view.proxy.type !== 'router' || entriesOf(view, name).length > 0;
}

function entriesOf(view: ProxyView, name: string): ReturnType<typeof gatewayPorts>[number]['servers'] {
  return gatewayPorts(view).filter((port) => port.kind !== 'tcp').flatMap((port) => port.servers).filter((entry) => routeNameOf(entry) === name);
}

/**
 * The routes of one gateway port (or of one HTTPS server): per host the routes of all its VirtualServices, oldest first, catch-alls last. A host that only
 * redirects needs no VirtualService. Without any host the table says 404 to everything.
 */
export function gatewayRoutes(view: ProxyView, name: string): RouteConfiguration {
  const entries = entriesOf(view, name);
  const hosts = new Map<string, { host: VirtualHost; routes: Route[] }>();
  const take = (host: string, port: number, server: Server) => {
    const known = hosts.get(host) ?? { host: virtualHost(hostWithPort(host, port), host === '*' ? ['*'] : [host], []), routes: [] };
    if (server.tls?.httpsRedirect) known.host.requireTls = VirtualHost_TlsRequirementType.ALL;
    hosts.set(host, known);
    return known;
  };
  for (const { server, gatewayName } of entries) {
    const port = server.port.number;
    for (const rule of virtualServicesOn(view, gatewayName)) {
      const shared = sharedHosts(server, rule);
      if (shared.length === 0) continue;
      const routes = virtualServiceRoutes(view, rule, { gateway: gatewayName, port });
      for (const host of shared) if (routes.length > 0 || server.tls?.httpsRedirect) take(host, port, server).routes.push(...routes);
    }
    if (server.tls?.httpsRedirect) for (const { host } of server.hosts) take(host, port, server);
  }
  if (hosts.size === 0) {
    const port = entries[0]?.port ?? (Number(name.split('.')[1]) || 0);
    return routeConfiguration(name, [virtualHost(`blackhole:${port}`, ['*'], [])]);
  }
  return routeConfiguration(name, [...hosts.values()].map(({ host, routes }) => ({ ...host, routes: catchAllsLast(routes) })));
}

/** The hosts that both the server and the VirtualService mean, the narrower of each pair. A server's `ns/host` takes only VirtualServices of that namespace. */
export function sharedHosts(server: Server, rule: VirtualService): readonly string[] {
  const shared = new Set<string>();
  for (const host of rule.hosts)
    for (const wanted of server.hosts) {
      if (wanted.namespace !== '*' && wanted.namespace !== rule.namespace) continue;
      if (covers(wanted.host, host)) shared.add(host);
      else if (covers(host, wanted.host)) shared.add(wanted.host);
    }
  return [...shared];
}

function catchAllsLast(routes: readonly Route[]): Route[] {
  const last = (route: Route) => route.match !== undefined && isCatchAll(route.match);
  return [...routes.filter((route) => !last(route)), ...routes.filter(last)];
}
