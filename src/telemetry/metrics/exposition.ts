/** Prometheus text and OpenMetrics text from a registry. */
import { HistogramHandle, type Labels, type MetricFamily, type MetricRegistry } from './registry.ts';

/** Content types of the two formats. */
export const PROMETHEUS_TEXT = 'text/plain; version=0.0.4; charset=utf-8';
/** @see https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md */
export const OPEN_METRICS_TEXT = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

export interface ExpositionOptions {
  /** Default `prometheus`. OpenMetrics drops `_total` from family names and ends with `# EOF`. */
  readonly format?: 'prometheus' | 'openmetrics';
  /** False leaves HELP lines out, as Envoy does. Default true. */
  readonly help?: boolean;
  /** Families to print. Default all that have a series. */
  readonly include?: (family: MetricFamily) => boolean;
}

/**
 * Writes every family that has a series.
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export function encodeMetrics(registry: MetricRegistry, options: ExpositionOptions = {}): string {
  const { format = 'prometheus', help = true, include = () => true } = options;
  const lines: string[] = [];
  for (const family of registry.collect()) {
    if (family.size === 0 || !include(family)) continue;
    const name = format === 'openmetrics' && family.kind === 'counter' ? family.name.replace(/_total$/, '') : family.name;
    if (help && family.help) lines.push(`# HELP ${name} ${escapeHelp(family.help)}`);
    lines.push(`# TYPE ${name} ${family.kind}`);
    const sample = format === 'openmetrics' && family.kind === 'counter' ? `${name}_total` : name;
    for (const handle of family.handles()) {
      const labels = encodeLabels(handle.labels);
      if (handle instanceof HistogramHandle) encodeHistogram(name, labels, handle, lines);
      else lines.push(`${sample}${labels && `{${labels}}`} ${formatNumber(handle.value)}`);
    }
  }
  if (format === 'openmetrics') lines.push('# EOF');
  return lines.length ? `${lines.join('\n')}\n` : '';
}

function encodeHistogram(name: string, labels: string, handle: HistogramHandle, lines: string[]): void {
  const prefix = labels && `${labels},`;
  let cumulative = 0;
  handle.bounds.forEach((bound, index) => {
    cumulative += handle.cells[index]!;
    lines.push(`${name}_bucket{${prefix}le="${formatNumber(bound)}"} ${cumulative}`);
  });
  lines.push(`${name}_bucket{${prefix}le="+Inf"} ${handle.count}`, `${name}_sum${labels && `{${labels}}`} ${formatNumber(handle.sum)}`, `${name}_count${labels && `{${labels}}`} ${handle.count}`);
}

/** `a="x",b="y"` with Prometheus' escapes; '' for no labels. */
export function encodeLabels(labels: Labels): string {
  const parts: string[] = [];
  for (const [name, value] of Object.entries(labels)) parts.push(`${name}="${value.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`))}"`);
  return parts.join(',');
}

function escapeHelp(text: string): string {
  return text.replace(/[\\\n]/g, (c) => (c === '\n' ? '\\n' : '\\\\'));
}

function formatNumber(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  return String(value);
}
