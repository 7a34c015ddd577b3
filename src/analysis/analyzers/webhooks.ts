/** Injection webhooks that overlap or lead nowhere, and those of a control plane outside the cluster. */
import type { Issue } from '../../base/issue.ts';
import type { MutatingWebhook, MutatingWebhookConfiguration, ValidatingWebhookConfiguration } from '../../objects/kubernetes/webhook-configuration.ts';
import { message } from '../message.ts';
import type { ObjectSet } from '../object-set.ts';
import { matchesSelector } from '../selector.ts';
import { isIpv4, isIpv6 } from './annotation-table.ts';

type Labels = Readonly<Record<string, string>>;

interface Hook {
  readonly configuration: MutatingWebhookConfiguration;
  readonly hook: MutatingWebhook;
  readonly index: number;
}

const REVISION = 'istio.io/rev';
const NAMESPACE_LABELS: readonly Labels[] = [{}, { 'istio-injection': 'enabled' }, { 'istio-injection': 'disabled' }];
const POD_LABELS: readonly Labels[] = [{}, { 'sidecar.istio.io/inject': 'true' }, { 'sidecar.istio.io/inject': 'false' }];

export function analyzeWebhooks(set: ObjectSet): readonly Issue[] {
  const configurations = set.of<MutatingWebhookConfiguration>('MutatingWebhookConfiguration').filter((one) => revisionsOf(one).size > 0 || (one.webhooks ?? []).some(({ name }) => name.endsWith('istio.io')));
  const hooks = configurations.flatMap((configuration) => (configuration.webhooks ?? []).map((hook, index) => ({ configuration, hook, index })));
  const revisions = new Set(configurations.flatMap((one) => [...revisionsOf(one)]));
  return [...overlaps(hooks, [...revisions]), ...missingServices(set, hooks)];
}

/** Every namespace and pod must be injected by at most one webhook, whatever labels it has. */
function overlaps(hooks: readonly Hook[], revisions: readonly string[]): readonly Issue[] {
  const withRevisions = (base: readonly Labels[]) => [...base, ...revisions.flatMap((revision) => base.map((labels) => ({ ...labels, [REVISION]: revision })))];
  const issues: Issue[] = [];
  for (const namespace of withRevisions(NAMESPACE_LABELS))
    for (const pod of withRevisions(POD_LABELS)) {
      const matching = hooks.filter(({ hook }) => matchesSelector(hook.namespaceSelector, namespace) && matchesSelector(hook.objectSelector, pod));
      if (matching.length < 2) continue;
      for (const one of matching) {
        const others = matching.filter((other) => other !== one).map(nameOf);
        issues.push(message('IST0139', one.configuration, `webhooks[${one.index}].namespaceSelector`, [`Webhook overlaps with others: [${others.join(' ')}]. This may cause injection to occur twice.`], 'remove one of them, or narrow its selectors'));
      }
    }
  return issues;
}

function missingServices(set: ObjectSet, hooks: readonly Hook[]): readonly Issue[] {
  return hooks.flatMap(({ configuration, hook, index }) => {
    const service = hook.clientConfig?.service;
    if (!service || set.has('Service', service.namespace, service.name)) return [];
    return [message('IST0139', configuration, `webhooks[${index}].clientConfig.service`, [`Injector refers to a control plane service that does not exist: ${service.namespace}/${service.name}.`], 'install the control plane of this revision, or delete the webhook')];
  });
}

function nameOf({ configuration, hook }: Hook): string {
  return `${configuration.metadata.name}/${hook.name}`;
}

function revisionsOf({ metadata, webhooks }: MutatingWebhookConfiguration): ReadonlySet<string> {
  const selectors = (webhooks ?? []).flatMap(({ namespaceSelector, objectSelector }) => [namespaceSelector, objectSelector]);
  const named = selectors.flatMap((selector) => [
    ...(selector?.matchLabels?.[REVISION] === undefined ? [] : [selector.matchLabels[REVISION]]),
    ...(selector?.matchExpressions ?? []).filter(({ key }) => key === REVISION).flatMap(({ values }) => values ?? []),
  ]);
  return new Set([...(metadata.labels?.[REVISION] === undefined ? [] : [metadata.labels[REVISION]]), ...named]);
}

/**
 * Webhooks of an istiod outside the cluster need an address. Names are not looked up here (analyzers have no network): a name that does not resolve is
 * told by the API server's own log.
 */
export function analyzeExternalControlPlane(set: ObjectSet): readonly Issue[] {
  const validating = set.of<ValidatingWebhookConfiguration>('ValidatingWebhookConfiguration').filter(({ metadata }) => metadata.name === 'istiod-default-validator' || metadata.name.startsWith('istio-validator'));
  const mutating = set.of<MutatingWebhookConfiguration>('MutatingWebhookConfiguration').filter(({ metadata }) => metadata.name.startsWith('istio-sidecar-injector'));
  return [...validating, ...mutating].flatMap((configuration) => (configuration.webhooks ?? []).flatMap(({ name, clientConfig }, index) => {
    const at = `webhooks[${index}].clientConfig.url`;
    const url = clientConfig?.url ?? '';
    if (url === '') return clientConfig?.service ? [] : [message('IST0163', configuration, at, ['', name, 'is blank'], 'set url, or service for a control plane in this cluster')];
    const host = hostOf(url);
    if (host === undefined) return [message('IST0163', configuration, at, [url, name, 'was provided in an invalid format'], 'write https://host:port/path')];
    return isIpv4(host) || isIpv6(host) ? [message('IST0164', configuration, at, [url, name], 'use a DNS name')] : [];
  }));
}

/** The host of a URL without port and brackets; undefined when it is none. */
function hostOf(url: string): string | undefined {
  const match = /^[a-z][a-z0-9+.-]*:\/\/(?:[^/@]*@)?(\[[0-9a-fA-F:.]+\]|[^/:?#[\]\s%]+)(?::\d*)?(?:[/?#]\S*)?$/i.exec(url);
  return match?.[1]?.replace(/^\[|\]$/g, '');
}
