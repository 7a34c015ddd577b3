import type { KubeObject } from '../../../objects/meta.ts';
import type { Resource } from '../api/resources.ts';
import { storageKey, storagePrefix } from '../api/storage-key.ts';
import { parseFieldSelector, parseLabelSelector } from '../selectors.ts';
import { badRequest, expired, notFound } from '../status.ts';
import type { Environment } from './context.ts';
import { strategyOf } from './strategies.ts';

/** The query of a list or watch. */
export interface ListQuery {
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly limit?: number;
  readonly continue?: string;
}

export interface Listed {
  readonly items: readonly KubeObject[];
  readonly resourceVersion: string;
  /** Where the next page starts. */
  readonly continue?: string;
  readonly remainingItemCount?: number;
}

/** @throws ApiError 404 */
export function getObject(env: Environment, resource: Resource, namespace: string | undefined, name: string): KubeObject {
  const entry = env.store.get(storageKey(resource, name, namespace));
  if (!entry) throw notFound(resource, name);
  return entry.object;
}

/** Whether an object is chosen by both selectors. @throws ApiError 400 for a selector that is none, or a field that cannot be selected */
export function selectorOf(resource: Resource, query: ListQuery): (object: KubeObject) => boolean {
  const labels = parseLabelSelector(query.labelSelector ?? '');
  const fields = strategyOf(resource).fields ?? {};
  const terms = parseFieldSelector(query.fieldSelector ?? '').map(({ field, equal, value }) => {
    if (field === 'metadata.name') return (object: KubeObject) => (object.metadata.name === value) === equal;
    if (field === 'metadata.namespace' && resource.namespaced) return (object: KubeObject) => ((object.metadata.namespace ?? '') === value) === equal;
    const read = Object.hasOwn(fields, field) ? fields[field] : undefined;
    if (!read) throw badRequest(`field label not supported: ${field}`);
    return (object: KubeObject) => (read(object) === value) === equal;
  });
  if (terms.length === 0 && !query.labelSelector) return () => true;
  return (object) => terms.every((term) => term(object)) && labels(object.metadata.labels);
}

/** Lists objects in key order, a page at a time when asked. @throws ApiError 400, 410 */
export function listObjects(env: Environment, resource: Resource, namespace: string | undefined, query: ListQuery): Listed {
  const selected = selectorOf(resource, query);
  const prefix = storagePrefix(resource, namespace);
  const from = query.continue ? decodeContinue(query.continue, prefix) : undefined;
  const entries = env.store.list(prefix, from ? { after: from.after } : {});
  const limit = query.limit && query.limit > 0 ? query.limit : Infinity;
  const items: KubeObject[] = [];
  // Pages after the first repeat the first page's version, so that a watch from it misses nothing.
  const revision = from?.revision ?? env.store.revision();
  for (let index = 0; index < entries.length; index++) {
    const entry = entries[index]!;
    if (selected(entry.object)) items.push(entry.object);
    if (items.length < limit || index + 1 === entries.length) continue;
    const rest = query.labelSelector || query.fieldSelector ? {} : { remainingItemCount: entries.length - index - 1 };
    return { items, resourceVersion: String(revision), continue: encodeContinue(entry.key.slice(prefix.length), revision), ...rest };
  }
  return { items, resourceVersion: String(revision) };
}

function encodeContinue(key: string, revision: number): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: revision, start: key })).toString('base64url');
}

function decodeContinue(token: string, prefix: string): { after: string; revision: number } {
  try {
    const { rv, start } = JSON.parse(Buffer.from(token, 'base64url').toString('utf8')) as { rv: unknown; start: unknown };
    if (typeof rv === 'number' && typeof start === 'string') return { after: prefix + start, revision: rv };
  } catch {
    // Refused below.
  }
  throw token.length > 4096 ? expired('The provided continue parameter is too old') : badRequest('continue key is not valid');
}
