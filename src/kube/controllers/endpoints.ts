/** Which pods stand behind a Service: pure functions from Service and pods to EndpointSlices and the older Endpoints object. */
import { createHash } from 'node:crypto';
import type { Endpoints } from '../../objects/kubernetes/endpoints.ts';
import type { EndpointSlice } from '../../objects/kubernetes/endpoint-slice.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import type { Service } from '../../objects/kubernetes/service.ts';
import { controllerReference, isPodReady } from './pods.ts';

interface ResolvedPort {
  readonly name: string;
  readonly port: number;
  readonly protocol: 'TCP' | 'UDP' | 'SCTP';
  readonly appProtocol?: string;
}

/** One slice per set of resolved ports: a named targetPort may mean different numbers in different pods. Pods without an address are left out. */
export function endpointSlicesOf(service: Service, pods: readonly Pod[]): readonly EndpointSlice[] {
  const groups = groupByPorts(service, pods);
  return [...groups.values()].map(({ ports, members }) => ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${service.metadata.name}-${createHash('sha256').update(`${service.metadata.uid}${JSON.stringify(ports)}`).digest('hex').slice(0, 5)}`,
      namespace: service.metadata.namespace!,
      labels: {
        ...service.metadata.labels,
        'kubernetes.io/service-name': service.metadata.name,
        'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io',
        ...(service.spec.clusterIP === 'None' && { 'service.kubernetes.io/headless': '' }),
      },
      ownerReferences: [controllerReference(service)],
    },
    addressType: 'IPv4',
    endpoints: members.map((pod) => endpointOf(service, pod)),
    ports,
  })) as unknown as readonly EndpointSlice[];
}

/** The Endpoints object of the same pods: ready addresses and, apart, the others. */
export function endpointsOf(service: Service, pods: readonly Pod[]): Endpoints {
  const subsets = [...groupByPorts(service, pods).values()].map(({ ports, members }) => {
    const address = (pod: Pod) => ({ ip: pod.status!.podIP!, ...(pod.spec.nodeName && { nodeName: pod.spec.nodeName }), targetRef: targetReference(pod) });
    const ready = members.filter((pod) => isServing(service, pod) && pod.metadata.deletionTimestamp === undefined);
    const rest = members.filter((pod) => !ready.includes(pod) && pod.metadata.deletionTimestamp === undefined);
    return {
      ...(ready.length > 0 && { addresses: ready.map(address) }),
      ...(rest.length > 0 && { notReadyAddresses: rest.map(address) }),
      ports: ports.map(({ name, port, protocol, appProtocol }) => ({ ...(name && { name }), port, protocol, ...(appProtocol && { appProtocol }) })),
    };
  });
  return {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: { name: service.metadata.name, namespace: service.metadata.namespace!, ...(service.metadata.labels && { labels: service.metadata.labels }) },
    subsets: subsets.filter((subset) => subset.addresses || subset.notReadyAddresses),
  } as unknown as Endpoints;
}

/** True when every pair of the selector stands among the labels; an empty selector selects nothing here. */
export function selects(selector: Readonly<Record<string, string>> | undefined, labels: Readonly<Record<string, string>> | undefined): boolean {
  const pairs = Object.entries(selector ?? {});
  return pairs.length > 0 && pairs.every(([key, value]) => labels !== undefined && Object.hasOwn(labels, key) && labels[key] === value);
}

function groupByPorts(service: Service, pods: readonly Pod[]): Map<string, { ports: readonly ResolvedPort[]; members: Pod[] }> {
  const groups = new Map<string, { ports: readonly ResolvedPort[]; members: Pod[] }>();
  for (const pod of pods) {
    if (!pod.status?.podIP || pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed') continue;
    const ports = resolvePorts(service, pod);
    const key = JSON.stringify(ports);
    const group = groups.get(key) ?? { ports, members: [] };
    groups.set(key, group);
    group.members.push(pod);
  }
  for (const group of groups.values()) group.members.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  return groups;
}

function resolvePorts(service: Service, pod: Pod): readonly ResolvedPort[] {
  const resolved: ResolvedPort[] = [];
  for (const { name = '', port, targetPort = port, protocol = 'TCP', appProtocol } of service.spec.ports ?? []) {
    const number = typeof targetPort === 'number' ? targetPort : containerPort(pod, targetPort);
    if (number !== undefined) resolved.push({ name, port: number, protocol: protocol as ResolvedPort['protocol'], ...(appProtocol && { appProtocol }) });
  }
  return resolved;
}

function containerPort(pod: Pod, name: string): number | undefined {
  for (const container of [...pod.spec.containers, ...(pod.spec.initContainers ?? [])])
    for (const port of container.ports ?? []) if (port.name === name) return port.containerPort;
  return undefined;
}

function isServing(service: Service, pod: Pod): boolean {
  return service.spec.publishNotReadyAddresses === true || isPodReady(pod);
}

function endpointOf(service: Service, pod: Pod): object {
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const serving = isServing(service, pod);
  return {
    addresses: [pod.status!.podIP],
    conditions: { ready: serving && !terminating, serving, terminating },
    targetRef: targetReference(pod),
    ...(pod.spec.nodeName && { nodeName: pod.spec.nodeName }),
    ...(pod.spec.hostname && pod.spec.subdomain === service.metadata.name && { hostname: pod.spec.hostname }),
  };
}

function targetReference(pod: Pod): object {
  return { kind: 'Pod', namespace: pod.metadata.namespace, name: pod.metadata.name, uid: pod.metadata.uid };
}
