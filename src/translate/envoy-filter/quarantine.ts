import type { EnvoyFilter } from '../../model/envoy-filter.ts';
import type { ProxyView } from '../../model/view.ts';
import { settle, startRun, type PatchRun } from './context.ts';
import { note } from './report.ts';

/**
 * Patches one resource; when what comes out would be refused, the filters are tried one after the other and those that make it invalid are left out of
 * this resource (all their patches) and named in the report. `make` starts from a fresh copy each time; undefined from it means "removed".
 */
export function unfitFilters<T>(view: ProxyView, resource: string, make: (run: PatchRun) => T | undefined, problemOf: (made: T) => string | undefined): T | undefined {
  const all = startRun(view, view.envoyFilters, resource);
  const made = make(all);
  if (made === undefined || problemOf(made) === undefined) {
    settle(all);
    return made;
  }
  let kept: readonly EnvoyFilter[] = [];
  for (const filter of view.envoyFilters) {
    const tried = startRun(view, [...kept, filter], resource);
    const result = make(tried);
    const problem = result === undefined ? undefined : problemOf(result);
    if (problem === undefined) kept = [...kept, filter];
    else for (const patch of filter.patches) if (tried.outcomes.some((outcome) => outcome.patch === patch)) note(view, patch, 'quarantined', resource, `${resource}: ${problem}`);
  }
  const last = startRun(view, kept, resource);
  const result = make(last);
  settle(last);
  return result;
}
