import type { Protocol } from './protocol.ts';
import type { Visibility } from './visibility.ts';

export interface ServicePort {
  readonly name: string;
  readonly number: number;
  readonly protocol: Protocol;
  /** Where pods listen: a number, or a container port's name. Equal to `number` when nothing is said. */
  readonly targetPort: number | string;
}

/**
 * How endpoints are found. `static`: we list them (EDS). `dns`/`dns-round-robin`: the proxy resolves them. `passthrough`: the caller chose the
 * address (headless, ServiceEntry NONE). `alias`: another service by another name. `dynamic-dns`: resolved per request.
 */
export type Resolution = 'static' | 'dns' | 'dns-round-robin' | 'passthrough' | 'alias' | 'dynamic-dns';

/** One service of the mesh, from a Kubernetes Service or one host of a ServiceEntry. */
export interface Service {
  readonly kind: 'service';
  /** `namespace/hostname`: unique; the key of the endpoints map. */
  readonly key: string;
  readonly hostname: string;
  readonly name: string;
  readonly namespace: string;
  readonly registry: 'Kubernetes' | 'External';
  readonly resolution: Resolution;
  /** Addresses that callers connect to: ClusterIPs, ServiceEntry addresses (also CIDRs), allocated ones. Empty = none. */
  readonly addresses: readonly string[];
  /** Addresses were allocated for DNS capture only: they are no part of virtual host domains written by the user. */
  readonly autoAllocated: boolean;
  readonly ports: readonly ServicePort[];
  /** MESH_EXTERNAL: no auto mTLS, passthrough telemetry. */
  readonly meshExternal: boolean;
  readonly headless: boolean;
  /** ExternalName target when resolution is `alias`. */
  readonly aliasOf: string | undefined;
  readonly visibility: Visibility;
  /** Exact SANs (or SPIFFE ids) that servers of this service may present. */
  readonly subjectAltNames: readonly string[];
  /** Pods (or WorkloadEntries) of the namespace that make it up; empty = none are selected. */
  readonly selector: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  /** Unix ms; 0 when unknown. */
  readonly createdMs: number;
  readonly publishNotReady: boolean;
  /** Traffic distribution: prefer endpoints near the caller. */
  readonly preferClose: boolean;
  /** Content hash of everything above. */
  readonly digest: string;
}

export function portByNumber(service: Service, number: number): ServicePort | undefined {
  return service.ports.find((port) => port.number === number);
}

/** Label of services whose sessions stay with a draining endpoint. @see features.md §2.17 (labels) */
const SESSION_LABELS = ['istio.io/persistent-session', 'istio.io/persistent-session-header'];

/** True when clients of a service may have a session that must end where it began. */
export function hasPersistentSessions(service: Pick<Service, 'labels'>): boolean {
  return SESSION_LABELS.some((label) => (service.labels[label] ?? '') !== '');
}

/** Has an address callers can be told apart by, so TCP can have a listener of its own. */
export function hasAddress(service: Service): boolean {
  return service.addresses.length > 0;
}
