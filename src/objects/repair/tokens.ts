/** The words of an object in the order they were written, with what their indentation claims; the claim may be wrong. */
import { isObject } from '../schema/values.ts';

/** One key, or one item of a list that is a scalar. */
export interface Token {
  /** 1-based; 0 when the object did not come from a text. */
  readonly line: number;
  /** Column of the dash, or of the key. */
  readonly column: number;
  /** Column of the key; of the dash for a bare item. */
  readonly keyColumn: number;
  /** Starts a list item. */
  readonly dash: boolean;
  /** Undefined for a bare item. */
  readonly key: string | undefined;
  /** A scalar, `{}`, `[]` or null; {@link OPEN} when what follows may belong to it. */
  readonly value: unknown;
}

/** The value of a key behind which nothing stands. */
export const OPEN: unique symbol = Symbol('open');

const STEP = 2;

/** The tokens of a value that was parsed before: `{labels: [version: v1]}` and API objects. */
export function tokensOf(value: unknown, column = 0, line = 0): readonly Token[] {
  const tokens: Token[] = [];
  if (isObject(value)) for (const [key, member] of Object.entries(value)) addMember(tokens, member, { line, column, keyColumn: column, dash: false, key });
  else if (Array.isArray(value)) for (const item of value as readonly unknown[]) addItem(tokens, item, column, line);
  return tokens;
}

/** A key with its value, and whatever is below. */
export function addMember(tokens: Token[], value: unknown, token: Omit<Token, 'value'>): void {
  const nested = (isObject(value) && Object.keys(value).length > 0) || (Array.isArray(value) && value.length > 0);
  // Behind a key whose value is null its fields may stand on the same level.
  tokens.push({ ...token, value: nested || value === null ? OPEN : value });
  if (nested) tokens.push(...tokensOf(value, token.keyColumn + STEP, token.line));
}

function addItem(tokens: Token[], item: unknown, column: number, line: number): void {
  if (isObject(item) && Object.keys(item).length > 0) {
    Object.entries(item).forEach(([key, member], index) => {
      const keyColumn = column + STEP;
      addMember(tokens, member, { line, column: index === 0 ? column : keyColumn, keyColumn, dash: index === 0, key });
    });
  } else if (Array.isArray(item) && item.length > 0) {
    tokens.push({ line, column, keyColumn: column, dash: true, key: undefined, value: OPEN });
    tokens.push(...tokensOf(item, column + STEP, line));
  } else tokens.push({ line, column, keyColumn: column, dash: true, key: undefined, value: item });
}
