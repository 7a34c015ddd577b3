/** Keeps EndpointSlices and Endpoints of every Service with a selector equal to what its pods are. */
import type { Endpoints } from '../../objects/kubernetes/endpoints.ts';
import type { EndpointSlice } from '../../objects/kubernetes/endpoint-slice.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import type { Service } from '../../objects/kubernetes/service.ts';
import { keyOf } from '../../objects/meta.ts';
import { ENDPOINTS, ENDPOINT_SLICE, POD, SERVICE } from '../../objects/resource-types.ts';
import type { ControllerContext } from './context.ts';
import { endpointSlicesOf, endpointsOf, selects } from './endpoints.ts';
import { canonicalJson } from './rollout.ts';
import { createWorkQueue } from './work-queue.ts';

const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by';
const CONTROLLER = 'endpointslice-controller.k8s.io';

export function startEndpointsController(context: ControllerContext): void {
  const { client } = context;
  const services = context.informer<Service>(SERVICE);
  const pods = context.informer<Pod>(POD);
  const slices = context.informer<EndpointSlice>(ENDPOINT_SLICE);
  const endpoints = context.informer<Endpoints>(ENDPOINTS);
  const queue = createWorkQueue('endpoints', (key) => reconcile(key), context.signal);

  services.onEvent(({ object }) => queue.add(keyOf(object)));
  pods.onEvent((event) => {
    queueServicesOf(event.object);
    if (event.type === 'updated') queueServicesOf(event.old);
  });
  slices.onEvent(({ object }) => {
    const service = object.metadata.labels?.['kubernetes.io/service-name'];
    if (service && object.metadata.labels?.[MANAGED_BY] === CONTROLLER) queue.add(`${object.metadata.namespace}/${service}`);
  });

  function queueServicesOf(pod: Pod): void {
    for (const service of services.items().values())
      if (service.metadata.namespace === pod.metadata.namespace && selects(service.spec.selector, pod.metadata.labels)) queue.add(keyOf(service));
  }

  async function reconcile(key: string): Promise<void> {
    await Promise.all([services.synced, pods.synced, slices.synced, endpoints.synced]);
    const service = services.items().get(key);
    const [namespace, name] = key.split('/') as [string, string];
    const managed = [...slices.items().values()].filter((slice) =>
      slice.metadata.namespace === namespace && slice.metadata.labels?.['kubernetes.io/service-name'] === name && slice.metadata.labels[MANAGED_BY] === CONTROLLER);
    if (!service || service.metadata.deletionTimestamp !== undefined) {
      await Promise.all(managed.map((slice) => client.delete(ENDPOINT_SLICE, slice.metadata.name, namespace)));
      if (endpoints.items().has(key)) await client.delete(ENDPOINTS, name, namespace);
      return;
    }
    if (Object.keys(service.spec.selector ?? {}).length === 0) return;
    const members = [...pods.items().values()].filter((pod) => pod.metadata.namespace === namespace && selects(service.spec.selector, pod.metadata.labels));
    await syncSlices(managed, endpointSlicesOf(service, members));
    await syncEndpoints(key, endpointsOf(service, members));
  }

  async function syncSlices(managed: readonly EndpointSlice[], wanted: readonly EndpointSlice[]): Promise<void> {
    const existing = new Map(managed.map((slice) => [slice.metadata.name, slice]));
    for (const slice of wanted) {
      const old = existing.get(slice.metadata.name);
      existing.delete(slice.metadata.name);
      if (!old) await client.create(ENDPOINT_SLICE, slice);
      else if (canonicalJson([old.endpoints ?? [], old.ports ?? [], old.metadata.labels]) !== canonicalJson([slice.endpoints, slice.ports, slice.metadata.labels]))
        await client.update(ENDPOINT_SLICE, { ...slice, metadata: { ...old.metadata, labels: slice.metadata.labels! } });
    }
    await Promise.all([...existing.values()].map((slice) => client.delete(ENDPOINT_SLICE, slice.metadata.name, slice.metadata.namespace)));
  }

  async function syncEndpoints(key: string, wanted: Endpoints): Promise<void> {
    const old = endpoints.items().get(key);
    if (!old) await client.create(ENDPOINTS, wanted);
    else if (canonicalJson(old.subsets ?? []) !== canonicalJson(wanted.subsets)) await client.update(ENDPOINTS, { ...wanted, metadata: { ...old.metadata, ...(wanted.metadata.labels && { labels: wanted.metadata.labels }) } });
  }
}
