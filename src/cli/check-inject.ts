/** `x check-inject`: which injection webhook takes a pod, and why the others do not. */
import { matchesSelector } from '../analysis/selector.ts';
import type { MutatingWebhook, MutatingWebhookConfiguration } from '../objects/kubernetes/webhook-configuration.ts';
import type { LabelSelector } from '../objects/meta.ts';
import { formatTable } from './table.ts';

type Labels = Readonly<Record<string, string>>;

export interface InjectionVerdict {
  readonly name: string;
  readonly revision: string;
  readonly injected: boolean;
  readonly reason: string;
}

const INJECTION = 'istio-injection';

/** One verdict per webhook configuration of Istio, by name. */
export function checkInjection(configurations: readonly MutatingWebhookConfiguration[], podLabels: Labels, namespaceLabels: Labels): readonly InjectionVerdict[] {
  return configurations
    .filter(({ webhooks }) => (webhooks ?? []).some(({ name }) => name.endsWith('istio.io')))
    .map(({ metadata, webhooks }) => ({ name: metadata.name, revision: metadata.labels?.['istio.io/rev'] ?? '', ...judge(webhooks ?? [], podLabels, namespaceLabels) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

export function injectionTable(verdicts: readonly InjectionVerdict[]): string {
  if (verdicts.length === 0) return 'ERROR: no Istio injection hooks present.\n';
  const table = formatTable(['WEBHOOK', 'REVISION', 'INJECTED', 'REASON'], verdicts.map(({ name, revision, injected, reason }) => [name, revision, injected ? '✔' : '✘', reason]));
  return verdicts.filter(({ injected }) => injected).length > 1 ? `${table}ERROR: multiple webhooks will inject, which can lead to errors\n` : table;
}

/** The first of a configuration's webhooks that says yes or forbids decides. */
function judge(hooks: readonly MutatingWebhook[], podLabels: Labels, namespaceLabels: Labels): Pick<InjectionVerdict, 'injected' | 'reason'> {
  for (const { namespaceSelector, objectSelector } of hooks) {
    const [namespaceTaken, podTaken] = [matchesSelector(namespaceSelector, namespaceLabels), matchesSelector(objectSelector, podLabels)];
    const [namespaceLabel, podLabel] = [namespaceTaken && namedLabel(namespaceSelector, namespaceLabels), podTaken && namedLabel(objectSelector, podLabels)];
    if (namespaceTaken && podTaken) {
      if (namespaceLabel && podLabel) return { injected: true, reason: `Namespace label ${namespaceLabel} matches, and pod label ${podLabel} matches` };
      if (namespaceLabel) return { injected: true, reason: `Namespace label ${namespaceLabel} matches` };
      if (podLabel) return { injected: true, reason: `Pod label ${podLabel} matches` };
    } else if (namespaceTaken) {
      const forbidding = (objectSelector?.matchExpressions ?? []).find(({ key, operator, values }) => podLabels[key] !== undefined && (operator === 'DoesNotExist' || (operator === 'NotIn' && values?.includes(podLabels[key]))));
      if (forbidding) return { injected: false, reason: `Pod has ${forbidding.key}=${podLabels[forbidding.key]} label, preventing injection` };
    } else if (podTaken && namespaceLabels[INJECTION] !== undefined && namespaceLabels[INJECTION] !== 'enabled') {
      return { injected: false, reason: `Namespace has ${INJECTION}=${namespaceLabels[INJECTION]} label, preventing injection` };
    }
  }
  if (hooks.some(({ namespaceSelector, objectSelector }) => isNever(namespaceSelector) && isNever(objectSelector))) return { injected: false, reason: 'The injection webhook is deactivated, and will never match labels.' };
  const wanted = (selectors: readonly (LabelSelector | undefined)[]) => selectors.flatMap(wantedLabels).join(', ');
  return { injected: false, reason: `No matching namespace labels (${wanted(hooks.map((hook) => hook.namespaceSelector))}) or pod labels (${wanted(hooks.map((hook) => hook.objectSelector))})` };
}

/** The label that an expression of the selector speaks of, as `key=value`. */
function namedLabel(selector: LabelSelector | undefined, labels: Labels): string {
  const found = (selector?.matchExpressions ?? []).find(({ key, operator }) => (operator === 'In' || operator === 'NotIn') && labels[key] !== undefined);
  return found ? `${found.key}=${labels[found.key]}` : '';
}

function wantedLabels(selector: LabelSelector | undefined): readonly string[] {
  return (selector?.matchExpressions ?? []).filter(({ operator }) => operator === 'In').flatMap(({ key, values }) => (values ?? []).map((value) => `${key}=${value}`));
}

/** What an upgrade leaves behind where another revision has become the default. */
function isNever(selector: LabelSelector | undefined): boolean {
  return selector?.matchLabels?.['istio.io/deactivated'] === 'never-match' && Object.keys(selector.matchLabels).length === 1 && !selector.matchExpressions?.length;
}
