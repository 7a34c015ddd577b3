/** Parts of rules that HTTPRoute and GRPCRoute share: headers, mirrors, weighted backends. */
import type { BackendObjectReference } from '../../objects/gateway-api/common.ts';
import type { HeaderFilter, MirrorFilter } from '../../objects/gateway-api/http-route.ts';
import { buildDestination, isSoft, type RuleContext } from './backend.ts';
import { joinErrors, type ConfigError } from './condition.ts';

/** A part of an Istio object. */
export type Json = Readonly<Record<string, unknown>>;

/** An Istio route and what is wrong with it; without a route the whole object is left out. */
export type RuleResult = { readonly route: Json; readonly error?: ConfigError | undefined } | { readonly route: undefined; readonly error: ConfigError };

/** Header operations of Istio; the first entry of a name counts. */
export function headerOperations(filter: HeaderFilter): Json {
  const map = (entries: HeaderFilter['set']) => {
    const first = new Map<string, string>();
    for (const { name, value } of entries ?? []) if (!first.has(name.toLowerCase())) first.set(name.toLowerCase(), value);
    return first.size > 0 ? Object.fromEntries(first) : undefined;
  };
  return withoutUndefined({ set: map(filter.set), add: map(filter.add), remove: filter.remove && filter.remove.length > 0 ? filter.remove : undefined });
}

interface ModifierFilter {
  readonly type: string;
  readonly requestHeaderModifier?: HeaderFilter;
  readonly responseHeaderModifier?: HeaderFilter;
  readonly requestMirror?: MirrorFilter;
}

/** `headers` of an Istio route or destination; undefined when no filter touches headers. */
export function headersOf(filters: readonly ModifierFilter[]): Json | undefined {
  const last = <T>(pick: (filter: ModifierFilter) => T | undefined) => filters.map(pick).findLast((found) => found !== undefined);
  const request = last((filter) => (filter.type === 'RequestHeaderModifier' ? filter.requestHeaderModifier : undefined));
  const response = last((filter) => (filter.type === 'ResponseHeaderModifier' ? filter.responseHeaderModifier : undefined));
  if (!request && !response) return undefined;
  return { ...(request && { request: headerOperations(request) }), ...(response && { response: headerOperations(response) }) };
}

/** `mirrors` of an Istio route. A mirror that cannot be found is left out. */
export function mirrorsOf(context: RuleContext, filters: readonly ModifierFilter[]): { readonly mirrors: readonly Json[]; readonly error: ConfigError | undefined } {
  let error: ConfigError | undefined;
  const mirrors = filters.flatMap((filter) => {
    const mirror = filter.type === 'RequestMirror' ? filter.requestMirror : undefined;
    if (!mirror) return [];
    const built = buildDestination(context, mirror.backendRef);
    if (built.error) {
      error = joinErrors(error, built.error);
      return [];
    }
    const percent = mirror.fraction ? (100 * mirror.fraction.numerator) / (mirror.fraction.denominator ?? 100) : mirror.percent;
    return [{ destination: built.destination, ...(percent !== undefined && { percentage: { value: percent } }) }];
  });
  return { mirrors, error };
}

interface WeightedBackend extends BackendObjectReference {
  readonly weight?: number;
  readonly filters?: readonly ModifierFilter[];
}

/** True when no backend gets anything. */
export function isWeightless(backends: readonly WeightedBackend[]): boolean {
  return backends.every(({ weight = 1 }) => weight === 0);
}

/** `route` of an Istio rule: backends with a share. A single one has no weight. */
export function weightedDestinations(context: RuleContext, backends: readonly WeightedBackend[]): { readonly destinations: readonly Json[]; readonly error?: ConfigError | undefined; readonly fatal: boolean } {
  const sharing = backends.filter(({ weight = 1 }) => weight !== 0);
  const destinations: Json[] = [];
  let error: ConfigError | undefined;
  for (const backend of sharing) {
    const built = buildDestination(context, backend);
    if (built.error) {
      if (!isSoft(built.error) || built.destination === undefined) return { destinations: [], error: built.error, fatal: true };
      error = built.error;
    }
    const unsupported = (backend.filters ?? []).find(({ type }) => type !== 'RequestHeaderModifier' && type !== 'ResponseHeaderModifier');
    if (unsupported) return { destinations: [], error: unsupportedFilter(unsupported.type), fatal: true };
    const headers = headersOf(backend.filters ?? []);
    destinations.push({ destination: built.destination, ...(sharing.length > 1 && { weight: backend.weight ?? 1 }), ...(headers && { headers }) });
  }
  return { destinations, error, fatal: false };
}

export function unsupportedFilter(type: string): ConfigError {
  return { reason: 'InvalidFilter', message: `unsupported filter type "${type}"` };
}

/** The same object without members that are undefined. */
export function withoutUndefined(object: Json): Json {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}

/** `exact` or `regex` of Istio. */
export function valueMatch(entry: { readonly type?: string; readonly value: string }): Json {
  return entry.type === 'RegularExpression' ? { regex: entry.value } : { exact: entry.value };
}
