/** JSON values as the API handles them: immutable once stored, always compared by content. */

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
/** A JSON object. Keys come from the network, so only own properties are ever looked at. */
export interface JsonObject {
  readonly [key: string]: Json | undefined;
}
/** A JSON object under construction. */
export type MutableObject = Record<string, unknown>;

/** True for a JSON object: neither null nor a list. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An own property; names inherited from Object.prototype (`constructor`, `__proto__`) are not properties. */
export function own(object: unknown, key: string): unknown {
  return typeof object === 'object' && object !== null && Object.hasOwn(object, key) ? (object as Record<string, unknown>)[key] : undefined;
}

/** Sets an own property whatever its name is (`__proto__` included). */
export function setOwn(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__') Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  else object[key] = value;
}

/** Walks own properties (`at(pod, 'spec', 'nodeName')`); undefined as soon as one is missing. */
export function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  let current = value;
  for (const step of path) {
    if (typeof step === 'number') current = Array.isArray(current) ? current[step] : undefined;
    else current = own(current, step);
    if (current === undefined) return undefined;
  }
  return current;
}

/** {@link at} for text; '' when it is not text. */
export function textAt(value: unknown, ...path: readonly (string | number)[]): string {
  const found = at(value, ...path);
  return typeof found === 'string' ? found : '';
}

/** {@link at} for lists; empty when it is not a list. */
export function listAt(value: unknown, ...path: readonly (string | number)[]): readonly unknown[] {
  const found = at(value, ...path);
  return Array.isArray(found) ? found : [];
}

/** {@link at} for numbers. */
export function numberAt(value: unknown, ...path: readonly (string | number)[]): number | undefined {
  const found = at(value, ...path);
  return typeof found === 'number' ? found : undefined;
}

/** A deep copy that may be changed. */
export function clone<T>(value: T): T {
  if (Array.isArray(value)) return value.map((item) => clone(item)) as T;
  if (!isObject(value)) return value;
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value)) setOwn(copy, key, clone((value as Record<string, unknown>)[key]));
  return copy as T;
}

/** Equality by content; the order of keys does not matter, undefined properties count as absent. */
export function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, index) => equal(item, b[index]));
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a).filter((key) => a[key] !== undefined);
  const others = Object.keys(b).filter((key) => b[key] !== undefined);
  return keys.length === others.length && keys.every((key) => Object.hasOwn(b, key) && equal(a[key], b[key]));
}

/** Makes a value and everything in it read-only, so that no reader can change what is stored. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const key of Object.keys(value)) deepFreeze((value as Record<string, unknown>)[key]);
  return value;
}

/**
 * The new value with every part that equals the old one replaced by it, so that versions of an object share what did not change. The new value is
 * changed in place; frozen parts of it are left alone.
 */
export function shareUnchanged(before: unknown, after: unknown): unknown {
  if (before === after || typeof after !== 'object' || after === null || typeof before !== 'object' || before === null || Object.isFrozen(after)) return after;
  if (Array.isArray(after) !== Array.isArray(before)) return after;
  const next = after as Record<string, unknown>;
  const old = before as Record<string, unknown>;
  const keys = Object.keys(next);
  let same = keys.length === Object.keys(old).length;
  for (const key of keys) {
    if (!Object.hasOwn(old, key)) {
      same = false;
      continue;
    }
    const shared = shareUnchanged(old[key], next[key]);
    if (shared !== next[key]) setOwn(next, key, shared);
    if (shared !== old[key]) same = false;
  }
  return same ? before : after;
}
