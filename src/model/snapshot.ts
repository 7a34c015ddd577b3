import type { AuthorizationPolicy } from './authorization-policy.ts';
import type { DestinationRule } from './destination-rule.ts';
import type { Endpoint } from './endpoint.ts';
import type { EnvoyFilter } from './envoy-filter.ts';
import type { Gateway } from './gateway.ts';
import { contentHash } from './hash.ts';
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
  /** Certificates of the CA that are revoked. */
  readonly crl?: string;
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

const traits = new WeakMap<readonly Endpoint[], { listed?: string; inlined?: string }>();

/**
 * The part of a service's endpoints that clusters, listeners and names are made of: of endpoints we list by EDS their identities and whether all have a
 * sidecar, of others everything. When it is the same before and after, an endpoint change needs EDS only.
 */
export function endpointTraits(snapshot: MeshSnapshot, service: Service): string {
  const endpoints = endpointsOf(snapshot, service);
  let known = traits.get(endpoints);
  if (!known) traits.set(endpoints, (known = {}));
  if (service.resolution !== 'static') return (known.inlined ??= contentHash(endpoints));
  return (known.listed ??= listedTraits(endpoints));
}

function listedTraits(endpoints: readonly Endpoint[]): string {
  const accounts = [...new Set(endpoints.map((endpoint) => endpoint.serviceAccount))].sort().join(',');
  return endpoints.every((endpoint) => endpoint.tlsMode === 'istio') ? `${accounts}|mutual` : accounts;
}
