import type { Schema } from './schema.ts';
import { childPath, isObject, mapSame, own, withChanges } from './values.ts';

/** A value without the fields that its schema does not know, and where they were. */
export interface Pruned<T> {
  readonly value: T;
  /** Paths of dropped fields, `spec.http[0].foo`. */
  readonly dropped: readonly string[];
}

/**
 * Drops fields that the schema does not know. The value is a whole object: apiVersion, kind and metadata stay even when the schema does not list them.
 * @see https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#field-pruning
 */
export function prune<T>(schema: Schema, value: T): Pruned<T> {
  const dropped: string[] = [];
  return { value: walk(schema, value, '', true, dropped) as T, dropped };
}

/** Paths of fields that the schema does not know: what strict validation reports as `unknown field "spec.foo"`. */
export function unknownFields(schema: Schema, value: unknown): readonly string[] {
  return prune(schema, value).dropped;
}

const OBJECT_FIELDS: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata']);

function walk(schema: Schema, value: unknown, path: string, resource: boolean, dropped: string[]): unknown {
  if (Array.isArray(value)) return schema.items ? mapSame(value, (item, index) => walk(schema.items!, item, `${path}[${index}]`, false, dropped)) : value;
  if (!isObject(value)) return value;
  const changes = new Map<string, unknown>();
  const keepUnknown = schema['x-kubernetes-preserve-unknown-fields'] === true || schema.additionalProperties === true;
  for (const [name, field] of Object.entries(value)) {
    const fieldSchema = own(schema.properties, name) ?? (typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined);
    if ((resource || schema['x-kubernetes-embedded-resource']) && OBJECT_FIELDS.has(name) && !fieldSchema?.properties) continue;
    if (fieldSchema) {
      const kept = walk(fieldSchema, field, childPath(path, name), false, dropped);
      if (kept !== field) changes.set(name, kept);
    } else if (!keepUnknown) {
      changes.set(name, undefined);
      dropped.push(childPath(path, name));
    }
  }
  return withChanges(value, changes);
}
