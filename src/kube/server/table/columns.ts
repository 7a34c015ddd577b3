/** What tables of built-in kinds are written with. */
import { isObject, textAt } from '../json.ts';

/** A column: the name alone, or with what is not the default (type string, shown without -o wide). */
export interface Column {
  readonly name: string;
  readonly type?: string;
  readonly format?: string;
  readonly wide?: boolean;
}

export interface KindTable {
  readonly columns: readonly Column[];
  readonly cells: (object: unknown, nowMs: number) => unknown[];
}

const NAME: Column = { name: 'Name', format: 'name' };
/** The AGE column. */
export const AGE: Column = { name: 'Age' };
/** NAME and what follows it. */
export const columns = (...names: readonly (string | Column)[]): Column[] => [NAME, ...names.map((one) => (typeof one === 'string' ? { name: one } : one))];
/** Columns of `-o wide`. */
export const wide = (...names: readonly string[]): Column[] => names.map((name) => ({ name, wide: true }));
/** Columns of numbers. */
export const integer = (...names: readonly string[]): Column[] => names.map((name) => ({ name, type: 'integer' }));
export const nameOf = (object: unknown): string => textAt(object, 'metadata', 'name');
/** How many keys a map has. */
export const keyCount = (value: unknown): number => (isObject(value) ? Object.keys(value).length : 0);
