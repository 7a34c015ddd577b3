import type { VirtualHost } from '../xds/gen/envoy/config/route/v3/route_components_pb.ts';
import type { RouteConfiguration } from '../xds/gen/envoy/config/route/v3/route_pb.ts';
import { bySpecificity, covers, isWildcard } from '../model/hostname.ts';
import { listenerProtocolOf } from '../model/protocol.ts';
import { portByNumber, type Service } from '../model/service.ts';
import type { ProxyView } from '../model/view.ts';
import type { VirtualService } from '../model/virtual-service.ts';
import { patchRoutes } from './envoy-filter/routes.ts';
import { gatewayRoutes } from './gateway-routes.ts';
import { defaultRoute, virtualServiceRoutes } from './http-route.ts';
import { hostWithPort, HTTP_PROXY_ROUTES, outboundClusterName } from './names.ts';
import { catchAllVirtualHost, domainsOf, routeConfiguration, virtualHost } from './virtual-host.ts';

/** The route tables of these names; a name that means nothing gets an empty table (404), so that no listener waits for it. */
export function translateRoutes(view: ProxyView, names: Iterable<string>): RouteConfiguration[] {
  return [...names].map((name) => patchRoutes(view, view.proxy.type === 'router' ? gatewayRoutes(view, name) : sidecarRoutes(view, name)));
}

/** `9080` (shared by every HTTP service of the port), `<host>:<port>` (a sniffed service on its own address), or `http_proxy`. */
function sidecarRoutes(view: ProxyView, name: string): RouteConfiguration {
  if (name === HTTP_PROXY_ROUTES) {
    const ports = [...new Set(view.services.flatMap((service) => service.ports.map((port) => port.number)))];
    return routeConfiguration(name, [...ports.flatMap((port) => portVirtualHosts(view, port)), catchAllVirtualHost(view)]);
  }
  const colon = name.lastIndexOf(':');
  const port = Number(colon < 0 ? name : name.slice(colon + 1));
  if (!Number.isInteger(port)) return routeConfiguration(name, []);
  const hosts = portVirtualHosts(view, port);
  if (colon < 0) return routeConfiguration(name, [...hosts, catchAllVirtualHost(view)]);
  // The listener has the service's own address: whoever comes this way means this service, whatever the Host header says.
  return routeConfiguration(name, hosts.filter((host) => host.name === name).map((host) => ({ ...host, domains: ['*'] })));
}

/** Port 80 also serves VirtualService hosts that no service has. */
const UNKNOWN_HOSTS_PORT = 80;

function portVirtualHosts(view: ProxyView, port: number): VirtualHost[] {
  const services = new Map(view.services.filter((service) => servesHttp(service, port)).map((service) => [service.hostname, service]));
  const { byService, unknown } = attach(view, services);
  const hosts: VirtualHost[] = [];
  for (const [hostname, service] of services) {
    const rule = byService.get(hostname);
    const routes = rule ? virtualServiceRoutes(view, rule, { gateway: 'mesh', port }) : [];
    const target = service.aliasOf ?? hostname;
    // A VirtualService none of whose routes concern this proxy (source labels, ports) is as good as none.
    hosts.push(virtualHost(hostWithPort(hostname, port), domainsOf(view, service), routes.length > 0 ? routes : [defaultRoute(view, outboundClusterName(port, '', target), target, port)]));
  }
  if (port === UNKNOWN_HOSTS_PORT)
    for (const [host, rule] of unknown) {
      const routes = virtualServiceRoutes(view, rule, { gateway: 'mesh', port });
      if (routes.length > 0) hosts.push(virtualHost(hostWithPort(host, port), [host], routes));
    }
  return hosts;
}

function servesHttp(service: Service, port: number): boolean {
  const found = portByNumber(service, port);
  return found !== undefined && found.protocol !== 'UDP' && listenerProtocolOf(found.protocol) !== 'tcp';
}

/**
 * Which VirtualService each service gets: one that names it, else the one with the most specific wildcard; the first in rank wins and nothing is merged.
 * Hosts that no service has stand alone.
 * @see features.md §2.1 rules 1, 3, 4
 */
function attach(view: ProxyView, services: ReadonlyMap<string, Service>): { readonly byService: ReadonlyMap<string, VirtualService>; readonly unknown: ReadonlyMap<string, VirtualService> } {
  const rules = view.virtualServices.filter((rule) => rule.http.length > 0);
  const hosts = new Map<string, VirtualService>();
  for (const rule of rules) for (const host of rule.hosts) if (!hosts.has(host)) hosts.set(host, rule);
  const byService = new Map<string, VirtualService>();
  const unknown = new Map<string, VirtualService>();
  for (const [host, rule] of [...hosts].sort(([a], [b]) => bySpecificity(a, b))) {
    const known = isWildcard(host) ? [...services.keys()].filter((name) => covers(host, name)) : services.has(host) ? [host] : [];
    for (const name of known) if (!byService.has(name)) byService.set(name, rule);
    if (known.length === 0 && !view.byHostname.has(host)) unknown.set(host, rule);
  }
  return { byService, unknown };
}
