/** Binds pods without a node to the only one there is. */
import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';
import { ApiError, type KubeClient } from '../../kube/client/client.ts';
import type { Informer } from '../../kube/client/informer.ts';
import type { Node } from '../../objects/kubernetes/node.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import { POD } from '../../objects/resource-types.ts';
import { NODE_NAME } from '../settings.ts';
import { rfc3339 } from './container-runner.ts';
import { createEventRecorder } from './events.ts';

const log = createLogger('scheduler');
const RETRY_MS = 500;
const OUR_NAME = 'default-scheduler';
/** What a cordoned node is tainted with. */
const UNSCHEDULABLE = 'node.kubernetes.io/unschedulable';

interface Taint {
  readonly key: string;
  readonly value?: string;
  readonly effect: string;
}

/** Runs until the signal aborts. A pod whose nodeSelector the node does not have stays Pending, with the reason in its conditions. */
export function startScheduler(client: KubeClient, pods: Informer<Pod>, nodes: Informer<Node>, signal: AbortSignal): void {
  const events = createEventRecorder(client, OUR_NAME);
  const schedule = async (pod: Pod): Promise<void> => {
    if (signal.aborted || pod.spec.nodeName || pod.metadata.deletionTimestamp || (pod.spec.schedulerName ?? OUR_NAME) !== OUR_NAME) return;
    const misfit = misfitOf(pod, nodes.items().get(NODE_NAME));
    try {
      if (misfit !== undefined) await refuse(client, pod, misfit);
      else await bind(client, pod);
      if (misfit === undefined) events.record(pod, 'Normal', 'Scheduled', `Successfully assigned ${pod.metadata.namespace}/${pod.metadata.name} to ${NODE_NAME}`);
      else events.record(pod, 'Warning', 'FailedScheduling', misfit);
    } catch (error) {
      if (error instanceof ApiError && (error.code === 404 || error.code === 409)) return;
      log.warn('pod not bound', { pod: pod.metadata.name, error: messageOf(error) });
      setTimeout(() => void schedule(pod), RETRY_MS).unref();
    }
  };
  pods.onEvent((event) => (event.type === 'deleted' ? undefined : void schedule(event.object)));
  nodes.onEvent(() => {
    for (const pod of pods.items().values()) void schedule(pod);
  });
}

async function bind(client: KubeClient, pod: Pod): Promise<void> {
  const { name, namespace, uid } = pod.metadata;
  await client.post(`/api/v1/namespaces/${namespace}/pods/${name}/binding`, {
    apiVersion: 'v1', kind: 'Binding', metadata: { name, namespace, uid }, target: { apiVersion: 'v1', kind: 'Node', name: NODE_NAME },
  });
}

/** Why the pod does not fit on the node, in the scheduler's words. */
export function misfitOf(pod: Pod, node: Node | undefined): string | undefined {
  if (!node) return '0/0 nodes are available: the node is not registered yet.';
  const none = (why: string): string => `0/1 nodes are available: 1 ${why}.`;
  const { spec } = node;
  // A drained or cordoned node: `kubectl cordon`.
  if (spec?.unschedulable && !tolerates(pod, { key: UNSCHEDULABLE, effect: 'NoSchedule' })) return none('node(s) were unschedulable');
  const taint = (spec?.taints ?? []).find((one) => one.effect !== 'PreferNoSchedule' && one.key !== UNSCHEDULABLE && !tolerates(pod, one));
  if (taint) return none(`node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`);
  const labels = node.metadata.labels ?? {};
  const wanted = Object.entries((pod.spec.nodeSelector ?? {}) as Readonly<Record<string, string>>);
  return wanted.every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value) ? undefined : none(`node(s) didn't match Pod's node affinity/selector`);
}

/** @see https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/ */
function tolerates(pod: Pod, taint: Taint): boolean {
  return (pod.spec.tolerations ?? []).some((one) => (one.effect === undefined || one.effect === '' || one.effect === taint.effect)
    && (one.key === undefined || one.key === '' ? one.operator === 'Exists' : one.key === taint.key && (one.operator === 'Exists' || (one.value ?? '') === (taint.value ?? ''))));
}

async function refuse(client: KubeClient, pod: Pod, message: string): Promise<void> {
  const old = pod.status?.conditions?.find((condition) => condition.type === 'PodScheduled');
  if (old?.message === message) return;
  const conditions = [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message, lastTransitionTime: rfc3339() }];
  await client.mergePatch(POD, pod.metadata.name, pod.metadata.namespace, { status: { phase: 'Pending', conditions } }, { subresource: 'status' });
}
