/** From the JSON of a request to a draft: the right kind, known fields, defaults. */
import type { KubeObject } from '../../../objects/meta.ts';
import { applyDefaults } from '../../../objects/schema/defaults.ts';
import { prune } from '../../../objects/schema/prune.ts';
import { validateSchema } from '../../../objects/schema/validate.ts';
import type { Resource } from '../api/resources.ts';
import { checkRules } from '../cel/validation-rules.ts';
import { clone, isObject, own, textAt } from '../json.ts';
import { badRequest, type Cause } from '../status.ts';
import type { Draft, WriteContext } from './context.ts';
import { meantInstead } from './meant.ts';
import { strategyOf } from './strategies.ts';

/**
 * Turns a request's object into a draft of the resource.
 * @throws ApiError 400 when it is of another kind or, under strict validation, has unknown fields
 */
export function decodeObject(resource: Resource, body: unknown, context: WriteContext): Draft {
  if (!isObject(body)) throw badRequest(`the object provided is unrecognized (must be of type ${resource.kind}): expected a JSON object`);
  const kind = textAt(body, 'kind') || resource.kind;
  const apiVersion = textAt(body, 'apiVersion') || resource.apiVersion;
  if (kind !== resource.kind || apiVersion !== resource.apiVersion) {
    throw badRequest(`${kind} in version "${apiVersion}" cannot be handled as a ${resource.kind}: the API version in the data (${apiVersion}) does not match the expected API version (${resource.apiVersion})`);
  }
  if (own(body, 'metadata') !== undefined && own(body, 'metadata') !== null && !isObject(body['metadata'])) throw badRequest(`${kind} in version "${apiVersion}" cannot be handled as a ${kind}: metadata is not an object`);
  return finishDraft(resource, { ...body, kind, apiVersion, metadata: isObject(body['metadata']) ? body['metadata'] : {} }, context);
}

/** Drops unknown fields (or refuses them), and fills in defaults. The result is a copy. */
export function finishDraft(resource: Resource, object: Record<string, unknown>, context: WriteContext): Draft {
  const { value, dropped } = prune(resource.schema, object);
  if (dropped.length > 0 && context.fieldValidation !== 'Ignore') {
    const texts = dropped.map((path) => `unknown field "${path}"`);
    if (context.fieldValidation === 'Strict') throw badRequest(`${resource.kind} in version "${resource.version}" cannot be handled as a ${resource.kind}: strict decoding error: ${texts.join(', ')}${meantInstead(resource, object)}`);
    context.warnings.push(...texts);
  }
  return withDefaults(resource, clone(value) as Draft);
}

/**
 * Fills in defaults and drops nulls and empty metadata maps. The draft may be changed by it.
 * @throws ApiError 400 when a field of a built-in kind has another type: what follows relies on types
 */
export function withDefaults(resource: Resource, draft: Draft): Draft {
  const filled = applyDefaults(resource.schema, draft) as Draft;
  for (const key of Object.keys(filled.metadata)) {
    const value = filled.metadata[key];
    const empty = value === null || value === '' || (typeof value === 'object' && Object.keys(value).length === 0);
    if (empty && key !== 'managedFields') delete filled.metadata[key];
  }
  if (!resource.custom) {
    dropNulls(filled);
    const wrong = schemaCauses(resource, filled).find((cause) => cause.reason === 'FieldValueTypeInvalid');
    if (wrong) throw badRequest(`${resource.kind} in version "${resource.version}" cannot be handled as a ${resource.kind}: ${wrong.field}: ${wrong.message}`);
  }
  strategyOf(resource).defaults?.(filled);
  return filled;
}

/** In built-in kinds null is the same as absent. */
function dropNulls(value: unknown): void {
  if (Array.isArray(value)) value.forEach(dropNulls);
  else if (isObject(value)) {
    for (const key of Object.keys(value)) {
      if (value[key] === null) delete value[key];
      else dropNulls(value[key]);
    }
  }
}

/** Errors after which rules would only repeat what is known, or stumble over it. */
const BLOCKING: ReadonlySet<Cause['reason']> = new Set(['FieldValueRequired', 'FieldValueTypeInvalid', 'FieldValueTooLong', 'FieldValueTooMany']);

/** What the schema and its rules and, when every field has the right type, the kind's own rules find wrong. */
export function contentCauses(resource: Resource, draft: Draft, old: KubeObject | undefined, ownRules = true): Cause[] {
  const causes = schemaCauses(resource, draft, resource.custom ? old : undefined);
  if (resource.custom && !causes.some((cause) => BLOCKING.has(cause.reason))) causes.push(...checkRules(resource.schema, draft, old));
  if (!ownRules || causes.some((cause) => cause.reason === 'FieldValueTypeInvalid')) return causes;
  return [...causes, ...(strategyOf(resource).validate?.(draft, old) ?? [])];
}

function schemaCauses(resource: Resource, draft: Draft, old?: KubeObject): Cause[] {
  const causes = validateSchema(resource.schema, draft, '', old).map(({ path, reason, message }) => ({ reason, message, field: path || '<nil>' }));
  // Keys of built-in lists are for merging; whether one may come twice is a kind's own rule.
  return resource.custom ? causes : causes.filter((cause) => cause.reason !== 'FieldValueDuplicate');
}
