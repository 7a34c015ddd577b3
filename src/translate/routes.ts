import type { VirtualHost } from '../xds/gen/envoy/config/route/v3/route_components_pb.ts';
import type { RouteConfiguration } from '../xds/gen/envoy/config/route/v3/route_pb.ts';
import { bySpecificity, covers, isWildcard } from '../model/hostname.ts';
import { listenerProtocolOf } from '../model/protocol.ts';
import { portByNumber, type Service } from '../model/service.ts';
import { destinationHosts } from '../model/sight.ts';
import { destinationRuleFor, type ProxyView } from '../model/view.ts';
import { serviceDigest } from '../model/view-key.ts';
import type { VirtualService } from '../model/virtual-service.ts';
import { selects } from '../model/workload.ts';
import { patchRoutes } from './envoy-filter/routes.ts';
import { gatewayRoutes } from './gateway-routes.ts';
import { defaultRoute, hasRoutes, virtualServiceRoutes, type RouteScope } from './http-route.ts';
import { hostWithPort, HTTP_PROXY_ROUTES, outboundClusterName } from './names.ts';
import { catchAllVirtualHost, domainsOf, routeConfiguration, virtualHost } from './virtual-host.ts';

/** The route tables of these names; a name that means nothing gets an empty table (404), so that no listener waits for it. */
export function translateRoutes(view: ProxyView, names: Iterable<string>): RouteConfiguration[] {
  return [...names].map((name) => patchRoutes(view, view.proxy.type === 'router' ? gatewayRoutes(view, name) : routeConfiguration(name, routePlans(view, name).map((plan) => plan.make(plan.domains)))));
}

/** One virtual host of a table, not made yet. */
export interface VirtualHostPlan {
  readonly name: string;
  readonly domains: readonly string[];
  /** Equal keys (and domains) mean equal virtual hosts, in all proxies that use the same table names. */
  readonly key: string;
  /** With those of its domains that no other virtual host of the table has. */
  make(domains: readonly string[]): VirtualHost;
}

/** The virtual hosts of a sidecar's table: `9080` (shared by every HTTP service of the port), `<host>:<port>` (a sniffed service on its own address), or `http_proxy`. */
export function routePlans(view: ProxyView, name: string): readonly VirtualHostPlan[] {
  if (name === HTTP_PROXY_ROUTES) {
    const ports = [...new Set(view.services.flatMap((service) => service.ports.map((port) => port.number)))];
    return [...ports.flatMap((port) => portPlans(view, port).all), catchAllPlan(view)];
  }
  const colon = name.lastIndexOf(':');
  const port = Number(colon < 0 ? name : name.slice(colon + 1));
  if (!Number.isInteger(port)) return [];
  const plans = portPlans(view, port);
  if (colon < 0) return [...plans.all, catchAllPlan(view)];
  // The listener has the service's own address: whoever comes this way means this service, whatever the Host header says.
  const own = plans.byName.get(name);
  return own ? [{ ...own, domains: ['*'] }] : [];
}

function catchAllPlan(view: ProxyView): VirtualHostPlan {
  return { name: '*', domains: ['*'], key: view.outboundPolicy, make: () => catchAllVirtualHost(view) };
}

interface PortPlans {
  readonly all: readonly VirtualHostPlan[];
  readonly byName: ReadonlyMap<string, VirtualHostPlan>;
}

/** A sidecar with sniffed services asks for one table per service: the plans of a port are the same for all of them. */
const plansMade = new WeakMap<ProxyView, Map<number, PortPlans>>();

function portPlans(view: ProxyView, port: number): PortPlans {
  let byPort = plansMade.get(view);
  if (!byPort) plansMade.set(view, (byPort = new Map()));
  let plans = byPort.get(port);
  if (!plans) {
    const all = planPort(view, port);
    byPort.set(port, (plans = { all, byName: new Map(all.map((plan) => [plan.name, plan])) }));
  }
  return plans;
}

/** This port also serves VirtualService hosts that no service has; others serve them when the VirtualService is for one of their services as well. */
const UNKNOWN_HOSTS_PORT = 80;

function planPort(view: ProxyView, port: number): readonly VirtualHostPlan[] {
  const services = new Map(view.services.filter((service) => servesHttp(service, port)).map((service) => [service.hostname, service]));
  const { byService, unknown } = attach(view, services);
  const scope: RouteScope = { gateway: 'mesh', port };
  const plans: VirtualHostPlan[] = [];
  for (const [hostname, service] of services) {
    const attached = byService.get(hostname);
    // A VirtualService none of whose routes concern this proxy (source labels, ports) is as good as none.
    const rule = attached && hasRoutes(view, attached, scope) ? attached : undefined;
    const target = service.aliasOf ?? hostname;
    const name = hostWithPort(hostname, port);
    plans.push({
      name, domains: domainsOf(view, service), key: `${serviceDigest(service)}|${rule ? ruleKey(view, rule) : destinationKey(view, target)}`,
      make: (domains) => virtualHost(name, domains, rule ? virtualServiceRoutes(view, rule, scope) : [defaultRoute(view, outboundClusterName(port, '', target), target, port)]),
    });
  }
  const attachedRules = new Set(byService.values());
  for (const [host, rule] of unknown)
    if ((port === UNKNOWN_HOSTS_PORT || attachedRules.has(rule)) && hasRoutes(view, rule, scope)) {
      const name = hostWithPort(host, port);
      plans.push({ name, domains: [host], key: ruleKey(view, rule), make: (domains) => virtualHost(name, domains, virtualServiceRoutes(view, rule, scope)) });
    }
  return plans;
}

/** What the routes of a VirtualService are made of: itself, who asks (if it asks who), and where it sends. */
function ruleKey(view: ProxyView, rule: VirtualService): string {
  const matches = rule.http.flatMap((route) => route.matches);
  const asksWho = matches.some((match) => match.sourceNamespace !== '' || Object.keys(match.sourceLabels).length > 0);
  const who = asksWho ? matches.map((match) => [match.sourceNamespace === view.proxy.namespace, selects(match.sourceLabels, view.proxy.labels)]) : [];
  return `${rule.origin} ${rule.digest}|${JSON.stringify(who)}|${destinationHosts(rule).map((host) => destinationKey(view, host)).join()}`;
}

/** A route depends on the ports of where it leads and on the hashing its DestinationRule asks for. */
function destinationKey(view: ProxyView, host: string): string {
  const service = view.byHostname.get(host);
  const alias = service?.aliasOf === undefined ? undefined : view.byHostname.get(service.aliasOf);
  return `${service ? serviceDigest(service) : host}>${alias ? serviceDigest(alias) : ''}>${destinationRuleFor(view, host, service?.namespace)?.digests.join() ?? ''}`;
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
