/** JSON as CEL sees it: integers are integers, times are times, names that are no identifiers are escaped. */
import type { Schema } from '../../../objects/schema/schema.ts';
import { isObject } from '../json.ts';

/** Names that CEL keeps for itself; as fields they are written `__in__`. */
const RESERVED = new Set(['true', 'false', 'null', 'in', 'as', 'break', 'const', 'continue', 'else', 'for', 'function', 'if', 'import', 'let', 'loop', 'package', 'namespace', 'return', 'var', 'void', 'while']);
const ESCAPES: Readonly<Record<string, string>> = { '__': '__underscores__', '.': '__dot__', '-': '__dash__', '/': '__slash__' };

/** The name of a field in expressions. @see https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules */
export function celName(field: string): string {
  if (RESERVED.has(field)) return `__${field}__`;
  return field.replaceAll(/__|[.\-/]/g, (text) => ESCAPES[text] ?? text);
}

/** A value as its schema says; without one, numbers without fraction are integers. */
export function toCel(value: unknown, schema?: Schema): unknown {
  if (typeof value === 'number') return schema?.type === 'number' || !Number.isSafeInteger(value) ? value : BigInt(value);
  if (typeof value === 'string') return textToCel(value, schema?.format);
  if (Array.isArray(value)) return value.map((item) => toCel(item, schema?.items));
  if (!isObject(value)) return value;
  const entries = new Map<string, unknown>();
  for (const [name, one] of Object.entries(value)) {
    const property = schema?.properties && Object.hasOwn(schema.properties, name) ? schema.properties[name] : undefined;
    if (property) entries.set(celName(name), toCel(one, property));
    else if (schema === undefined || !schema.properties) entries.set(name, toCel(one, typeof schema?.additionalProperties === 'object' ? schema.additionalProperties : undefined));
  }
  return entries;
}

function textToCel(text: string, format: string | undefined): unknown {
  if (format === 'date-time' || format === 'date') {
    const time = new Date(text);
    return Number.isNaN(time.getTime()) ? text : time;
  }
  return format === 'byte' ? new Uint8Array(Buffer.from(text, 'base64')) : text;
}

/** The number of items of the largest list or map in a value, and a part of the length of its longest text. */
export function largestPart(value: unknown): number {
  if (typeof value === 'string') return Math.ceil(value.length / 100);
  if (Array.isArray(value)) return value.reduce<number>((largest, one) => Math.max(largest, largestPart(one)), value.length);
  if (value instanceof Map) {
    let largest = value.size;
    for (const one of value.values()) largest = Math.max(largest, largestPart(one));
    return largest;
  }
  return 1;
}
