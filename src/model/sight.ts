/** What proxies of one place may see of the mesh. Found once per snapshot and place, so that its cost does not grow with the number of proxies. */
import type { DestinationRule } from './destination-rule.ts';
import type { Gateway } from './gateway.ts';
import { covers, overlaps } from './hostname.ts';
import type { ProxyNode } from './proxy-node.ts';
import type { Service } from './service.ts';
import type { EgressListener, Sidecar } from './sidecar.ts';
import type { MeshSnapshot } from './snapshot.ts';
import type { VirtualService } from './virtual-service.ts';
import { isVisibleTo } from './visibility.ts';

/** The visible part of the mesh. Lists are the same objects for every proxy that sees the same, and from one snapshot to the next while nothing in them changed. */
export interface Sight {
  /** Visible services, one per host name, oldest first. */
  readonly services: readonly Service[];
  readonly byHostname: ReadonlyMap<string, Service>;
  /** Private before shared ones. */
  readonly virtualServices: readonly VirtualService[];
}

type Place = Pick<ProxyNode, 'type' | 'namespace' | 'dnsCapture'>;

interface VisibleServices {
  readonly services: readonly Service[];
  readonly byHostname: ReadonlyMap<string, Service>;
}

/** Results by the lists they were made from (endpoint updates leave those alone), then by place. */
class PerLists<T> {
  private readonly made = new WeakMap<object, WeakMap<object, Map<string, T>>>();

  get(first: object, second: object, key: string, make: () => T): T {
    let inner = this.made.get(first);
    if (!inner) this.made.set(first, (inner = new WeakMap()));
    let results = inner.get(second);
    if (!results) inner.set(second, (results = new Map()));
    let result = results.get(key);
    if (result === undefined) results.set(key, (result = make()));
    return result;
  }
}

const rulesSeen = new PerLists<readonly VirtualService[]>();
const servicesSeen = new PerLists<VisibleServices>();
/** Stands for the second list where there is only one. */
const NO_LIST = {};

/** What a proxy with this Sidecar (or, for routers, these Gateways) sees. */
export function sightOf(snapshot: MeshSnapshot, proxy: Place, sidecar: Sidecar | undefined, gateways: readonly Gateway[]): Sight {
  const egress = sidecar && sidecar.egress.length > 0 ? sidecar.egress : undefined;
  const place = `${proxy.type}|${proxy.namespace}|${egress ? `${sidecar?.origin} ${sidecar?.digest}` : ''}`;
  const gatewayNames = gateways.map((gateway) => `${gateway.namespace}/${gateway.name}`);
  const virtualServices = rulesSeen.get(snapshot.virtualServices, NO_LIST, `${place}|${gatewayNames.join()}`, () => visibleRules(snapshot, proxy, egress, gatewayNames));
  const { services, byHostname } = servicesSeen.get(snapshot.services, egress ? virtualServices : NO_LIST, `${place}|${proxy.dnsCapture}`, () => {
    const seen = visibleServices(snapshot, proxy, egress, virtualServices);
    return { services: seen, byHostname: new Map(seen.map((service) => [service.hostname, service])) };
  });
  return { services, byHostname, virtualServices };
}

function visibleRules(snapshot: MeshSnapshot, proxy: Place, egress: readonly EgressListener[] | undefined, gatewayNames: readonly string[]): readonly VirtualService[] {
  const wanted = (name: string) => (proxy.type === 'router' ? gatewayNames.includes(name) : name === 'mesh');
  const candidates = snapshot.virtualServices.filter((rule) => rule.gateways.some(wanted) && isVisibleTo(rule.visibility, proxy.namespace));
  return rankPrivateFirst(egress ? candidates.filter((rule) => rule.hosts.some((host) => imports(egress, rule.namespace, host, overlaps))) : candidates, proxy);
}

/** Own namespace first, then exported to the namespace by name, then public; oldest first inside each. */
function rankPrivateFirst(rules: readonly VirtualService[], proxy: Place): readonly VirtualService[] {
  if (proxy.type === 'router') return rules;
  const rank = (rule: VirtualService) => (rule.visibility.public ? 2 : rule.namespace === proxy.namespace ? 0 : 1);
  return rules.map((rule, index) => ({ rule, index })).sort((a, b) => rank(a.rule) - rank(b.rule) || a.index - b.index).map(({ rule }) => rule);
}

function imports(egress: readonly EgressListener[], namespace: string, host: string, match: (pattern: string, host: string) => boolean): boolean {
  const entries = egress.flatMap((listener) => listener.hosts);
  const hits = (exclude: boolean) => entries.some((entry) => entry.exclude === exclude && (entry.namespace === '*' || entry.namespace === namespace) && match(entry.host, host));
  return hits(false) && !hits(true);
}

function visibleServices(snapshot: MeshSnapshot, proxy: Place, egress: readonly EgressListener[] | undefined, rules: readonly VirtualService[]): readonly Service[] {
  const visible = (service: Service) => isVisibleTo(service.visibility, proxy.namespace);
  const chosen = new Map<string, Service>();
  const better = (a: Service, b: Service) => (a.namespace === proxy.namespace ? 0 : a.registry === 'Kubernetes' ? 1 : 2) < (b.namespace === proxy.namespace ? 0 : b.registry === 'Kubernetes' ? 1 : 2);
  const take = (service: Service) => {
    const known = chosen.get(service.hostname);
    if (!known || better(service, known)) chosen.set(service.hostname, service);
  };
  for (const service of snapshot.services) if (visible(service) && (!egress || imports(egress, service.namespace, service.hostname, covers))) take(service);
  // A VirtualService that is imported brings along the services it sends to.
  if (egress)
    for (const host of rules.flatMap(destinationHosts)) {
      if (chosen.has(host)) continue;
      for (const service of snapshot.servicesByHostname.get(host) ?? []) if (visible(service)) take(service);
    }
  const picked = new Set(chosen.values());
  const served = egress?.some((listener) => listener.port) ? narrowPorts(egress) : undefined;
  const own = snapshot.services.filter((service) => picked.has(service)).flatMap((service) => served?.(service) ?? [service]);
  // An allocated address means something only to a proxy that answers its application's DNS queries.
  return own.map((service) => (service.autoAllocated && !proxy.dnsCapture ? { ...service, addresses: [] } : service));
}

/**
 * An egress listener with a port serves its hosts on that port only, and nobody else's; listeners without one serve the other ports. A service left
 * without a port is gone; one that only a VirtualService brought along keeps its ports.
 * @see Istio's Sidecar.egress.port
 */
function narrowPorts(egress: readonly EgressListener[]): (service: Service) => readonly Service[] {
  const claimed = new Set(egress.flatMap((listener) => (listener.port ? [listener.port.number] : [])));
  return (service) => {
    const listeners = egress.filter((listener) => imports([listener], service.namespace, service.hostname, covers));
    if (listeners.length === 0) return [service];
    const ports = service.ports.filter((port) => listeners.some((listener) => (listener.port ? listener.port.number === port.number : !claimed.has(port.number))));
    return ports.length === service.ports.length ? [service] : ports.length === 0 ? [] : [{ ...service, ports }];
  };
}

/** Every host a VirtualService may send or mirror to. */
export function destinationHosts(rule: VirtualService): readonly string[] {
  const http = rule.http.flatMap((route) => [
    ...(route.action.kind === 'route' ? route.action.destinations.map((entry) => entry.destination.host) : []),
    ...route.mirrors.map((mirror) => mirror.destination.host),
  ]);
  return [...http, ...[...rule.tls, ...rule.tcp].flatMap((route) => route.destinations.map((entry) => entry.destination.host))];
}

const labelsAsked = new WeakMap<readonly VirtualService[], ReadonlySet<string>>();

/** Names of the labels by which these rules choose among the proxies that call. */
export function sourceLabelsOf(rules: readonly VirtualService[]): ReadonlySet<string> {
  let names = labelsAsked.get(rules);
  if (!names) {
    const found = new Set<string>();
    for (const rule of rules) for (const route of [...rule.http, ...rule.tls, ...rule.tcp]) for (const match of route.matches) for (const name of Object.keys(match.sourceLabels)) found.add(name);
    labelsAsked.set(rules, (names = found));
  }
  return names;
}

const selectorLabels = new WeakMap<readonly DestinationRule[], Map<string, ReadonlySet<string>>>();

/** Names of the labels by which DestinationRules of a namespace choose their proxies. */
export function ruleSelectorLabels(rules: readonly DestinationRule[], namespace: string): ReadonlySet<string> {
  let byNamespace = selectorLabels.get(rules);
  if (!byNamespace) selectorLabels.set(rules, (byNamespace = new Map()));
  let names = byNamespace.get(namespace);
  if (!names) byNamespace.set(namespace, (names = new Set(rules.flatMap((rule) => (rule.namespace === namespace ? Object.keys(rule.workloadSelector ?? {}) : [])))));
  return names;
}

const keySets = new WeakMap<readonly Service[], ReadonlySet<string>>();

/** Keys (`namespace/hostname`) of a list of services. */
export function serviceKeysOf(services: readonly Service[]): ReadonlySet<string> {
  let keys = keySets.get(services);
  if (!keys) keySets.set(services, (keys = new Set(services.map((service) => service.key))));
  return keys;
}

const namespaces = new WeakMap<readonly Service[], ReadonlyMap<string, readonly Service[]>>();
const NONE: readonly Service[] = [];

/** The services of one namespace, in the list's order. */
export function servicesIn(services: readonly Service[], namespace: string): readonly Service[] {
  let byNamespace = namespaces.get(services);
  if (!byNamespace) {
    const lists = new Map<string, Service[]>();
    for (const service of services) {
      const list = lists.get(service.namespace);
      if (list) list.push(service);
      else lists.set(service.namespace, [service]);
    }
    namespaces.set(services, (byNamespace = lists));
  }
  return byNamespace.get(namespace) ?? NONE;
}
