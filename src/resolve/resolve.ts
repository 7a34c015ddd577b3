import { messageOf } from '../base/errors.ts';
import type { Issue } from '../base/issue.ts';
import type { AuthorizationPolicy } from '../model/authorization-policy.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { Service } from '../model/service.ts';
import { endpointsOf, type MeshSnapshot } from '../model/snapshot.ts';
import type { Workload } from '../model/workload.ts';
import { contentHash } from '../model/hash.ts';
import { PUBLIC } from '../model/visibility.ts';
import type { KubeObject } from '../objects/meta.ts';
import { allocateAddresses } from './address-allocation.ts';
import { namespaceOf, referenceOf, type ResolveContext } from './context.ts';
import { mergeDelegates, type ReadVirtualService } from './delegate.ts';
import { denyingPolicy, resolveAuthorizationPolicy } from './authorization-policy.ts';
import { resolveDestinationRule } from './destination-rule.ts';
import { discovered } from './discovery-selectors.ts';
import { DEFAULT_FEATURES, type GatewayApiFeatures } from './gateway-api/features.ts';
import { convertDialects, generatedRoute } from './dialects.ts';
import type { StatusUpdate } from './gateway-api/convert.ts';
import { resolveEnvoyFilter } from './envoy-filter.ts';
import { resolveGateway } from './gateway.ts';
import { endpointOf, resolveKubernetesService, resolveEntries, resolveSlices, serviceOfSlice } from './kubernetes-service.ts';
import { convertLegacy } from './legacy/convert.ts';
import { ResolveMemo } from './memo.ts';
import { resolveMeshConfig, type MeshInput } from './mesh-config.ts';
import { resolvePeerAuthentication } from './peer-authentication.ts';
import { checkReferences } from './references.ts';
import { resolveRequestAuthentication, type FetchedKeySet } from './request-authentication.ts';
import { resolveAuthority, resolveSecret } from './secret.ts';
import { resolveServiceEntry } from './service-entry.ts';
import { convertSmi } from './smi/convert.ts';
import { resolveSidecar } from './sidecar.ts';
import { reportUnsupported } from './unsupported.ts';
import { resolveVirtualService } from './virtual-service.ts';
import { nodeLocalities, resolvePod, resolveWorkloadEntry } from './workload.ts';

export interface ResolveInput extends MeshInput {
  /** Every object that matters, of any kind and in any order; kinds that play no part are ignored. */
  readonly objects: Iterable<KubeObject>;
  /** Domain of short names inside Istio objects; default: the mesh's domain suffix. '' gives `name.namespace`. */
  readonly configDomainSuffix?: string;
  /** The snapshot in force: an Istio object that is wrong now keeps its last good version from there. Undefined: it is left out. */
  readonly previous?: MeshSnapshot | undefined;
  /** Key sets of token issuers by the URI they were fetched from. */
  readonly keySets?: ReadonlyMap<string, FetchedKeySet> | undefined;
  /** What of Gateway API is on; default: Istio's defaults. */
  readonly gatewayApi?: GatewayApiFeatures | undefined;
  /** What the last calls read: makes this one read only objects that changed. */
  readonly memo?: ResolveMemo | undefined;
}

/** The mesh, what is wrong with its objects, and the status that objects of Gateway API and Ingresses should have. */
export interface Resolved {
  readonly snapshot: MeshSnapshot;
  readonly issues: readonly Issue[];
  readonly statuses: readonly StatusUpdate[];
}

/** Objects → model. Never throws for what a user wrote: an object that is wrong becomes issues and is left out, everything else goes on. */
export function resolve(input: ResolveInput): Resolved {
  const issues: Issue[] = [];
  const mesh = resolveMeshConfig(input, issues);
  const context: ResolveContext = { mesh, configDomainSuffix: input.configDomainSuffix ?? mesh.domainSuffix, issues };
  const byKind = groupByKind(discovered(input.objects, mesh.discoverySelectors, mesh.rootNamespace));
  const kind = (name: string) => byKind.get(name) ?? [];
  const memo = input.memo ?? new ResolveMemo();
  const each: EachKind = (name, read, extra) => kind(name).flatMap((object) => memo.read(context, object, extra, () => guarded(issues, object, read)) ?? []);

  const keeping = <T extends Named>(name: string, read: (object: KubeObject) => T | undefined, last: readonly NoInfer<T>[] | undefined, extra?: unknown): T[] =>
    kind(name).flatMap((object) => memo.read(context, object, extra, () => guarded(issues, object, read)) ?? last?.find((good) => good.name === object.metadata.name && good.namespace === namespaceOf(object)) ?? []);

  const localities = memo.of('localities', kind('/Node'), () => nodeLocalities(kind('/Node')));
  const pods = each('/Pod', (pod) => resolvePod(context, pod, localities), localities);
  const entries = each('networking.istio.io/WorkloadEntry', (entry) => resolveWorkloadEntry(context, entry));
  const workloads = new Map([...entries, ...pods].map((workload) => [workload.address, workload]));
  const { services, endpoints } = resolveServices({ context, each, kind, memo, candidates: memo.stable('candidates', [...pods, ...entries]), workloads });
  memo.finish();
  const converted = convertDialects({ input, mesh, kind, services, endpoints, features: input.gatewayApi ?? DEFAULT_FEATURES, issues });
  const legacy = convertLegacy({ ofKind: kind, mesh, issues });
  const smi = convertSmi({ ofKind: kind, mesh, services, workloads: pods, issues });
  const made = <T>(objects: readonly KubeObject[], read: (object: KubeObject) => T | undefined): T[] => objects.flatMap((object) => guarded(issues, object, read) ?? []);
  const snapshot: MeshSnapshot = {
    kind: 'mesh-snapshot', mesh,
    namespaces: new Map(kind('/Namespace').map((object) => [object.metadata.name, { name: object.metadata.name, labels: object.metadata.labels ?? {} }])),
    services, servicesByHostname: groupByHostname(services), endpoints, workloads,
    virtualServices: oldestFirst([
      ...mergeDelegates(keeping<ReadVirtualService>('networking.istio.io/VirtualService', (object) => resolveVirtualService(context, object), input.previous?.virtualServices), issues),
      ...converted.virtualServices.flatMap((route) => guarded(issues, route.object, (object) => resolveVirtualService(context, object, generatedRoute(route))) ?? []),
      ...made(smi.virtualServices, (object) => resolveVirtualService(context, object, { visibility: PUBLIC })),
    ]),
    destinationRules: oldestFirst([...keeping('networking.istio.io/DestinationRule', (object) => resolveDestinationRule(context, object), input.previous?.destinationRules), ...made(converted.destinationRules, (object) => resolveDestinationRule(context, object))]),
    gateways: oldestFirst([...keeping('networking.istio.io/Gateway', (object) => resolveGateway(context, object), input.previous?.gateways), ...made(converted.gateways, (object) => resolveGateway(context, object, true))]),
    peerAuthentications: oldestFirst([
      ...keeping('security.istio.io/PeerAuthentication', (object) => resolvePeerAuthentication(context, object), input.previous?.peerAuthentications),
      ...made(legacy.get('PeerAuthentication') ?? [], (object) => resolvePeerAuthentication(context, object)),
    ]),
    requestAuthentications: oldestFirst([
      ...keeping('security.istio.io/RequestAuthentication', (object) => resolveRequestAuthentication(context, object, input.keySets ?? new Map()), input.previous?.requestAuthentications, {}),
      ...made(legacy.get('RequestAuthentication') ?? [], (object) => resolveRequestAuthentication(context, object, input.keySets ?? new Map())),
    ]),
    authorizationPolicies: oldestFirst(resolvePolicies(context, [...kind('security.istio.io/AuthorizationPolicy'), ...(legacy.get('AuthorizationPolicy') ?? []), ...smi.authorizationPolicies], input.previous?.authorizationPolicies)),
    sidecars: oldestFirst(keeping('networking.istio.io/Sidecar', (object) => resolveSidecar(context, object), input.previous?.sidecars)),
    envoyFilters: oldestFirst(keeping('networking.istio.io/EnvoyFilter', (object) => resolveEnvoyFilter(context, object), input.previous?.envoyFilters)),
    secrets: new Map([
      ...each('/Secret', resolveSecret).map((secret) => [`${secret.namespace}/${secret.name}`, secret] as const),
      ...each('/ConfigMap', resolveAuthority).map((authority) => [`configmap://${authority.namespace}/${authority.name}`, authority] as const),
    ]),
  };
  issues.push(...checkReferences(snapshot), ...reportUnsupported(byKind));
  return { snapshot, issues, statuses: converted.statuses };
}

/** A policy that cannot be read keeps its last good version; without one it denies. */
function resolvePolicies(context: ResolveContext, objects: readonly KubeObject[], last: readonly AuthorizationPolicy[] | undefined): AuthorizationPolicy[] {
  return objects.map((object) => guarded(context.issues, object, (policy) => resolveAuthorizationPolicy(context, policy))
    ?? last?.find((good) => good.name === object.metadata.name && good.namespace === namespaceOf(object)) ?? denyingPolicy(context, object));
}

interface Named {
  readonly name: string;
  readonly namespace: string;
}

/** `extra`: what the reader depends on beside the object and the mesh's settings. */
type EachKind = <T>(name: string, read: (object: KubeObject) => T | undefined, extra?: unknown) => T[];

interface ServiceSources {
  readonly context: ResolveContext;
  readonly each: EachKind;
  readonly kind: (name: string) => readonly KubeObject[];
  readonly memo: ResolveMemo;
  /** Pods and WorkloadEntries. */
  readonly candidates: readonly Workload[];
  readonly workloads: ReadonlyMap<string, Workload>;
}

function resolveServices({ context, each, kind, memo, candidates, workloads }: ServiceSources) {
  const endpoints = new Map<string, readonly Endpoint[]>();
  const slices = new Map<string, KubeObject[]>();
  for (const slice of kind('discovery.k8s.io/EndpointSlice')) {
    const owner = serviceOfSlice(slice);
    if (owner === undefined) continue;
    const list = slices.get(owner);
    if (list) list.push(slice);
    else slices.set(owner, [slice]);
  }
  const services = new Map<string, Service>();
  const claims = new Map<string, number>();
  const entries = memo.stable('entries', candidates.filter((workload) => workload.isEntry));
  for (const service of each('/Service', (object) => resolveKubernetesService(context, object))) {
    services.set(service.key, service);
    const own = slices.get(`${service.namespace}/${service.name}`) ?? [];
    endpoints.set(service.key, memo.endpoints(service, [entries, ...own], workloads, (found) => [...resolveSlices(service, own, found), ...resolveEntries(service, entries)]));
  }
  for (const entry of each('networking.istio.io/ServiceEntry', (object) => resolveServiceEntry(context, object, candidates), candidates))
    for (const service of entry.services) {
      const own = entry.endpoints.get(service.key) ?? [];
      const known = services.get(service.key);
      claims.set(service.key, (claims.get(service.key) ?? 0) + 1);
      // One service per host and namespace: a second entry adds ports, addresses and endpoints; over a Kubernetes service it only adds SANs.
      services.set(service.key, known ? mergeServices(known, service) : service);
      if (known?.registry !== 'Kubernetes') endpoints.set(service.key, [...(endpoints.get(service.key) ?? []), ...own]);
    }
  const byHostname = new Set([...services.values()].map((service) => service.hostname));
  for (const service of services.values())
    if (service.resolution === 'alias') settleAlias(service, byHostname.has(service.aliasOf ?? '') ? [...services.values()].find((other) => other.hostname === service.aliasOf) : undefined, services, endpoints);
  return { services: allocateAddresses(oldestFirst([...services.values()]), claims), endpoints };
}

/** An ExternalName inside the mesh takes the ports of what it names; one that leads outside is found by DNS. */
function settleAlias(service: Service, target: Service | undefined, services: Map<string, Service>, endpoints: Map<string, readonly Endpoint[]>): void {
  if (target) {
    services.set(service.key, { ...service, ports: target.ports, digest: contentHash([service.digest, target.digest]) });
    return;
  }
  services.set(service.key, { ...service, resolution: 'dns', aliasOf: undefined });
  endpoints.set(service.key, service.ports.map((port) => endpointOf(undefined, { address: service.aliasOf ?? '', port: typeof port.targetPort === 'number' ? port.targetPort : port.number, portName: port.name, health: 'healthy' })));
}

function mergeServices(known: Service, other: Service): Service {
  const subjectAltNames = [...new Set([...known.subjectAltNames, ...other.subjectAltNames])];
  if (known.registry === 'Kubernetes') return { ...known, subjectAltNames, digest: contentHash([known.digest, subjectAltNames]) };
  const ports = [...known.ports, ...other.ports.filter((port) => !known.ports.some((have) => have.number === port.number))];
  const addresses = [...new Set([...known.addresses, ...other.addresses])];
  return { ...known, subjectAltNames, ports, addresses, digest: contentHash([known.digest, other.digest]) };
}

function groupByKind(objects: Iterable<KubeObject>): ReadonlyMap<string, readonly KubeObject[]> {
  const groups = new Map<string, KubeObject[]>();
  for (const object of objects) {
    const slash = object.apiVersion.lastIndexOf('/');
    const key = `${slash < 0 ? '' : object.apiVersion.slice(0, slash)}/${object.kind}`;
    const list = groups.get(key);
    if (list) list.push(object);
    else groups.set(key, [object]);
  }
  return groups;
}

/** Runs a reader; a bug in it costs one object, not the mesh. */
function guarded<T>(issues: Issue[], object: KubeObject, read: (object: KubeObject) => T | undefined): T | undefined {
  try {
    return read(object);
  } catch (thrown) {
    issues.push({ severity: 'error', code: 'MLT0001', object: referenceOf(object), path: '', message: `The object could not be read: ${messageOf(thrown)}.` });
    return undefined;
  }
}

/** Istio's order of configs: creation time, then name, then namespace. */
function oldestFirst<T extends { readonly createdMs: number; readonly name: string; readonly namespace: string }>(list: readonly T[]): readonly T[] {
  return [...list].sort((a, b) => a.createdMs - b.createdMs || compare(`${a.name}.${a.namespace}`, `${b.name}.${b.namespace}`));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Services by host name; the order of the list stays. */
export function groupByHostname(services: readonly Service[]): ReadonlyMap<string, readonly Service[]> {
  const map = new Map<string, Service[]>();
  for (const service of services) {
    const list = map.get(service.hostname);
    if (list) list.push(service);
    else map.set(service.hostname, [service]);
  }
  return map;
}

/**
 * The endpoint fast path: endpoints of one Kubernetes service after its slices changed, by the workloads the snapshot knows. Put them in with
 * `withEndpoints`. Undefined when the snapshot has no such service.
 */
export function resolveEndpoints(snapshot: MeshSnapshot, namespace: string, serviceName: string, slices: readonly KubeObject[]): { readonly service: Service; readonly endpoints: readonly Endpoint[] } | undefined {
  const hostname = `${serviceName}.${namespace}.svc.${snapshot.mesh.domainSuffix}`;
  const service = snapshot.servicesByHostname.get(hostname)?.find((candidate) => candidate.namespace === namespace);
  if (!service) return undefined;
  const own = slices.filter((slice) => namespaceOf(slice) === namespace && serviceOfSlice(slice) === `${namespace}/${serviceName}`);
  // Slices say nothing of WorkloadEntries: those that are there stay.
  const entries = endpointsOf(snapshot, service).filter((endpoint) => snapshot.workloads.get(endpoint.address)?.isEntry);
  return { service, endpoints: [...resolveSlices(service, own, snapshot.workloads), ...entries] };
}
