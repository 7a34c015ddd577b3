// The validation corpus: one object each, valid or not, by schema or webhook.
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { validateIstioObject } from '../../src/objects/istio/validate.ts';
import type { KubeObject } from '../../src/objects/meta.ts';
import { conformanceCases, readYaml } from './corpus.ts';

interface ValidationCase {
  readonly object: string;
  readonly valid: boolean;
  readonly warning?: boolean;
  readonly rejectedWithAnnotation?: Readonly<Record<string, string>>;
}

const has = (object: KubeObject, severity: string): boolean => validateIstioObject(object).some((issue) => issue.severity === severity);

const cases = conformanceCases<ValidationCase>('validation');
describe.runIf(cases.length > 0)('validation', () => {
  test.each(cases.map((each) => [each.name, each] as const))('%s', (_, { directory, data }) => {
    const object = readYaml<KubeObject>(join(directory, data.object))[0]!;
    expect(has(object, 'error')).toBe(!data.valid);
    if (data.warning !== undefined) expect(has(object, 'warning')).toBe(data.warning);
    if (!data.rejectedWithAnnotation) return;
    const annotations = { ...object.metadata.annotations, ...data.rejectedWithAnnotation };
    expect(has({ ...object, metadata: { ...object.metadata, annotations } }, 'error')).toBe(true);
  });
});
