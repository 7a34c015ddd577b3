/** Label selectors as analyzers need them: what they match and how Istio's texts write them. */
import type { LabelSelector } from '../objects/meta.ts';

type Labels = Readonly<Record<string, string>>;

/** Every label of the selector is there; an empty selector matches everything. */
export function hasLabels(labels: Labels | undefined, wanted: Labels | undefined): boolean {
  return Object.entries(wanted ?? {}).every(([key, value]) => labels !== undefined && Object.hasOwn(labels, key) && labels[key] === value);
}

/** `a=b,c=d`, sorted by key. */
export function selectorText(selector: Labels | undefined): string {
  return Object.entries(selector ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => `${key}=${value}`).join(',');
}

/** A Kubernetes selector with expressions; an absent one matches everything. */
export function matchesSelector(selector: LabelSelector | undefined, labels: Labels): boolean {
  if (!selector) return true;
  return hasLabels(labels, selector.matchLabels) && (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
    switch (operator) {
      case 'In': return value !== undefined && values.includes(value);
      case 'NotIn': return value === undefined || !values.includes(value);
      case 'Exists': return value !== undefined;
      case 'DoesNotExist': return value === undefined;
      default: return false;
    }
  });
}
