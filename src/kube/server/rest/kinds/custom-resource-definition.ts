import type { KubeObject } from '../../../../objects/meta.ts';
import { checkRuleTexts } from '../../cel/validation-rules.ts';
import { at, equal, isObject, listAt, own, textAt } from '../../json.ts';
import { duplicate, forbiddenField, invalidValue, notSupported, required, type Cause } from '../../status.ts';
import { timestamp, type Draft } from '../context.ts';
import type { Strategy } from '../strategy.ts';

/** Definitions: names that follow from others. The conditions are set when the kind is served. */
export const CRD_STRATEGY: Strategy = {
  generation: true,
  defaults(draft) {
    const names = at(draft, 'spec', 'names');
    if (!isObject(names)) return;
    names['singular'] ??= textAt(names, 'kind').toLowerCase();
    names['listKind'] ??= `${textAt(names, 'kind')}List`;
    const spec = draft['spec'] as Record<string, unknown>;
    spec['conversion'] ??= { strategy: 'None' };
  },
  prepareCreate(draft, env) {
    const time = timestamp(env.now());
    draft['status'] = {
      acceptedNames: at(draft, 'spec', 'names'),
      conditions: [
        { lastTransitionTime: time, message: 'no conflicts found', reason: 'NoConflicts', status: 'True', type: 'NamesAccepted' },
        { lastTransitionTime: time, message: 'the initial names have been accepted', reason: 'InitialNamesAccepted', status: 'True', type: 'Established' },
      ],
      storedVersions: listAt(draft, 'spec', 'versions').filter((version) => own(version, 'storage') === true).map((version) => textAt(version, 'name')),
    };
  },
  prepareUpdate(draft) {
    const storage = textAt(listAt(draft, 'spec', 'versions').find((version) => own(version, 'storage') === true), 'name');
    const stored = listAt(draft, 'status', 'storedVersions');
    draft['status'] = { ...(own(draft, 'status') as object | undefined), acceptedNames: at(draft, 'spec', 'names'), storedVersions: stored.includes(storage) ? stored : [...stored, storage] };
  },
  validate: (draft, old) => [...checkNames(draft, old), ...checkVersions(draft, old), ...checkConversion(at(draft, 'spec', 'conversion'))],
};

function checkNames(draft: Draft, old: KubeObject | undefined): Cause[] {
  const causes: Cause[] = [];
  const name = `${textAt(draft, 'spec', 'names', 'plural')}.${textAt(draft, 'spec', 'group')}`;
  if (textAt(draft, 'metadata', 'name') !== name) causes.push(invalidValue('metadata.name', textAt(draft, 'metadata', 'name'), 'must be spec.names.plural+"."+spec.group'));
  if (!old) return causes;
  const fixed = [['group'], ['scope'], ['names', 'kind'], ['names', 'plural']].filter((path) => !equal(at(draft, 'spec', ...path), at(old, 'spec', ...path)));
  return [...causes, ...fixed.map((path) => invalidValue(`spec.${path.join('.')}`, at(draft, 'spec', ...path), 'field is immutable'))];
}

function checkVersions(draft: Draft, old: KubeObject | undefined): Cause[] {
  const causes: Cause[] = [];
  const versions = listAt(draft, 'spec', 'versions');
  const names = versions.map((version) => textAt(version, 'name'));
  if (versions.filter((version) => own(version, 'storage') === true).length !== 1) causes.push(invalidValue('spec.versions', names, 'must have exactly one version marked as storage version'));
  versions.forEach((version, index) => {
    const where = `spec.versions[${index}]`;
    if (names.indexOf(names[index]!) !== index) causes.push(duplicate(`${where}.name`, names[index]));
    if (!isObject(at(version, 'schema', 'openAPIV3Schema'))) causes.push(required(`${where}.schema.openAPIV3Schema`, 'schemas are required'));
    causes.push(...checkSelectable(version, where));
    // A schema that was taken before is not judged again.
    const before = listAt(old, 'spec', 'versions').find((one) => textAt(one, 'name') === names[index]);
    if (before && equal(own(before, 'schema'), own(version, 'schema'))) return;
    for (const { field, rule, why } of checkRuleTexts(at(version, 'schema', 'openAPIV3Schema'), `${where}.schema.openAPIV3Schema`)) causes.push(invalidValue(field, rule, why));
  });
  listAt(old, 'status', 'storedVersions').forEach((stored, index) => {
    if (!names.includes(String(stored))) causes.push(invalidValue(`status.storedVersions[${index}]`, stored, 'must appear in spec.versions'));
  });
  return causes;
}

function checkConversion(conversion: unknown): Cause[] {
  const strategy = textAt(conversion, 'strategy');
  if (strategy !== 'Webhook') {
    if (strategy !== 'None') return [notSupported('spec.conversion.strategy', strategy, ['None', 'Webhook'])];
    return own(conversion, 'webhook') === undefined ? [] : [forbiddenField('spec.conversion.webhook', 'should not be set when strategy is not set to Webhook')];
  }
  const causes: Cause[] = [];
  const config = at(conversion, 'webhook', 'clientConfig');
  if (!isObject(config)) causes.push(required('spec.conversion.webhook.clientConfig', 'required when strategy is set to Webhook'));
  else if ((textAt(config, 'url') === '') === !isObject(own(config, 'service'))) causes.push(required('spec.conversion.webhook.clientConfig', 'exactly one of url or service is required'));
  const versions = listAt(conversion, 'webhook', 'conversionReviewVersions');
  if (versions.length === 0) causes.push(required('spec.conversion.webhook.conversionReviewVersions'));
  else if (!versions.includes('v1')) causes.push(invalidValue('spec.conversion.webhook.conversionReviewVersions', versions, 'must include at least one of v1'));
  return causes;
}

const MAX_SELECTABLE = 8;

/** Selectable fields are texts, whole numbers or booleans below the object. */
function checkSelectable(version: unknown, where: string): Cause[] {
  const fields = listAt(version, 'selectableFields');
  const causes: Cause[] = fields.length > MAX_SELECTABLE ? [{ reason: 'FieldValueTooMany', message: `Too many: ${fields.length}: must have at most ${MAX_SELECTABLE} items`, field: `${where}.selectableFields` }] : [];
  const seen = new Set<string>();
  fields.forEach((one, index) => {
    const path = textAt(one, 'jsonPath');
    const field = `${where}.selectableFields[${index}].jsonPath`;
    const [first, ...steps] = path.split('.');
    if (path === '') return void causes.push(required(field));
    if (seen.has(path)) causes.push(duplicate(field, path));
    seen.add(path);
    let schema: unknown = at(version, 'schema', 'openAPIV3Schema');
    for (const step of steps) schema = at(schema, 'properties', step);
    if (first !== '' || steps.length === 0 || steps[0] === 'metadata') causes.push(invalidValue(field, path, 'is an invalid path: must be a simple json path starting with "." that does not point into metadata'));
    else if (schema === undefined) causes.push(invalidValue(field, path, 'is an invalid path: does not point to a valid field'));
    else if (!['string', 'integer', 'boolean'].includes(textAt(schema, 'type'))) causes.push(invalidValue(field, path, 'must point to a field of type string, boolean or integer'));
  });
  return causes;
}
