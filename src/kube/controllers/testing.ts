/** A cluster without pods for tests: the controllers over a test server, and a kubelet that only says what a real one would. */
import type { Pod } from '../../objects/kubernetes/pod.ts';
import type { ResourceType } from '../../objects/kind.ts';
import { POD } from '../../objects/resource-types.ts';
import { createInformer } from '../client/informer.ts';
import type { TestServer } from '../server/testing.ts';
import { startControllers, type ControllerOptions } from './start.ts';
import type { VolumeFolders } from './volume-binder.ts';

/** Starts the controllers with one informer per kind. */
export function startTestControllers(server: TestServer, signal: AbortSignal, volumes?: VolumeFolders): void {
  const known = new Map<string, unknown>();
  const informer = (type: ResourceType): unknown => {
    const key = `${type.group}/${type.plural}`;
    if (!known.has(key)) known.set(key, createInformer(server.client, type, { signal }));
    return known.get(key);
  };
  startControllers({ client: server.client, signal, caPem: server.server.caPem, signers: { cluster: server.pki.ca, workload: server.pki.workloadSigner }, informer: informer as ControllerOptions['informer'], ...(volumes ? { volumes } : {}) });
}

/** Pods that are deleted go at once. Pods become ready at once; those that run to completion succeed or, with the label `fail`, fail. The label `stuck` leaves a pod Pending. */
export function startFakeKubelet(server: TestServer, signal: AbortSignal): void {
  const { client } = server;
  const now = (): string => new Date().toISOString();
  const write = (pod: Pod): void => {
    if (pod.metadata.deletionTimestamp && pod.spec.nodeName) client.delete(POD, pod.metadata.name, pod.metadata.namespace, { gracePeriodSeconds: 0 }).catch(() => {});
    if (pod.status?.phase !== 'Pending' || pod.metadata.deletionTimestamp || pod.metadata.labels?.['stuck']) return;
    const finished = pod.spec.restartPolicy === 'Always' ? undefined : pod.metadata.labels?.['fail'] ? 'Failed' : 'Succeeded';
    const state = finished ? { terminated: { exitCode: finished === 'Failed' ? 1 : 0, reason: finished === 'Failed' ? 'Error' : 'Completed', finishedAt: now() } } : { running: { startedAt: now() } };
    const containerStatuses = pod.spec.containers.map(({ name, image = '' }) => ({ name, image, imageID: '', restartCount: 0, ready: !finished, state }));
    const status = { phase: finished ?? 'Running', podIP: '10.0.0.9', conditions: [{ type: 'Ready', status: finished ? 'False' : 'True' }], containerStatuses };
    client.mergePatch(POD, pod.metadata.name, pod.metadata.namespace, { status }, { subresource: 'status' }).catch(() => {});
  };
  createInformer<Pod>(client, POD, { signal }).onEvent((event) => (event.type === 'deleted' ? undefined : write(event.object)));
}
