import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { analyze, ANALYZERS } from '../../src/analysis/analyze.ts';
import type { KubeObject } from '../../src/objects/meta.ts';
import { conformanceCases, corpusFile, readYaml } from './corpus.ts';

interface AnalyzeCase {
  readonly analyzer: string;
  readonly inputs?: readonly string[];
  readonly expected: readonly { readonly code: string; readonly resource: string }[];
}

const cases = conformanceCases<AnalyzeCase>('analyze');
const implemented = cases.filter((entry) => entry.data.analyzer in ANALYZERS && entry.data.inputs);

describe.skipIf(cases.length === 0)('analyze corpus', () => {
  test.each(implemented)('$name', ({ directory, data: expected }) => {
    const files = [corpusFile('analyze', '_fixtures/default-resources.yaml'), ...expected.inputs!.map((file) => join(directory, file))];
    const issues = analyze(files.flatMap((file) => readYaml<KubeObject>(file)), { analyzers: [expected.analyzer] });
    const named = issues.map(({ code, object }) => `${code} ${object.kind} ${object.namespace ? `${object.namespace}/` : ''}${object.name}`);
    expect([...new Set(named)].sort()).toEqual([...new Set(expected.expected.map(({ code, resource }) => `${code} ${resource}`))].sort());
  });
  test.skip.each(cases.filter((entry) => !implemented.includes(entry)))('$name: analyzer $data.analyzer is not built yet', () => {});
});
