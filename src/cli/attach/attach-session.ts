/** An attachment's life: made, kept (a VirtualService that is applied again gets its route again), and undone. */
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../base/errors.ts';
import { ApiError, type KubeClient } from '../../kube/client/client.ts';
import type { VirtualService, VirtualServiceSpec } from '../../objects/istio/virtual-service.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import type { Service } from '../../objects/kubernetes/service.ts';
import type { KubeObject } from '../../objects/meta.ts';
import type { ResourceType } from '../../objects/kind.ts';
import { POD, SERVICE, VIRTUAL_SERVICE } from '../../objects/resource-types.ts';
import { ATTACH_ANNOTATION, ATTACH_LABEL, attachedPod, attachedService, choosePort, speaksHttp } from './attach-objects.ts';
import { attachedName, newSpec, withAttachment, withoutAttachment, type Attachment } from './attach-routes.ts';

const READY_MS = 60_000;
const POLL_MS = 200;
const KEEP_MS = 2000;
const CONFLICT_TRIES = 5;

/** What a user asks for. */
export interface AttachRequest extends Omit<Attachment, 'port'> {
  /** Port on 127.0.0.1 of this machine. */
  readonly hostPort: number;
  readonly servicePort: number | undefined;
  /** Unix socket by which the pod reaches us. */
  readonly socket: string;
}

/** Makes pod and service, waits until the pod is ready, then sends the traffic. Rejects with a sentence for the user; what was made is for {@link detach} to remove. */
export async function attach(client: KubeClient, request: AttachRequest): Promise<Attachment> {
  const { namespace, service: name } = request;
  const service = await client.get<Service>(SERVICE, name, namespace);
  if (!service) throw new Error(`there is no service "${name}" in namespace "${namespace}"`);
  const port = choosePort(service, request.hostPort, request.servicePort);
  if (typeof port === 'string') throw new Error(port);
  if (!speaksHttp(port)) throw new Error(`port ${port.port} of service "${name}" does not speak HTTP (${port.appProtocol ?? port.name}), so there is no header to tell your traffic by`);
  const attachment: Attachment = { ...request, port: port.port };
  const taken = await client.get<Service>(SERVICE, attachedName(attachment), namespace);
  if (taken && taken.metadata.labels?.[ATTACH_LABEL] === undefined) throw new Error(`there is a service "${attachedName(attachment)}" already: choose another --version`);
  await detach(client, { ...attachment, namespace });
  const pods = (await client.list<Pod>(POD, { namespace })).items;
  const selector = Object.entries(service.spec.selector ?? {});
  const like = selector.length === 0 ? undefined : pods.find((pod) => selector.every(([key, value]) => pod.metadata.labels?.[key] === value));
  await client.create(SERVICE, attachedService(attachment, port));
  const pod = await client.create(POD, attachedPod(attachment, service, like, request.socket));
  await untilReady(client, pod);
  await ensureRoutes(client, attachment);
  return attachment;
}

async function untilReady(client: KubeClient, { metadata }: Pod): Promise<void> {
  for (const deadline = Date.now() + READY_MS; Date.now() < deadline; await sleep(POLL_MS)) {
    const pod = await client.get<Pod>(POD, metadata.name, metadata.namespace);
    if (!pod) throw new Error(`pod ${metadata.name} was deleted`);
    if (!(pod.spec.initContainers ?? []).concat(pod.spec.containers).some((container) => container.name === 'istio-proxy')) throw new Error(`pod ${metadata.name} got no sidecar: kubectl label namespace ${metadata.namespace} istio-injection=enabled`);
    if (pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True')) return;
  }
  throw new Error(`pod ${metadata.name} was not ready after ${READY_MS / 1000} s: kubectl describe pod ${metadata.name}`);
}

/** Puts the routes where they are missing; one VirtualService is made when none decides about the service. */
export async function ensureRoutes(client: KubeClient, attachment: Attachment): Promise<void> {
  const all = (await client.list<VirtualService>(VIRTUAL_SERVICE)).items;
  let decided = false;
  for (const one of all) {
    const spec = withAttachment(one, attachment);
    decided ||= spec !== undefined && (one.spec.gateways ?? ['mesh']).includes('mesh');
    if (spec && JSON.stringify(spec) !== JSON.stringify(one.spec)) await changeSpec(client, one, (current) => withAttachment(current, attachment));
  }
  if (decided) return;
  const name = attachedName(attachment);
  const own: VirtualService = { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: { name, namespace: attachment.namespace, labels: { [ATTACH_LABEL]: name } }, spec: newSpec(attachment) };
  await client.create(VIRTUAL_SERVICE, own).catch((error: unknown) => {
    if (!(error instanceof ApiError && error.code === 409)) throw error;
  });
}

/** Keeps the routes until the signal aborts. A round that fails is told and tried again. */
export async function keepRoutes(client: KubeClient, attachment: Attachment, signal: AbortSignal, onProblem: (message: string) => void): Promise<void> {
  while (!signal.aborted) {
    await sleep(KEEP_MS, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    await ensureRoutes(client, attachment).catch((error: unknown) => onProblem(messageOf(error)));
  }
}

/** Takes the routes out first, so that nobody is sent to a pod that is ending; then removes what was made. Returns whether there was anything. */
export async function detach(client: KubeClient, what: Pick<Attachment, 'namespace' | 'service' | 'version'>): Promise<boolean> {
  const name = attachedName(what);
  let found = false;
  for (const one of (await client.list<VirtualService>(VIRTUAL_SERVICE)).items) {
    if (one.metadata.labels?.[ATTACH_LABEL] === name && one.metadata.namespace === what.namespace) found = (await remove(client, VIRTUAL_SERVICE, one)) || found;
    else if (withoutAttachment(one.spec, what)) {
      await changeSpec(client, one, (current) => withoutAttachment(current.spec, what));
      found = true;
    }
  }
  const service = await client.get<Service>(SERVICE, name, what.namespace);
  if (service?.metadata.labels?.[ATTACH_LABEL] === name) found = (await remove(client, SERVICE, service)) || found;
  const pod = await client.get<Pod>(POD, name, what.namespace);
  if (pod?.metadata.labels?.[ATTACH_LABEL] !== name) return found;
  await remove(client, POD, pod);
  for (const deadline = Date.now() + READY_MS; Date.now() < deadline && (await client.get(POD, name, what.namespace)); ) await sleep(POLL_MS);
  return true;
}

/** Every attachment of the cluster, by its pod. */
export async function attachments(client: KubeClient): Promise<readonly Pick<Attachment, 'namespace' | 'service' | 'version'>[]> {
  const pods = (await client.list<Pod>(POD, { labelSelector: ATTACH_LABEL })).items;
  return pods.flatMap((pod) => {
    try {
      const { service, version } = JSON.parse(pod.metadata.annotations?.[ATTACH_ANNOTATION] ?? '') as { service: string; version: string };
      return [{ namespace: pod.metadata.namespace ?? 'default', service, version }];
    } catch {
      return [];
    }
  });
}

async function remove(client: KubeClient, type: ResourceType, object: KubeObject): Promise<boolean> {
  try {
    await client.delete(type, object.metadata.name, object.metadata.namespace);
    return true;
  } catch (error) {
    if (error instanceof ApiError && error.code === 404) return false;
    throw error;
  }
}

/** Changes a spec on its newest version; somebody else's change in between is kept. */
async function changeSpec(client: KubeClient, first: VirtualService, change: (current: VirtualService) => VirtualServiceSpec | undefined): Promise<void> {
  const { name, namespace } = first.metadata;
  for (let attempt = 1; ; attempt++) {
    const current = await client.get<VirtualService>(VIRTUAL_SERVICE, name, namespace);
    const spec = current && change(current);
    if (!current || !spec) return;
    try {
      await client.update(VIRTUAL_SERVICE, { ...current, spec });
      return;
    } catch (error) {
      if (!(error instanceof ApiError && error.code === 409) || attempt === CONFLICT_TRIES) throw error;
    }
  }
}
