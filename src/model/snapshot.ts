import type { AuthorizationPolicy } from './authorization-policy.ts';
import type { DestinationRule } from './destination-rule.ts';
import type { Endpoint } from './endpoint.ts';
import type { EnvoyFilter } from './envoy-filter.ts';
import type { Gateway } from './gateway.ts';
import type { MeshSettings } from './mesh.ts';
import type { PeerAuthentication } from './peer-authentication.ts';
import type { RequestAuthentication } from './request-authentication.ts';
import type { Service } from './service.ts';
import type { Sidecar } from './sidecar.ts';
import type { VirtualService } from './virtual-service.ts';
import type { Workload } from './workload.ts';

/** A TLS secret a gateway may ask for by name. The material itself stays out of the snapshot's digest. */
export interface CredentialSecret {
  readonly name: string;
  readonly namespace: string;
  /** PEM; '' when the secret has none. */
  readonly certificate: string;
  readonly privateKey: string;
  readonly ca: string;
}

/** Everything the mesh is at one moment, immutable. Lists are sorted oldest first, then by namespace and name. */
export interface MeshSnapshot {
  readonly kind: 'mesh-snapshot';
  readonly mesh: MeshSettings;
  readonly namespaces: ReadonlyMap<string, { readonly name: string; readonly labels: Readonly<Record<string, string>> }>;
  readonly services: readonly Service[];
  /** Service hostname → services of that name (several only when ServiceEntries share a host), oldest first. */
  readonly servicesByHostname: ReadonlyMap<string, readonly Service[]>;
  /** Service key (`namespace/hostname`) → its endpoints. Its own map so that the endpoint fast path replaces only this. */
  readonly endpoints: ReadonlyMap<string, readonly Endpoint[]>;
  /** By address. */
  readonly workloads: ReadonlyMap<string, Workload>;
  readonly virtualServices: readonly VirtualService[];
  readonly destinationRules: readonly DestinationRule[];
  readonly gateways: readonly Gateway[];
  readonly peerAuthentications: readonly PeerAuthentication[];
  readonly requestAuthentications: readonly RequestAuthentication[];
  readonly authorizationPolicies: readonly AuthorizationPolicy[];
  readonly sidecars: readonly Sidecar[];
  readonly envoyFilters: readonly EnvoyFilter[];
  /** `namespace/name` → TLS secret. */
  readonly secrets: ReadonlyMap<string, CredentialSecret>;
}

const NONE: readonly Endpoint[] = [];

export function endpointsOf(snapshot: MeshSnapshot, service: Service): readonly Endpoint[] {
  return snapshot.endpoints.get(service.key) ?? NONE;
}

/** The endpoint fast path: the same mesh with other endpoints for one service. O(services), nothing is resolved again. */
export function withEndpoints(snapshot: MeshSnapshot, serviceKey: string, endpoints: readonly Endpoint[]): MeshSnapshot {
  const map = new Map(snapshot.endpoints);
  map.set(serviceKey, endpoints);
  return { ...snapshot, endpoints: map };
}

/**
 * The part of a service's endpoints that clusters and listeners are made of: identities, whether all speak mTLS, and the addresses of headless ones.
 * When it is the same before and after, an endpoint change needs EDS only.
 */
export function endpointTraits(snapshot: MeshSnapshot, service: Service): string {
  const endpoints = endpointsOf(snapshot, service);
  const accounts = [...new Set(endpoints.map((endpoint) => endpoint.serviceAccount))].sort().join(',');
  if (service.resolution === 'static') return accounts;
  const addresses = [...new Set(endpoints.map((endpoint) => `${endpoint.address}:${endpoint.port}/${endpoint.tlsMode}/${endpoint.hostname}`))].sort().join(',');
  return `${accounts}|${addresses}`;
}
