/** The downward API: fields of the pod and its containers' resources as text. */
import type { Container } from '../../objects/kubernetes/container.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import { NODE_IP } from '../settings.ts';
import { allContainers, serviceAccountOf } from './pod.ts';

/** What a container gets when it has no limit: the whole machine. */
export interface NodeCapacity {
  readonly cpuCores: number;
  readonly memoryBytes: number;
}

const UNITS: Readonly<Record<string, number>> = { n: 1e-9, u: 1e-6, m: 1e-3, '': 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15, E: 1e18, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40, Pi: 2 ** 50, Ei: 2 ** 60 };

/** A quantity as a number; undefined when it is not one. @see https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/ */
export function parseQuantity(text: string | number | undefined): number | undefined {
  if (typeof text === 'number') return text;
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)$/.exec(text ?? '');
  if (!match) return undefined;
  return Number(`${match[1]}${match[2] ?? ''}`) * (UNITS[match[3] ?? ''] ?? 1);
}

/**
 * The text of a `fieldRef`; undefined for a path that the downward API does not have. `podIP` is passed in because it is known before the status is.
 * @see https://kubernetes.io/docs/concepts/workloads/pods/downward-api/#available-fields
 */
export function podField(pod: Pod, podIP: string, fieldPath: string): string | undefined {
  const keyed = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(fieldPath);
  if (keyed) {
    const map = pod.metadata[keyed[1] as 'labels' | 'annotations'] ?? {};
    return Object.hasOwn(map, keyed[2]!) ? map[keyed[2]!]! : '';
  }
  switch (fieldPath) {
    case 'metadata.name': return pod.metadata.name;
    case 'metadata.namespace': return pod.metadata.namespace ?? '';
    case 'metadata.uid': return pod.metadata.uid ?? '';
    case 'metadata.labels': return formatMap(pod.metadata.labels);
    case 'metadata.annotations': return formatMap(pod.metadata.annotations);
    case 'spec.nodeName': return pod.spec.nodeName ?? '';
    case 'spec.serviceAccountName': return serviceAccountOf(pod);
    case 'status.hostIP':
    case 'status.hostIPs': return NODE_IP;
    case 'status.podIP':
    case 'status.podIPs': return podIP;
    default: return undefined;
  }
}

/** Labels and annotations as the downward API writes them to a file: sorted `key="escaped value"` lines. */
export function formatMap(map: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join('\n');
}

/** The text of a `resourceFieldRef`: value over divisor, rounded up; a missing limit is the machine's capacity, a missing request is 0. */
export function resourceField(pod: Pod, own: Container, ref: { readonly containerName?: string; readonly resource: string; readonly divisor?: string | number }, node: NodeCapacity): string | undefined {
  const container = ref.containerName ? allContainers(pod.spec).find((candidate) => candidate.name === ref.containerName) : own;
  const match = /^(limits|requests)\.([a-z-]+(?:[\w./-]*))$/.exec(ref.resource);
  if (!container || !match) return undefined;
  const [, list, resource] = match;
  const given = list === 'limits' ? container.resources?.limits : (container.resources?.requests ?? container.resources?.limits);
  const set = parseQuantity(given && Object.hasOwn(given, resource!) ? (given[resource!] as string | number) : undefined);
  const capacity = resource === 'cpu' ? node.cpuCores : resource === 'memory' ? node.memoryBytes : 0;
  const value = set ?? (list === 'limits' ? capacity : 0);
  const divisor = parseQuantity(ref.divisor) || 1;
  // 2000m / 1m must be 2000, not 2001: floating point noise is cut before rounding up.
  return String(Math.ceil(Number((value / divisor).toPrecision(12))));
}
