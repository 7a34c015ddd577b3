import type { KubeObject } from '../../../objects/meta.ts';
import type { Resource } from '../api/resources.ts';
import { storageKey } from '../api/storage-key.ts';
import { clone } from '../json.ts';
import { badRequest, conflict, notFound } from '../status.ts';
import { RevisionConflict } from '../store/store.ts';
import { timestamp, type AdmissionAttributes, type Draft, type Environment, type WriteContext } from './context.ts';
import { strategyOf } from './strategies.ts';
import { isGone } from './update.ts';

/** DeleteOptions of a request. */
export interface Deletion {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: string;
  readonly orphanDependents?: boolean;
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

/** What became of a deletion: `done` when the object is gone, else it is marked and somebody has still to let it go. */
export interface Deleted {
  readonly object: KubeObject;
  readonly done: boolean;
}

/** Finalizers by which propagation policies reach the garbage collector. */
const POLICY_FINALIZERS: Readonly<Record<string, string | undefined>> = { Foreground: 'foregroundDeletion', Orphan: 'orphan', Background: undefined };

/** Deletes an object, or marks it when it has finalizers or time to end. @throws ApiError 404, 409 */
export async function deleteObject(env: Environment, resource: Resource, namespace: string | undefined, name: string, deletion: Deletion, context: WriteContext): Promise<Deleted> {
  const key = storageKey(resource, name, namespace);
  for (;;) {
    const entry = env.store.get(key);
    if (!entry) throw notFound(resource, name);
    const live = entry.object;
    checkPreconditions(resource, name, live, deletion);
    const attributes: AdmissionAttributes = { operation: 'DELETE', resource, subresource: '', namespace, name, old: live, context };
    await env.webhooks.mutateDelete(attributes);
    await env.webhooks.validate(attributes, undefined);
    const marked = mark(env, resource, live, deletion);
    try {
      if (isGone(resource, marked)) {
        if (context.dryRun) return { object: live, done: true };
        return { object: (await env.store.delete(key, entry.revision)).object, done: true };
      }
      if (context.dryRun || marked === live) return { object: marked, done: false };
      return { object: (await env.store.put(key, marked, entry.revision)).object, done: false };
    } catch (thrown) {
      if (!(thrown instanceof RevisionConflict)) throw thrown;
    }
  }
}

function checkPreconditions(resource: Resource, name: string, live: KubeObject, { preconditions }: Deletion): void {
  const { uid, resourceVersion } = preconditions ?? {};
  if (uid !== undefined && uid !== live.metadata.uid) throw conflict(resource, name, `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${live.metadata.uid}`);
  if (resourceVersion !== undefined && resourceVersion !== live.metadata.resourceVersion) throw conflict(resource, name, `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${live.metadata.resourceVersion}`);
}

function mark(env: Environment, resource: Resource, live: KubeObject, deletion: Deletion): KubeObject {
  const policy = deletion.propagationPolicy ?? (deletion.orphanDependents === true ? 'Orphan' : 'Background');
  if (!Object.hasOwn(POLICY_FINALIZERS, policy)) throw badRequest(`DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "${policy}": supported values: "Background", "Foreground", "Orphan", "nil"`);
  const strategy = strategyOf(resource);
  const graceSeconds = strategy.graceSeconds?.(live, deletion.gracePeriodSeconds) ?? 0;
  const policyFinalizer = POLICY_FINALIZERS[policy];
  const kept = (live.metadata.finalizers ?? []).filter((one) => live.metadata.deletionTimestamp || (one !== 'foregroundDeletion' && one !== 'orphan'));
  const finalizers = policyFinalizer && !kept.includes(policyFinalizer) ? [...kept, policyFinalizer] : kept;
  const already = live.metadata.deletionTimestamp !== undefined;
  // A second request may shorten the time, never prolong it.
  if (already && graceSeconds >= (live.metadata.deletionGracePeriodSeconds ?? 0) && finalizers.length === (live.metadata.finalizers ?? []).length) return live;
  const draft = clone(live) as unknown as Draft;
  if (!already) strategy.prepareDelete?.(draft);
  const generation = !already && live.metadata.generation !== undefined ? { generation: live.metadata.generation + 1 } : {};
  return {
    ...draft,
    metadata: {
      ...(draft.metadata as unknown as KubeObject['metadata']),
      ...generation,
      deletionTimestamp: timestamp(env.now() + graceSeconds * 1000),
      deletionGracePeriodSeconds: graceSeconds,
      ...(finalizers.length > 0 ? { finalizers } : {}),
    },
  } as unknown as KubeObject;
}
