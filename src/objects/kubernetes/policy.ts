/** Limits that are stored and shown; on one machine nothing enforces most of them. */
import type { KubeObject, LabelSelector, SpecObject } from '../meta.ts';
import { LIMIT_RANGE, NETWORK_POLICY, POD_DISRUPTION_BUDGET, PRIORITY_CLASS, RESOURCE_QUOTA } from '../resource-types.ts';
import { defineKind } from '../schema/define-kind.ts';
import { bool, having, int, int64, intOrString, list, map, obj, oneOf, quantity, req, str, time, type Infer } from '../schema/dsl.ts';
import { conditions, labelSelector } from './meta-schema.ts';

const budgetSpec = obj({ minAvailable: intOrString(), maxUnavailable: intOrString(), selector: having(labelSelector, { 'x-kubernetes-patch-strategy': 'replace' }), unhealthyPodEvictionPolicy: str() });
const budgetStatus = obj({ observedGeneration: int64(), disruptedPods: map(time()), disruptionsAllowed: int(), currentHealthy: int(), desiredHealthy: int(), expectedPods: int(), conditions });

/** How many pods evictions must leave. @see https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/pod-disruption-budget-v1/ */
export type PodDisruptionBudget = SpecObject<Omit<Infer<typeof budgetSpec>, 'selector'> & { readonly selector?: LabelSelector }, Infer<typeof budgetStatus>>;
export const POD_DISRUPTION_BUDGET_KIND = defineKind(POD_DISRUPTION_BUDGET, { shortNames: ['pdb'], status: true, fields: { spec: budgetSpec, status: budgetStatus } });

const peer = obj({ podSelector: labelSelector, namespaceSelector: labelSelector, ipBlock: obj({ cidr: req(str()), except: list(str(), { atomic: true }) }) });
const port = obj({ protocol: having(oneOf('TCP', 'UDP', 'SCTP'), { default: 'TCP' }), port: intOrString(), endPort: int() });
const networkSpec = obj({
  podSelector: labelSelector,
  ingress: list(obj({ ports: list(port, { atomic: true }), from: list(peer, { atomic: true }) }), { atomic: true }),
  egress: list(obj({ ports: list(port, { atomic: true }), to: list(peer, { atomic: true }) }), { atomic: true }),
  policyTypes: list(str(), { atomic: true }),
});
/** Which connections pods may have. @see https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/ */
export type NetworkPolicy = SpecObject<Infer<typeof networkSpec>>;
export const NETWORK_POLICY_KIND = defineKind(NETWORK_POLICY, { shortNames: ['netpol'], fields: { spec: networkSpec } });

const quantities = map(quantity());
const limitSpec = obj({ limits: req(list(obj({ type: req(str()), max: quantities, min: quantities, default: quantities, defaultRequest: quantities, maxLimitRequestRatio: quantities }), { atomic: true })) });
/** Limits of single objects. @see https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/limit-range-v1/ */
export type LimitRange = SpecObject<Infer<typeof limitSpec>>;
export const LIMIT_RANGE_KIND = defineKind(LIMIT_RANGE, { shortNames: ['limits'], fields: { spec: limitSpec } });

const scopeSelector = obj({ matchExpressions: list(obj({ scopeName: req(str()), operator: req(str()), values: list(str(), { atomic: true }) }), { atomic: true }) }, { 'x-kubernetes-map-type': 'atomic' });
const quotaSpec = obj({ hard: quantities, scopes: list(str(), { atomic: true }), scopeSelector });
const quotaStatus = obj({ hard: quantities, used: quantities });
/** Limits of a namespace. @see https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/resource-quota-v1/ */
export type ResourceQuota = SpecObject<Infer<typeof quotaSpec>, Infer<typeof quotaStatus>>;
export const RESOURCE_QUOTA_KIND = defineKind(RESOURCE_QUOTA, { shortNames: ['quota'], status: true, fields: { spec: quotaSpec, status: quotaStatus } });

/** How important pods are. @see https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/priority-class-v1/ */
export interface PriorityClass extends KubeObject {
  readonly value: number;
  readonly globalDefault?: boolean;
}
export const PRIORITY_CLASS_KIND = defineKind(PRIORITY_CLASS, {
  shortNames: ['pc'],
  fields: { value: int(), globalDefault: bool(), description: str(), preemptionPolicy: having(oneOf('PreemptLowerPriority', 'Never'), { default: 'PreemptLowerPriority' }) },
  required: ['value'],
});

