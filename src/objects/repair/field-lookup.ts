/** Which field of a schema a key is. */
import type { Schema } from '../schema/schema.ts';
import { own } from '../schema/values.ts';

/** A property of an object: named by the schema, or one of a map, or of an object whose fields nobody lists. */
export interface FoundField {
  readonly schema: Schema;
  readonly how: 'property' | 'map' | 'any';
}

const ANY: Schema = { 'x-kubernetes-preserve-unknown-fields': true };

/** The field with this name, in either spelling of protobuf. */
export function findField(schema: Schema | undefined, key: string): FoundField | undefined {
  if (!schema) return undefined;
  const named = own(schema.properties, key) ?? (key.includes('_') ? own(schema.properties, key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())) : undefined);
  if (named) return { schema: named, how: 'property' };
  if (typeof schema.additionalProperties === 'object') return { schema: schema.additionalProperties, how: 'map' };
  return schema.additionalProperties === true || schema['x-kubernetes-preserve-unknown-fields'] === true ? { schema: ANY, how: 'any' } : undefined;
}

/** A way down to a field through levels that were not written. */
export interface ImpliedPath {
  readonly steps: readonly { readonly name: string; readonly schema: Schema }[];
}

const known = new WeakMap<Schema, Map<string, readonly ImpliedPath[]>>();

/** The ways of at most `depth` unwritten levels to an object that has a field of this name. Maps and lists of scalars lead nowhere. */
export function impliedPaths(schema: Schema, key: string, depth = 2): readonly ImpliedPath[] {
  const cached = known.get(schema) ?? new Map<string, readonly ImpliedPath[]>();
  known.set(schema, cached);
  const name = `${depth} ${key}`;
  const found = cached.get(name);
  if (found) return found;
  const paths = Object.entries(schema.properties ?? {}).filter(([property]) => property !== 'status' && property !== 'metadata').flatMap(([property, sub]) => {
    const inner = sub.type === 'array' ? sub.items : sub;
    if (!inner?.properties) return [];
    const step = { name: property, schema: sub };
    const here = Object.hasOwn(inner.properties, key) ? [{ steps: [step] }] : [];
    return [...here, ...(depth > 1 ? impliedPaths(inner, key, depth - 1).map(({ steps }) => ({ steps: [step, ...steps] })) : [])];
  });
  cached.set(name, paths);
  return paths;
}

/** What a schema holds. */
export function holds(schema: Schema | undefined): 'object' | 'list' | 'scalar' | 'any' {
  if (!schema) return 'any';
  if (schema.type === 'array') return 'list';
  if (schema.type === 'object' || schema.properties) return 'object';
  return schema['x-kubernetes-preserve-unknown-fields'] ? 'any' : 'scalar';
}
