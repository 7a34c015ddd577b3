// The analyze corpus: one analyzer over some files, judged by the set of (code, resource).
import { join } from 'node:path';
import { analyze, ANALYZERS } from '../../../src/analysis/analyze.ts';
import type { KubeObject } from '../../../src/objects/meta.ts';
import { readYaml } from '../corpus.ts';
import { fail, type Judge, notBuilt, PASS } from '../judge.ts';

interface AnalyzeCase {
  readonly analyzer: string;
  readonly inputs?: readonly string[];
  readonly clusters?: Readonly<Record<string, readonly string[]>>;
  readonly meshConfig?: string;
  readonly meshNetworks?: string;
  readonly expected: readonly { readonly code: string; readonly resource: string }[];
}

export const judge: Judge = {
  corpus: 'analyze',
  run: async (caseDir, caseJson, corpusDir) => {
    const data = caseJson as AnalyzeCase;
    if (!(data.analyzer in ANALYZERS) || !data.inputs) return notBuilt(`analyzer ${data.analyzer}`);
    const files = [join(corpusDir, '_fixtures/default-resources.yaml'), ...data.inputs.map((file) => join(caseDir, file))];
    const issues = analyze(files.flatMap((file) => readYaml<KubeObject>(file)), { analyzers: [data.analyzer] });
    const found = new Set(issues.map(({ code, object }) => `${code} ${object.kind} ${object.namespace ? `${object.namespace}/` : ''}${object.name}`));
    const wanted = new Set(data.expected.map(({ code, resource }) => `${code} ${resource}`));
    const problems = [...[...wanted].filter((one) => !found.has(one)).map((one) => `missing ${one}`), ...[...found].filter((one) => !wanted.has(one)).map((one) => `too much: ${one}`)];
    return problems.length === 0 ? PASS : fail(problems.join('; '));
  },
};
