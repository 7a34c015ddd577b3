import type { EnvoyFilter, EnvoyPatch } from '../../model/envoy-filter.ts';
import type { ProxyView } from '../../model/view.ts';

/**
 * What became of a patch at one proxy. `no-match`: nothing there is what it asks for; `unsupported`: the proxy has no such filter, or we cannot patch
 * this; `failed`: the value is wrong, or what came out would be refused (`quarantined` filters leave the resource as it was).
 */
export type PatchState = 'applied' | 'no-match' | 'unsupported' | 'failed' | 'quarantined';

export interface PatchOutcome {
  readonly state: PatchState;
  /** '' when it went well. */
  readonly reason: string;
  /** Names of resources it changed. */
  readonly resources: readonly string[];
}

/** The worst wins: a patch that failed anywhere is to be looked at. */
const RANK: Readonly<Record<PatchState, number>> = { 'no-match': 0, applied: 1, unsupported: 2, failed: 3, quarantined: 4 };

/** Outcomes by patch, as `origin#path`. Views that get the same resources share one. */
export type PatchReport = Map<string, { state: PatchState; reason: string; readonly resources: Set<string> }>;

const reports = new WeakMap<ProxyView, PatchReport>();

/** Lets the outcomes of this view go into a report that outlives it. */
export function shareReport(view: ProxyView, report: PatchReport): void {
  reports.set(view, report);
}

function keyOf(patch: EnvoyPatch): string {
  return `${patch.origin}#${patch.path}`;
}

/** Remembers an outcome for the view; called by the patchers. */
export function note(view: ProxyView, patch: EnvoyPatch, state: PatchState, resource: string, reason = ''): void {
  let report = reports.get(view);
  if (!report) reports.set(view, (report = new Map()));
  const known = report.get(keyOf(patch)) ?? { state: 'no-match' as PatchState, reason: '', resources: new Set<string>() };
  if (RANK[state] > RANK[known.state]) {
    known.state = state;
    known.reason = reason;
  }
  if (state === 'applied' && resource !== '') known.resources.add(resource);
  report.set(keyOf(patch), known);
}

/** What became of every patch of the view, as far as its resources were made. */
export function patchReport(view: ProxyView): readonly { readonly filter: EnvoyFilter; readonly patch: EnvoyPatch; readonly outcome: PatchOutcome }[] {
  const report = reports.get(view);
  return view.envoyFilters.flatMap((filter) => filter.patches.map((patch) => {
    const known = report?.get(keyOf(patch));
    return { filter, patch, outcome: known ? { state: known.state, reason: known.reason, resources: [...known.resources] } : { state: 'no-match' as const, reason: '', resources: [] } };
  }));
}
