/** Istio's annotations on namespaces, services, pods and deployments: unknown, misplaced, malformed, deprecated, alpha. */
import type { Issue } from '../../base/issue.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { message } from '../message.ts';
import type { ObjectSet } from '../object-set.ts';
import { ANNOTATIONS } from './annotation-table.ts';

const KINDS = ['Namespace', 'Service', 'Pod', 'Deployment'];
const INJECT = 'sidecar.istio.io/inject';

/** Written by Istio itself. */
const OWN: ReadonlySet<string> = new Set(['sidecar.istio.io/status', 'istio.io/rev', 'gateway.istio.io/controller-version']);

/** Set on every pod by the CNI plugin's defaults: nobody wrote them. */
const SET_BY_DEFAULT: ReadonlySet<string> = new Set(['sidecar.istio.io/interceptionMode', 'traffic.sidecar.istio.io/includeInboundPorts', 'traffic.sidecar.istio.io/excludeInboundPorts', 'traffic.sidecar.istio.io/includeOutboundIPRanges']);

export function analyzeAnnotations(set: ObjectSet): readonly Issue[] {
  return annotated(set).flatMap(([object, name, value]) => checkAnnotation(object, name, value));
}

function checkAnnotation(object: KubeObject, name: string, value: string): readonly Issue[] {
  const path = `metadata.annotations["${name}"]`;
  const info = ANNOTATIONS.get(name);
  if (!info) return [message('IST0108', object, path, [name], closestTo(name))];
  const issues: Issue[] = [];
  // Who has the label too knows, and keeps both for older versions.
  if (info.deprecated && !(name === INJECT && object.metadata.labels?.[INJECT] !== undefined))
    issues.push(message('IST0135', object, path, [name, name === INJECT ? ` in favor of the "${INJECT}" label` : ''], name === INJECT ? 'use a label of the same name' : 'remove it'));
  if (info.kinds.includes('Any')) return issues;
  if (!info.kinds.includes(object.kind)) {
    const place = object.kind === 'Deployment' && info.kinds.includes('Pod') ? 'put it under spec.template.metadata.annotations' : `put it on a ${info.kinds.join(' or ')}`;
    return [...issues, message('IST0107', object, path, [name, info.kinds.join(', ')], place)];
  }
  const problem = info.check?.(value);
  return problem === undefined ? issues : [...issues, message('IST0125', object, path, [name, problem], 'correct the value, or remove the annotation')];
}

/** Not among the analyzers that run by default: too many annotations that everybody uses are alpha. */
export function analyzeAlphaAnnotations(set: ObjectSet): readonly Issue[] {
  return annotated(set)
    .filter(([object, name]) => ANNOTATIONS.get(name)?.alpha && !OWN.has(name) && !(SET_BY_DEFAULT.has(name) && isPodOfCni(object)))
    .map(([object, name]) => message('IST0136', object, `metadata.annotations["${name}"]`, [name], 'read the release notes before you rely on it'));
}

/** Every annotation that is Istio's. */
function annotated(set: ObjectSet): readonly (readonly [KubeObject, string, string])[] {
  return KINDS.flatMap((kind) => set.of(kind)).flatMap((object) =>
    Object.entries(object.metadata.annotations ?? {}).filter(([name]) => name === 'kubernetes.io/ingress.class' || name.split('/')[0]!.endsWith('istio.io')).map(([name, value]) => [object, name, String(value)] as const));
}

function isPodOfCni(object: KubeObject): boolean {
  return object.kind === 'Pod' && !((object as Pod).spec.initContainers ?? []).some(({ name }) => name === 'istio-init');
}

/** A known annotation of the same prefix that starts alike. */
function closestTo(name: string): string {
  const [prefix = '', own = ''] = name.split('/');
  const near = [...ANNOTATIONS.keys()].find((known) => known.startsWith(`${prefix}/`) && known.slice(prefix.length + 1, prefix.length + 4).toLowerCase() === own.slice(0, 3).toLowerCase());
  return near === undefined ? 'remove it' : `did you mean ${near}?`;
}
