import type { AuthorizationPolicy } from './authorization-policy.ts';
import type { Endpoint } from './endpoint.ts';
import { envoyFiltersFor, type EnvoyFilter } from './envoy-filter.ts';
import { type DestinationRule, type Subset, type TrafficPolicy } from './destination-rule.ts';
import type { Gateway } from './gateway.ts';
import { covers, isWildcard, mostSpecific } from './hostname.ts';
import type { OutboundPolicy } from './mesh.ts';
import { effectiveMtls, policiesWithout, type EffectiveMtls, type MtlsMode, type PeerAuthentication } from './peer-authentication.ts';
import { policyApplies } from './policy-target.ts';
import type { ProxyNode } from './proxy-node.ts';
import type { RequestAuthentication } from './request-authentication.ts';
import type { Service, ServicePort } from './service.ts';
import type { Sidecar } from './sidecar.ts';
import { ruleSelectorLabels, serviceKeysOf, servicesIn, sightOf } from './sight.ts';
import { endpointsOf, type MeshSnapshot } from './snapshot.ts';
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
  const { services, byHostname, virtualServices } = sightOf(snapshot, proxy, sidecar, gateways);
  const labels = labelsOf(snapshot, proxy);
  const subject = { namespace: proxy.namespace, labels };
  const root = snapshot.mesh.rootNamespace;
  return {
    kind: 'proxy-view', snapshot, proxy, sidecar, services, byHostname,
    inbound: targetsOf(snapshot, proxy), virtualServices, gateways,
    authorizationPolicies: snapshot.authorizationPolicies.filter((policy) => policyApplies(policy, subject, root)),
    requestAuthentications: snapshot.requestAuthentications.filter((policy) => policyApplies(policy, subject, root)),
    mtls: effectiveMtls(snapshot.peerAuthentications, snapshot.mesh.rootNamespace, proxy.namespace, labels),
    envoyFilters: envoyFiltersFor(snapshot.envoyFilters, proxy, labels, root),
    outboundPolicy: sidecar?.outboundPolicy ?? snapshot.mesh.outboundPolicy,
  };
}

/** The workload's labels: what the proxy says, else what its pod has. */
export function labelsOf(snapshot: MeshSnapshot, proxy: ProxyNode): Readonly<Record<string, string>> {
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

/**
 * The service ports this proxy's workload serves: by its pod labels for Kubernetes services, else by an endpoint with its address (ServiceEntry).
 * Readiness does not count: a pod keeps its inbound listeners while it is not ready.
 */
function targetsOf(snapshot: MeshSnapshot, proxy: ProxyNode): readonly ServiceTarget[] {
  const ips = new Set(proxy.ipAddresses);
  const workload = proxy.ipAddresses.map((ip) => snapshot.workloads.get(ip)).find(Boolean);
  const targets: ServiceTarget[] = [];
  // Services do not cross namespaces: nobody can put listeners into pods of others.
  for (const service of proxy.namespace ? servicesIn(snapshot.services, proxy.namespace) : snapshot.services) {
    const selected = service.registry === 'Kubernetes' && Object.keys(service.selector).length > 0 && workload !== undefined && selects(service.selector, workload.labels);
    if (!selected && !hasAddress(endpointsOf(snapshot, service), ips)) continue;
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

const addressSets = new WeakMap<readonly Endpoint[], ReadonlySet<string>>();

function hasAddress(endpoints: readonly Endpoint[], addresses: ReadonlySet<string>): boolean {
  let known = addressSets.get(endpoints);
  if (!known) addressSets.set(endpoints, (known = new Set(endpoints.map((endpoint) => endpoint.address))));
  for (const address of addresses) if (known.has(address)) return true;
  return false;
}

/** By the list of rules, then by all else that chooses among them: proxies of a place share the answers. */
const ruleCaches = new WeakMap<readonly DestinationRule[], Map<string, Map<string, MergedRule | undefined>>>();
/** The cache a view uses, found once. */
const cacheOfView = new WeakMap<ProxyView, Map<string, MergedRule | undefined>>();

function ruleCacheOf(view: ProxyView): Map<string, MergedRule | undefined> {
  let cache = cacheOfView.get(view);
  if (cache) return cache;
  const { proxy, snapshot } = view;
  let byPlace = ruleCaches.get(snapshot.destinationRules);
  if (!byPlace) ruleCaches.set(snapshot.destinationRules, (byPlace = new Map()));
  const asked = ruleSelectorLabels(snapshot.destinationRules, proxy.namespace);
  const labels = asked.size === 0 ? '' : JSON.stringify([...asked].map((name) => labelsOf(snapshot, proxy)[name]));
  const place = `${snapshot.mesh.rootNamespace}|${proxy.namespace}|${labels}`;
  cache = byPlace.get(place);
  if (!cache) byPlace.set(place, (cache = new Map()));
  cacheOfView.set(view, cache);
  return cache;
}

/**
 * The destination rule for a host as this proxy sees it: first its own namespace, then the service's, then the root namespace; the first level that has a
 * match decides alone. Inside a level the most specific host wins and equal hosts are merged.
 * @see features.md §2.2 (DR selection)
 */
export function destinationRuleFor(view: ProxyView, hostname: string, serviceNamespace: string | undefined): MergedRule | undefined {
  const cache = ruleCacheOf(view);
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

const withoutMutual = new WeakMap<readonly PeerAuthentication[], Map<string, readonly PeerAuthentication[]>>();

/**
 * Policies because of which some endpoints of the namespace may refuse mutual TLS; mostly none.
 * @see istio pilot/pkg/xds/endpoints/mtls_checker.go
 */
export function policiesWithoutMutual({ snapshot }: ProxyView, namespace: string): readonly PeerAuthentication[] {
  let known = withoutMutual.get(snapshot.peerAuthentications);
  if (!known) withoutMutual.set(snapshot.peerAuthentications, (known = new Map()));
  let policies = known.get(namespace);
  if (!policies) known.set(namespace, (policies = policiesWithout(snapshot.peerAuthentications, snapshot.mesh.rootNamespace, namespace)));
  return policies;
}

/** VirtualServices on one gateway (`ns/name`), oldest first. */
export function virtualServicesOn(view: ProxyView, gateway: string): readonly VirtualService[] {
  return view.virtualServices.filter((rule) => rule.gateways.includes(gateway));
}

/** True when an endpoint change of this service concerns the proxy. */
export function dependsOnService(view: ProxyView, serviceKey: string): boolean {
  return serviceKeysOf(view.services).has(serviceKey);
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
