/** The open levels while an object is put together, from the whole object down to the innermost. Immutable: a search goes many ways. */
import type { Schema } from '../schema/schema.ts';
import { own } from '../schema/values.ts';
import { holds } from './field-lookup.ts';
import type { Token } from './tokens.ts';

export type Path = readonly (string | number)[];

export interface Frame {
  readonly path: Path;
  /** Undefined below a field nobody knows. */
  readonly schema: Schema | undefined;
  readonly kind: 'object' | 'list' | 'scalar' | 'any';
  /** Column of the children; undefined while there are none. */
  readonly column: number | undefined;
  /** Column of the key that opened the level; -1 for the whole object. */
  readonly keyColumn: number;
  /** Keys that are there, the newest first. */
  readonly used: UsedKeys | undefined;
  /** Items that are there. */
  readonly count: number;
}

/** A list that many ways of a search share. */
export interface UsedKeys {
  readonly key: string;
  readonly rest: UsedKeys | undefined;
}

export function hasKey(frame: Frame, key: string): boolean {
  for (let one = frame.used; one; one = one.rest) if (one.key === key) return true;
  return false;
}

export function openFrame(path: Path, schema: Schema | undefined, keyColumn: number): Frame {
  return { path, schema, kind: holds(schema), column: undefined, keyColumn, used: undefined, count: 0 };
}

/** What is wrong with a level that is left: fields it must have, or that it is empty where YAML would make it null. */
export function costOfClosing(frame: Frame): number {
  if (frame.kind !== 'object' || !frame.schema?.required) return 0;
  const missing = frame.schema.required.filter((name) => !hasKey(frame, name) && own(frame.schema?.properties, name)?.default === undefined).length;
  return frame.column === undefined ? Math.min(missing, 1) * COST_MISSING : missing * COST_MISSING;
}

const COST_MISSING = 4;

/** The level that YAML would put a token on; when there is none, the nearest. */
export function expectedFrame(frames: readonly Frame[], token: Token): number {
  let fallback: number | undefined;
  for (let index = frames.length - 1; index >= 0; index--) {
    const frame = frames[index]!;
    const fits = token.dash ? frame.kind !== 'object' || frame.column === undefined : frame.kind !== 'list' || frame.column === undefined;
    const below = frame.column === undefined ? token.column > frame.keyColumn || (token.dash && token.column >= frame.keyColumn) : frame.column === token.column;
    if (below && fits) return index;
    // A mapping that was opened before may have items only at its own column.
    if (below) fallback ??= index;
    if (frame.column !== undefined && frame.column < token.column) return fallback ?? index;
  }
  return fallback ?? 0;
}
