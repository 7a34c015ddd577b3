import { storageKey } from '../api/storage-key.ts';
import type { Resource } from '../api/resources.ts';
import { textAt } from '../json.ts';
import { forbidden, notFound } from '../status.ts';
import type { Environment } from './context.ts';

const NAMESPACES = { group: '', plural: 'namespaces' };
/** Namespaces that always exist, as far as creating objects in them goes. */
export const SYSTEM_NAMESPACES: readonly string[] = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];

/** Refuses new objects in a namespace that does not exist (404) or is being deleted (403). */
export function checkNamespace(env: Environment, resource: Resource, namespace: string, name: string): void {
  const found = env.store.get(storageKey(NAMESPACES, namespace))?.object;
  if (!found) throw notFound(NAMESPACES, namespace);
  if (textAt(found, 'status', 'phase') === 'Terminating' || found.metadata.deletionTimestamp) {
    throw forbidden(resource, name, `unable to create new content in namespace ${namespace} because it is being terminated`, [
      { reason: 'NamespaceTerminating' as never, message: `namespace ${namespace} is being terminated`, field: 'metadata.namespace' },
    ]);
  }
}
