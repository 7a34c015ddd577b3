import type { Schema } from './schema.ts';
import { isObject, mapSame, own, setOwn } from './values.ts';

/**
 * Spells protobuf fields as the API does: protobuf's JSON accepts `mirror_percent` for `mirrorPercent`, but a custom resource's schema knows only one
 * spelling. Fields without a spelling in the schema, and keys of maps, stay. Call it on Istio's objects and mesh settings before anything else.
 */
export function respell<T>(schema: Schema, value: T): T {
  return walk(schema, value) as T;
}

function walk(schema: Schema, value: unknown): unknown {
  if (Array.isArray(value)) return schema.items ? mapSame(value, (item) => walk(schema.items!, item)) : value;
  if (!isObject(value)) return value;
  const result: Record<string, unknown> = {};
  let changed = false;
  for (const [written, field] of Object.entries(value)) {
    const name = spelling(schema, written);
    const fieldSchema = own(schema.properties, name) ?? (typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined);
    const kept = fieldSchema ? walk(fieldSchema, field) : field;
    changed ||= name !== written || kept !== field;
    // Both spellings at once: the API's own wins.
    if (name === written || !Object.hasOwn(value, name)) setOwn(result, name, kept);
  }
  return changed ? result : value;
}

function spelling(schema: Schema, written: string): string {
  if (!schema.properties || !written.includes('_')) return written;
  const camel = written.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  return Object.hasOwn(schema.properties, camel) ? camel : written;
}
