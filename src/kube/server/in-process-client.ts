/** The API without a socket: the same path through admission, validation and storage as a request. */
import type { ResourceType } from '../../objects/kind.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { ApiError, type DeleteOptions, type KubeClient, type ListOptions, type WatchEvent, type WriteOptions } from '../client/client.ts';
import { isVirtual } from './api/discovery.ts';
import type { Resource } from './api/resources.ts';
import { SYSTEM_USER, type UserInfo } from './auth/user.ts';
import type { Handlers } from './http/resource-handler.ts';
import { parseResourcePath, segmentsOf } from './http/request-info.ts';
import type { Environment, WriteContext } from './rest/context.ts';
import { bindPod } from './rest/bind.ts';
import { createObject } from './rest/create.ts';
import { deleteObject } from './rest/delete.ts';
import { getObject, listObjects } from './rest/read.ts';
import { answerReview } from './rest/reviews.ts';
import { requestToken } from './rest/token.ts';
import { patchObject, updateObject, type Target } from './rest/update.ts';
import { asVersion, prepareVersions } from './rest/versions.ts';
import { watchObjects, type ObjectEvent } from './rest/watch.ts';
import { writeScale } from './rest/scale.ts';
import { mergePatch } from './patch/merge-patch.ts';
import { pathNotFound } from './status.ts';

/** A client for code in the same process. Objects it returns are the stored ones: frozen, shared, and current at the time of the call. */
export function createInProcessClient(handlers: Handlers, user: UserInfo = SYSTEM_USER, agent = 'meltemi'): KubeClient {
  const { env } = handlers;
  const resourceOf = (type: ResourceType): Resource => {
    const resource = env.resources.find(type.group, type.version, type.plural);
    if (!resource) throw pathNotFound();
    return resource;
  };
  const contextOf = (options?: WriteOptions): WriteContext => ({
    user, fieldManager: options?.fieldManager ?? agent, dryRun: options?.dryRun ?? false, fieldValidation: 'Warn',
    // Unknown fields in our own writes are our bugs.
    warnings: { push: (...texts: string[]) => (texts.forEach((text) => env.log.warn(text, { manager: options?.fieldManager ?? agent })), texts.length) } as unknown as string[],
  });
  const targetOf = (type: ResourceType, name: string, namespace: string | undefined, options?: WriteOptions): Target => ({
    resource: resourceOf(type), name, namespace: type.namespaced ? namespace : undefined, subresource: options?.subresource ?? '',
  });

  return {
    async get<T extends KubeObject>(type: ResourceType, name: string, namespace?: string): Promise<T | undefined> {
      try {
        return await shown<T>(getObject(env, resourceOf(type), type.namespaced ? namespace : undefined, name), resourceOf(type));
      } catch (thrown) {
        if (thrown instanceof ApiError && thrown.code === 404) return undefined;
        throw thrown;
      }
    },
    async list<T extends KubeObject>(type: ResourceType, options: ListOptions = {}) {
      const resource = resourceOf(type);
      const { items, resourceVersion } = listObjects(env, resource, options.namespace, options);
      if (resource.converter) await prepareVersions(items, resource);
      return { items: items.map((item) => asVersion(item, resource) as T), resourceVersion };
    },
    watch: <T extends KubeObject>(type: ResourceType, options: ListOptions & { readonly resourceVersion: string; readonly signal: AbortSignal }) => watchEvents<T>(env, resourceOf(type), options),
    async create<T extends KubeObject>(type: ResourceType, object: T, options?: WriteOptions): Promise<T> {
      return shown<T>(await createObject(env, resourceOf(type), type.namespaced ? object.metadata.namespace : undefined, object, contextOf(options)), resourceOf(type));
    },
    async update<T extends KubeObject>(type: ResourceType, object: T, options?: WriteOptions): Promise<T> {
      const target = targetOf(type, object.metadata.name, object.metadata.namespace, options);
      if (target.subresource === 'scale') return (await writeScale(env, target, contextOf(options), () => object)) as T;
      return shown<T>(await updateObject(env, target, object, contextOf(options)), resourceOf(type));
    },
    async mergePatch<T extends KubeObject>(type: ResourceType, name: string, namespace: string | undefined, patch: unknown, options?: WriteOptions): Promise<T> {
      const target = targetOf(type, name, namespace, options);
      if (target.subresource === 'scale') return (await writeScale(env, target, contextOf(options), (scale) => mergePatch(scale, patch))) as T;
      return shown<T>((await patchObject(env, target, 'merge', patch, contextOf(options))).object, resourceOf(type));
    },
    async apply<T extends KubeObject>(type: ResourceType, object: T, options: WriteOptions & { readonly fieldManager: string }): Promise<T> {
      const target = targetOf(type, object.metadata.name, object.metadata.namespace, options);
      return shown<T>((await patchObject(env, target, 'apply', object, contextOf(options), true)).object, resourceOf(type));
    },
    async delete(type: ResourceType, name: string, namespace?: string, options: DeleteOptions = {}): Promise<void> {
      try {
        await deleteObject(env, resourceOf(type), type.namespaced ? namespace : undefined, name, options, contextOf());
      } catch (thrown) {
        if (!(thrown instanceof ApiError && thrown.code === 404)) throw thrown;
      }
    },
    post: <T>(path: string, body: unknown) => post(handlers, path, body, contextOf()) as Promise<T>,
  };
}

async function shown<T extends KubeObject>(object: KubeObject, resource: Resource): Promise<T> {
  if (resource.converter) await prepareVersions([object], resource);
  return asVersion(object, resource) as T;
}

/** Starts to watch at once, not with the first read: nothing is missed in between. */
function watchEvents<T extends KubeObject>(env: Environment, resource: Resource, options: ListOptions & { readonly resourceVersion: string; readonly signal: AbortSignal }): AsyncIterable<WatchEvent<T>> {
  let queue: ObjectEvent[] = [];
  let wake: () => void = () => {};
  const { signal } = options;
  const stop = watchObjects(env, resource, options.namespace, options, Number(options.resourceVersion), (event) => {
    queue.push(event);
    wake();
  });
  const aborted = (): void => {
    stop();
    wake();
  };
  signal.addEventListener('abort', aborted, { once: true });
  if (signal.aborted) stop();
  async function* events(): AsyncGenerator<WatchEvent<T>> {
    try {
      while (!signal.aborted) {
        if (queue.length === 0) await new Promise<void>((resolve) => void (wake = resolve));
        const batch = queue;
        queue = [];
        for (const event of batch) {
          if (signal.aborted) return;
          if (resource.converter) await prepareVersions([event.object], resource);
          yield { type: event.type, object: asVersion(event.object, resource) as T };
        }
      }
    } finally {
      stop();
      signal.removeEventListener('abort', aborted);
    }
  }
  return events();
}

async function post({ env, tokens }: Handlers, path: string, body: unknown, context: WriteContext): Promise<unknown> {
  const parsed = parseResourcePath(segmentsOf(path) ?? []);
  const resource = parsed && env.resources.find(parsed.group, parsed.version, parsed.plural);
  if (!parsed || !resource) throw pathNotFound();
  if (isVirtual(resource)) return answerReview(env, tokens, resource, body, context.user);
  if (parsed.plural === 'serviceaccounts' && parsed.subresource === 'token' && parsed.namespace && parsed.name) return requestToken(env, tokens, resource, parsed.namespace, parsed.name, body);
  if (parsed.plural === 'pods' && parsed.subresource === 'binding' && parsed.namespace && parsed.name) return bindPod(env, resource, parsed.namespace, parsed.name, body, context);
  if (parsed.name === undefined) return createObject(env, resource, parsed.namespace, body, context);
  throw pathNotFound();
}
