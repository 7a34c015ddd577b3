/** Parts of a pod that have no name in `objects`, and the defaults the kubelet works with. */
import type { Container, HTTPGetAction, LifecycleHandler, Probe } from '../../objects/kubernetes/container.ts';
import type { Pod, PodSpec } from '../../objects/kubernetes/pod.ts';
import type { Volume } from '../../objects/kubernetes/volume.ts';

type Item<T> = T extends readonly (infer I)[] ? I : never;

/** One key of a ConfigMap or Secret volume. */
export type KeyToPath = Item<NonNullable<NonNullable<Volume['configMap']>['items']>>;
/** One source of a projected volume. */
export type ProjectedSource = Item<NonNullable<NonNullable<Volume['projected']>['sources']>>;
/** One file of a downward API volume. */
export type DownwardItem = Item<NonNullable<NonNullable<Volume['downwardAPI']>['items']>>;
/** What a probe or a lifecycle hook does. */
export type Handler = LifecycleHandler & Pick<Probe, 'grpc'>;
/** Outcome of one check of a probe or hook; `message` is what kubectl shows. */
export type ProbeResult = { readonly ok: true; readonly message?: string } | { readonly ok: false; readonly message: string };
/** An HTTP request of a probe or a hook. */
export type HttpGet = HTTPGetAction;

/** True for an init container that stays: a native sidecar. @see https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/ */
export function isSidecar(container: Container): boolean {
  return container.restartPolicy === 'Always';
}

/** All containers of a pod, init containers first. */
export function allContainers(spec: PodSpec): readonly Container[] {
  return [...(spec.initContainers ?? []), ...spec.containers];
}

/** A port by number or by the name of one of the container's ports; undefined when there is none of this name. */
export function portNumber(container: Container, port: number | string | undefined): number | undefined {
  if (typeof port === 'number') return port;
  if (port === undefined) return undefined;
  if (/^\d+$/.test(port)) return Number(port);
  return container.ports?.find((candidate) => candidate.name === port)?.containerPort;
}

/** The service account of a pod. Default `default`. */
export function serviceAccountOf(pod: Pod): string {
  return pod.spec.serviceAccountName || pod.spec.serviceAccount || 'default';
}
