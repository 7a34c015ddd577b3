import type { Locality, WorkloadIdentity } from './endpoint.ts';

/** A pod or WorkloadEntry: what policies select and what endpoints are made of. */
export interface Workload {
  readonly kind: 'workload';
  readonly name: string;
  readonly namespace: string;
  readonly address: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  readonly identity: WorkloadIdentity;
  readonly locality: Locality;
  readonly tlsMode: 'istio' | 'disabled';
  /** Container ports by name, for named target ports. */
  readonly containerPorts: ReadonlyMap<string, number>;
  readonly hostname: string;
  readonly subdomain: string;
  readonly ready: boolean;
  readonly network: string;
  /** Weight of a WorkloadEntry; 0 = unset. */
  readonly weight: number;
  /** A WorkloadEntry, not a pod. */
  readonly isEntry: boolean;
  /** `WorkloadEntry.ports`; empty for pods. */
  readonly entryPorts: ReadonlyMap<string, number>;
}

/** True when every selector pair is among the labels; an empty selector matches everything. */
export function selects(selector: Readonly<Record<string, string>>, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(selector).every(([key, value]) => labels[key] === value);
}
