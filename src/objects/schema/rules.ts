/**
 * The CEL rules of our own kinds. A real API server evaluates the text; here the text is only a key, because each rule is also written in TypeScript. Rules
 * of foreign definitions that are not in the table are not evaluated.
 */
import { parseDurationMs } from '../../base/duration.ts';

export const DURATION_RULE = "duration(self) >= duration('1ms')";
export const DURATION_OR_ZERO_RULE = "duration(self) >= duration('0s')";

const atLeastMs = (minimumMs: number) => (value: unknown) => typeof value === 'string' && (parseDurationMs(value) ?? -1) >= minimumMs;

/** Says whether a value keeps a rule, by the rule's text. */
export const KNOWN_RULES: ReadonlyMap<string, (value: unknown) => boolean> = new Map([
  [DURATION_RULE, atLeastMs(1)],
  [DURATION_OR_ZERO_RULE, atLeastMs(0)],
]);
