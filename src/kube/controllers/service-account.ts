/** Gives every namespace what pods in it count on: the `default` ServiceAccount and the `kube-root-ca.crt` ConfigMap. */
import type { ConfigMap } from '../../objects/kubernetes/config-map.ts';
import type { Namespace } from '../../objects/kubernetes/namespace.ts';
import type { ServiceAccount } from '../../objects/kubernetes/service-account.ts';
import { CONFIG_MAP, NAMESPACE, SERVICE_ACCOUNT } from '../../objects/resource-types.ts';
import { ApiError } from '../client/client.ts';
import type { ControllerContext } from './context.ts';
import { createWorkQueue } from './work-queue.ts';

/** `caPem` is the API server's own CA, which pods verify it by. */
export function startServiceAccountController(context: ControllerContext, caPem: string): void {
  const { client } = context;
  const namespaces = context.informer<Namespace>(NAMESPACE);
  const accounts = context.informer<ServiceAccount>(SERVICE_ACCOUNT);
  const queue = createWorkQueue('serviceaccount', (name) => reconcile(name), context.signal);

  namespaces.onEvent(({ object }) => queue.add(object.metadata.name));
  accounts.onEvent((event) => {
    if (event.type === 'deleted' && event.object.metadata.name === 'default') queue.add(event.object.metadata.namespace!);
  });

  async function reconcile(namespace: string): Promise<void> {
    const found = namespaces.items().get(namespace);
    if (!found || found.metadata.deletionTimestamp !== undefined) return;
    await createMissing(client.create<ServiceAccount>(SERVICE_ACCOUNT, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace } } as ServiceAccount));
    await createMissing(client.create<ConfigMap>(CONFIG_MAP, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'kube-root-ca.crt', namespace }, data: { 'ca.crt': caPem } } as ConfigMap));
  }
}

async function createMissing(creation: Promise<unknown>): Promise<void> {
  try {
    await creation;
  } catch (error) {
    if (!(error instanceof ApiError) || error.reason !== 'AlreadyExists') throw error;
  }
}
