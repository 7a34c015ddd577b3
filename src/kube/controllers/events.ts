import type { Event } from '../../objects/kubernetes/event.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { EVENT } from '../../objects/resource-types.ts';
import type { KubeClient } from '../client/client.ts';

/** What happened, as `kubectl describe` lists it. */
export interface Happening {
  /** Default Normal. */
  readonly type?: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/** Writes an event about an object in the background; one that cannot be written is lost, as in Kubernetes. `component` is the controller's name. */
export function recordEvent(client: KubeClient, component: string, about: KubeObject, { type = 'Normal', reason, message }: Happening): void {
  const { name, namespace = 'default', uid, resourceVersion } = about.metadata;
  const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  const event: Event = {
    apiVersion: 'v1', kind: 'Event', metadata: { name: `${name}.${timeSuffix()}`, namespace },
    involvedObject: { apiVersion: about.apiVersion, kind: about.kind, name, namespace, ...(uid ? { uid } : {}), ...(resourceVersion ? { resourceVersion } : {}) },
    reason, message, type, count: 1, firstTimestamp: now, lastTimestamp: now, eventTime: null, source: { component }, reportingComponent: component, reportingInstance: '',
  };
  client.create(EVENT, event).catch(() => {});
}

let lastSuffix = 0n;

/** Nanoseconds in hexadecimal, always growing: events of one second are listed, and so described, in the order they happened. */
function timeSuffix(): string {
  const now = BigInt(Date.now()) * 1_000_000n;
  lastSuffix = now > lastSuffix ? now : lastSuffix + 1n;
  return lastSuffix.toString(16);
}
