import type { TargetReference } from '../model/policy-target.ts';
import type { Cursor } from './cursor.ts';

/** `selector`, `targetRef` and `targetRefs` of a policy. */
export function readTargeting(spec: Cursor): { readonly selector: Readonly<Record<string, string>> | undefined; readonly targets: readonly TargetReference[] } {
  const labels = spec.at('selector').at('matchLabels');
  const references = [...(spec.at('targetRef').exists ? [spec.at('targetRef')] : []), ...spec.at('targetRefs').items()];
  return {
    selector: labels.exists && labels.entries().length > 0 ? labels.stringMap() : undefined,
    targets: references.map((reference) => ({ group: reference.at('group').string(), kind: reference.at('kind').string(), name: reference.at('name').string() })),
  };
}
