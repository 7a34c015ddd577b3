import type { AuthorizationPolicy } from './authorization-policy.ts';
import { envoyFiltersFor, type EnvoyFilter } from './envoy-filter.ts';
import { type DestinationRule, type Subset, type TrafficPolicy } from './destination-rule.ts';
import type { Gateway } from './gateway.ts';
import { contentHash } from './hash.ts';
import { covers, isWildcard, mostSpecific, overlaps } from './hostname.ts';
import type { OutboundPolicy } from './mesh.ts';
import { effectiveMtls, type EffectiveMtls, type MtlsMode } from './peer-authentication.ts';
import { policyApplies } from './policy-target.ts';
import type { ProxyNode } from './proxy-node.ts';
import type { RequestAuthentication } from './request-authentication.ts';
import type { Service, ServicePort } from './service.ts';
import type { EgressListener, Sidecar } from './sidecar.ts';
import { endpointsOf, endpointTraits, type MeshSnapshot } from './snapshot.ts';
import type { VirtualService } from './virtual-service.ts';
import { isVisibleTo } from './visibility.ts';
import { selects } from './workload.ts';

/** One service port that this proxy's workload serves. */
export interface ServiceTarget {
  readonly service: Service;
  readonly port: ServicePort;
  /** Where the workload listens. */
  readonly targetPort: number;
}

/** What one proxy may see of the mesh, and what it is in it. */
export interface ProxyView {
  readonly kind: 'proxy-view';
  readonly snapshot: MeshSnapshot;
  readonly proxy: ProxyNode;
  readonly sidecar: Sidecar | undefined;
  /** Visible services, one per host name, oldest first. */
  readonly services: readonly Service[];
  readonly byHostname: ReadonlyMap<string, Service>;
  readonly inbound: readonly ServiceTarget[];
  readonly mtls: EffectiveMtls;
  /** Patches for this proxy, in the order in which they are applied. */
  readonly envoyFilters: readonly EnvoyFilter[];
  /** Policies that hold for this proxy's workload, oldest first. */
  readonly authorizationPolicies: readonly AuthorizationPolicy[];
  readonly requestAuthentications: readonly RequestAuthentication[];
  /** VirtualServices that may concern this proxy: those on `mesh` for sidecars, those on its gateways for routers. Private before shared ones. */
  readonly virtualServices: readonly VirtualService[];
  /** Gateways whose selector takes this router; empty for sidecars. */
  readonly gateways: readonly Gateway[];
  readonly outboundPolicy: OutboundPolicy;
}

/** The rules that hold for one host, merged: subsets concatenated, the first top-level policy. */
export interface MergedRule {
  readonly policy: TrafficPolicy | undefined;
  readonly subsets: readonly Subset[];
  /** Object that the clusters name as their `istio.config`: the oldest. */
  readonly origin: string;
  readonly digests: readonly string[];
}

/** Narrows the mesh to one proxy. Pure and cheap enough to run per push. */
export function viewOf(snapshot: MeshSnapshot, proxy: ProxyNode): ProxyView {
  const sidecar = proxy.type === 'sidecar' ? sidecarFor(snapshot, proxy) : undefined;
  const gateways = proxy.type === 'router' ? snapshot.gateways.filter((gateway) => takesProxy(snapshot, gateway, proxy)) : [];
  const gatewayNames = new Set(gateways.map((gateway) => `${gateway.namespace}/${gateway.name}`));
  const wanted = (name: string) => (proxy.type === 'router' ? gatewayNames.has(name) : name === 'mesh');
  const egress = sidecar && sidecar.egress.length > 0 ? sidecar.egress : undefined;
  const candidates = snapshot.virtualServices.filter((rule) => rule.gateways.some(wanted) && isVisibleTo(rule.visibility, proxy.namespace));
  const virtualServices = rankPrivateFirst(egress ? candidates.filter((rule) => rule.hosts.some((host) => imports(egress, rule.namespace, host, overlaps))) : candidates, proxy);
  const services = visibleServices(snapshot, proxy, egress, virtualServices);
  const labels = labelsOf(snapshot, proxy);
  const subject = { namespace: proxy.namespace, labels };
  const root = snapshot.mesh.rootNamespace;
  return {
    kind: 'proxy-view', snapshot, proxy, sidecar, services, byHostname: new Map(services.map((service) => [service.hostname, service])),
    inbound: targetsOf(snapshot, proxy), virtualServices, gateways,
    authorizationPolicies: snapshot.authorizationPolicies.filter((policy) => policyApplies(policy, subject, root)),
    requestAuthentications: snapshot.requestAuthentications.filter((policy) => policyApplies(policy, subject, root)),
    mtls: effectiveMtls(snapshot.peerAuthentications, snapshot.mesh.rootNamespace, proxy.namespace, labels),
    envoyFilters: envoyFiltersFor(snapshot.envoyFilters, proxy, labels, root),
    outboundPolicy: sidecar?.outboundPolicy ?? snapshot.mesh.outboundPolicy,
  };
}

function labelsOf(snapshot: MeshSnapshot, proxy: ProxyNode): Readonly<Record<string, string>> {
  if (Object.keys(proxy.labels).length > 0) return proxy.labels;
  return proxy.ipAddresses.map((ip) => snapshot.workloads.get(ip)).find(Boolean)?.labels ?? proxy.labels;
}

function sidecarFor(snapshot: MeshSnapshot, proxy: ProxyNode): Sidecar | undefined {
  const labels = labelsOf(snapshot, proxy);
  const own = snapshot.sidecars.filter((sidecar) => sidecar.namespace === proxy.namespace);
  return own.find((sidecar) => sidecar.selector && selects(sidecar.selector, labels))
    ?? own.find((sidecar) => !sidecar.selector)
    ?? snapshot.sidecars.find((sidecar) => sidecar.namespace === snapshot.mesh.rootNamespace && !sidecar.selector);
}

function takesProxy(snapshot: MeshSnapshot, gateway: Gateway, proxy: ProxyNode): boolean {
  if (gateway.services.length > 0) return targetsOf(snapshot, proxy).some((target) => gateway.services.includes(target.service.hostname));
  return selects(gateway.selector, labelsOf(snapshot, proxy));
}

/** Own namespace first, then exported to the namespace by name, then public; oldest first inside each. */
function rankPrivateFirst(rules: readonly VirtualService[], proxy: ProxyNode): readonly VirtualService[] {
  if (proxy.type === 'router') return rules;
  const rank = (rule: VirtualService) => (rule.visibility.public ? 2 : rule.namespace === proxy.namespace ? 0 : 1);
  return rules.map((rule, index) => ({ rule, index })).sort((a, b) => rank(a.rule) - rank(b.rule) || a.index - b.index).map(({ rule }) => rule);
}

function imports(egress: readonly EgressListener[], namespace: string, host: string, match: (pattern: string, host: string) => boolean): boolean {
  const entries = egress.flatMap((listener) => listener.hosts);
  const hits = (exclude: boolean) => entries.some((entry) => entry.exclude === exclude && (entry.namespace === '*' || entry.namespace === namespace) && match(entry.host, host));
  return hits(false) && !hits(true);
}

function visibleServices(snapshot: MeshSnapshot, proxy: ProxyNode, egress: readonly EgressListener[] | undefined, rules: readonly VirtualService[]): readonly Service[] {
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

/**
 * The service ports this proxy's workload serves: by its pod labels for Kubernetes services, else by an endpoint with its address (ServiceEntry).
 * Readiness does not count: a pod keeps its inbound listeners while it is not ready.
 */
function targetsOf(snapshot: MeshSnapshot, proxy: ProxyNode): readonly ServiceTarget[] {
  const ips = new Set(proxy.ipAddresses);
  const workload = proxy.ipAddresses.map((ip) => snapshot.workloads.get(ip)).find(Boolean);
  const targets: ServiceTarget[] = [];
  for (const service of snapshot.services) {
    // Services do not cross namespaces: nobody can put listeners into pods of others.
    if (proxy.namespace && service.namespace !== proxy.namespace) continue;
    const selected = service.registry === 'Kubernetes' && Object.keys(service.selector).length > 0 && workload !== undefined && selects(service.selector, workload.labels);
    for (const port of service.ports) {
      if (port.protocol === 'UDP') continue;
      if (selected) {
        const named = typeof port.targetPort === 'number' ? port.targetPort : (workload.containerPorts.get(port.targetPort) ?? workload.entryPorts.get(port.targetPort));
        const targetPort = workload.entryPorts.get(port.name) ?? named;
        if (targetPort !== undefined) targets.push({ service, port, targetPort });
        continue;
      }
      const seen = new Set<number>();
      for (const endpoint of endpointsOf(snapshot, service))
        if (ips.has(endpoint.address) && endpoint.portName === port.name && !seen.has(endpoint.port)) {
          seen.add(endpoint.port);
          targets.push({ service, port, targetPort: endpoint.port });
        }
    }
  }
  return targets;
}

const ruleCaches = new WeakMap<ProxyView, Map<string, MergedRule | undefined>>();

/**
 * The destination rule for a host as this proxy sees it: first its own namespace, then the service's, then the root namespace; the first level that has a
 * match decides alone. Inside a level the most specific host wins and equal hosts are merged.
 * @see features.md §2.2 (DR selection)
 */
export function destinationRuleFor(view: ProxyView, hostname: string, serviceNamespace: string | undefined): MergedRule | undefined {
  let cache = ruleCaches.get(view);
  if (!cache) ruleCaches.set(view, (cache = new Map()));
  const key = `${serviceNamespace ?? ''}/${hostname}`;
  if (!cache.has(key)) cache.set(key, findRule(view, hostname, serviceNamespace));
  return cache.get(key);
}

function findRule(view: ProxyView, hostname: string, serviceNamespace: string | undefined): MergedRule | undefined {
  const { proxy, snapshot } = view;
  const root = snapshot.mesh.rootNamespace;
  const candidates = rulesCovering(snapshot.destinationRules, hostname);
  if (candidates.length === 0) return undefined;
  const inNamespace = (namespace: string, accept: (rule: DestinationRule) => boolean) =>
    mergeRules(hostname, candidates.filter((rule) => rule.namespace === namespace && accept(rule)
      && (!rule.workloadSelector || (rule.namespace === proxy.namespace && selects(rule.workloadSelector, labelsOf(snapshot, proxy))))));
  const exported = (rule: DestinationRule) => isVisibleTo(rule.visibility, proxy.namespace);
  const own = inNamespace(proxy.namespace, (rule) => exported(rule) && (proxy.namespace !== root || !rule.visibility.public));
  return own
    ?? (serviceNamespace !== undefined && serviceNamespace !== proxy.namespace && serviceNamespace !== root ? inNamespace(serviceNamespace, exported) : undefined)
    ?? inNamespace(root, exported);
}

interface RuleIndex {
  readonly exact: ReadonlyMap<string, readonly DestinationRule[]>;
  readonly wildcards: readonly DestinationRule[];
}

/** By the list itself, which endpoint updates leave alone. */
const ruleIndexes = new WeakMap<readonly DestinationRule[], RuleIndex>();

/** Rules whose host covers the name, oldest first. */
function rulesCovering(rules: readonly DestinationRule[], hostname: string): readonly DestinationRule[] {
  let index = ruleIndexes.get(rules);
  if (!index) {
    const exact = new Map<string, DestinationRule[]>();
    for (const rule of rules) {
      const list = exact.get(rule.host);
      if (list) list.push(rule);
      else exact.set(rule.host, [rule]);
    }
    index = { exact, wildcards: rules.filter((rule) => isWildcard(rule.host)) };
    ruleIndexes.set(rules, index);
  }
  const wild = index.wildcards.filter((rule) => rule.host !== hostname && covers(rule.host, hostname));
  return [...(index.exact.get(hostname) ?? []), ...wild];
}

function mergeRules(hostname: string, rules: readonly DestinationRule[]): MergedRule | undefined {
  const host = mostSpecific(hostname, rules.map((rule) => rule.host));
  const same = rules.filter((rule) => rule.host === host);
  // A rule with a workload selector that takes this proxy stands alone before those for everybody.
  const chosen = same.some((rule) => rule.workloadSelector) ? same.filter((rule) => rule.workloadSelector) : same;
  const first = chosen[0];
  if (!first) return undefined;
  const subsets = new Map<string, Subset>();
  for (const subset of chosen.flatMap((rule) => rule.subsets)) if (!subsets.has(subset.name)) subsets.set(subset.name, subset);
  return { policy: chosen.find((rule) => rule.policy)?.policy, subsets: [...subsets.values()], origin: first.origin, digests: chosen.map((rule) => rule.digest) };
}

/** The mTLS mode clients assume for a service: its namespace's or the mesh's, never a workload's. */
export function serverMtlsMode(view: ProxyView, service: Service): MtlsMode {
  return effectiveMtls(view.snapshot.peerAuthentications, view.snapshot.mesh.rootNamespace, service.namespace, undefined).mode;
}

/** VirtualServices on one gateway (`ns/name`), oldest first. */
export function virtualServicesOn(view: ProxyView, gateway: string): readonly VirtualService[] {
  return view.virtualServices.filter((rule) => rule.gateways.includes(gateway));
}

/** True when an endpoint change of this service concerns the proxy. */
export function dependsOnService(view: ProxyView, serviceKey: string): boolean {
  return view.services.some((service) => service.key === serviceKey);
}

/** `/apis/…` paths of the config objects the view is made of, and `service/<key>` of its services: what a push must touch to concern this proxy. */
export function dependenciesOf(view: ProxyView): ReadonlySet<string> {
  const names = new Set<string>();
  for (const service of view.services) names.add(`service/${service.key}`);
  for (const rule of view.virtualServices) names.add(rule.origin);
  for (const gateway of view.gateways) names.add(gateway.origin);
  for (const policy of [...view.authorizationPolicies, ...view.requestAuthentications]) names.add(policy.origin);
  for (const filter of view.envoyFilters) names.add(filter.origin);
  if (view.sidecar) names.add(view.sidecar.origin);
  return names;
}

const viewKeys = new WeakMap<ProxyView, string>();

/** Equal keys mean equal listeners, routes, clusters and name tables; endpoints (EDS) are not part of it. */
export function viewKey(view: ProxyView): string {
  let key = viewKeys.get(view);
  if (key === undefined) viewKeys.set(view, (key = computeKey(view)));
  return key;
}

function computeKey(view: ProxyView): string {
  const { snapshot, proxy } = view;
  const modes = new Map<string, string>();
  const parts: unknown[] = [
    snapshot.mesh.digest, proxy.type, proxy.namespace, proxy.ipAddresses.map((ip) => ip.includes(':')), proxy.dnsDomain,
    Object.entries(labelsOf(snapshot, proxy)).sort(([a], [b]) => (a < b ? -1 : 1)), proxy.interceptionMode, proxy.headers,
    proxy.istioFilters, proxy.dnsCapture, proxy.dnsAutoAllocate, proxy.locality, proxy.network, proxy.clusterId,
    view.inbound.map((target) => [target.service.digest, target.port.number, target.targetPort]),
    // Ingress of a Sidecar names (and may send to) the pod's own address.
    // Patches may ask for anything in the metadata, and for what the proxy is built with.
    view.envoyFilters.map((filter) => filter.digest), view.envoyFilters.length > 0 ? [proxy.metadata, proxy.extensionTypes] : [],
    view.authorizationPolicies.map((policy) => policy.digest), view.requestAuthentications.map((policy) => policy.digest),
    view.mtls.digests, view.sidecar?.digest, view.sidecar && view.sidecar.ingress.length > 0 ? proxy.ipAddresses : [], view.virtualServices.map((rule) => rule.digest), view.gateways.map((gateway) => gateway.digest),
  ];
  for (const service of view.services) {
    if (!modes.has(service.namespace)) modes.set(service.namespace, serverMtlsMode(view, service));
    parts.push(service.digest, endpointTraits(snapshot, service), modes.get(service.namespace), destinationRuleFor(view, service.hostname, service.namespace)?.digests);
    // Listeners of headless services leave out the proxy's own address.
    if (service.resolution === 'passthrough') parts.push(endpointsOf(snapshot, service).map((endpoint) => endpoint.address).filter((address) => proxy.ipAddresses.includes(address)));
  }
  return contentHash(parts);
}
