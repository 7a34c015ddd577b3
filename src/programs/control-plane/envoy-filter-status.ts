/** What became of every patch of an EnvoyFilter, over all proxies, as conditions of the object. Pure. */
import type { ProxyView } from '../../model/view.ts';
import type { KubeObject } from '../../objects/meta.ts';
import type { StatusUpdate } from '../../resolve/gateway-api/convert.ts';
import { patchReport, type PatchState } from '../../translate/envoy-filter/report.ts';
import type { Quarantined } from './patch-quarantine.ts';

interface PatchTotals {
  readonly applyTo: string;
  readonly counts: Map<PatchState, number>;
  /** First reason of each state. */
  readonly reasons: Map<PatchState, string>;
}

/** Worst first: it is what the condition says. */
const REASONS: readonly (readonly [PatchState, string])[] = [['quarantined', 'Refused'], ['failed', 'Failed'], ['unsupported', 'Unsupported'], ['applied', 'Applied'], ['no-match', 'NoMatch']];
const WORDS: Readonly<Record<PatchState, string>> = { applied: 'applied', 'no-match': 'nothing there matches', unsupported: 'unsupported', failed: 'failed', quarantined: 'left out, because what came of it was refused' };

/**
 * One condition a patch, `ConfigPatches[n]`: True when it is applied somewhere and wrong nowhere; the message counts the proxies. Filters no proxy is
 * selected by say so. Only `EnvoyFilter` objects among `objects` count.
 */
export function envoyFilterStatuses(objects: Iterable<KubeObject>, views: readonly ProxyView[], quarantined: readonly Quarantined[]): readonly (StatusUpdate & { readonly status: Readonly<Record<string, unknown>> })[] {
  const totals = totalsOf(views);
  return [...objects].filter(({ kind, apiVersion }) => kind === 'EnvoyFilter' && apiVersion.startsWith('networking.istio.io/')).map((object) => {
    const name = `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
    const refused = quarantined.filter(({ filter }) => filter === name);
    const patches = [...(totals.get(name) ?? [])];
    const conditions = patches.length > 0 ? patches.map(([path, patch]) => conditionOf(path, patch, refused)) : [unused(refused)];
    return { object, status: { ...statusOf(object), conditions } };
  });
}

function statusOf(object: KubeObject): Readonly<Record<string, unknown>> {
  return (object as { readonly status?: Readonly<Record<string, unknown>> }).status ?? {};
}

/** By filter, by path of the patch. */
function totalsOf(views: readonly ProxyView[]): ReadonlyMap<string, ReadonlyMap<string, PatchTotals>> {
  const totals = new Map<string, Map<string, PatchTotals>>();
  for (const view of views)
    for (const { filter, patch, outcome } of patchReport(view)) {
      const name = `${filter.namespace}/${filter.name}`;
      const patches = totals.get(name) ?? new Map<string, PatchTotals>();
      totals.set(name, patches);
      const total = patches.get(patch.path) ?? { applyTo: patch.applyTo, counts: new Map(), reasons: new Map() };
      patches.set(patch.path, total);
      total.counts.set(outcome.state, (total.counts.get(outcome.state) ?? 0) + 1);
      if (outcome.reason !== '' && !total.reasons.has(outcome.state)) total.reasons.set(outcome.state, outcome.reason);
    }
  return totals;
}

function conditionOf(path: string, { applyTo, counts, reasons }: PatchTotals, refused: readonly Quarantined[]) {
  const [worst = 'no-match', reason = 'NoMatch'] = (refused.length > 0 ? REASONS[0] : REASONS.find(([state]) => counts.has(state))) ?? [];
  const proxies = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const parts = REASONS.flatMap(([state]) => {
    const count = counts.get(state);
    const why = reasons.get(state);
    return count === undefined ? [] : [`${WORDS[state]}: ${count} of ${proxies} ${proxies === 1 ? 'proxy' : 'proxies'}${why ? ` (${why})` : ''}`];
  });
  return { type: `ConfigPatches[${/\d+/.exec(path)?.[0] ?? '0'}]`, status: worst === 'applied' ? 'True' : 'False', reason, message: [`${applyTo} ${parts.join('; ')}`, ...refused.map(refusal)].join('; ') };
}

function unused(refused: readonly Quarantined[]) {
  if (refused.length > 0) return { type: 'ConfigPatches', status: 'False', reason: 'Refused', message: refused.map(refusal).join('; ') };
  return { type: 'ConfigPatches', status: 'False', reason: 'NoProxy', message: 'no connected proxy is selected' };
}

function refusal({ dataPlane, reason }: Quarantined): string {
  return `refused by ${dataPlane.trim() || 'a proxy'}: ${reason}`;
}
