/** Policies that reach nothing, name namespaces that do not exist, or fetch keys from anywhere. */
import type { Issue } from '../../base/issue.ts';
import type { AuthorizationPolicy } from '../../objects/istio/authorization-policy.ts';
import type { Deployment } from '../../objects/kubernetes/deployment.ts';
import type { Namespace } from '../../objects/kubernetes/namespace.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import { podInMesh, podIsAmbient } from '../in-mesh.ts';
import { fullName, message } from '../message.ts';
import type { ObjectSet } from '../object-set.ts';
import { hasLabels, selectorText } from '../selector.ts';

export function analyzeAuthorizationPolicies(set: ObjectSet): readonly Issue[] {
  const pods = set.of<Pod>('Pod').filter((pod) => podInMesh(set, pod) || podIsAmbient(pod));
  return set.of<AuthorizationPolicy>('AuthorizationPolicy').flatMap((policy) => [...checkWorkloads(set, policy, pods), ...checkNamespaces(set, policy)]);
}

function checkWorkloads(set: ObjectSet, policy: AuthorizationPolicy, pods: readonly Pod[]): readonly Issue[] {
  // Without any pod nothing is known of workloads; a target reference names no pods.
  if (!set.knowsPods || policy.spec.targetRef || policy.spec.targetRefs?.length) return [];
  const namespace = policy.metadata.namespace ?? '';
  const wholeMesh = namespace === set.rootNamespace;
  const { selector } = policy.spec;
  if (wholeMesh && !selector) return [];
  const wanted = selector?.matchLabels;
  if (pods.some((pod) => (wholeMesh || (pod.metadata.namespace ?? '') === namespace) && hasLabels(pod.metadata.labels, wanted))) return [];
  return [message('IST0127', policy, selector ? 'spec.selector.matchLabels' : 'metadata.namespace', [selectorText(wanted)], selector ? 'use labels of pods that are in the mesh' : 'add workloads to the namespace, or remove the policy')];
}

function checkNamespaces(set: ObjectSet, policy: AuthorizationPolicy): readonly Issue[] {
  const known = set.of<Namespace>('Namespace').map(({ metadata }) => metadata.name);
  const issues: Issue[] = [];
  for (const [index, rule] of (policy.spec.rules ?? []).entries())
    for (const [position, { source }] of (rule.from ?? []).entries())
      for (const field of ['namespaces', 'notNamespaces'] as const)
        for (const [at, wanted] of (source?.[field] ?? []).entries())
          if (!known.some((name) => namespaceMatches(wanted, name)))
            issues.push(message('IST0101', policy, `spec.rules[${index}].from[${position}].source.${field}[${at}]`, ['namespace', wanted], 'create the namespace, or correct its name'));
  return issues;
}

/** Exact (in any case), `*`, `prefix*` or `*suffix`. */
function namespaceMatches(pattern: string, name: string): boolean {
  if (pattern === '*') return true;
  if (pattern.startsWith('*')) return name.endsWith(pattern.slice(1));
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name.toLowerCase() === pattern.toLowerCase();
}

const BLOCKED = 'BLOCKED_CIDRS_IN_JWKS_URIS';
const MAX_NAMES = 5;

/** An istiod that fetches keys for RequestAuthentications, and may be made to ask any address. */
export function analyzeBlockedCidrs(set: ObjectSet): readonly Issue[] {
  const names = set.of('RequestAuthentication').map(fullName);
  if (names.length === 0) return [];
  const shown = names.length > MAX_NAMES ? `${names.slice(0, MAX_NAMES).join(', ')}, and ${names.length - MAX_NAMES} more` : names.join(', ');
  return set.of<Deployment>('Deployment')
    .filter(({ metadata }) => metadata.labels?.['app'] === 'istiod')
    .filter(({ spec }) => !spec.template.spec?.containers.some(({ env }) => (env ?? []).some(({ name, value }) => name === BLOCKED && value)))
    .map((istiod) => message('IST0175', istiod, 'spec.template.spec.containers', [names.length, shown], `set the environment variable ${BLOCKED}, e.g. 169.254.0.0/16`));
}
