import { duplicateField, invalidField, requiredField, tooLong, tooMany, unsupportedField, wrongType, type FieldError } from './field-error.ts';
import { KNOWN_RULES } from './rules.ts';
import type { Schema } from './schema.ts';
import { childPath, isObject, own, sameValue, type JsonObject } from './values.ts';

/**
 * Checks a value against its schema and says what is wrong in Kubernetes' words. Unknown fields are not errors (see `prune`). Of CEL
 * rules only those of our own kinds are evaluated (see `rules.ts`). Null is taken as absent where a field is not nullable, as it is once defaults have been applied.
 * @param before the value until now: parts that equal theirs are not judged again, so that a stricter schema does not stand in the way of other changes
 * @see https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-ratcheting
 */
export function validateSchema(schema: Schema, value: unknown, path = '', before?: unknown): readonly FieldError[] {
  const errors: FieldError[] = [];
  check(schema, value, path, errors, before);
  return errors;
}

function check(schema: Schema, value: unknown, path: string, errors: FieldError[], before?: unknown): void {
  if (before !== undefined && sameValue(value, before)) return;
  if (value === null && schema.nullable) return;
  const error = typeError(schema, value, path);
  if (error) {
    errors.push(error);
    return;
  }
  if (schema.enum && !schema.enum.includes(value as string)) errors.push(unsupportedField(path, value, schema.enum));
  if (typeof value === 'string') checkText(schema, value, path, errors);
  else if (typeof value === 'number') checkNumber(schema, value, path, errors);
  else if (Array.isArray(value)) checkList(schema, value, path, errors, before);
  else if (isObject(value)) checkObject(schema, value, path, errors, before);
  checkCombined(schema, value, path, errors);
  for (const { rule, message } of schema['x-kubernetes-validations'] ?? []) {
    if (KNOWN_RULES.get(rule)?.(value) === false) errors.push(invalidField(path, value, message ?? `failed rule: ${rule}`));
  }
}

function typeError(schema: Schema, value: unknown, path: string): FieldError | undefined {
  const actual = typeOf(value);
  if (schema['x-kubernetes-int-or-string']) {
    return actual === 'integer' || actual === 'string' || (schema.description === 'quantity' && actual === 'number') ? undefined : mismatch(path, 'integer,string', actual);
  }
  const { type } = schema;
  if (type === undefined || type === actual || (type === 'number' && actual === 'integer')) return undefined;
  return mismatch(path, type, actual);
}

const mismatch = (path: string, expected: string, actual: string): FieldError => wrongType(path, actual, `${path} in body must be of type ${expected}: "${actual}"`);

function typeOf(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

const DATE_TIME = /^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

function checkText(schema: Schema, value: string, path: string, errors: FieldError[]): void {
  const { maxLength, minLength, pattern, format } = schema;
  const length = maxLength === undefined && minLength === undefined ? 0 : Array.from(value).length;
  if (maxLength !== undefined && length > maxLength) errors.push(tooLong(path, maxLength));
  if (minLength !== undefined && length < minLength) errors.push(invalidField(path, value, `${path} in body should be at least ${minLength} chars long`));
  if (pattern !== undefined && !compiled(pattern).test(value)) errors.push(invalidField(path, value, `${path} in body should match '${pattern}'`));
  if (format === 'date-time' && !DATE_TIME.test(value)) errors.push(invalidField(path, value, `${path} in body must be of type date-time: "${value}"`));
  if (format === 'byte' && !BASE64.test(value.replace(/[\r\n]/g, ''))) errors.push(invalidField(path, value, `${path} in body must be of type byte: "${value}"`));
}

const patterns = new Map<string, RegExp>();

/** Patterns come from kinds' definitions, which administrators write; one that JavaScript cannot compile matches everything. */
function compiled(pattern: string): RegExp {
  let regex = patterns.get(pattern);
  if (!regex) {
    try {
      regex = new RegExp(pattern, 'u');
    } catch {
      regex = /(?:)/;
    }
    if (patterns.size >= 1000) patterns.clear();
    patterns.set(pattern, regex);
  }
  return regex;
}

const INT32_MAX = 2_147_483_647;

function checkNumber(schema: Schema, value: number, path: string, errors: FieldError[]): void {
  const { minimum, maximum, format } = schema;
  if (minimum !== undefined && value < minimum) errors.push(invalidField(path, value, `${path} in body should be greater than or equal to ${minimum}`));
  if (maximum !== undefined && value > maximum) errors.push(invalidField(path, value, `${path} in body should be less than or equal to ${maximum}`));
  if (format === 'int32' && Math.abs(value) > INT32_MAX) errors.push(invalidField(path, value, `${path} in body must be of type int32: "${value}"`));
}

function checkList(schema: Schema, value: readonly unknown[], path: string, errors: FieldError[], before: unknown): void {
  const { minItems, maxItems, items } = schema;
  if (minItems !== undefined && value.length < minItems) errors.push(invalidField(path, value.length, `${path} in body should have at least ${minItems} items`));
  if (maxItems !== undefined && value.length > maxItems) errors.push(tooMany(path, value.length, maxItems));
  if (items) value.forEach((item, index) => check(items, item, `${path}[${index}]`, errors, before === undefined ? undefined : itemBefore(schema, item, before)));
  checkUnique(schema, value, path, errors);
}

/** The item a list had before: known only where items have keys. */
function itemBefore(schema: Schema, item: unknown, before: unknown): unknown {
  if (schema['x-kubernetes-list-type'] !== 'map' || !Array.isArray(before)) return undefined;
  const key = keyOfItem(schema, item);
  return before.find((old) => sameValue(keyOfItem(schema, old), key));
}

function checkUnique(schema: Schema, value: readonly unknown[], path: string, errors: FieldError[]): void {
  const listType = schema['x-kubernetes-list-type'];
  if (listType !== 'set' && listType !== 'map') return;
  const seen = new Set<string>();
  value.forEach((item, index) => {
    const key = listType === 'set' ? item : keyOfItem(schema, item);
    const text = JSON.stringify(key) ?? '';
    if (seen.has(text)) errors.push(duplicateField(`${path}[${index}]`, key));
    seen.add(text);
  });
}

function keyOfItem(schema: Schema, item: unknown): unknown {
  if (!isObject(item)) return item;
  const key: Record<string, unknown> = {};
  for (const name of schema['x-kubernetes-list-map-keys'] ?? []) key[name] = own(item, name) ?? own(schema.items?.properties, name)?.default;
  return key;
}

function checkObject(schema: Schema, value: JsonObject, path: string, errors: FieldError[], before: unknown): void {
  const { required, minProperties, maxProperties, properties, additionalProperties } = schema;
  for (const name of required ?? []) if ((own(value, name) ?? null) === null) errors.push(requiredField(childPath(path, name)));
  const names = Object.keys(value);
  if (minProperties !== undefined && names.length < minProperties) errors.push(invalidField(path, names.length, `${path} in body should have at least ${minProperties} properties`));
  if (maxProperties !== undefined && names.length > maxProperties) errors.push(tooMany(path, names.length, maxProperties));
  for (const name of names) {
    const field = own(value, name);
    const fieldSchema = own(properties, name) ?? (typeof additionalProperties === 'object' ? additionalProperties : undefined);
    if (fieldSchema && field !== undefined && field !== null) check(fieldSchema, field, childPath(path, name), errors, isObject(before) ? own(before, name) : undefined);
  }
}

function checkCombined(schema: Schema, value: unknown, path: string, errors: FieldError[]): void {
  const { oneOf, anyOf, not } = schema;
  if (oneOf && oneOf.filter((option) => validateSchema(option, value, path).length === 0).length !== 1) {
    errors.push(invalidField(path, value, `${path} in body must validate one and only one schema (oneOf)`));
  }
  if (anyOf && !anyOf.some((option) => validateSchema(option, value, path).length === 0)) {
    errors.push(invalidField(path, value, `${path} in body must validate at least one schema (anyOf)`));
  }
  if (not && validateSchema(not, value, path).length === 0) errors.push(invalidField(path, value, `${path} in body must not validate the schema (not)`));
}
