// The same judges under vitest: a test per case.
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { conformanceCases, CORPORA } from './corpus.ts';
import type { Judge } from './judge.ts';

/**
 * A test for every case of the judge's corpus; none when the corpora are not there.
 * @param pending cases that do not pass yet, with the reason. One that starts to pass fails the run, so that the list stays true.
 */
export function describeCorpus(judge: Judge, pending: Readonly<Record<string, string>> = {}): void {
  const cases = conformanceCases<unknown>(judge.corpus);
  describe.skipIf(cases.length === 0)(`${judge.corpus} corpus`, () => {
    test.each(cases)('$name', async ({ name, directory, data }) => {
      const verdict = await judge.run(directory, data, join(CORPORA, judge.corpus));
      if (!Object.hasOwn(pending, name)) expect(verdict).toEqual({ pass: true });
      else expect(verdict.pass, `${name} is listed as pending (${pending[name]}) but passes: take it off the list`).toBe(false);
    });
  });
}
