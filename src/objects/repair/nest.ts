/**
 * Finds where the words of an object belong when their indentation lies. Every token may go to any level that is open; the schema says which levels know
 * it, and every departure from what was written costs something. The cheapest ways are followed side by side.
 */
import type { Schema } from '../schema/schema.ts';
import { setOwn } from '../schema/values.ts';
import { findField, holds, impliedPaths } from './field-lookup.ts';
import { costOfClosing, expectedFrame, hasKey, openFrame, type Frame, type Path } from './frame.ts';
import { OPEN, type Token } from './tokens.ts';

/** One change of what was written. */
export interface Move {
  readonly line: number;
  /** As written; the scalar of a bare item. */
  readonly word: string;
  readonly path: Path;
  readonly why: 'moved' | 'list' | 'no list' | 'implied' | 'type' | 'empty';
}

/** An object that was put together, and what that took. */
export interface Nested {
  readonly value: unknown;
  readonly moves: readonly Move[];
  readonly cost: number;
}

interface Placed {
  readonly previous: Placed | undefined;
  readonly path: Path;
  readonly value: unknown;
  readonly move: Move | undefined;
}

interface State {
  readonly frames: readonly Frame[];
  readonly cost: number;
  readonly placed: Placed | undefined;
}

/** Ways that are followed at once. */
const BEAM = 16;
const MAX_TOKENS = 1500;
const COST = { moved: 1, perLevel: 0.3, dashLost: 2.5, dashMissing: 2, map: 1.5, any: 3, implied: 4, wrongKind: 12, scalarType: 0.5, scalarList: 2, openScalar: 1, unknown: 15 } as const;

/** The best ways to put the tokens together, cheapest first; none when there are too many. */
export function nest(tokens: readonly Token[], schema: Schema): readonly Nested[] {
  if (tokens.length > MAX_TOKENS) return [];
  const object: Schema = { ...schema, type: 'object' };
  let states: readonly State[] = [{ frames: [openFrame([], object, -1)], cost: 0, placed: undefined }];
  for (const token of tokens) states = states.flatMap((state) => candidates(state, token)).sort((a, b) => a.cost - b.cost).slice(0, BEAM);
  return states.map((state) => finish(state)).sort((a, b) => a.cost - b.cost);
}

function finish({ frames, cost, placed }: State): Nested {
  const all: Placed[] = [];
  for (let one = placed; one; one = one.previous) all.unshift(one);
  const root: Record<string, unknown> = {};
  for (const { path, value } of all) setAt(root, path, value === OPEN ? null : value);
  return { value: root, moves: all.flatMap(({ move }) => move ?? []), cost: cost + frames.reduce((sum, frame) => sum + costOfClosing(frame), 0) };
}

/** Writes a value, making the levels above it. */
function setAt(root: Record<string, unknown>, path: Path, value: unknown): void {
  let at: Record<string | number, unknown> = root;
  path.forEach((name, index) => {
    if (index === path.length - 1) return void (typeof name === 'number' ? ((at as unknown as unknown[])[name] = value) : setOwn(at, name, value));
    const next = Object.hasOwn(at, name) ? at[name] : undefined;
    if (typeof next === 'object' && next !== null) at = next as Record<string, unknown>;
    else {
      const made: Record<string, unknown> = typeof path[index + 1] === 'number' ? ([] as unknown as Record<string, unknown>) : {};
      if (typeof name === 'number') (at as unknown as unknown[])[name] = made;
      else setOwn(at, name, made);
      at = made;
    }
  });
}

/** All ways to place a token. */
function candidates(state: State, token: Token): readonly State[] {
  const expected = expectedFrame(state.frames, token);
  const found: State[] = [];
  const costs: number[] = [];
  let closing = 0;
  const baseAt = (index: number): State => ({ ...state, frames: state.frames.slice(0, index + 1), cost: costs[state.frames.length - 1 - index]! });
  for (let index = state.frames.length - 1; index >= 0; index--) {
    const frame = state.frames[index]!;
    const moved = index !== expected;
    costs.push(state.cost + closing + (moved ? COST.moved + COST.perLevel * Math.abs(index - expected) : 0));
    if (mayTake(frame, token)) found.push(...(frame.kind === 'list' ? inList(baseAt(index), token, moved) : inObject(baseAt(index), token, moved)));
    closing += costOfClosing(frame);
  }
  // Levels nobody wrote are looked for only where no written one will do.
  if (!found.some(({ cost }) => cost <= state.cost + COST.implied)) found.push(...state.frames.flatMap((_, index) => implied(baseAt(index), token)));
  // Nobody knows it: it stays where it was written.
  if (found.every(({ cost }) => cost > state.cost + COST.unknown)) found.push(unknownAt({ ...state, frames: state.frames.slice(0, expected + 1), cost: state.cost + COST.unknown }, token));
  return found;
}

/** Rules most levels out before anything is copied. */
function mayTake(frame: Frame, token: Token): boolean {
  if (frame.kind === 'list') return token.dash || frame.count === 0;
  return token.key !== undefined && !hasKey(frame, token.key) && (frame.kind === 'any' || findField(frame.schema, token.key) !== undefined);
}

function unknownAt(base: State, token: Token): State {
  const frame = base.frames.at(-1)!;
  if (frame.kind === 'list' || token.key === undefined) return addItem(base, token, frame.schema?.items, undefined).next ?? base;
  return addKey(base, token, token.key, undefined, undefined);
}

function inObject(base: State, token: Token, moved: boolean): readonly State[] {
  const frame = base.frames.at(-1)!;
  if (token.key === undefined) return [];
  const dash = token.dash && frame.kind === 'object' ? COST.dashLost : 0;
  const states: State[] = [];
  const field = findField(frame.schema, token.key);
  // Maps know every key: one that stands further out than theirs is not theirs.
  if (field && field.how !== 'property' && moved && (frame.column ?? frame.keyColumn) > token.keyColumn) return [];
  const nearness = field?.how === 'map' && moved ? COST.map : field?.how === 'any' && moved ? COST.any : 0;
  if (frame.kind === 'any' && !moved && !hasKey(frame, token.key)) states.push(token.dash ? (addItem(base, token, undefined, undefined).next ?? base) : addKey(base, token, token.key, undefined, undefined));
  else if (field && !hasKey(frame, token.key)) states.push(addKey({ ...base, cost: base.cost + dash + nearness }, token, token.key, field.schema, moved ? 'moved' : dash > 0 ? 'no list' : undefined));
  return states;
}

/** Ways through levels that were not written. */
function implied(base: State, token: Token): readonly State[] {
  const frame = base.frames.at(-1)!;
  if (token.key === undefined || !frame.schema || frame.kind !== 'object') return [];
  const states: State[] = [];
  for (const { steps } of impliedPaths(frame.schema, token.key)) {
    if (hasKey(frame, steps[0]!.name)) continue;
    let at = { ...base, cost: base.cost + COST.implied * steps.length };
    for (const step of steps) at = descend(at, step.name, step.schema, token);
    const target = at.frames.at(-1)!;
    const inner = findField(target.schema, token.key);
    if (inner) states.push(addKey(at, token, token.key, inner.schema, 'implied'));
  }
  return states;
}

/** Opens a level nobody wrote. A list gets its first item. */
function descend(base: State, name: string, schema: Schema, token: Token): State {
  const opened = enter(base, name, openFrame([...base.frames.at(-1)!.path, name], schema, token.column - 2), token.column);
  return holds(schema) === 'list' ? newItem(opened, schema.items, token) : opened;
}

function inList(base: State, token: Token, moved: boolean): readonly State[] {
  const frame = base.frames.at(-1)!;
  const items = frame.schema?.items;
  if (token.key === undefined) {
    if (!token.dash && frame.count > 0) return [];
    const { next } = addItem(base, token, items, moved ? 'moved' : undefined);
    return next ? [next] : [];
  }
  if (!token.dash && frame.count > 0) return [];
  const field = findField(items, token.key);
  if (!field && token.dash && typeof token.value === 'string') return inMapOfItem(base, token, token.key, items);
  if (!field && holds(items) !== 'any') return [];
  const item = newItem({ ...base, cost: base.cost + (token.dash ? 0 : COST.dashMissing) }, items, token);
  return [addKey(item, token, token.key, field?.schema, moved ? 'moved' : token.dash ? undefined : 'list')];
}

/** `- version: v1` where an item has a map of texts: its name was lost. */
function inMapOfItem(base: State, token: Token, key: string, items: Schema | undefined): readonly State[] {
  const maps = Object.entries(items?.properties ?? {}).filter(([, schema]) => typeof schema.additionalProperties === 'object' && schema.additionalProperties.type === 'string');
  return maps.map(([name, schema]) => {
    const at = descend(newItem({ ...base, cost: base.cost + COST.implied + COST.map }, items, token), name, schema, token);
    return addKey(at, token, key, findField(schema, key)?.schema, 'implied');
  });
}

/** A new object in the innermost list. */
function newItem(base: State, schema: Schema | undefined, token: Token): State {
  const list = base.frames.at(-1)!;
  const column = token.dash ? token.column : (list.column ?? token.column);
  const counted: Frame = { ...list, count: list.count + 1, column: list.column ?? column };
  return { ...base, frames: [...base.frames.slice(0, -1), counted, openFrame([...list.path, list.count], schema, column)] };
}

/** A scalar item, or an item that goes on on the next lines. */
function addItem(base: State, token: Token, schema: Schema | undefined, why: Move['why'] | undefined): { readonly next: State | undefined } {
  const list = base.frames.at(-1)!;
  if (list.kind === 'object') return { next: undefined };
  if (token.key !== undefined) return { next: addKey(newItem(base, schema, token), token, token.key, undefined, why) };
  // Nothing may follow: then it is null.
  if (token.value === OPEN) return { next: { ...newItem(base, schema, token), placed: { previous: base.placed, path: [...list.path, list.count], value: OPEN, move: undefined } } };
  const value = fit(schema, token.value);
  const counted: Frame = { ...list, count: list.count + 1, column: list.column ?? token.column };
  const path = [...list.path, list.count];
  const move = why === undefined ? value.move : why;
  return { next: { frames: [...base.frames.slice(0, -1), counted], cost: base.cost + value.cost, placed: { previous: base.placed, path, value: value.value, move: move && moveOf(token, path, move) } } };
}

/** Puts a key into the innermost level, and opens its own level when it has no value of its own. */
function addKey(base: State, token: Token, key: string, schema: Schema | undefined, why: Move['why'] | undefined): State {
  const path = [...base.frames.at(-1)!.path, key];
  const value = token.value === OPEN ? { value: OPEN, cost: schema && holds(schema) === 'scalar' ? COST.openScalar : 0, move: undefined } : fit(schema, token.value);
  const move = why ?? value.move;
  const frame = openFrame(path, schema, token.keyColumn);
  const entered = enter(base, key, frame, token.keyColumn);
  // A level with a value of its own takes no children: it is left again at once.
  const frames = token.value === OPEN ? entered.frames : entered.frames.slice(0, -1);
  return { frames, cost: base.cost + value.cost, placed: { previous: base.placed, path, value: value.value, move: move && moveOf(token, path, move) } };
}

function enter(base: State, key: string, frame: Frame, column: number): State {
  const parent = base.frames.at(-1)!;
  const used = { key, rest: parent.used };
  return { ...base, frames: [...base.frames.slice(0, -1), { ...parent, used, column: parent.column ?? column }, frame] };
}

interface Fitted {
  readonly value: unknown;
  readonly cost: number;
  readonly move: Move['why'] | undefined;
}

/** The value as its schema wants it: numbers where texts are meant are texts, one text where a list is meant is a list of one. */
function fit(schema: Schema | undefined, value: unknown): Fitted {
  const kind = holds(schema);
  const same: Fitted = { value, cost: 0, move: undefined };
  if (!schema || kind === 'any' || value === null || value === undefined) return same;
  if (kind === 'list') {
    if (Array.isArray(value)) return same;
    if (typeof value === 'object') return { value: null, cost: COST.scalarType, move: 'empty' };
    const item = fit(schema.items, value);
    return holds(schema.items) === 'scalar' ? { value: [item.value], cost: COST.scalarList, move: 'list' } : { ...same, cost: COST.wrongKind };
  }
  if (kind === 'object') return typeof value === 'object' && !Array.isArray(value) ? same : Array.isArray(value) && value.length === 0 ? { value: {}, cost: COST.scalarType, move: 'no list' } : { ...same, cost: COST.wrongKind };
  if (typeof value === 'object') return { ...same, cost: COST.wrongKind };
  if (schema.type === 'string' && typeof value !== 'string') return { value: String(value), cost: COST.scalarType, move: 'type' };
  const numeric = schema.type === 'integer' || schema.type === 'number';
  if (numeric && typeof value === 'string') return /^-?\d+(\.\d+)?$/.test(value) ? { value: Number(value), cost: COST.scalarType, move: 'type' } : { ...same, cost: COST.wrongKind };
  if (schema.type === 'boolean' && (value === 'true' || value === 'false')) return { value: value === 'true', cost: COST.scalarType, move: 'type' };
  return same;
}

function moveOf(token: Token, path: Path, why: Move['why']): Move {
  return { line: token.line, word: token.key ?? (typeof token.value === 'string' || typeof token.value === 'number' ? String(token.value) : '-'), path, why };
}
