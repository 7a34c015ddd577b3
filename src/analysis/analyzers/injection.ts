/** Namespaces without an injection label, namespaces with too many, pods that missed their sidecar. */
import type { Issue } from '../../base/issue.ts';
import type { Namespace } from '../../objects/kubernetes/namespace.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import type { ObjectSet } from '../object-set.ts';
import { fullName, message } from '../message.ts';
import { injectorValues } from './injection-images.ts';

const INJECTION = 'istio-injection';
const REVISION = 'istio.io/rev';
const MODE = 'istio.io/dataplane-mode';

export function analyzeInjection(set: ObjectSet): readonly Issue[] {
  const issues: Issue[] = [];
  const injected = new Set<string>();
  for (const namespace of set.of<Namespace>('Namespace')) {
    const { name, labels = {} } = namespace.metadata;
    if (set.isIgnored(name) || name === set.istioNamespace) continue;
    if (labels[INJECTION] === 'disabled') continue;
    const given = [labels[INJECTION] && INJECTION, labels[REVISION] && REVISION, labels[MODE] === 'ambient' && MODE].filter((label): label is string => typeof label === 'string' && label !== '');
    if (given.length > 1) issues.push(message('IST0123', namespace, 'metadata.labels', [given], `keep one of ${given.join(', ')}`));
    else if (given.length === 0 && injectorValues(set, undefined)?.sidecarInjectorWebhook?.enableNamespacesByDefault) issues.push(message('IST0148', namespace, 'metadata.labels', [], `kubectl label namespace ${name} istio-injection=enabled to say so`));
    else if (given.length === 0) issues.push(message('IST0102', namespace, 'metadata.labels', [name, name], `kubectl label namespace ${name} istio-injection=enabled`));
    if (labels[INJECTION] === 'enabled' || labels[REVISION]) injected.add(name);
  }
  for (const pod of set.of<Pod>('Pod')) {
    if (!injected.has(pod.metadata.namespace ?? 'default') || pod.spec.hostNetwork || pod.metadata.deletionTimestamp !== undefined) continue;
    const wish = pod.metadata.labels?.['sidecar.istio.io/inject'] ?? pod.metadata.annotations?.['sidecar.istio.io/inject'];
    if (wish?.toLowerCase() === 'false' || hasProxy(pod)) continue;
    issues.push(message('IST0103', pod, 'spec.containers', [fullName(pod)], `kubectl delete pod ${pod.metadata.name} -n ${pod.metadata.namespace ?? 'default'}, so that its owner makes it again`));
  }
  return issues;
}

function hasProxy(pod: Pod): boolean {
  return [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].some((container) => container.name === 'istio-proxy');
}
