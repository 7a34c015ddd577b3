/** Requests to resources: from the parsed path to the verb. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { KubeObject } from '../../../objects/meta.ts';
import type { Resource } from '../api/resources.ts';
import { isVirtual } from '../api/discovery.ts';
import type { TokenAuthority } from '../auth/tokens.ts';
import { forbiddenText } from '../auth/rbac/forbidden.ts';
import type { ResourceAccess } from '../auth/rbac/rules.ts';
import type { UserInfo } from '../auth/user.ts';
import { isObject } from '../json.ts';
import { jsonPatch } from '../patch/json-patch.ts';
import { mergePatch } from '../patch/merge-patch.ts';
import type { Environment, WriteContext } from '../rest/context.ts';
import { bindPod } from '../rest/bind.ts';
import { createObject } from '../rest/create.ts';
import { evictPod } from '../rest/evict.ts';
import { deleteObject, type Deletion } from '../rest/delete.ts';
import { getObject, listObjects } from '../rest/read.ts';
import { answerReview } from '../rest/reviews.ts';
import { scaleOf, writeScale } from '../rest/scale.ts';
import { requestToken } from '../rest/token.ts';
import { patchObject, updateObject, type ObjectSubresource, type PatchType, type Target } from '../rest/update.ts';
import { badRequest, forbidden, invalid, methodNotAllowed, pathNotFound, required, unsupportedMediaType } from '../status.ts';
import { parseBody, readBody } from './body.ts';
import { streamLogs, type PodLogs } from './logs.ts';
import { parseMediaTypes, shapeOf } from './media-type.ts';
import { isForced, isWatch, listQuery, watchQuery, writeContext } from './query.ts';
import type { ResourcePath } from './request-info.ts';
import { sendJson, sendList, sendObject } from './respond.ts';
import { streamWatch } from './watch.ts';

/** What the handlers share. */
export interface Handlers {
  readonly env: Environment;
  readonly tokens: TokenAuthority;
  readonly logs: PodLogs | undefined;
  /** Aborts when the server closes. */
  readonly closing: AbortSignal;
}

interface Call {
  readonly handlers: Handlers;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
  readonly user: UserInfo;
  readonly resource: Resource;
  readonly path: ResourcePath;
}

/** Answers one request to a resource. @throws ApiError */
export async function handleResource(handlers: Handlers, request: IncomingMessage, response: ServerResponse, query: URLSearchParams, user: UserInfo, path: ResourcePath): Promise<void> {
  const resource = handlers.env.resources.find(path.group, path.version, path.plural);
  if (!resource) throw pathNotFound();
  if (path.namespace !== undefined && !resource.namespaced) throw pathNotFound();
  const call: Call = { handlers, request, response, query, user, resource, path };
  authorize(call);
  if (resource.deprecationWarning) addWarnings(response, [resource.deprecationWarning]);
  if (path.subresource !== '') await handleSubresource(call);
  else if (path.name === undefined) await handleCollection(call);
  else await handleObject(call);
}

const VERB_OF: Readonly<Record<string, string>> = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' };

function authorize({ handlers, user, request, query, resource, path }: Call): void {
  const access: ResourceAccess = { verb: verbOf(request.method, query, path), group: path.group, resource: path.plural, subresource: path.subresource, name: path.name ?? '', namespace: path.namespace };
  const decision = handlers.env.authorizer.resource(user, access);
  if (!decision.allowed) throw forbidden(resource, path.name ?? '', forbiddenText(user, access, decision));
}

function verbOf(method: string | undefined, query: URLSearchParams, path: ResourcePath): string {
  const verb = VERB_OF[method ?? ''];
  if (verb === 'delete' && path.name === undefined) return 'deletecollection';
  if (verb !== undefined) return verb;
  if (isWatch(query)) return 'watch';
  return path.name === undefined ? 'list' : 'get';
}

async function handleCollection(call: Call): Promise<void> {
  const { handlers, request, response, query, resource, path, user } = call;
  const { env } = handlers;
  const shape = shapeOf(request.headers.accept, query.get('includeObject'));
  if (isVirtual(resource)) {
    if (request.method !== 'POST') throw methodNotAllowed();
    sendJson(response, 201, answerReview(env, handlers.tokens, resource, await bodyOf(request), user, path.namespace));
    return;
  }
  switch (request.method) {
    case 'GET':
      if (isWatch(query)) streamWatch(env, response, resource, path.namespace, watchQuery(query), shape, handlers.closing);
      else await sendList(response, resource, listObjects(env, resource, path.namespace, listQuery(query)), shape, env.now());
      return;
    case 'POST': {
      const context = writeContext(request, query, user);
      const object = await createObject(env, resource, resource.namespaced ? path.namespace : undefined, await bodyOf(request), context);
      addWarnings(response, context.warnings);
      await sendObject(response, 201, resource, object, shape, env.now());
      return;
    }
    case 'DELETE': {
      const context = writeContext(request, query, user);
      const deletion = deletionOf(await bodyOf(request), query);
      const { items } = listObjects(env, resource, path.namespace, listQuery(query));
      const deleted = await Promise.all(items.map((item) => deleteObject(env, resource, item.metadata.namespace, item.metadata.name, deletion, context).catch(ignoreNotFound)));
      await sendList(response, resource, { items: deleted.flatMap((one) => (one ? [one.object] : [])), resourceVersion: String(env.store.revision()) }, shape, env.now());
      return;
    }
    default: throw methodNotAllowed();
  }
}

function ignoreNotFound(thrown: unknown): undefined {
  if ((thrown as { code?: unknown }).code !== 404) throw thrown;
}

async function handleObject(call: Call): Promise<void> {
  const { handlers, request, response, query, resource, path, user } = call;
  const { env } = handlers;
  const name = path.name!;
  if (isVirtual(resource) || (resource.namespaced && path.namespace === undefined)) throw pathNotFound();
  const shape = shapeOf(request.headers.accept, query.get('includeObject'));
  if (request.method === 'GET') {
    if (isWatch(query)) streamWatch(env, response, resource, path.namespace, { ...watchQuery(query), fieldSelector: `metadata.name=${name}` }, shape, handlers.closing);
    else await sendObject(response, 200, resource, getObject(env, resource, path.namespace, name), shape, env.now());
    return;
  }
  if (request.method === 'DELETE') {
    const context = writeContext(request, query, user);
    const { object, done } = await deleteObject(env, resource, path.namespace, name, deletionOf(await bodyOf(request), query), context);
    addWarnings(response, context.warnings);
    if (!done || (resource.group === '' && resource.kind === 'Pod')) await sendObject(response, 200, resource, object, shape, env.now());
    else sendJson(response, 200, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details: { name, ...(resource.group ? { group: resource.group } : {}), kind: resource.plural, uid: object.metadata.uid } });
    return;
  }
  await writeObject(call, '', (object) => object);
}

/** PUT and PATCH of an object or of a part of it. */
async function writeObject(call: Call, subresource: ObjectSubresource, show: (object: KubeObject) => KubeObject): Promise<void> {
  const { handlers, request, response, query, resource, path, user } = call;
  const { env } = handlers;
  const shape = shapeOf(request.headers.accept, query.get('includeObject'));
  const target: Target = { resource, namespace: path.namespace, name: path.name!, subresource };
  const context = writeContext(request, query, user);
  if (request.method === 'PUT') {
    const body = await bodyOf(request);
    const object = await createOnPut(call, target, body, context) ?? await updateObject(env, target, body, context);
    addWarnings(response, context.warnings);
    await sendObject(response, 200, resource, show(object), shape, env.now());
    return;
  }
  if (request.method !== 'PATCH') throw methodNotAllowed();
  const type = patchTypeOf(request);
  if (type === 'apply' && !query.get('fieldManager')) throw invalid({ group: 'meta.k8s.io', kind: 'PatchOptions' }, '', [required('fieldManager', 'is required for apply patch')]);
  const { object, created } = await patchObject(env, target, type, await bodyOf(request, type === 'apply' ? 'yaml' : 'json'), context, isForced(query));
  addWarnings(response, context.warnings);
  await sendObject(response, created ? 201 : 200, resource, show(object), shape, env.now());
}

/** Leases and events may be created by PUT; all other kinds answer 404 for a name that does not exist. */
async function createOnPut({ handlers: { env } }: Call, target: Target, body: unknown, context: WriteContext): Promise<KubeObject | undefined> {
  if (target.resource.plural !== 'leases' && target.resource.plural !== 'events') return undefined;
  const exists = env.store.get(`/${target.resource.group || 'core'}/${target.resource.plural}/${target.namespace}/${target.name}`);
  return exists ? undefined : createObject(env, target.resource, target.namespace, body, context);
}

function patchTypeOf(request: IncomingMessage): PatchType {
  const type = parseMediaTypes(request.headers['content-type'] ?? '')[0]!.type;
  switch (type) {
    case 'application/json-patch+json': return 'json';
    case 'application/merge-patch+json': return 'merge';
    case 'application/strategic-merge-patch+json': return 'strategic';
    case 'application/apply-patch+yaml': return 'apply';
    default: throw unsupportedMediaType('the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml');
  }
}

async function bodyOf(request: IncomingMessage, form?: 'json' | 'yaml'): Promise<unknown> {
  const type = parseMediaTypes(request.headers['content-type'] ?? 'application/json')[0]!.type;
  return parseBody(await readBody(request), form ?? type);
}

function deletionOf(body: unknown, query: URLSearchParams): Deletion {
  const grace = query.get('gracePeriodSeconds');
  const policy = query.get('propagationPolicy');
  if (grace !== null && !/^-?\d{1,10}$/.test(grace)) throw badRequest(`gracePeriodSeconds: Invalid value: ${JSON.stringify(grace)}`);
  return { ...(isObject(body) ? (body as Deletion) : {}), ...(grace === null ? {} : { gracePeriodSeconds: Number(grace) }), ...(policy === null ? {} : { propagationPolicy: policy }) };
}

function addWarnings(response: ServerResponse, warnings: readonly string[]): void {
  if (warnings.length === 0 || response.headersSent) return;
  const before = response.getHeader('warning');
  const texts = [...new Set(warnings)].slice(0, 50).map((text) => `299 - "${text.replace(/[^\x20-\x7e]/g, ' ').replace(/["\\]/g, '\\$&').slice(0, 1000)}"`);
  response.setHeader('warning', [...(Array.isArray(before) ? before : []), ...texts]);
}

async function handleSubresource(call: Call): Promise<void> {
  const { handlers, request, response, query, resource, path } = call;
  const { env } = handlers;
  const core = (plural: string): boolean => resource.group === '' && resource.plural === plural;
  const name = path.name!;
  if (resource.namespaced && path.namespace === undefined) throw pathNotFound();
  if (path.subresource === 'status' && resource.status) {
    if (request.method === 'GET') await sendObject(response, 200, resource, getObject(env, resource, path.namespace, name), shapeOf(request.headers.accept, null), env.now());
    else await writeObject(call, 'status', (object) => object);
  } else if (path.subresource === 'scale' && resource.scale) await handleScale(call);
  else if (path.subresource === 'log' && core('pods')) {
    if (request.method !== 'GET') throw methodNotAllowed();
    await streamLogs(env, handlers.logs, response, resource, path.namespace!, name, query);
  } else if (path.subresource === 'token' && core('serviceaccounts')) {
    if (request.method !== 'POST') throw methodNotAllowed();
    sendJson(response, 201, requestToken(env, handlers.tokens, resource, path.namespace!, name, await bodyOf(request)));
  } else if (path.subresource === 'finalize' && core('namespaces')) {
    if (request.method === 'PUT') await writeObject(call, 'finalize', (object) => object);
    else throw methodNotAllowed();
  } else if (path.subresource === 'approval' && resource.kind === 'CertificateSigningRequest' && !resource.custom) {
    if (request.method === 'GET') await sendObject(response, 200, resource, getObject(env, resource, path.namespace, name), shapeOf(request.headers.accept, null), env.now());
    else await writeObject(call, 'approval', (object) => object);
  } else if (path.subresource === 'binding' && core('pods')) await handleBinding(call);
  else if (path.subresource === 'eviction' && core('pods')) await handleEviction(call);
  else if (core('pods') && ['exec', 'attach', 'portforward', 'proxy'].includes(path.subresource)) throw methodNotAllowed();
  else throw pathNotFound();
}

async function handleScale(call: Call): Promise<void> {
  const { handlers, request, response, query, resource, path, user } = call;
  const { env } = handlers;
  if (request.method === 'GET') {
    sendJson(response, 200, scaleOf(resource, getObject(env, resource, path.namespace, path.name!)));
    return;
  }
  const target: Target = { resource, namespace: path.namespace, name: path.name!, subresource: 'scale' };
  const context = writeContext(request, query, user);
  if (request.method === 'PUT') {
    const body = await bodyOf(request);
    sendJson(response, 200, await writeScale(env, target, context, () => body));
  } else if (request.method === 'PATCH') {
    const type = patchTypeOf(request);
    const patch = await bodyOf(request, 'yaml');
    sendJson(response, 200, await writeScale(env, target, context, (scale) => (type === 'json' ? jsonPatch(scale, patch) : mergePatch(scale, patch))));
  } else throw methodNotAllowed();
}

async function handleBinding({ handlers, request, response, query, resource, path, user }: Call): Promise<void> {
  if (request.method !== 'POST') throw methodNotAllowed();
  await bindPod(handlers.env, resource, path.namespace!, path.name!, await bodyOf(request), writeContext(request, query, user));
  sendJson(response, 201, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 });
}

async function handleEviction({ handlers, request, response, query, resource, path, user }: Call): Promise<void> {
  if (request.method !== 'POST') throw methodNotAllowed();
  await evictPod(handlers.env, resource, path.namespace!, path.name!, await bodyOf(request), writeContext(request, query, user));
  sendJson(response, 201, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 });
}
