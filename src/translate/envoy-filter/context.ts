import { patchMatchesProxy, type ApplyTo, type EnvoyFilter, type EnvoyPatch, type PatchContext } from '../../model/envoy-filter.ts';
import type { ProxyView } from '../../model/view.ts';
import { note, type PatchState } from './report.ts';
import { patchProblem } from './value.ts';

/** Where a resource stands, in a patch's words. */
export type Place = Exclude<PatchContext, 'ANY' | 'WAYPOINT'>;

/** Patches that are applied together to one resource; the filters that may take part. */
export interface PatchRun {
  readonly view: ProxyView;
  readonly filters: readonly EnvoyFilter[];
  /** Name of the resource, for the report. */
  readonly resource: string;
  readonly outcomes: { readonly patch: EnvoyPatch; readonly state: PatchState; readonly reason: string }[];
}

export function startRun(view: ProxyView, filters: readonly EnvoyFilter[], resource: string): PatchRun {
  return { view, filters, resource, outcomes: [] };
}

export function applied(run: PatchRun, patch: EnvoyPatch): void {
  run.outcomes.push({ patch, state: 'applied', reason: '' });
}

export function failed(run: PatchRun, patch: EnvoyPatch, reason: string): void {
  run.outcomes.push({ patch, state: 'failed', reason });
}

/** The run counts: its outcomes go to the view's report. */
export function settle(run: PatchRun): void {
  for (const { patch, state, reason } of run.outcomes) note(run.view, patch, state, run.resource, reason);
}

/** The patches of a kind that concern this place and this proxy, in order. What cannot be applied anywhere is reported and left out. */
export function patchesFor(run: PatchRun, applyTo: ApplyTo, place: Place): readonly EnvoyPatch[] {
  return run.filters.flatMap((filter) => filter.patches).filter((patch) => {
    if (patch.applyTo !== applyTo || (patch.context !== 'ANY' && patch.context !== place) || !patchMatchesProxy(patch, run.view.proxy)) return false;
    const problem = patchProblem(patch) ?? unsupportedType(run.view, patch);
    if (problem === undefined) return true;
    note(run.view, patch, patch.applyTo === 'BOOTSTRAP' || unsupportedType(run.view, patch) !== undefined ? 'unsupported' : 'failed', '', problem);
    return false;
  });
}

const FILTER_KINDS: ReadonlySet<ApplyTo> = new Set(['HTTP_FILTER', 'NETWORK_FILTER', 'LISTENER_FILTER', 'EXTENSION_CONFIG']);

interface PatchValue {
  readonly typed_config?: { readonly '@type'?: unknown };
  readonly typedConfig?: { readonly '@type'?: unknown };
  readonly config_discovery?: Discovery;
  readonly configDiscovery?: Discovery;
}

/** The config comes by ECDS. */
interface Discovery {
  readonly type_urls?: unknown;
  readonly typeUrls?: unknown;
}

/** A filter the proxy was not built with would make it refuse the whole listener. Proxies that do not say what they have are believed. */
function unsupportedType(view: ProxyView, patch: EnvoyPatch): string | undefined {
  const known = view.proxy.extensionTypes;
  if (!FILTER_KINDS.has(patch.applyTo) || known.length === 0 || patch.operation === 'REMOVE') return undefined;
  const value = patch.value as PatchValue | undefined;
  const discovery = value?.config_discovery ?? value?.configDiscovery;
  const types = [(value?.typed_config ?? value?.typedConfig)?.['@type'], ...(Array.isArray(discovery?.type_urls) ? (discovery.type_urls as unknown[]) : []), ...(Array.isArray(discovery?.typeUrls) ? (discovery.typeUrls as unknown[]) : [])];
  const names = types.flatMap((type) => (typeof type === 'string' ? [type.slice(type.lastIndexOf('/') + 1)] : []));
  return names.length === 0 || names.some((name) => name.endsWith('.TypedStruct') || known.includes(name)) ? undefined : `the proxy has no filter that is configured by ${names.join(' or ')}`;
}

/** Old names of Envoy's own filters count as today's. */
const RENAMED: Readonly<Record<string, string>> = {
  'envoy.http_connection_manager': 'envoy.filters.network.http_connection_manager', 'envoy.tcp_proxy': 'envoy.filters.network.tcp_proxy', 'envoy.router': 'envoy.filters.http.router',
  'envoy.fault': 'envoy.filters.http.fault', 'envoy.cors': 'envoy.filters.http.cors', 'envoy.lua': 'envoy.filters.http.lua',
};

export function sameName(wanted: string, name: string): boolean {
  return wanted === name || (Object.hasOwn(RENAMED, wanted) && RENAMED[wanted] === name);
}
