import type { SpecObject } from '../meta.ts';
import { NAMESPACE } from '../resource-types.ts';
import { AGE, defineKind } from '../schema/define-kind.ts';
import { list, obj, str, type Infer } from '../schema/dsl.ts';
import { conditions } from './meta-schema.ts';

const spec = obj({ finalizers: list(str(), { atomic: true }) });
const status = obj({ phase: str(), conditions });

/** A namespace. @see https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/namespace-v1/ */
export type Namespace = SpecObject<Infer<typeof spec>, Infer<typeof status>>;

export const NAMESPACE_KIND = defineKind(NAMESPACE, {
  shortNames: ['ns'],
  status: true,
  columns: [{ name: 'Status', type: 'string', jsonPath: '.status.phase' }, AGE],
  fields: { spec, status },
});
