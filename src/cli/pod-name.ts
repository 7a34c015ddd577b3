/** Which pod an argument means: `name`, `name.namespace`, `pod/name`, or `deploy/name`, `svc/name` and the like, which stand for their first running pod. */
import type { KubeClient } from '../kube/client/client.ts';
import type { KubeObject, LabelSelector } from '../objects/meta.ts';
import type { Pod } from '../objects/kubernetes/pod.ts';
import type { ResourceType } from '../objects/kind.ts';
import { DEPLOYMENT, POD, REPLICA_SET, SERVICE } from '../objects/resource-types.ts';

export interface PodName {
  readonly namespace: string;
  readonly name: string;
}

const OWNERS: Readonly<Record<string, ResourceType>> = {
  deploy: DEPLOYMENT, deployment: DEPLOYMENT, deployments: DEPLOYMENT, rs: REPLICA_SET, replicaset: REPLICA_SET, replicasets: REPLICA_SET, svc: SERVICE, service: SERVICE, services: SERVICE,
};

/** Rejects with a sentence that names what was not found. */
export async function resolvePod(client: Pick<KubeClient, 'get' | 'list'>, argument: string, namespace: string): Promise<PodName> {
  const [kind, target] = argument.includes('/') ? (argument.split('/', 2) as [string, string]) : ['pod', argument];
  if (/^(po|pods?)$/.test(kind)) {
    const [name, given] = await splitNamespace(client, target, namespace);
    return { name, namespace: given };
  }
  const type = Object.hasOwn(OWNERS, kind) ? OWNERS[kind]! : undefined;
  if (!type) throw new Error(`"${kind}" is not a kind with pods: write a pod's name, or deploy/, rs/ or svc/ and a name`);
  const owner = await client.get<KubeObject & { spec?: { selector?: unknown } }>(type, target, namespace);
  if (!owner) throw new Error(`${type.plural} "${target}" not found in namespace ${namespace}`);
  const labels = type === SERVICE ? (owner.spec?.selector as Record<string, string> | undefined) : (owner.spec?.selector as LabelSelector | undefined)?.matchLabels;
  const labelSelector = Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`).join(',');
  const { items } = await client.list<Pod>(POD, { namespace, labelSelector });
  const running = items.find((pod) => pod.status?.phase === 'Running' && pod.metadata.deletionTimestamp === undefined);
  if (!running) throw new Error(`${type.plural} "${target}" has no running pod in namespace ${namespace}`);
  return { name: running.metadata.name, namespace };
}

/** A pod's own name may contain dots, so the whole argument is tried first. */
async function splitNamespace(client: Pick<KubeClient, 'get' | 'list'>, target: string, namespace: string): Promise<readonly [string, string]> {
  if (await client.get(POD, target, namespace)) return [target, namespace];
  const dot = target.lastIndexOf('.');
  if (dot > 0 && (await client.get(POD, target.slice(0, dot), target.slice(dot + 1)))) return [target.slice(0, dot), target.slice(dot + 1)];
  throw new Error(`unable to retrieve Pod: pods "${target}" not found in namespace ${namespace}`);
}
