/** Sets of fields of an object, as `metadata.managedFields` writes them (FieldsV1), and the walks over an object that make them. */
import type { Schema } from '../../../objects/schema/schema.ts';
import { equal, isObject, own, setOwn } from '../json.ts';
import { propertySchema } from './strategic.ts';

/**
 * A set of field paths as a tree. A step is written as FieldsV1 does: `f:name` a field, `k:{"name":"web"}` an item of a keyed list, `v:"x"` an item
 * of a set.
 * @see https://kubernetes.io/docs/reference/using-api/server-side-apply/#managed-fields
 */
export class FieldSet {
  /** Steps whose own path is in the set. */
  readonly members = new Set<string>();
  /** Steps with longer paths in the set. */
  readonly children = new Map<string, FieldSet>();

  get empty(): boolean {
    return this.members.size === 0 && this.children.size === 0;
  }

  child(step: string): FieldSet {
    let child = this.children.get(step);
    if (!child) this.children.set(step, (child = new FieldSet()));
    return child;
  }

  private keepChild(step: string, child: FieldSet | undefined): void {
    if (child && !child.empty) this.children.set(step, child);
  }

  union(other: FieldSet | undefined): FieldSet {
    if (!other) return this;
    const result = new FieldSet();
    for (const step of [...this.members, ...other.members]) result.members.add(step);
    for (const [step, child] of this.children) result.children.set(step, child.union(other.children.get(step)));
    for (const [step, child] of other.children) if (!this.children.has(step)) result.children.set(step, child);
    return result;
  }

  difference(other: FieldSet | undefined): FieldSet {
    if (!other || other.empty) return this;
    const result = new FieldSet();
    for (const step of this.members) if (!other.members.has(step)) result.members.add(step);
    for (const [step, child] of this.children) result.keepChild(step, child.difference(other.children.get(step)));
    return result;
  }

  intersection(other: FieldSet | undefined): FieldSet {
    const result = new FieldSet();
    if (!other) return result;
    for (const step of this.members) if (other.members.has(step)) result.members.add(step);
    for (const [step, child] of this.children) result.keepChild(step, child.intersection(other.children.get(step)));
    return result;
  }

  equals(other: FieldSet): boolean {
    return this.difference(other).empty && other.difference(this).empty;
  }

  /** Every path of the set as kubectl prints it, `.spec.containers[name="web"].image`. */
  paths(prefix = ''): string[] {
    const result: string[] = [];
    for (const step of new Set([...this.members, ...this.children.keys()])) {
      const path = prefix + printStep(step);
      if (this.members.has(step)) result.push(path);
      result.push(...(this.children.get(step)?.paths(path) ?? []));
    }
    return result;
  }

  toJson(): Record<string, unknown> {
    const result: Record<string, unknown> = {};
    for (const step of [...new Set([...this.members, ...this.children.keys()])].sort()) {
      const child = this.children.get(step);
      const inner = child && !child.empty ? child.toJson() : {};
      setOwn(result, step, this.members.has(step) && child && !child.empty ? { '.': {}, ...inner } : inner);
    }
    return result;
  }

  /** Reads FieldsV1; what is no field set is ignored. */
  static fromJson(json: unknown): FieldSet {
    const result = new FieldSet();
    if (!isObject(json)) return result;
    for (const step of Object.keys(json)) {
      if (step === '.') continue;
      const inner = json[step];
      const keys = isObject(inner) ? Object.keys(inner) : [];
      if (keys.length === 0 || keys.includes('.')) result.members.add(step);
      if (keys.some((key) => key !== '.')) result.children.set(step, FieldSet.fromJson(inner));
    }
    return result;
  }
}

function printStep(step: string): string {
  if (step.startsWith('f:')) return `.${step.slice(2)}`;
  if (step.startsWith('v:')) return `[=${step.slice(2)}]`;
  if (!step.startsWith('k:')) return `[${step.slice(2)}]`;
  const keys = JSON.parse(step.slice(2)) as Record<string, unknown>;
  return `[${Object.entries(keys).map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(',')}]`;
}

/** How the items of a list are told apart; undefined when the list is one value. */
export function listSteps(schema: Schema | undefined): ((item: unknown) => string | undefined) | undefined {
  const type = schema?.['x-kubernetes-list-type'];
  if (type === 'set') return (item) => `v:${JSON.stringify(item)}`;
  const keys = schema?.['x-kubernetes-list-map-keys'];
  if (type !== 'map' || !keys) return undefined;
  const sorted = [...keys].sort();
  return (item) => {
    const parts: Record<string, unknown> = {};
    for (const key of sorted) {
      const value = own(item, key) ?? propertySchema(schema?.items, key)?.default;
      if (value !== undefined) parts[key] = value;
    }
    return `k:${JSON.stringify(parts)}`;
  };
}

/** A list whose keyed items are not unique is one value: it cannot be owned in parts. */
function stepsOf(list: readonly unknown[], schema: Schema | undefined): string[] | undefined {
  const step = listSteps(schema);
  if (!step) return undefined;
  const steps = list.map((item) => step(item)!);
  return new Set(steps).size === steps.length ? steps : undefined;
}

const atomicMap = (schema: Schema | undefined): boolean => schema?.['x-kubernetes-map-type'] === 'atomic';
const isEmpty = (value: unknown): boolean => value === null || (isObject(value) && Object.keys(value).length === 0);

/** Adds every field of a value below `set`; returns whether the value is one leaf (its own path is to be added by the caller). */
function collect(value: unknown, schema: Schema | undefined, set: () => FieldSet): boolean {
  if (Array.isArray(value)) {
    const steps = stepsOf(value, schema);
    if (!steps) return true;
    value.forEach((item, index) => {
      set().members.add(steps[index]!);
      collect(item, schema?.items, () => set().child(steps[index]!));
    });
    return false;
  }
  if (!isObject(value) || atomicMap(schema)) return true;
  for (const key of Object.keys(value)) {
    if (value[key] === undefined) continue;
    const step = `f:${key}`;
    const leaf = collect(value[key], propertySchema(schema, key), () => set().child(step));
    if (leaf || isEmpty(value[key]) || !own(schema?.properties, key)) set().members.add(step);
  }
  return false;
}

/** Fields nobody owns: identity and what the server itself sets. */
const UNOWNED = new Set(['name', 'namespace', 'creationTimestamp', 'selfLink', 'uid', 'generation', 'managedFields', 'resourceVersion', 'deletionTimestamp', 'deletionGracePeriodSeconds']);

/** The object without the fields nobody owns. */
export function ownable(object: unknown): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  if (!isObject(object)) return result;
  for (const key of Object.keys(object)) {
    if (key === 'apiVersion' || key === 'kind') continue;
    if (key !== 'metadata') setOwn(result, key, object[key]);
    else if (isObject(object[key])) {
      const metadata = Object.fromEntries(Object.entries(object[key]).filter(([name]) => !UNOWNED.has(name)));
      if (Object.keys(metadata).length > 0) result['metadata'] = metadata;
    }
  }
  return result;
}

/** All fields of an object. */
export function fieldsOf(object: unknown, schema: Schema | undefined): FieldSet {
  const set = new FieldSet();
  collect(ownable(object), schema, () => set);
  return set;
}

/** Fields that both objects have with different values. Equal subtrees cost one comparison. */
export function modifiedFields(before: unknown, after: unknown, schema: Schema | undefined): FieldSet {
  const set = new FieldSet();
  diff(ownable(before), ownable(after), schema, () => set);
  return set;
}

function diff(before: unknown, after: unknown, schema: Schema | undefined, set: () => FieldSet): boolean {
  if (before === after) return false;
  if (Array.isArray(before) && Array.isArray(after)) {
    const steps = stepsOf(before, schema);
    const others = stepsOf(after, schema);
    if (!steps || !others) return !equal(before, after);
    others.forEach((step, index) => {
      const old = steps.indexOf(step);
      if (old >= 0 && diff(before[old], after[index], schema?.items, () => set().child(step))) set().members.add(step);
    });
    return false;
  }
  if (isObject(before) && isObject(after) && !atomicMap(schema)) {
    for (const key of Object.keys(after)) {
      if (!Object.hasOwn(before, key)) continue;
      if (diff(before[key], after[key], propertySchema(schema, key), () => set().child(`f:${key}`))) set().members.add(`f:${key}`);
    }
    return false;
  }
  return !equal(before, after);
}

/** A copy without the fields of the set; containers that become empty by it go too. */
export function withoutFields(value: unknown, schema: Schema | undefined, remove: FieldSet): unknown {
  if (remove.empty) return value;
  if (Array.isArray(value)) {
    const steps = stepsOf(value, schema);
    if (!steps) return value;
    return value.flatMap((item, index) => {
      if (remove.members.has(steps[index]!)) return [];
      const child = remove.children.get(steps[index]!);
      return [child ? withoutFields(item, schema?.items, child) : item];
    });
  }
  if (!isObject(value)) return value;
  const result: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    if (remove.members.has(`f:${key}`)) continue;
    const child = remove.children.get(`f:${key}`);
    const kept = child ? withoutFields(value[key], propertySchema(schema, key), child) : value[key];
    const emptied = child !== undefined && (Array.isArray(kept) ? kept.length === 0 && (value[key] as unknown[]).length > 0 : isEmpty(kept) && !isEmpty(value[key]));
    if (!emptied) setOwn(result, key, kept);
  }
  return result;
}
