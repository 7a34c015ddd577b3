/** Which pods are in the mesh, as analyzers judge it from objects alone. */
import type { Deployment } from '../objects/kubernetes/deployment.ts';
import type { Namespace } from '../objects/kubernetes/namespace.ts';
import type { Pod } from '../objects/kubernetes/pod.ts';
import type { KubeObject } from '../objects/meta.ts';
import type { ObjectSet } from './object-set.ts';

const INJECT = 'sidecar.istio.io/inject';

interface Workload {
  readonly labels: Readonly<Record<string, string>> | undefined;
  readonly annotations: Readonly<Record<string, string>> | undefined;
  readonly namespace: string;
  readonly containers: readonly { readonly name: string; readonly image?: string }[];
}

/** The proxy is there, or what injects it is asked for: by the pod, else by its namespace. */
function inMesh(set: ObjectSet, { labels, annotations, namespace, containers }: Workload): boolean {
  if (containers.some(({ name, image }) => name === 'istio-proxy' && image)) return true;
  const wish = labels?.[INJECT] ?? annotations?.[INJECT];
  if (wish !== undefined) return wish === 'true';
  const given = set.namespace(namespace)?.metadata.labels;
  return given?.['istio-injection'] === 'enabled' || (given?.['istio-injection'] === undefined && Boolean(given?.['istio.io/rev']));
}

export function podInMesh(set: ObjectSet, pod: Pod): boolean {
  const { labels, annotations, namespace = '' } = pod.metadata;
  return inMesh(set, { labels, annotations, namespace, containers: [...pod.spec.containers, ...(pod.spec.initContainers ?? [])] });
}

export function deploymentInMesh(set: ObjectSet, deployment: Deployment): boolean {
  const { metadata, spec } = deployment.spec.template;
  return inMesh(set, { labels: metadata?.labels, annotations: metadata?.annotations, namespace: deployment.metadata.namespace ?? '', containers: spec?.containers ?? [] });
}

/** Its traffic goes through the node's proxy, not through a sidecar. */
export function podIsAmbient(pod: Pod): boolean {
  return pod.metadata.annotations?.['ambient.istio.io/redirection'] === 'enabled';
}

/** A label that asks for sidecars wins over the one for ambient. */
export function namespaceIsAmbient(namespace: Namespace | undefined): boolean {
  const labels = namespace?.metadata.labels;
  return labels?.['istio.io/dataplane-mode'] === 'ambient' && labels['istio-injection'] !== 'enabled' && !labels['istio.io/rev'];
}

/** Parts of Istio itself keep their own rules. */
export function isControlPlane(object: KubeObject): boolean {
  return object.metadata.labels?.['istio'] !== undefined || object.metadata.labels?.['release'] === 'istio';
}
