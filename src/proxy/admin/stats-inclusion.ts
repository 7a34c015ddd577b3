/** Which of Envoy's stats the Prometheus pages show: Istio's list and what the workload adds. */
import { compileRe2 } from '../route/re2.ts';

export interface StatsInclusion {
  readonly prefixes: readonly string[];
  readonly suffixes: readonly string[];
  /** Whole names. */
  readonly regexps: readonly ((name: string) => boolean)[];
}

/**
 * What Istio tells Envoy to keep when nobody asks for more.
 * @see https://istio.io/latest/docs/ops/configuration/telemetry/envoy-stats/
 */
export const ISTIO_INCLUSION: StatsInclusion = {
  prefixes: ['cluster_manager', 'listener_manager', 'server', 'cluster.xds-grpc', 'wasm', 'control_plane'],
  suffixes: ['rbac.allowed', 'rbac.denied', 'shadow_allowed', 'shadow_denied', 'downstream_cx_active'],
  regexps: [(name) => /vhost\..*\.route\..*/.test(name)],
};

/** True when the inclusion names the stat. */
export function isIncluded(name: string, inclusion: StatsInclusion): boolean {
  return inclusion.prefixes.some((prefix) => name.startsWith(prefix)) || inclusion.suffixes.some((suffix) => name.endsWith(suffix)) || inclusion.regexps.some((matches) => matches(name));
}

/**
 * Istio's list with what node metadata adds: `PROXY_CONFIG.proxyStatsMatcher`, or the older annotations `sidecar.istio.io/statsInclusion*` (comma lists), which win.
 * A regex that RE2 refuses adds nothing.
 */
export function inclusionOf(metadata: Readonly<Record<string, unknown>>): StatsInclusion {
  const matcher = own(own(metadata, 'PROXY_CONFIG'), 'proxyStatsMatcher');
  const annotations = own(metadata, 'ANNOTATIONS');
  const added = (annotation: string, field: string): readonly string[] => {
    const list = own(annotations, `sidecar.istio.io/statsInclusion${annotation}`);
    if (typeof list === 'string') return list.split(',').map((one) => one.trim()).filter(Boolean);
    const given = own(matcher, field);
    return Array.isArray(given) ? given.filter((one): one is string => typeof one === 'string') : [];
  };
  return {
    prefixes: [...ISTIO_INCLUSION.prefixes, ...added('Prefixes', 'inclusionPrefixes')],
    suffixes: [...ISTIO_INCLUSION.suffixes, ...added('Suffixes', 'inclusionSuffixes')],
    regexps: [...ISTIO_INCLUSION.regexps, ...added('Regexps', 'inclusionRegexps').flatMap(compile)],
  };
}

function compile(pattern: string): readonly ((name: string) => boolean)[] {
  try {
    const compiled = compileRe2(pattern);
    return [(name) => compiled.testExact(name)];
  } catch {
    return [];
  }
}

function own(value: unknown, key: string): unknown {
  return value !== null && typeof value === 'object' && Object.hasOwn(value, key) ? (value as Readonly<Record<string, unknown>>)[key] : undefined;
}
