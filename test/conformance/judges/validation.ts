// The validation corpus: one object each, valid or not, by schema or webhook.
import { join } from 'node:path';
import { validateFileObject } from '../../../src/objects/istio/validate-file.ts';
import type { KubeObject } from '../../../src/objects/meta.ts';
import { readYaml } from '../corpus.ts';
import { fail, type Judge, PASS } from '../judge.ts';

interface ValidationCase {
  readonly object: string;
  readonly valid: boolean;
  readonly warning?: boolean;
  readonly errorContains?: string;
  readonly rejectedWithAnnotation?: Readonly<Record<string, string>>;
}

function firstOf(object: KubeObject, severity: string): string | undefined {
  const found = validateFileObject(object).find((issue) => issue.severity === severity);
  return found && `${found.path}: ${found.message}`;
}

export const judge: Judge = {
  corpus: 'validation',
  run: async (caseDir, caseJson) => {
    const data = caseJson as ValidationCase;
    const object = readYaml<KubeObject>(join(caseDir, data.object))[0]!;
    const error = firstOf(object, 'error');
    if (data.valid && error !== undefined) return fail(`is valid, but was refused: ${error}`);
    if (!data.valid && error === undefined) return fail(`was accepted, but must be refused: ${JSON.stringify(data.errorContains ?? '')}`);
    const warning = firstOf(object, 'warning');
    if (data.warning !== undefined && data.warning !== (warning !== undefined)) return fail(data.warning ? 'must give a warning' : `must give no warning: ${warning}`);
    if (!data.rejectedWithAnnotation) return PASS;
    const annotations = { ...object.metadata.annotations, ...data.rejectedWithAnnotation };
    const annotated = firstOf({ ...object, metadata: { ...object.metadata, annotations } }, 'error');
    return annotated === undefined ? fail(`was accepted with the annotation ${JSON.stringify(data.rejectedWithAnnotation)}`) : PASS;
  },
};
