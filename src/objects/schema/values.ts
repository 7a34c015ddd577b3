/** JSON values from outside: keys are data, `__proto__` included. */

/** A JSON object. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** True for a JSON object, false for null, lists and scalars. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A property of the object itself, never of its prototype. */
export function own<T>(object: Readonly<Record<string, T>> | null | undefined, name: string): T | undefined {
  return object !== undefined && object !== null && Object.hasOwn(object, name) ? object[name] : undefined;
}

/** Sets a property even when its name is `__proto__`. */
export function setOwn(object: Record<string, unknown>, name: string, value: unknown): void {
  if (name === '__proto__') Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
  else object[name] = value;
}

/** A copy that shares nothing. */
export function cloneJson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(cloneJson);
  if (!isObject(value)) return value;
  const copy: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value)) setOwn(copy, name, cloneJson(member));
  return copy;
}

/** Equality by content; the order of keys does not matter. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, index) => sameValue(item, b[index]));
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && sameValue(a[key], b[key]));
}

/** The path of a field below a path. */
export function childPath(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

/** Replaces some properties (undefined removes) of an object; the object itself when there are none. */
export function withChanges(object: JsonObject, changes: ReadonlyMap<string, unknown>): JsonObject {
  if (changes.size === 0) return object;
  const result: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(object)) {
    if (!changes.has(name)) setOwn(result, name, value);
    else if (changes.get(name) !== undefined) setOwn(result, name, changes.get(name));
  }
  for (const [name, value] of changes) if (value !== undefined && !Object.hasOwn(object, name)) setOwn(result, name, value);
  return result;
}

/** Maps a list; the list itself when nothing changed. */
export function mapSame(items: readonly unknown[], change: (item: unknown, index: number) => unknown): readonly unknown[] {
  const changed = items.map(change);
  return changed.some((item, index) => item !== items[index]) ? changed : items;
}
