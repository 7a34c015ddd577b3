import { randomUUID } from 'node:crypto';
import type { KubeObject } from '../../../objects/meta.ts';
import type { Resource } from '../api/resources.ts';
import { storageKey } from '../api/storage-key.ts';
import { own, textAt } from '../json.ts';
import { trackUpdate } from '../patch/managed-fields.ts';
import { alreadyExists, badRequest, invalid } from '../status.ts';
import { RevisionConflict } from '../store/store.ts';
import { timestamp, type AdmissionAttributes, type Draft, type Environment, type WriteContext } from './context.ts';
import { decodeObject, contentCauses, withDefaults } from './decode.ts';
import { checkMetadata, generatedName } from './names.ts';
import { checkNamespace } from './namespace-lifecycle.ts';
import { strategyOf } from './strategies.ts';
import { toStorage } from './versions.ts';

/** Tries of `generateName` before giving up. */
const MAX_NAME_TRIES = 8;

/**
 * Creates an object.
 * @throws ApiError 400, 403, 404 (namespace), 409 (exists), 422
 */
export async function createObject(env: Environment, resource: Resource, namespace: string | undefined, body: unknown, context: WriteContext): Promise<KubeObject> {
  const draft = decodeObject(resource, body, context);
  if (own(draft.metadata, 'resourceVersion') !== undefined) throw badRequest('resourceVersion should not be set on objects to be created');
  return createDraft(env, resource, namespace, draft, context);
}

/** Creates from a decoded draft; `tracked`: its managedFields are already right (server-side apply). */
export async function createDraft(env: Environment, resource: Resource, namespace: string | undefined, decoded: Draft, context: WriteContext, tracked = false): Promise<KubeObject> {
  let draft = decoded;
  placeInNamespace(resource, draft, namespace);
  const strategy = strategyOf(resource);
  const name = textAt(draft.metadata, 'name');
  if (namespace !== undefined) checkNamespace(env, resource, namespace, name);
  if (name !== '' && env.store.get(storageKey(resource, name, namespace))) throw alreadyExists(resource, name);
  const attributes: AdmissionAttributes = { operation: 'CREATE', resource, subresource: '', namespace, name, old: undefined, context };
  // Before admission: what admission adds belongs to nobody.
  if (resource.status) delete draft['status'];
  if (!tracked) draft = trackUpdate(undefined, draft, resource.schema, { manager: context.fieldManager, apiVersion: resource.apiVersion, time: timestamp(env.now()) }) as Draft;
  await strategy.admit?.(draft, attributes, env);
  const admitted = await env.webhooks.mutate(attributes, draft, (changed) => strategy.admit?.(changed, attributes, env));
  if (admitted !== draft) draft = withDefaults(resource, admitted);
  if (name === '' && textAt(draft.metadata, 'generateName') !== '') draft.metadata['name'] = generatedName(textAt(draft.metadata, 'generateName'));
  prepare(env, resource, draft);
  for (let attempt = 1; ; attempt++) {
    if (attempt > 1 && name === '' && textAt(draft.metadata, 'generateName') !== '') draft.metadata['name'] = generatedName(textAt(draft.metadata, 'generateName'));
    if (attempt === 1) await validate(env, resource, draft, attributes);
    try {
      return await store(env, resource, namespace, draft, context);
    } catch (thrown) {
      if (!(thrown instanceof RevisionConflict)) throw thrown;
      if (name !== '' || attempt >= MAX_NAME_TRIES) throw alreadyExists(resource, textAt(draft.metadata, 'name'));
    }
  }
}

function placeInNamespace(resource: Resource, draft: Draft, namespace: string | undefined): void {
  const written = textAt(draft.metadata, 'namespace');
  if (!resource.namespaced) {
    delete draft.metadata['namespace'];
    return;
  }
  if (namespace === undefined || namespace === '') throw badRequest('an empty namespace may not be set during creation');
  if (written !== '' && written !== namespace) throw badRequest(`the namespace of the provided object does not match the namespace sent on the request`);
  draft.metadata['namespace'] = namespace;
}

function prepare(env: Environment, resource: Resource, draft: Draft): void {
  const strategy = strategyOf(resource);
  const { metadata } = draft;
  for (const field of ['deletionTimestamp', 'deletionGracePeriodSeconds', 'selfLink', 'resourceVersion', 'generation']) delete metadata[field];
  metadata['uid'] = randomUUID();
  metadata['creationTimestamp'] = timestamp(env.now());
  if (strategy.generation) metadata['generation'] = 1;
  if (resource.status) delete draft['status'];
  strategy.prepareCreate?.(draft, env);
}

async function validate(env: Environment, resource: Resource, draft: Draft, attributes: AdmissionAttributes): Promise<void> {
  const strategy = strategyOf(resource);
  const causes = [...checkMetadata(draft.metadata, strategy.names ?? 'subdomain'), ...contentCauses(resource, draft, undefined)];
  if (causes.length > 0) throw invalid(resource, textAt(draft.metadata, 'name'), uniqueCauses(causes));
  strategy.guard?.(draft, { ...attributes, name: textAt(draft.metadata, 'name') }, env);
  await env.webhooks.validate({ ...attributes, name: textAt(draft.metadata, 'name') }, draft);
}

/** The schema and a strategy may find the same thing. */
export function uniqueCauses<T extends { readonly field: string; readonly message: string }>(causes: readonly T[]): T[] {
  return causes.filter((cause, index) => causes.findIndex((other) => other.field === cause.field && other.message === cause.message) === index);
}

async function store(env: Environment, resource: Resource, namespace: string | undefined, draft: Draft, context: WriteContext): Promise<KubeObject> {
  if (resource.group === '' && resource.kind === 'Service') env.services.allocate(draft, undefined);
  const key = storageKey(resource, textAt(draft.metadata, 'name'), namespace);
  const object = await toStorage(draft as unknown as KubeObject, resource);
  if (context.dryRun) {
    const existing = env.store.get(key);
    if (existing) throw new RevisionConflict(key, 0, existing.revision);
    return object;
  }
  return (await env.store.put(key, object, 0)).object;
}
