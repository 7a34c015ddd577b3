/** Who owns which field, and server-side apply. */
import type { Schema } from '../../../objects/schema/schema.ts';
import { ApiError } from '../../client/client.ts';
import { clone, isObject, own, setOwn, textAt } from '../json.ts';
import type { Cause } from '../status.ts';
import { fieldsOf, FieldSet, listSteps, modifiedFields, withoutFields } from './fields.ts';
import { propertySchema } from './strategic.ts';

interface Entry {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
  readonly subresource: string;
  readonly time: string;
  readonly set: FieldSet;
}

/** Who writes, as managedFields names them. */
export interface Writer {
  readonly manager: string;
  /** `apps/v1` of the request. */
  readonly apiVersion: string;
  readonly subresource?: string;
  /** RFC 3339. */
  readonly time: string;
}

function read(object: unknown): Entry[] {
  const list = own(own(object, 'metadata'), 'managedFields');
  if (!Array.isArray(list)) return [];
  return list.filter((entry) => isObject(entry) && isObject(own(entry, 'fieldsV1'))).map((entry) => ({
    manager: textAt(entry, 'manager'),
    operation: textAt(entry, 'operation') === 'Apply' ? 'Apply' : 'Update',
    apiVersion: textAt(entry, 'apiVersion'),
    subresource: textAt(entry, 'subresource'),
    time: textAt(entry, 'time'),
    set: FieldSet.fromJson(own(entry, 'fieldsV1')),
  }));
}

function write(object: Record<string, unknown>, entries: readonly Entry[]): Record<string, unknown> {
  const { managedFields: _old, ...metadata } = (isObject(object['metadata']) ? object['metadata'] : {}) as Record<string, unknown>;
  const kept = entries.filter((entry) => !entry.set.empty);
  if (kept.length === 0) return { ...object, metadata };
  // Appliers first, then by time, as the API server orders them.
  const sorted = kept.sort((a, b) => (a.operation === b.operation ? a.time.localeCompare(b.time) || a.manager.localeCompare(b.manager) : a.operation === 'Apply' ? -1 : 1));
  const managedFields = sorted.map(({ manager, operation, apiVersion, subresource, time, set }) => ({
    apiVersion, fieldsType: 'FieldsV1', fieldsV1: set.toJson(), manager, operation, ...(subresource ? { subresource } : {}), time,
  }));
  return { ...object, metadata: { ...metadata, managedFields } };
}

function isOf(entry: Entry, writer: Writer, operation: Entry['operation']): boolean {
  return entry.manager === writer.manager && entry.operation === operation && entry.subresource === (writer.subresource ?? '') && entry.apiVersion === writer.apiVersion;
}

/**
 * The new object with managedFields of a create, update or patch: the writer owns what it added or changed, and nobody owns what is gone.
 * @param before undefined for a create
 */
export function trackUpdate(before: unknown, after: Record<string, unknown>, schema: Schema | undefined, writer: Writer): Record<string, unknown> {
  const written = own(after['metadata'], 'managedFields');
  const reset = Array.isArray(written) && written.every((entry) => isObject(entry) && Object.keys(entry).length === 0);
  if (reset && before !== undefined) return write(after, []);
  const entries = read(Array.isArray(written) && !reset ? after : before);
  const oldFields = fieldsOf(before, schema);
  const newFields = fieldsOf(after, schema);
  const changed = newFields.difference(oldFields).union(modifiedFields(before, after, schema));
  const removed = oldFields.difference(newFields);
  if (changed.empty && removed.empty) return write(after, entries);
  const others = entries.filter((entry) => !isOf(entry, writer, 'Update')).map((entry) => ({ ...entry, set: entry.set.difference(changed).difference(removed) }));
  const mine = entries.find((entry) => isOf(entry, writer, 'Update'));
  const set = (mine?.set ?? new FieldSet()).difference(removed).union(changed);
  return write(after, [...others, { manager: writer.manager, operation: 'Update', apiVersion: writer.apiVersion, subresource: writer.subresource ?? '', time: changed.empty && mine ? mine.time : writer.time, set }]);
}

/**
 * Server-side apply of a configuration onto the live object (undefined: it does not exist).
 * @throws ApiError 409 when another manager owns a field with another value, unless `force`
 * @see https://kubernetes.io/docs/reference/using-api/server-side-apply/
 */
export function applyConfiguration(live: unknown, configuration: Record<string, unknown>, schema: Schema | undefined, writer: Writer, force: boolean): Record<string, unknown> {
  const applied = fieldsOf(configuration, schema);
  const entries = read(live);
  const mine = entries.find((entry) => isOf(entry, writer, 'Apply'));
  let others = entries.filter((entry) => entry !== mine);
  const merged = merge(live ?? {}, configuration, schema) as Record<string, unknown>;
  const abandoned = mine ? notOwnedByOthers(mine.set.difference(applied), others.map((entry) => entry.set)) : new FieldSet();
  const result = withoutFields(merged, schema, abandoned) as Record<string, unknown>;
  const changed = fieldsOf(result, schema).difference(fieldsOf(live, schema)).union(modifiedFields(live, result, schema));
  const conflicts = others.map((entry) => ({ entry, set: entry.set.intersection(changed).intersection(applied) })).filter(({ set }) => !set.empty);
  if (conflicts.length > 0 && !force) throw conflictError(conflicts);
  // The applier of another version of the same object is the same applier.
  others = others.filter((entry) => !(entry.operation === 'Apply' && entry.manager === writer.manager && entry.subresource === (writer.subresource ?? '')));
  others = others.map((entry) => ({ ...entry, set: entry.set.difference(changed.intersection(applied)) }));
  const removed = fieldsOf(live, schema).difference(fieldsOf(result, schema));
  others = others.map((entry) => ({ ...entry, set: entry.set.difference(removed) }));
  const time = mine?.set.equals(applied) && changed.empty ? mine.time : writer.time;
  return write(result, [...others, { manager: writer.manager, operation: 'Apply', apiVersion: writer.apiVersion, subresource: writer.subresource ?? '', time, set: applied }]);
}

/** Drops from a set every path that another set has, or has something below. */
function notOwnedByOthers(set: FieldSet, others: readonly (FieldSet | undefined)[]): FieldSet {
  const result = new FieldSet();
  for (const step of set.members) if (!others.some((other) => other?.members.has(step) || other?.children.has(step))) result.members.add(step);
  for (const [step, child] of set.children) {
    const kept = notOwnedByOthers(child, others.map((other) => other?.children.get(step)));
    if (!kept.empty) result.children.set(step, kept);
  }
  return result;
}

function merge(live: unknown, applied: unknown, schema: Schema | undefined): unknown {
  if (Array.isArray(applied)) {
    const step = listSteps(schema);
    if (!step || !Array.isArray(live)) return clone(applied);
    const liveItems = new Map(live.map((item) => [step(item), item] as const));
    const appliedSteps = new Set(applied.map((item) => step(item)));
    const items = applied.map((item) => merge(liveItems.get(step(item)), item, schema?.items));
    // Items of others stay where they were: behind the applied item they stood behind.
    live.forEach((item, index) => {
      if (appliedSteps.has(step(item))) return;
      const before = live.slice(0, index).reverse().find((earlier) => items.some((one) => step(one) === step(earlier)));
      const place = before === undefined ? 0 : items.findIndex((one) => step(one) === step(before)) + 1;
      items.splice(place, 0, item);
    });
    return items;
  }
  if (!isObject(applied) || !isObject(live) || schema?.['x-kubernetes-map-type'] === 'atomic') return clone(applied);
  const result: Record<string, unknown> = { ...live };
  for (const key of Object.keys(applied)) setOwn(result, key, merge(own(live, key), applied[key], propertySchema(schema, key)));
  return result;
}

function nameOf({ manager, subresource, operation, apiVersion, time }: Entry): string {
  const name = `${JSON.stringify(manager)}${subresource ? ` with subresource ${JSON.stringify(subresource)}` : ''}`;
  return operation === 'Apply' ? name : `${name} using ${apiVersion}${time ? ` at ${time}` : ''}`;
}

function conflictError(conflicts: readonly { readonly entry: Entry; readonly set: FieldSet }[]): ApiError {
  const flat = conflicts.flatMap(({ entry, set }) => set.paths().map((path) => ({ manager: nameOf({ ...entry, time: '' }), path })));
  const causes: Cause[] = flat.map(({ manager, path }) => ({ reason: 'FieldManagerConflict', message: `conflict with ${manager}`, field: path }));
  if (flat.length === 1) return new ApiError(409, 'Conflict', `Apply failed with 1 conflict: conflict with ${flat[0]!.manager}: ${flat[0]!.path}`, { causes });
  const lines = [...new Set(flat.map(({ manager }) => manager))].sort().flatMap((manager) => [
    `conflicts with ${manager}:`,
    ...flat.filter((one) => one.manager === manager).map(({ path }) => `- ${path}`),
  ]);
  return new ApiError(409, 'Conflict', `Apply failed with ${flat.length} conflicts: ${lines.join('\n')}`, { causes });
}
