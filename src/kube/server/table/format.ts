/** Texts of table cells, as kubectl's server-side printers write them. */
import { at, isObject, listAt, textAt } from '../json.ts';

/** What a cell shows that has nothing to show. */
export const NONE = '<none>';

/**
 * A duration as kubectl shows ages: `45s`, `3m20s`, `5h`, `2d3h`, `400d`.
 * @see https://pkg.go.dev/k8s.io/apimachinery/pkg/util/duration#HumanDuration
 */
export function humanDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < -1) return '<invalid>';
  if (seconds < 0) return '0s';
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  const pair = (big: number, bigUnit: string, small: number, smallUnit: string): string => (small === 0 ? `${big}${bigUnit}` : `${big}${bigUnit}${small}${smallUnit}`);
  if (minutes < 10) return pair(minutes, 'm', seconds % 60, 's');
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return pair(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (hours < 192) return pair(days, 'd', hours % 24, 'h');
  if (days < 730) return `${days}d`;
  const years = Math.floor(days / 365);
  return days < 2920 ? pair(years, 'y', days % 365, 'd') : `${years}y`;
}

/** Time since a timestamp; `<unknown>` without one. */
export function since(time: unknown, nowMs: number): string {
  if (typeof time !== 'string' || time === '') return '<unknown>';
  const ms = Date.parse(time);
  return Number.isNaN(ms) ? '<invalid>' : humanDuration(nowMs - ms);
}

/** The AGE cell. */
export function age(object: unknown, nowMs: number): string {
  return since(at(object, 'metadata', 'creationTimestamp'), nowMs);
}

/** `a=b,c=d`, or `<none>`. */
export function formatLabels(labels: unknown): string {
  const text = isObject(labels) ? Object.keys(labels).sort().map((key) => `${key}=${String(labels[key])}`).join(',') : '';
  return text || NONE;
}

/** A label selector as one text. */
export function formatSelector(selector: unknown): string {
  if (!isObject(selector)) return NONE;
  const labels = at(selector, 'matchLabels');
  const parts = isObject(labels) ? Object.keys(labels).sort().map((key) => `${key}=${String(labels[key])}`) : [];
  for (const expression of listAt(selector, 'matchExpressions')) {
    const key = textAt(expression, 'key');
    const values = listAt(expression, 'values').join(',');
    const operator = textAt(expression, 'operator');
    parts.push(operator === 'Exists' ? key : operator === 'DoesNotExist' ? `!${key}` : `${key} ${operator.toLowerCase()} (${values})`);
  }
  return parts.join(',') || NONE;
}

/** The first few of a list, and how many more there are. */
export function firstFew(items: readonly string[], max: number, whenEmpty: string): string {
  if (items.length === 0) return whenEmpty;
  const more = items.length - max;
  return items.slice(0, max).join(',') + (more > 0 ? ` + ${more} more...` : '');
}

/** Container names and images of a pod spec. */
export function containersAndImages(podSpec: unknown): [string, string] {
  const containers = listAt(podSpec, 'containers');
  return [containers.map((one) => textAt(one, 'name')).join(','), containers.map((one) => textAt(one, 'image')).join(',')];
}
