import type { Issue } from '../../base/issue.ts';
import type { EnvoyFilter } from '../../model/envoy-filter.ts';
import { patchProblem, unknownFieldProblem } from './value.ts';

/** What is wrong with the patches of EnvoyFilters whatever proxy they meet: values that are no messages of Envoy, and fields that are left out. */
export function envoyFilterIssues(filters: readonly EnvoyFilter[]): readonly Issue[] {
  return filters.flatMap((filter) => filter.patches.flatMap((patch): Issue[] => {
    const object = { apiVersion: 'networking.istio.io/v1alpha3', kind: 'EnvoyFilter', namespace: filter.namespace, name: filter.name };
    const path = `${patch.path}.patch.value`;
    if (patch.applyTo === 'BOOTSTRAP') return [{ severity: 'warning', code: 'MLT0005', object, path: `${patch.path}.applyTo`, message: 'BOOTSTRAP is not supported yet: the patch is not applied.' }];
    const problem = patchProblem(patch);
    if (problem !== undefined) return [{ severity: 'error', code: 'MLT0007', object, path, message: `The value is no ${patch.applyTo} of Envoy: ${problem}.` }];
    const unknown = unknownFieldProblem(patch);
    return unknown === undefined ? [] : [{ severity: 'warning', code: 'MLT0008', object, path, message: `A field is not known to Envoy and is left out: ${unknown}.` }];
  }));
}
