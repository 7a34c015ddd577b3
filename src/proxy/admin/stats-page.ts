/** `/stats` in its formats. */
import { compileRe2 } from '../route/re2.ts';
import { encodeLabels, encodeMetrics } from '../../telemetry/metrics/exposition.ts';
import type { MetricRegistry } from '../../telemetry/metrics/registry.ts';
import type { Stat } from './stat-list.ts';

export interface StatsQuery {
  /** RE2, searched anywhere in the name. */
  readonly filter: string | undefined;
  readonly invert: boolean;
  readonly usedOnly: boolean;
  /** `All`, `Counters` or `Gauges`; any case. */
  readonly type: string;
}

/** Throws RE2's complaint for a bad filter. */
export function selectStats(stats: readonly Stat[], query: StatsQuery): readonly Stat[] {
  const pattern = query.filter ? compileRe2(query.filter) : undefined;
  const kind = /^counters$/i.test(query.type) ? 'counter' : /^gauges$/i.test(query.type) ? 'gauge' : undefined;
  return stats.filter((stat) => (!query.usedOnly || stat.value !== 0) && (kind === undefined || stat.kind === kind) && (pattern === undefined || pattern.matcher(stat.name).find() !== query.invert));
}

/** `name: value` a line. */
export function statsText(stats: readonly Stat[]): string {
  return stats.map(({ name, value }) => `${name}: ${value}\n`).join('');
}

/** `{"stats":[{"name":…,"value":…}]}`. */
export function statsJson(stats: readonly Stat[]): string {
  return JSON.stringify({ stats: stats.map(({ name, value }) => ({ name, value })) });
}

/** Envoy's stats, then the registry's own metrics (Istio's standard metrics). */
export function statsPrometheus(stats: readonly Stat[], registry: MetricRegistry): string {
  const families = new Map<string, { kind: Stat['kind']; lines: string[] }>();
  for (const stat of stats) {
    let family = families.get(stat.metric);
    if (!family) families.set(stat.metric, (family = { kind: stat.kind, lines: [] }));
    family.lines.push(`${stat.metric}{${encodeLabels(Object.fromEntries(stat.labels))}} ${stat.value}`);
  }
  let text = '';
  for (const name of [...families.keys()].sort()) text += `# TYPE ${name} ${families.get(name)!.kind}\n${families.get(name)!.lines.join('\n')}\n`;
  return text + encodeMetrics(registry, { help: false });
}
