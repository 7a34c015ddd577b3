/** Empties a namespace that is being deleted, kind by kind, and lets it go when nothing is left. */
import type { Namespace } from '../../objects/kubernetes/namespace.ts';
import type { CustomResourceDefinition } from '../../objects/kubernetes/custom-resource-definition.ts';
import { type ResourceType } from '../../objects/kind.ts';
import { KINDS } from '../../objects/registry.ts';
import { CRON_JOB, CUSTOM_RESOURCE_DEFINITION, DAEMON_SET, DEPLOYMENT, JOB, NAMESPACE, REPLICA_SET, STATEFUL_SET } from '../../objects/resource-types.ts';
import type { ControllerContext } from './context.ts';
import { createWorkQueue } from './work-queue.ts';

/** Owners before what they own, so that nothing is made again meanwhile. */
const OWNERS: readonly ResourceType[] = [DEPLOYMENT, REPLICA_SET, STATEFUL_SET, DAEMON_SET, CRON_JOB, JOB];
const OTHERS: readonly ResourceType[] = KINDS.filter((info) => info.namespaced && !info.custom && !OWNERS.some((type) => type.kind === info.kind)).map(({ group, kind, plural, storageVersion }) => ({ group, version: storageVersion, kind, plural, namespaced: true }));
const RETRY_MS = 250;

export function startNamespaceController(context: ControllerContext): void {
  const { client } = context;
  const namespaces = context.informer<Namespace>(NAMESPACE);
  const definitions = context.informer<CustomResourceDefinition>(CUSTOM_RESOURCE_DEFINITION);
  const queue = createWorkQueue('namespace', (name) => reconcile(name), context.signal);

  namespaces.onEvent((event) => {
    if (event.type !== 'deleted' && event.object.metadata.deletionTimestamp !== undefined) queue.add(event.object.metadata.name);
  });

  async function reconcile(name: string): Promise<void> {
    await definitions.synced;
    const namespace = namespaces.items().get(name);
    if (!namespace || namespace.metadata.deletionTimestamp === undefined) return;
    let left = 0;
    for (const type of [...OWNERS, ...OTHERS, ...customTypes()]) {
      const { items } = await client.list(type, { namespace: name });
      for (const item of items) {
        if (item.metadata.deletionTimestamp === undefined) await client.delete(type, item.metadata.name, name, { propagationPolicy: 'Background' });
        left++;
      }
    }
    if (left > 0) return queue.addAfter(name, RETRY_MS);
    await client.update<Namespace>(NAMESPACE, { ...namespace, spec: { ...namespace.spec, finalizers: [] } } as Namespace, { subresource: 'finalize' });
  }

  function customTypes(): readonly ResourceType[] {
    return [...definitions.items().values()]
      .filter((definition) => definition.spec.scope === 'Namespaced')
      .map(({ spec }) => ({ group: spec.group, version: spec.versions.find((version) => version.served)?.name ?? 'v1', kind: spec.names.kind, plural: spec.names.plural, namespaced: true }));
  }
}
