import type { EnvoyPatch } from '../../model/envoy-filter.ts';
import { applied, type PatchRun } from './context.ts';

/** How list patches find their place. */
export interface ListRules<T> {
  readonly patches: readonly EnvoyPatch[];
  readonly value: (patch: EnvoyPatch) => T | undefined;
  /** Is this the element the patch names? */
  readonly matches: (patch: EnvoyPatch, item: T) => boolean;
  /** Does the patch name an element at all? Without one, before and after mean first and last. */
  readonly names: (patch: EnvoyPatch) => boolean;
  /** Where ADD puts an element; default: the end. */
  readonly addAt?: (list: readonly T[]) => number;
  /** Changes an element in place. */
  readonly merge: (patch: EnvoyPatch, item: T) => void;
}

/**
 * Removes, merges, inserts, replaces and adds: first what is there is removed and merged, then come the new ones, in the order of the patches, so that a
 * patch may stand relative to what an earlier one put in.
 */
export function patchList<T>(run: PatchRun, list: readonly T[], rules: ListRules<T>): T[] {
  const result: T[] = [];
  for (const item of list) {
    let removed = false;
    for (const patch of rules.patches) {
      if (patch.operation !== 'REMOVE' && patch.operation !== 'MERGE' && patch.operation !== 'MERGE_AND_REPLACE_LIST') continue;
      if (!rules.matches(patch, item)) continue;
      if (patch.operation === 'REMOVE') {
        applied(run, patch);
        removed = true;
        break;
      }
      rules.merge(patch, item);
    }
    if (!removed) result.push(item);
  }
  for (const patch of rules.patches) insert(run, result, rules, patch);
  return result;
}

function insert<T>(run: PatchRun, list: T[], rules: ListRules<T>, patch: EnvoyPatch): void {
  const at = positionOf(list, rules, patch);
  const value = at < 0 ? undefined : rules.value(patch);
  if (value === undefined) return;
  applied(run, patch);
  list.splice(at, patch.operation === 'REPLACE' ? 1 : 0, value);
}

/** -1: the patch puts nothing in here. */
function positionOf<T>(list: readonly T[], rules: ListRules<T>, patch: EnvoyPatch): number {
  const found = list.findIndex((item) => rules.matches(patch, item));
  const end = rules.addAt?.(list) ?? list.length;
  switch (patch.operation) {
    case 'ADD': return end;
    case 'INSERT_FIRST': return 0;
    case 'INSERT_BEFORE': return rules.names(patch) ? found : 0;
    case 'INSERT_AFTER': return rules.names(patch) ? (found < 0 ? -1 : found + 1) : end;
    case 'REPLACE': return rules.names(patch) ? found : -1;
    default: return -1;
  }
}
