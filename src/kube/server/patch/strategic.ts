import type { Schema } from '../../../objects/schema/schema.ts';
import { clone, equal, isObject, own, setOwn } from '../json.ts';
import { badRequest } from '../status.ts';

type Fields = Record<string, unknown>;

/**
 * Applies a strategic merge patch: as a merge patch, but lists whose schema has a merge key are merged item by item, with the directives `$patch`,
 * `$deleteFromPrimitiveList`, `$setElementOrder` and `$retainKeys`. Neither argument is changed.
 * @throws ApiError 400 for a directive that is none, or an item without its merge key
 * @see https://github.com/kubernetes/community/blob/master/contributors/devel/sig-api-machinery/strategic-merge-patch.md
 */
export function strategicMergePatch(original: unknown, patch: unknown, schema: Schema | undefined): unknown {
  if (!isObject(patch)) throw badRequest('strategic merge patch must be an object');
  return mergeObject(isObject(original) ? original : {}, patch, schema);
}

/** The schema of a property, of a map's values when it is no known property. */
export function propertySchema(schema: Schema | undefined, key: string): Schema | undefined {
  const property = own(schema?.properties, key) as Schema | undefined;
  if (property) return property;
  return typeof schema?.additionalProperties === 'object' ? schema.additionalProperties : undefined;
}

function mergeObject(original: Fields, patch: Fields, schema: Schema | undefined): Fields {
  const directive = own(patch, '$patch');
  if (directive === 'replace') return withoutDirectives(patch);
  if (directive === 'delete') return {};
  if (directive !== undefined && directive !== 'merge') throw badRequest(`unknown patch type: ${JSON.stringify(directive)}`);
  const result: Fields = { ...original };
  const retain = own(patch, '$retainKeys');
  if (Array.isArray(retain)) for (const key of Object.keys(result)) if (!retain.includes(key)) delete result[key];
  for (const key of Object.keys(patch)) {
    if (key === '$patch' || key === '$retainKeys') continue;
    const value = patch[key];
    if (key.startsWith('$deleteFromPrimitiveList/')) {
      const field = key.slice('$deleteFromPrimitiveList/'.length);
      const list = own(result, field);
      if (Array.isArray(list) && Array.isArray(value)) setOwn(result, field, list.filter((item) => !value.some((gone) => equal(gone, item))));
      continue;
    }
    if (key.startsWith('$setElementOrder/')) {
      const field = key.slice('$setElementOrder/'.length);
      // When the patch has the list too, it is ordered with it below.
      if (!Object.hasOwn(patch, field)) orderField(result, field, value, propertySchema(schema, field));
      continue;
    }
    if (value === null) {
      delete result[key];
      continue;
    }
    const child = propertySchema(schema, key);
    const old = own(result, key);
    if (isObject(value)) setOwn(result, key, mergeObject(isObject(old) ? old : {}, value, child));
    else if (Array.isArray(value)) {
      setOwn(result, key, mergeList(Array.isArray(old) ? old : [], value, child));
      const order = own(patch, `$setElementOrder/${key}`);
      if (order !== undefined) orderField(result, key, order, child);
    } else setOwn(result, key, value);
  }
  return result;
}

function withoutDirectives(value: unknown): Fields {
  const result: Fields = {};
  for (const [key, child] of Object.entries(value as Fields)) {
    if (key === '$patch' || key === '$retainKeys' || key.startsWith('$setElementOrder/') || key.startsWith('$deleteFromPrimitiveList/')) continue;
    if (child === null) continue;
    setOwn(result, key, isObject(child) ? withoutDirectives(child) : clone(child));
  }
  return result;
}

function merges(schema: Schema | undefined): boolean {
  return (schema?.['x-kubernetes-patch-strategy'] ?? '').split(',').includes('merge');
}

function mergeList(original: readonly unknown[], patch: readonly unknown[], schema: Schema | undefined): unknown[] {
  const mergeKey = schema?.['x-kubernetes-patch-merge-key'];
  const replace = patch.some((item) => isObject(item) && own(item, '$patch') === 'replace');
  if (!merges(schema) || replace) return patch.filter((item) => !(isObject(item) && own(item, '$patch') !== undefined)).map((item) => (isObject(item) ? withoutDirectives(item) : clone(item)));
  if (mergeKey === undefined) return [...original, ...patch.filter((item) => !original.some((old) => equal(old, item)))];
  const result = [...original];
  for (const item of patch) {
    if (!isObject(item)) throw badRequest(`expected an object with merge key ${mergeKey} in the list`);
    const key = own(item, mergeKey);
    if (key === undefined) throw badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${mergeKey}`);
    const sameKey = (other: unknown): boolean => equal(own(other, mergeKey), key);
    if (own(item, '$patch') === 'delete') {
      for (let index = result.findIndex(sameKey); index >= 0; index = result.findIndex(sameKey)) result.splice(index, 1);
      continue;
    }
    const index = result.findIndex(sameKey);
    const old = index >= 0 && isObject(result[index]) ? (result[index] as Fields) : {};
    const merged = mergeObject(old, item, schema?.items);
    if (index >= 0) result[index] = merged;
    else result.push(merged);
  }
  return result;
}

function orderField(result: Fields, field: string, order: unknown, schema: Schema | undefined): void {
  const list = own(result, field);
  if (!Array.isArray(list) || !Array.isArray(order)) return;
  const mergeKey = schema?.['x-kubernetes-patch-merge-key'];
  const keyOf = (item: unknown): unknown => (mergeKey === undefined ? item : own(item, mergeKey));
  const wanted = order.map(keyOf);
  const rank = (item: unknown): number => wanted.findIndex((key) => equal(key, keyOf(item)));
  // Items the order does not name (the server's own) keep their place relative to what precedes them.
  let previous = -1;
  const ranked = list.map((item, index) => {
    const found = rank(item);
    if (found >= 0) previous = found;
    return { item, index, rank: found >= 0 ? found : previous + 0.5 };
  });
  setOwn(result, field, ranked.sort((a, b) => a.rank - b.rank || a.index - b.index).map((entry) => entry.item));
}
