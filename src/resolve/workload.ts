import { NO_LOCALITY, type Locality, type WorkloadIdentity } from '../model/endpoint.ts';
import { isIp } from '../model/hostname.ts';
import type { Workload } from '../model/workload.ts';
import type { KubeObject } from '../objects/meta.ts';
import { namespaceOf, readSpec, type ResolveContext } from './context.ts';
import { Cursor } from './cursor.ts';

const NO_REPORT = () => {};
const EMPTY: Readonly<Record<string, string>> = {};

/** A SPIFFE id of a service account; '' when no account is named. */
export function spiffeId(trustDomain: string, namespace: string, account: string): string {
  return account ? `spiffe://${trustDomain}/ns/${namespace}/sa/${account}` : '';
}

/** `region/zone/subzone` (WorkloadEntry) or `region.zone.subzone` (label `istio-locality`, where dots would clash with slashes in label values). */
export function parseLocality(text: string): Locality {
  const [region = '', zone = '', subZone = ''] = text.split(text.includes('/') ? '/' : '.');
  return { region, zone, subZone };
}

/** Localities of nodes by node name. */
export function nodeLocalities(nodes: readonly KubeObject[]): ReadonlyMap<string, Locality> {
  return new Map(nodes.map((node) => {
    const labels = node.metadata.labels ?? EMPTY;
    return [node.metadata.name, {
      region: labels['topology.kubernetes.io/region'] ?? '', zone: labels['topology.kubernetes.io/zone'] ?? '', subZone: labels['topology.istio.io/subzone'] ?? '',
    }] as const;
  }));
}

/** A pod with an address; undefined while it has none or when it has ended. */
export function resolvePod(context: ResolveContext, pod: KubeObject, localities: ReadonlyMap<string, Locality>): Workload | undefined {
  const status = new Cursor((pod as { readonly status?: unknown }).status, 'status', NO_REPORT);
  const spec = new Cursor((pod as { readonly spec?: unknown }).spec, 'spec', NO_REPORT);
  const address = status.at('podIP').string();
  const phase = status.at('phase').string();
  if (!address || phase === 'Succeeded' || phase === 'Failed') return undefined;
  const labels = pod.metadata.labels ?? EMPTY;
  const namespace = namespaceOf(pod);
  const containerPorts = new Map<string, number>();
  for (const container of [...spec.at('containers').items(), ...spec.at('initContainers').items()])
    for (const port of container.at('ports').items()) {
      const number = port.at('containerPort').number();
      const name = port.at('name').string();
      if (number !== undefined && name && !containerPorts.has(name)) containerPorts.set(name, number);
    }
  const ready = status.at('conditions').items().some((condition) => condition.at('type').string() === 'Ready' && condition.at('status').string() === 'True');
  return {
    kind: 'workload', name: pod.metadata.name, namespace, address, labels, annotations: pod.metadata.annotations ?? EMPTY,
    serviceAccount: spiffeId(context.mesh.trustDomain, namespace, spec.at('serviceAccountName').string('default')),
    identity: identityOf(labels, workloadNameOf(pod), namespace, context.mesh.clusterId),
    locality: labels['istio-locality'] ? parseLocality(labels['istio-locality']) : (localities.get(spec.at('nodeName').string()) ?? NO_LOCALITY),
    tlsMode: labels['security.istio.io/tlsMode'] === 'istio' ? 'istio' : 'disabled',
    containerPorts, hostname: spec.at('hostname').string(), subdomain: spec.at('subdomain').string(), ready,
    network: labels['topology.istio.io/network'] ?? '', weight: 0, isEntry: false, entryPorts: new Map(),
  };
}

/** Reads a WorkloadEntry, or an inline endpoint of a ServiceEntry (`path` says which). */
export function readWorkloadEntry(context: ResolveContext, entry: Cursor, name: string, namespace: string, objectLabels: Readonly<Record<string, string>> = EMPTY): Workload {
  const labels = { ...objectLabels, ...entry.at('labels').stringMap() };
  const entryPorts = new Map<string, number>();
  for (const [port, value] of entry.at('ports').entries()) {
    const number = value.number();
    if (number !== undefined) entryPorts.set(port, number);
  }
  const locality = entry.at('locality').string() || (labels['istio-locality'] ?? '');
  return {
    kind: 'workload', name, namespace, address: entry.at('address').string(), labels, annotations: EMPTY,
    serviceAccount: spiffeId(context.mesh.trustDomain, namespace, entry.at('serviceAccount').string()),
    identity: identityOf(labels, name, namespace, context.mesh.clusterId),
    locality: locality ? parseLocality(locality) : NO_LOCALITY,
    tlsMode: entryTlsMode(labels, entry.at('serviceAccount').string()),
    containerPorts: new Map(), hostname: '', subdomain: '', ready: true, isEntry: true,
    network: entry.at('network').string() || (labels['topology.istio.io/network'] ?? ''), weight: entry.at('weight').positive() ?? 0, entryPorts,
  };
}

export function resolveWorkloadEntry(context: ResolveContext, object: KubeObject): Workload | undefined {
  return readSpec(context, object, (spec) => {
    const workload = readWorkloadEntry(context, spec, object.metadata.name, namespaceOf(object), object.metadata.labels);
    if (!workload.address && !workload.network) spec.at('address').fail('is required unless a network is named');
    return isHealthy(object) ? workload : { ...workload, ready: false };
  });
}

/** Whoever has an account of the mesh speaks mutual TLS, unless its label says otherwise. */
function entryTlsMode(labels: Readonly<Record<string, string>>, account: string): Workload['tlsMode'] {
  const label = labels['security.istio.io/tlsMode'];
  return label === 'istio' || (label === undefined && account !== '') ? 'istio' : 'disabled';
}

/** Workloads whose agent checks their health are used only once it reported that they are well. */
function isHealthy(entry: KubeObject): boolean {
  if (entry.metadata.annotations?.[HEALTH_CHECKS] !== 'true') return true;
  const status = new Cursor((entry as { readonly status?: unknown }).status, 'status', NO_REPORT);
  return status.at('conditions').items().some((condition) => condition.at('type').string() === 'Healthy' && condition.at('status').string() === 'True');
}

/** Annotation of entries whose agent reports health. */
const HEALTH_CHECKS = 'proxy.istio.io/health-checks-enabled';

/** Canonical name and revision from the labels Istio reads, in its order. */
function identityOf(labels: Readonly<Record<string, string>>, name: string, namespace: string, cluster: string): WorkloadIdentity {
  return {
    name, namespace, cluster,
    canonicalName: labels['service.istio.io/canonical-name'] ?? labels['app.kubernetes.io/name'] ?? labels['app'] ?? name,
    canonicalRevision: labels['service.istio.io/canonical-revision'] ?? labels['app.kubernetes.io/version'] ?? labels['version'] ?? 'latest',
  };
}

/** The Deployment behind a ReplicaSet's pod (its name without the template hash), else the controller's name, else the pod's. */
function workloadNameOf(pod: KubeObject): string {
  const owner = pod.metadata.ownerReferences?.find((reference) => reference.controller) ?? pod.metadata.ownerReferences?.[0];
  if (!owner) return pod.metadata.name;
  const hash = pod.metadata.labels?.['pod-template-hash'];
  if (owner.kind === 'ReplicaSet' && hash && owner.name.endsWith(`-${hash}`)) return owner.name.slice(0, -hash.length - 1);
  return owner.name;
}

/** True when an address can be an endpoint of a service that lists its endpoints itself. */
export function isEndpointAddress(address: string): boolean {
  return isIp(address) || address.startsWith('unix://');
}
