/** Events about pods, as `kubectl describe` lists them: repeated ones are counted, not repeated. */
import { randomBytes } from 'node:crypto';
import type { Event } from '../../objects/kubernetes/event.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import { EVENT } from '../../objects/resource-types.ts';
import type { KubeClient } from '../../kube/client/client.ts';
import { NODE_NAME } from '../settings.ts';

export interface EventRecorder {
  /** `container` makes the event about one container of the pod. */
  record(pod: Pod, type: 'Normal' | 'Warning', reason: string, message: string, container?: string): void;
}

const MAX_REMEMBERED = 2000;

/** A recorder that writes in the background; an event that cannot be written is lost, as in Kubernetes. */
export function createEventRecorder(client: KubeClient, component: string): EventRecorder {
  const known = new Map<string, { name: string; count: number; written: Promise<unknown> }>();
  return {
    record(pod, type, reason, message, container) {
      const key = JSON.stringify([pod.metadata.uid, type, reason, message, container]);
      const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
      const namespace = pod.metadata.namespace ?? 'default';
      const old = known.get(key);
      if (old) {
        const count = ++old.count;
        old.written = old.written.then(() => client.mergePatch(EVENT, old.name, namespace, { count, lastTimestamp: now })).catch(() => known.delete(key));
        return;
      }
      if (known.size >= MAX_REMEMBERED) known.delete(known.keys().next().value!);
      const name = `${pod.metadata.name}.${randomBytes(8).toString('hex')}`;
      const event: Event = {
        apiVersion: 'v1', kind: 'Event', metadata: { name, namespace },
        involvedObject: {
          apiVersion: 'v1', kind: 'Pod', name: pod.metadata.name, namespace,
          ...(pod.metadata.uid ? { uid: pod.metadata.uid } : {}),
          ...(container ? { fieldPath: fieldPath(pod, container) } : {}),
        },
        reason, message, type, count: 1, firstTimestamp: now, lastTimestamp: now, eventTime: null,
        source: { component, host: NODE_NAME }, reportingComponent: component, reportingInstance: NODE_NAME,
      };
      known.set(key, { name, count: 1, written: client.create(EVENT, event).catch(() => known.delete(key)) });
    },
  };
}

function fieldPath(pod: Pod, container: string): string {
  const list = pod.spec.initContainers?.some((candidate) => candidate.name === container) ? 'initContainers' : 'containers';
  return `spec.${list}{${container}}`;
}
