/** `x-kubernetes-validations` of CustomResourceDefinitions: rules over values, and over values and what they were before. */
import { messageOf } from '../../../base/errors.ts';
import { KNOWN_RULES } from '../../../objects/schema/rules.ts';
import type { Schema } from '../../../objects/schema/schema.ts';
import { equal, isObject, listAt, own, textAt } from '../json.ts';
import type { Cause } from '../status.ts';
import { Optional } from '@marcbachmann/cel-js';
import { Compiler, type Expression } from './environment.ts';
import { largestPart, toCel } from './values.ts';

interface Rule {
  readonly text: string;
  readonly expression: Expression;
  readonly message: string;
  readonly messageExpression: Expression | undefined;
  readonly reason: Cause['reason'];
  readonly fieldPath: string;
  readonly transition: boolean;
  readonly optionalOldSelf: boolean;
}

/** The parts of a schema that have rules. */
interface Plan {
  readonly schema: Schema;
  readonly rules: readonly Rule[];
  readonly properties: ReadonlyMap<string, Plan>;
  readonly additional: Plan | undefined;
  readonly items: Plan | undefined;
}

const compiler = new Compiler(['self', 'oldSelf']);
const REASONS = ['FieldValueInvalid', 'FieldValueForbidden', 'FieldValueRequired', 'FieldValueDuplicate'] as const;
const MAX_SCHEMA_DEPTH = 60;
const plans = new WeakMap<Schema, Plan | 'none'>();

function planOf(schema: Schema, depth = 0): Plan | undefined {
  const known = plans.get(schema);
  if (known !== undefined) return known === 'none' ? undefined : known;
  const plan = depth > MAX_SCHEMA_DEPTH ? undefined : buildPlan(schema, depth);
  plans.set(schema, plan ?? 'none');
  return plan;
}

function buildPlan(schema: Schema, depth: number): Plan | undefined {
  const rules = (schema['x-kubernetes-validations'] ?? []).flatMap((rule) => ruleOf(rule) ?? []);
  const properties = new Map<string, Plan>();
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const plan = planOf(property, depth + 1);
    if (plan) properties.set(name, plan);
  }
  const additional = typeof schema.additionalProperties === 'object' ? planOf(schema.additionalProperties, depth + 1) : undefined;
  const items = schema.items && planOf(schema.items, depth + 1);
  return rules.length > 0 || properties.size > 0 || additional || items ? { schema, rules, properties, additional, items } : undefined;
}

function ruleOf(raw: unknown): Rule | undefined {
  const text = textAt(raw, 'rule');
  // Rules of our own kinds are written in TypeScript as well, and checked with the schema.
  if (KNOWN_RULES.has(text)) return undefined;
  const expression = compiler.compile(text);
  if (typeof expression === 'string') return undefined;
  const messageExpression = compiler.compile(textAt(raw, 'messageExpression') || 'false');
  const reason = REASONS.find((one) => one === textAt(raw, 'reason')) ?? 'FieldValueInvalid';
  const optionalOldSelf = own(raw, 'optionalOldSelf') === true;
  return {
    text, expression, reason, optionalOldSelf, transition: expression.uses('oldSelf'), message: textAt(raw, 'message').trim(), fieldPath: textAt(raw, 'fieldPath'),
    messageExpression: textAt(raw, 'messageExpression') === '' || typeof messageExpression === 'string' ? undefined : messageExpression,
  };
}

/** What the rules of a schema find wrong with a value. `before`: the value until now; undefined for a new one. */
export function checkRules(schema: Schema, value: unknown, before: unknown): Cause[] {
  const plan = planOf(schema);
  if (!plan) return [];
  const causes: Cause[] = [];
  walk(plan, value, before, '', causes);
  return causes;
}

function walk(plan: Plan, value: unknown, before: unknown, path: string, causes: Cause[]): void {
  if (value === undefined || value === null) return;
  if (plan.rules.length > 0) evaluate(plan, value, before, path, causes);
  if (Array.isArray(value)) {
    if (plan.items) value.forEach((item, index) => walk(plan.items!, item, itemBefore(plan.schema, item, before), `${path}[${index}]`, causes));
  } else if (isObject(value)) {
    for (const [name, one] of Object.entries(value)) {
      const property = plan.properties.get(name);
      const old = isObject(before) ? own(before, name) : undefined;
      if (property) walk(property, one, old, path === '' ? name : `${path}.${name}`, causes);
      else if (plan.additional && !(plan.schema.properties && Object.hasOwn(plan.schema.properties, name))) walk(plan.additional, one, old, `${path}[${name}]`, causes);
    }
  }
}

/** The item a list had before: known only where items have keys. */
function itemBefore(schema: Schema, item: unknown, before: unknown): unknown {
  const keys = schema['x-kubernetes-list-map-keys'];
  if (schema['x-kubernetes-list-type'] !== 'map' || !keys || !Array.isArray(before)) return undefined;
  return before.find((old) => keys.every((key) => equal(own(old, key), own(item, key))));
}

function evaluate({ schema, rules }: Plan, value: unknown, before: unknown, path: string, causes: Cause[]): void {
  const self = toCel(value, schema);
  const hasBefore = before !== undefined && before !== null;
  const oldSelf = hasBefore && rules.some((rule) => rule.transition) ? toCel(before, schema) : undefined;
  const unchanged = hasBefore && equal(value, before);
  if (unchanged && !rules.some((rule) => rule.transition)) return;
  const size = Math.max(largestPart(self), largestPart(oldSelf));
  const shown = JSON.stringify(schema.type ?? 'object');
  for (const rule of rules) {
    if (rule.transition && !hasBefore && !rule.optionalOldSelf) continue;
    // What did not change is not judged again by a rule that may be newer.
    if (unchanged && !rule.transition) continue;
    const variables = { self, oldSelf: rule.optionalOldSelf ? (hasBefore ? Optional.of(oldSelf) : Optional.none()) : oldSelf };
    const field = `${path}${rule.fieldPath}` || '<nil>';
    const fail = (reason: Cause['reason'], detail: string): void => void causes.push({ reason, message: causeText(reason, shown, detail), field: field.replace(/^\./, '') });
    try {
      if (rule.expression.evaluate(variables, size) !== true) fail(rule.reason, messageFor(rule, variables, size));
    } catch (thrown) {
      fail('FieldValueInvalid', `${messageOf(thrown).split('\n')[0]!.replace(/^No such key/, 'no such key')} evaluating rule: ${rule.message || rule.text}`);
    }
  }
}

function causeText(reason: Cause['reason'], shown: string, detail: string): string {
  switch (reason) {
    case 'FieldValueForbidden': return `Forbidden: ${detail}`;
    case 'FieldValueRequired': return `Required value: ${detail}`;
    case 'FieldValueDuplicate': return `Duplicate value: ${shown}`;
    default: return `Invalid value: ${shown}: ${detail}`;
  }
}

function messageFor(rule: Rule, variables: Readonly<Record<string, unknown>>, size: number): string {
  try {
    const text = rule.messageExpression?.evaluate(variables, size);
    if (typeof text === 'string' && text.trim() !== '' && !text.includes('\n')) return text.trim();
  } catch {
    // The plain message does.
  }
  return rule.message || `failed rule: ${rule.text}`;
}

/** What is wrong with the rules of a definition's schema, each with its place below `path`. */
export function checkRuleTexts(schema: unknown, path: string, depth = 0): readonly { readonly field: string; readonly rule: string; readonly why: string }[] {
  if (!isObject(schema) || depth > MAX_SCHEMA_DEPTH) return [];
  const wrong = listAt(schema, 'x-kubernetes-validations').flatMap((rule, index) => {
    const field = `${path}.x-kubernetes-validations[${index}]`;
    const text = textAt(rule, 'rule');
    if (text.trim() === '') return [{ field: `${field}.rule`, rule: text, why: 'rule is not specified' }];
    const found: { field: string; rule: string; why: string }[] = [];
    const compiled = KNOWN_RULES.has(text) ? undefined : compiler.compile(text);
    if (typeof compiled === 'string') found.push({ field: `${field}.rule`, rule: text, why: `compilation failed: ${compiled}` });
    const message = textAt(rule, 'messageExpression');
    const compiledMessage = message === '' ? undefined : compiler.compile(message);
    if (typeof compiledMessage === 'string') found.push({ field: `${field}.messageExpression`, rule: message, why: `messageExpression compilation failed: ${compiledMessage}` });
    return found;
  });
  const below = (one: unknown, where: string) => checkRuleTexts(one, where, depth + 1);
  const properties = own(schema, 'properties');
  return [
    ...wrong,
    ...(isObject(properties) ? Object.entries(properties).flatMap(([name, one]) => below(one, `${path}.properties[${name}]`)) : []),
    ...below(own(schema, 'additionalProperties'), `${path}.additionalProperties`),
    ...below(own(schema, 'items'), `${path}.items`),
  ];
}
