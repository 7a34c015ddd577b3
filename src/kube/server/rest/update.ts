import type { KubeObject } from '../../../objects/meta.ts';
import type { Resource } from '../api/resources.ts';
import { storageKey } from '../api/storage-key.ts';
import { ApiError } from '../../client/client.ts';
import { clone, equal, own, setOwn, textAt } from '../json.ts';
import { applyConfiguration, trackUpdate, type Writer } from '../patch/managed-fields.ts';
import { jsonPatch } from '../patch/json-patch.ts';
import { mergePatch } from '../patch/merge-patch.ts';
import { strategicMergePatch } from '../patch/strategic.ts';
import { alreadyExists, badRequest, conflict, invalid, modified, notFound, unsupportedMediaType } from '../status.ts';
import { RevisionConflict } from '../store/store.ts';
import { timestamp, type AdmissionAttributes, type Draft, type Environment, type WriteContext } from './context.ts';
import { createDraft, uniqueCauses } from './create.ts';
import { decodeObject, finishDraft, contentCauses, withDefaults } from './decode.ts';
import { checkMetadata } from './names.ts';
import { strategyOf } from './strategies.ts';
import { asVersion, prepareVersions, toStorage } from './versions.ts';

/** Subresources that write the object itself. */
export type ObjectSubresource = '' | 'status' | 'finalize' | 'binding' | 'scale' | 'approval';

/** Which object a write is about. */
export interface Target {
  readonly resource: Resource;
  readonly namespace: string | undefined;
  readonly name: string;
  readonly subresource: ObjectSubresource;
}

/** Whether an object came into being by the request. */
export interface Written {
  readonly object: KubeObject;
  readonly created: boolean;
}

export type PatchType = 'json' | 'merge' | 'strategic' | 'apply';

/** A server that loses this many races for one object gives up with a conflict. */
const MAX_RACES = 30;

/** Replaces an object. @throws ApiError 400, 404, 409, 422 */
export async function updateObject(env: Environment, target: Target, body: unknown, context: WriteContext): Promise<KubeObject> {
  const { resource, name } = target;
  const written = decodeObject(resource, body, context);
  checkSameName(written, name);
  return modify(env, target, context, (live) => {
    const draft = clone(written);
    // managedFields that are not sent are kept.
    if (own(draft.metadata, 'managedFields') === undefined && live.metadata.managedFields) draft.metadata['managedFields'] = live.metadata.managedFields;
    return draft;
  });
}

/** Patches an object; server-side apply also creates. @throws ApiError 400, 404, 409, 415, 422 */
export async function patchObject(env: Environment, target: Target, type: PatchType, patch: unknown, context: WriteContext, force = false): Promise<Written> {
  const { resource, namespace, name } = target;
  if (type === 'apply') return applyObject(env, target, patch, context, force);
  if (type === 'strategic' && resource.custom) {
    throw unsupportedMediaType('the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml');
  }
  const object = await modify(env, { resource, namespace, name, subresource: target.subresource }, context, (live) => {
    const current = asVersion(live, resource);
    const patched = type === 'json' ? jsonPatch(current, patch) : type === 'merge' ? mergePatch(current, patch) : strategicMergePatch(current, patch, resource.schema);
    const draft = decodePatched(resource, patched, current, context);
    checkSameName(draft, name);
    return draft;
  });
  return { object, created: false };
}

/** Unknown fields that were stored already are not the patch's fault; there are none, since everything stored was pruned. */
function decodePatched(resource: Resource, patched: unknown, current: KubeObject, context: WriteContext): Draft {
  const draft = decodeObject(resource, patched, context);
  if (own(draft.metadata, 'managedFields') === undefined && current.metadata.managedFields && own(own(patched, 'metadata'), 'managedFields') === undefined) draft.metadata['managedFields'] = current.metadata.managedFields;
  return draft;
}

async function applyObject(env: Environment, target: Target, body: unknown, context: WriteContext, force: boolean): Promise<Written> {
  const { resource, namespace, name, subresource } = target;
  const configuration = body as Draft;
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw badRequest('error decoding YAML: not an object');
  if (textAt(configuration, 'apiVersion') !== resource.apiVersion || textAt(configuration, 'kind') !== resource.kind) throw badRequest(`Incorrect version or kind specified in apply patch. Specified patch: ${textAt(configuration, 'apiVersion')}, ${textAt(configuration, 'kind')}, expected: ${resource.apiVersion}, ${resource.kind}`);
  if (own(own(configuration, 'metadata'), 'managedFields') !== undefined) throw badRequest('metadata.managedFields must be nil');
  const applied = finishApplied(resource, configuration, context);
  checkSameName(applied, name);
  const writer: Writer = { manager: context.fieldManager, apiVersion: resource.apiVersion, subresource, time: timestamp(env.now()) };
  for (let race = 0; race < MAX_RACES; race++) {
    const live = env.store.get(storageKey(resource, name, namespace))?.object;
    if (live) {
      const object = await modify(env, target, context, (current) => {
        const onto = asVersion(current, resource);
        const merged = applyConfiguration(onto, applied, resource.schema, writer, force);
        const draft = withDefaults(resource, clone(merged) as Draft);
        for (const field of ['uid', 'resourceVersion'] as const) if (own(applied.metadata, field) !== undefined) draft.metadata[field] = applied.metadata[field];
        return draft;
      }, true);
      return { object, created: false };
    }
    if (subresource !== '') throw notFound(resource, name);
    if (own(applied.metadata, 'uid') !== undefined) throw conflict(resource, name, `uid mismatch: the provided object specified uid ${textAt(applied.metadata, 'uid')}, and no existing object was found`);
    const merged = applyConfiguration(undefined, applied, resource.schema, writer, force);
    try {
      const draft = withDefaults(resource, clone(merged) as Draft);
      delete draft.metadata['resourceVersion'];
      return { object: await createDraft(env, resource, namespace, draft, context, true), created: true };
    } catch (thrown) {
      // Somebody else created it meanwhile: apply onto theirs.
      if (!(thrown instanceof ApiError) || thrown.reason !== alreadyExists(resource, name).reason) throw thrown;
    }
  }
  throw modified(resource, name);
}

/** The applied configuration without unknown fields, and without defaults: the applier owns only what it wrote. */
function finishApplied(resource: Resource, configuration: Draft, context: WriteContext): Draft {
  const original = clone(configuration);
  finishDraft(resource, original, context);
  return original;
}

function checkSameName(draft: Draft, name: string): void {
  const written = textAt(draft.metadata, 'name');
  if (written === '') draft.metadata['name'] = name;
  else if (written !== name) throw badRequest(`the name of the object (${written}) does not match the name on the URL (${name})`);
}

/**
 * Changes an object: `change` makes the new one from the live one and runs again when somebody else was faster, unless it names a resourceVersion.
 * `tracked`: managedFields of the result are already right.
 */
async function modify(env: Environment, target: Target, context: WriteContext, change: (live: KubeObject) => Draft, tracked = false): Promise<KubeObject> {
  const { resource, namespace, name } = target;
  const key = storageKey(resource, name, namespace);
  for (let race = 0; race < MAX_RACES; race++) {
    const entry = env.store.get(key);
    if (!entry) throw notFound(resource, name);
    await prepareVersions([entry.object], resource);
    // Judged in the version of the request.
    const live = resource.converter ? asVersion(entry.object, resource) : entry.object;
    const changed = change(live);
    checkPreconditions(resource, name, changed, live);
    const draft = await admitUpdate(env, target, context, keepServerFields(env, target, changed, live), live, tracked);
    const object = await toStorage(draft as unknown as KubeObject, resource);
    if (equal(object, entry.object)) return entry.object;
    if (context.dryRun) return object;
    try {
      if (isGone(resource, object)) {
        const stored = await env.store.delete(key, entry.revision);
        return stored.object;
      }
      return (await env.store.put(key, object, entry.revision)).object;
    } catch (thrown) {
      if (!(thrown instanceof RevisionConflict)) throw thrown;
    }
  }
  throw modified(resource, name);
}

function checkPreconditions(resource: Resource, name: string, draft: Draft, live: KubeObject): void {
  const version = textAt(draft.metadata, 'resourceVersion');
  const uid = textAt(draft.metadata, 'uid');
  if (uid !== '' && uid !== live.metadata.uid) throw conflict(resource, name, `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${live.metadata.uid}`);
  if (version !== '' && version !== '0' && version !== live.metadata.resourceVersion) throw modified(resource, name);
}

/** An object whose deletion was asked for goes when nothing holds it any more. */
export function isGone(resource: Resource, object: KubeObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds, finalizers } = object.metadata;
  if (!deletionTimestamp || (finalizers ?? []).length > 0 || (deletionGracePeriodSeconds ?? 0) > 0) return false;
  return strategyOf(resource).mayGo?.(object) ?? true;
}

/** Puts back what this kind of write may not change. */
function keepServerFields(env: Environment, { resource, subresource }: Target, draft: Draft, live: KubeObject): Draft {
  const old = live.metadata as unknown as Record<string, unknown>;
  const { metadata } = draft;
  for (const field of ['uid', 'creationTimestamp', 'deletionTimestamp', 'deletionGracePeriodSeconds', 'generation', 'namespace', 'generateName', 'resourceVersion', 'selfLink']) {
    if (old[field] === undefined) delete metadata[field];
    else metadata[field] = old[field];
  }
  // Approvers decide; they have no part in what signers write.
  if (subresource === 'approval') return onlyPart('status', withStatusOf(draft, live), live);
  if (subresource === 'status' || subresource === 'finalize') return onlyPart(subresource === 'status' ? 'status' : 'spec', draft, live);
  if (resource.status) setOrDelete(draft, 'status', own(live, 'status'));
  const strategy = strategyOf(resource);
  if (subresource === '') strategy.prepareUpdate?.(draft, live, env);
  if (strategy.generation && old['generation'] !== undefined && contentChanged(resource, draft, live)) metadata['generation'] = Number(old['generation']) + 1;
  return draft;
}

function setOrDelete(draft: Record<string, unknown>, field: string, value: unknown): void {
  if (value === undefined) delete draft[field];
  else draft[field] = value;
}

function withStatusOf(draft: Draft, live: KubeObject): Draft {
  return { ...draft, status: { ...(own(live, 'status') as object | undefined), conditions: own(own(draft, 'status'), 'conditions') ?? [] } };
}

function onlyPart(part: 'spec' | 'status', draft: Draft, live: KubeObject): Draft {
  const result = { ...live, apiVersion: draft.apiVersion, metadata: { ...live.metadata } } as unknown as Draft;
  setOrDelete(result, part, own(draft, part));
  setOrDelete(result.metadata, 'managedFields', own(draft.metadata, 'managedFields'));
  return result;
}

function contentChanged(resource: Resource, draft: Draft, live: KubeObject): boolean {
  const content = (object: object): Record<string, unknown> => {
    const rest: Record<string, unknown> = {};
    for (const key of Object.keys(object)) if (!['apiVersion', 'kind', 'metadata'].includes(key) && !(key === 'status' && resource.status)) setOwn(rest, key, own(object, key));
    return rest;
  };
  return !equal(content(draft), content(live));
}

async function admitUpdate(env: Environment, target: Target, context: WriteContext, prepared: Draft, live: KubeObject, tracked: boolean): Promise<Draft> {
  const { resource, namespace, name, subresource } = target;
  const attributes: AdmissionAttributes = { operation: 'UPDATE', resource, subresource, namespace, name, old: live, context };
  const writer = { manager: context.fieldManager, apiVersion: resource.apiVersion, time: timestamp(env.now()), ...(subresource === '' ? {} : { subresource }) };
  // Before admission: what admission adds belongs to nobody.
  const owned = tracked ? prepared : (trackUpdate(live, prepared, resource.schema, writer) as Draft);
  const admitted = await env.webhooks.mutate(attributes, owned, () => {});
  const draft = admitted === owned ? owned : keepServerFields(env, target, withDefaults(resource, admitted), live);
  if (resource.group === '' && resource.kind === 'Service' && subresource === '') env.services.allocate(draft, live);
  const causes = [...checkMetadata(draft.metadata, 'segment'), ...contentCauses(resource, draft, live, subresource === '' || subresource === 'scale')];
  if (causes.length > 0) throw invalid(resource, name, uniqueCauses(causes));
  strategyOf(resource).guard?.(draft, attributes, env);
  await env.webhooks.validate(attributes, draft);
  return draft;
}

export { modify as modifyObject };
