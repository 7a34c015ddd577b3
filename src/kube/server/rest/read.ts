import type { KubeObject } from '../../../objects/meta.ts';
import type { Resource } from '../api/resources.ts';
import { storageKey, storagePrefix } from '../api/storage-key.ts';
import { parseFieldSelector, parseLabelSelector } from '../selectors.ts';
import { badRequest, expired, ExpiredPage, forbiddenField, invalid, invalidValue, notFound, notSupported, versionTooLarge, type Cause } from '../status.ts';
import { RevisionCompacted, type StoredEntry } from '../store/store.ts';
import { at } from '../json.ts';
import type { Environment } from './context.ts';
import { strategyOf } from './strategies.ts';
import { asVersion, needsConversion } from './versions.ts';

/** The query of a list or watch. */
export interface ListQuery {
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  readonly limit?: number;
  readonly continue?: string;
  /** '' and '0': what is there now. */
  readonly resourceVersion?: string;
  /** `Exact` or `NotOlderThan`. Without it a page is exact and a whole list is not older. */
  readonly resourceVersionMatch?: string;
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
    const read = Object.hasOwn(fields, field) ? fields[field] : selectable(resource, field);
    if (!read) throw badRequest(`field label not supported: ${field}`);
    return (object: KubeObject) => (read(object) === value) === equal;
  });
  if (terms.length === 0 && !query.labelSelector) return () => true;
  return (object) => terms.every((term) => term(object)) && labels(object.metadata.labels);
}

/** How a selectable field of a custom kind is read. */
function selectable(resource: Resource, field: string): ((object: KubeObject) => string) | undefined {
  if (!resource.selectableFields?.includes(`.${field}`)) return undefined;
  const path = field.split('.');
  return (object) => {
    const value = at(needsConversion(object, resource) ? object : asVersion(object, resource), ...path);
    return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
  };
}

/**
 * Lists objects in key order, a page at a time when asked. All pages of one list show one moment, as long as the history reaches back to it.
 * @throws ApiError 400, 410, 422, 504
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
 */
export function listObjects(env: Environment, resource: Resource, namespace: string | undefined, query: ListQuery): Listed {
  const selected = selectorOf(resource, query);
  const prefix = storagePrefix(resource, namespace);
  const from = startOf(env, prefix, query);
  const entries = entriesAt(env, prefix, from);
  const limit = query.limit && query.limit > 0 ? query.limit : Infinity;
  const resourceVersion = String(from.revision);
  if (limit >= entries.length && !query.labelSelector && !query.fieldSelector) return { items: entries.map((entry) => entry.object), resourceVersion };
  const items: KubeObject[] = [];
  for (let index = 0; index < entries.length; index++) {
    const entry = entries[index]!;
    if (selected(entry.object)) items.push(entry.object);
    if (items.length < limit || index + 1 === entries.length) continue;
    const rest = query.labelSelector || query.fieldSelector ? {} : { remainingItemCount: entries.length - index - 1 };
    return { items, resourceVersion, continue: encodeContinue(entry.key.slice(prefix.length), from.revision), ...rest };
  }
  return { items, resourceVersion };
}

/** The moment a list shows, and the key its page starts behind. */
interface Start {
  readonly revision: number;
  readonly after?: string;
}

function startOf({ store }: Environment, prefix: string, query: ListQuery): Start {
  checkMatch(query);
  const now = store.revision();
  if (query.continue) {
    if (query.resourceVersion && query.resourceVersion !== '0') throw badRequest('specifying resource version is not allowed when using continue');
    const { after, revision } = decodeContinue(query.continue, prefix);
    // An inconsistent token goes on with what is there now.
    return { after, revision: revision < 0 ? now : revision };
  }
  const version = revisionOf(query.resourceVersion ?? '');
  if (version > now) throw versionTooLarge(version, now);
  const exact = query.resourceVersionMatch === 'Exact' || (!query.resourceVersionMatch && (query.limit ?? 0) > 0);
  return { revision: version > 0 && exact ? version : now };
}

function entriesAt({ store }: Environment, prefix: string, { revision, after }: Start): StoredEntry[] {
  try {
    return store.list(prefix, { at: revision, ...(after === undefined ? {} : { after }) });
  } catch (thrown) {
    if (!(thrown instanceof RevisionCompacted)) throw thrown;
    if (after === undefined) throw expired('The resourceVersion for the provided list is too old.');
    throw new ExpiredPage(encodeContinue(after.slice(prefix.length), -1));
  }
}

/** A resourceVersion as a number; 0 for '' and '0'. @throws ApiError 400 */
export function revisionOf(version: string): number {
  if (version === '') return 0;
  if (!/^\d{1,15}$/.test(version)) throw badRequest(`Invalid value: ${JSON.stringify(version)}: strconv.ParseUint: parsing ${JSON.stringify(version)}: invalid syntax`);
  return Number(version);
}

const LIST_OPTIONS = { group: 'meta.k8s.io', kind: 'ListOptions' };

function checkMatch({ resourceVersion = '', resourceVersionMatch = '', continue: token = '' }: ListQuery): void {
  if (resourceVersionMatch === '') return;
  const field = 'resourceVersionMatch';
  const causes: Cause[] = [];
  if (resourceVersion === '') causes.push(forbiddenField(field, 'resourceVersionMatch is forbidden unless resourceVersion is provided'));
  if (token !== '') causes.push(forbiddenField(field, 'resourceVersionMatch is forbidden when continue is provided'));
  if (resourceVersionMatch !== 'Exact' && resourceVersionMatch !== 'NotOlderThan') causes.push(notSupported(field, resourceVersionMatch, ['Exact', 'NotOlderThan', '']));
  if (resourceVersionMatch === 'Exact' && resourceVersion === '0') causes.push(invalidValue(field, resourceVersionMatch, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'));
  if (causes.length > 0) throw invalid(LIST_OPTIONS, '', causes);
}

function encodeContinue(key: string, revision: number): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: revision, start: key })).toString('base64url');
}

function decodeContinue(token: string, prefix: string): { after: string; revision: number } {
  try {
    const { rv, start } = JSON.parse(Buffer.from(token, 'base64url').toString('utf8')) as { rv: unknown; start: unknown };
    if (typeof rv === 'number' && Number.isInteger(rv) && typeof start === 'string' && start !== '') return { after: prefix + start, revision: rv };
  } catch {
    // Refused below.
  }
  throw badRequest('continue key is not valid: the token was not given out by this server');
}
