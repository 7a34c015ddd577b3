import type { Schema } from './schema.ts';
import { cloneJson, isObject, mapSame, own, withChanges } from './values.ts';

/**
 * Fills in the defaults of absent fields, and drops nulls of fields that are not nullable (or puts their default in). The given value is not changed;
 * parts without changes are shared with the result.
 * @see https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#defaulting-and-nullable
 */
export function applyDefaults<T>(schema: Schema, value: T): T {
  return fill(schema, value) as T;
}

function fill(schema: Schema, value: unknown): unknown {
  if (Array.isArray(value)) return schema.items ? mapSame(value, (item) => fill(schema.items!, item)) : value;
  if (!isObject(value)) return value;
  const changes = new Map<string, unknown>();
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const current = own(value, name);
    if (current === undefined || (current === null && !property.nullable)) {
      if (property.default !== undefined) changes.set(name, fill(property, cloneJson(property.default)));
      else if (current === null) changes.set(name, undefined);
    } else {
      const filled = fill(property, current);
      if (filled !== current) changes.set(name, filled);
    }
  }
  if (typeof schema.additionalProperties === 'object') fillMap(schema, schema.additionalProperties, value, changes);
  return withChanges(value, changes);
}

function fillMap(schema: Schema, values: Schema, value: Readonly<Record<string, unknown>>, changes: Map<string, unknown>): void {
  for (const [name, current] of Object.entries(value)) {
    if (schema.properties && Object.hasOwn(schema.properties, name)) continue;
    if (current === null && !values.nullable) changes.set(name, undefined);
    else {
      const filled = fill(values, current);
      if (filled !== current) changes.set(name, filled);
    }
  }
}
