/**
 * What resources are made of, as text: equal keys mean equal resources. A proxy's own part (what its workload serves) is apart from what proxies of one
 * place share, and nothing is in a key that no visible object asks for: pods of a namespace share although their labels and addresses differ.
 */
import { patchMatchesProxy } from './envoy-filter.ts';
import { contentHash } from './hash.ts';
import type { MtlsMode } from './peer-authentication.ts';
import type { Service } from './service.ts';
import { sourceLabelsOf, ruleSelectorLabels } from './sight.ts';
import { endpointsOf, endpointTraits, type MeshSnapshot } from './snapshot.ts';
import { destinationRuleFor, labelsOf, policiesWithoutMutual, serverMtlsMode, type ProxyView } from './view.ts';
import type { DestinationRule } from './destination-rule.ts';

/** Labels that spans carry. */
const TRACED_LABELS = ['service.istio.io/canonical-revision', 'version', 'service.istio.io/canonical-name', 'app'] as const;
/** Labels that stand in for a locality that is not known otherwise. */
const TOPOLOGY_LABELS = ['topology.istio.io/network', 'topology.kubernetes.io/region', 'topology.kubernetes.io/zone', 'topology.istio.io/subzone'] as const;

/**
 * What outbound clusters, endpoints, routes and names depend on beside the lists of the snapshot: the kind of proxy, its place, and the Sidecar or the
 * Gateways that hold for it. For routers also what their listeners are made of.
 */
export function placeKey(view: ProxyView): string {
  const { proxy, sidecar } = view;
  return JSON.stringify([
    proxy.type, proxy.namespace, familiesOf(view), proxy.interceptionMode, proxy.headers, proxy.istioFilters, proxy.dnsCapture, proxy.locality, proxy.network, proxy.clusterId,
    sidecar && [sidecar.origin, sidecar.digest], view.outboundPolicy, labelsAsked(view),
    view.gateways.map((gateway) => [gateway.namespace, gateway.name, gateway.digest]), proxy.type === 'router' ? workloadParts(view) : [],
  ]);
}

/**
 * What outbound listeners (all listeners of a router) depend on beside the place: spans are tagged with the workload's name, and listeners of headless
 * services leave out the proxy's own address.
 */
export function listenerKey(view: ProxyView): string {
  const known = view.proxy.type === 'router' ? undefined : passedAddresses(view);
  const own = known && known.size > 0 ? view.proxy.ipAddresses.filter((address) => known.has(address)) : [];
  return JSON.stringify([own, tracedLabels(view)]);
}

/** What the inbound clusters and listeners of a sidecar are made of, all of it. */
export function inboundKey(view: ProxyView): string {
  const { proxy, snapshot, sidecar } = view;
  return JSON.stringify([
    snapshot.mesh.digest, proxy.namespace, familiesOf(view), proxy.interceptionMode, proxy.headers, proxy.istioFilters, proxy.clusterId, view.outboundPolicy,
    sidecar && [sidecar.origin, sidecar.digest], tracedLabels(view), tracingService(view),
    // Ingress of a Sidecar names (and may send to) the pod's own address.
    sidecar && sidecar.ingress.length > 0 ? proxy.ipAddresses : [], workloadParts(view),
    view.inbound.map(({ service }) => destinationRuleFor(view, service.hostname, service.namespace)?.digests),
  ]);
}

/** Everything: equal keys mean equal listeners, routes, clusters and name tables; endpoints (EDS) are not part of it. For proxies with EnvoyFilters, which may change anything. */
export function viewKey(view: ProxyView): string {
  const { proxy } = view;
  const parts: unknown[] = [
    placeKey(view), listenerKey(view), inboundKey(view),
    view.envoyFilters.map((filter) => [filter.digest, filter.patches.map((patch) => patchMatchesProxy(patch, proxy))]), view.envoyFilters.length > 0 ? proxy.extensionTypes : [],
    view.virtualServices.map((rule) => rule.digest),
  ];
  for (const service of view.services) parts.push(serviceKey(view, service));
  return contentHash(parts);
}

const modes = new WeakMap<ProxyView, Map<string, MtlsMode>>();

/** What clusters and routes to one service are made of, as far as it belongs to the service. */
export function serviceKey(view: ProxyView, service: Service): string {
  let known = modes.get(view);
  if (!known) modes.set(view, (known = new Map()));
  let mode = known.get(service.namespace);
  if (mode === undefined) known.set(service.namespace, (mode = serverMtlsMode(view, service)));
  return `${serviceDigest(service)}|${endpointTraits(view.snapshot, service)}|${mode}|${mutualKey(view, service)}|${destinationRuleFor(view, service.hostname, service.namespace)?.digests.join() ?? ''}`;
}

/** What tells clients which endpoints of the service refuse mutual TLS. */
export function mutualKey(view: ProxyView, service: Service): string {
  return policiesWithoutMutual(view, service.namespace).map((policy) => policy.digest).join();
}

/** A Sidecar may leave a service only some of its ports; allocated addresses are not shown to everybody. */
export function serviceDigest(service: Service): string {
  return `${service.digest}/${service.ports.map((port) => port.number).join()}/${service.addresses.length}`;
}

function familiesOf({ proxy }: ProxyView): readonly boolean[] {
  return proxy.ipAddresses.map((ip) => ip.includes(':'));
}

/** The proxy's values of those labels that something it sees chooses by. */
function labelsAsked(view: ProxyView): readonly unknown[] {
  const { proxy, snapshot } = view;
  const names = new Set([...sourceLabelsOf(view.virtualServices), ...ruleSelectorLabels(snapshot.destinationRules, proxy.namespace), ...failoverLabels(snapshot)]);
  if (names.size === 0) return [];
  const labels = labelsOf(snapshot, proxy);
  return [...names].sort().map((name) => [name, proxy.labels[name], labels[name]]);
}

const failoverNames = new WeakMap<readonly DestinationRule[], readonly string[]>();

/** Labels that endpoints are ranked by. */
function failoverLabels({ destinationRules, mesh, services }: MeshSnapshot): readonly string[] {
  let names = failoverNames.get(destinationRules);
  if (!names) {
    const policies = destinationRules.flatMap((rule) => [rule.policy, ...rule.subsets.map((subset) => subset.policy)]).flatMap((policy) => (policy ? [policy, ...policy.portLevel.values()] : []));
    failoverNames.set(destinationRules, (names = policies.flatMap((policy) => policy.loadBalancer?.locality?.failoverPriority ?? []).map(labelNameOf)));
  }
  const near = names.length > 0 || mesh.locality.failoverPriority.length > 0 || asksForNear(services);
  return near ? [...names, ...mesh.locality.failoverPriority.map(labelNameOf), ...TOPOLOGY_LABELS] : [];
}

function labelNameOf(entry: string): string {
  const equals = entry.indexOf('=');
  return equals < 0 ? entry : entry.slice(0, equals);
}

const nearServices = new WeakMap<readonly Service[], boolean>();

function asksForNear(services: readonly Service[]): boolean {
  let asks = nearServices.get(services);
  if (asks === undefined) nearServices.set(services, (asks = services.some((service) => service.preferClose)));
  return asks;
}

function tracedLabels({ snapshot, proxy }: ProxyView): readonly unknown[] {
  return snapshot.mesh.enableTracing && snapshot.mesh.tracing ? TRACED_LABELS.map((name) => proxy.labels[name]) : [];
}

/** Spans go to a service only if the proxy sees it. */
function tracingService(view: ProxyView): readonly unknown[] {
  const address = (view.snapshot.mesh.enableTracing && view.snapshot.mesh.tracing?.zipkinAddress) || '';
  const host = address.slice(0, Math.max(0, address.lastIndexOf(':')));
  const { domainSuffix } = view.snapshot.mesh;
  return host === '' ? [] : [host, `${host}.svc.${domainSuffix}`, `${host}.${domainSuffix}`].map((name) => view.byHostname.get(name)?.digest);
}

/** What the workload serves and demands. */
function workloadParts(view: ProxyView): readonly unknown[] {
  const custom = view.authorizationPolicies.some((policy) => policy.action === 'CUSTOM');
  return [
    view.inbound.map((target) => [target.service.digest, target.port.number, target.targetPort]), view.mtls.digests,
    view.authorizationPolicies.map((policy) => [policy.origin, policy.digest]), view.requestAuthentications.map((policy) => [policy.origin, policy.digest]),
    custom ? visibleNames(view.services) : '',
  ];
}

const namesSeen = new WeakMap<readonly Service[], string>();

/** External authorizers are found by the names of the visible services. */
function visibleNames(services: readonly Service[]): string {
  let names = namesSeen.get(services);
  if (names === undefined) namesSeen.set(services, (names = contentHash(services.map((service) => service.key))));
  return names;
}

const passed = new WeakMap<MeshSnapshot['endpoints'], WeakMap<readonly Service[], ReadonlySet<string>>>();

/** Addresses of the visible headless services. */
function passedAddresses({ snapshot, services }: ProxyView): ReadonlySet<string> {
  let byServices = passed.get(snapshot.endpoints);
  if (!byServices) passed.set(snapshot.endpoints, (byServices = new WeakMap()));
  let addresses = byServices.get(services);
  if (!addresses) byServices.set(services, (addresses = new Set(services.flatMap((service) => (service.headless ? endpointsOf(snapshot, service).map((endpoint) => endpoint.address) : [])))));
  return addresses;
}

/** What endpoints are ranked by: where the proxy is. */
export function nearKey(view: ProxyView): string {
  const { proxy, snapshot } = view;
  return JSON.stringify([proxy.locality, proxy.network, failoverLabels(snapshot).map((name) => proxy.labels[name])]);
}

/** What outbound clusters depend on beside their service: fewer things than the place, so that proxies of different namespaces share them. */
export function clusterScopeKey(view: ProxyView): string {
  return JSON.stringify([view.snapshot.mesh.digest, view.proxy.type, familiesOf(view), view.proxy.istioFilters, nearKey(view)]);
}
