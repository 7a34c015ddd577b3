import { selects } from './workload.ts';

/** An object a policy is attached to instead of selecting workloads by label. */
export interface TargetReference {
  readonly group: string;
  readonly kind: string;
  readonly name: string;
}

/** What security policies have in common: where they hold. */
export interface TargetedPolicy {
  readonly name: string;
  readonly namespace: string;
  /** Undefined = every workload of the namespace (of the mesh, in the root namespace). */
  readonly selector: Readonly<Record<string, string>> | undefined;
  readonly targets: readonly TargetReference[];
}

/** Label of pods that a Kubernetes Gateway object owns. */
const GATEWAY_NAME_LABEL = 'gateway.networking.k8s.io/gateway-name';

/** A workload as policies see it. */
export interface PolicySubject {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * True when the policy holds for the workload: it is in its namespace or in the root namespace, and selects it. A policy with targets holds only for the
 * gateways it names; Services and GatewayClasses are targets of waypoints, which are no part of this mesh.
 * @see https://istio.io/latest/docs/reference/config/type/workload-selector/#PolicyTargetReference
 */
export function policyApplies(policy: TargetedPolicy, subject: PolicySubject, rootNamespace: string): boolean {
  if (policy.namespace !== subject.namespace && policy.namespace !== rootNamespace) return false;
  if (policy.targets.length > 0) {
    const gateway = subject.labels[GATEWAY_NAME_LABEL];
    return policy.namespace === subject.namespace && policy.targets.some((target) => target.kind === 'Gateway' && target.group === 'gateway.networking.k8s.io' && target.name === gateway);
  }
  return policy.selector === undefined || selects(policy.selector, subject.labels);
}
