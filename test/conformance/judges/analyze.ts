// The analyze corpus: one analyzer over some files, judged by the set of (code, resource).
import { join } from 'node:path';
import { analyze, ANALYZERS, OPTIONAL_ANALYZERS } from '../../../src/analysis/analyze.ts';
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
    if (!(data.analyzer in ANALYZERS) && !(data.analyzer in OPTIONAL_ANALYZERS)) return notBuilt(`analyzer ${data.analyzer}`);
    const shared = readYaml<KubeObject>(join(corpusDir, '_fixtures/default-resources.yaml'));
    const read = (files: readonly string[] = []) => [...shared, ...files.flatMap((file) => readYaml<KubeObject>(join(caseDir, file)))];
    const settings = (file: string | undefined) => (file === undefined ? undefined : readYaml<object>(join(caseDir, file))[0]);
    const [meshConfig, meshNetworks] = [settings(data.meshConfig), settings(data.meshNetworks)];
    const issues = analyze(read(data.inputs), {
      analyzers: [data.analyzer], ...(meshConfig && { meshConfig }), ...(meshNetworks && { meshNetworks }),
      clusters: new Map(Object.entries(data.clusters ?? {}).map(([cluster, files]) => [cluster, read(files)])),
    });
    const found = new Set(issues.map(({ code, object }) => `${code} ${object.kind} ${object.namespace ? `${object.namespace}/` : ''}${object.name}`));
    const wanted = new Set(data.expected.map(({ code, resource }) => `${code} ${resource}`));
    const problems = [...[...wanted].filter((one) => !found.has(one)).map((one) => `missing ${one}`), ...[...found].filter((one) => !wanted.has(one)).map((one) => `too much: ${one}`)];
    return problems.length === 0 ? PASS : fail(problems.join('; '));
  },
};
