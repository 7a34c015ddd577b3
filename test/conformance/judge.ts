// What every judge of a conformance corpus is, and how two pieces of data are compared.
import { isDeepStrictEqual } from 'node:util';

/** A case passed, or did not for a reason that fits on one line. */
export type Verdict = { readonly pass: true } | { readonly pass: false; readonly reason: string };

/**
 * Judges the cases of one corpus by the rules of its README. There is one judge a corpus, in `judges/<corpus>.ts`, exported as `judge`
 * and listed in `judges.ts`; the test and the program run the same one. What is not built fails with {@link notBuilt}, never passes in silence.
 */
export interface Judge {
  /** Folder name of the corpus. */
  readonly corpus: string;
  /**
   * @param caseDir the folder of the case, absolute
   * @param caseJson its parsed `case.json`
   * @param corpusDir the folder of the corpus, where `_fixtures/` is
   */
  run(caseDir: string, caseJson: unknown, corpusDir: string): Promise<Verdict>;
}

export const PASS: Verdict = { pass: true };

export function fail(reason: string): Verdict {
  return { pass: false, reason: reason.replace(/\s+/g, ' ').trim() };
}

export function notBuilt(what: string): Verdict {
  return fail(`not built yet: ${what}`);
}

/** Equal as data, or the first place where they differ. Members that are undefined count as absent. */
export function sameData(actual: unknown, expected: unknown): Verdict {
  const found = firstDifference(actual, expected, '');
  return found === undefined ? PASS : fail(found);
}

/** The same lines, or the first that differs; trailing blanks and blank lines at the end do not count. */
export function sameLines(actual: string, expected: string): Verdict {
  const [own, wanted] = [actual, expected].map((text) => text.trimEnd().split('\n').map((line) => line.trimEnd())) as [string[], string[]];
  const at = wanted.findIndex((line, index) => own[index] !== line);
  if (at >= 0) return fail(`line ${at + 1}: expected ${JSON.stringify(wanted[at])}, got ${JSON.stringify(own[at] ?? null)}`);
  return own.length > wanted.length ? fail(`line ${wanted.length + 1}: expected the end, got ${JSON.stringify(own[wanted.length])}`) : PASS;
}

/** The first verdict that is not a pass. */
export function allOf(verdicts: readonly Verdict[]): Verdict {
  return verdicts.find((verdict) => !verdict.pass) ?? PASS;
}

function firstDifference(actual: unknown, expected: unknown, path: string): string | undefined {
  if (isDeepStrictEqual(actual, expected)) return undefined;
  const here = path || 'the whole';
  if (Array.isArray(actual) && Array.isArray(expected)) {
    for (let index = 0; index < Math.max(actual.length, expected.length); index++) {
      if (index >= actual.length) return `${path}[${index}] is missing: ${excerpt(expected[index])}`;
      if (index >= expected.length) return `${path}[${index}] is too much: ${excerpt(actual[index])}`;
      const found = firstDifference(actual[index], expected[index], `${path}[${index}]`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (isMap(actual) && isMap(expected)) {
    for (const key of new Set([...Object.keys(expected), ...Object.keys(actual)])) {
      const found = firstDifference(actual[key], expected[key], path ? `${path}.${key}` : key);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  return `${here}: expected ${excerpt(expected)}, got ${excerpt(actual)}`;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function excerpt(value: unknown): string {
  const text = value === undefined ? 'nothing' : JSON.stringify(value);
  return text.length > 160 ? `${text.slice(0, 157)}...` : text;
}
