// RFC 6902 patches: the answer of a mutating webhook.
import type { Json, JsonObject } from './types.ts';

export interface JsonPatchOperation {
  readonly op: 'add' | 'remove' | 'replace';
  /** JSON pointer. */
  readonly path: string;
  readonly value?: Json;
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Operations that turn `before` into `after`. Maps are compared member by member; lists element by element when their lengths match, otherwise replaced. */
export function createJsonPatch(before: Json, after: Json, path = ''): JsonPatchOperation[] {
  if (isObject(before) && isObject(after)) {
    const patch: JsonPatchOperation[] = [];
    for (const key of Object.keys(before)) if (before[key] !== undefined && after[key] === undefined) patch.push({ op: 'remove', path: `${path}/${escape(key)}` });
    for (const [key, value] of Object.entries(after)) {
      if (value === undefined) continue;
      const old = Object.hasOwn(before, key) ? before[key] : undefined;
      if (old === undefined) patch.push({ op: 'add', path: `${path}/${escape(key)}`, value });
      else patch.push(...createJsonPatch(old, value, `${path}/${escape(key)}`));
    }
    return patch;
  }
  if (Array.isArray(before) && Array.isArray(after) && before.length === after.length) return after.flatMap((value: Json, index) => createJsonPatch(before[index] as Json, value, `${path}/${index}`));
  return JSON.stringify(before) === JSON.stringify(after) ? [] : [{ op: 'replace', path, value: after }];
}

function escape(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}
