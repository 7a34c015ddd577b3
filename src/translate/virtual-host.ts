import { create } from '@bufbuild/protobuf';
import { RouteSchema, VirtualHostSchema, type Route, type VirtualHost } from '../xds/gen/envoy/config/route/v3/route_components_pb.ts';
import { RouteConfigurationSchema, type RouteConfiguration } from '../xds/gen/envoy/config/route/v3/route_pb.ts';
import type { Service } from '../model/service.ts';
import type { ProxyView } from '../model/view.ts';
import { ALLOW_ANY, ALLOW_ANY_DYNAMIC_DNS, ALLOW_ANY_DYNAMIC_DNS_CLUSTER, BLOCK_ALL, PASSTHROUGH_CLUSTER } from './names.ts';
import { duration } from './proto.ts';

const MAX_DIRECT_RESPONSE_BYTES = 1024 * 1024;

/** A route table with Istio's settings; domains that were taken before are left out, because Envoy refuses the whole table for one duplicate. */
export function routeConfiguration(name: string, virtualHosts: readonly VirtualHost[]): RouteConfiguration {
  const taken = new Set<string>();
  const kept = virtualHosts.flatMap((host) => {
    const domains = unclaimedDomains(host.domains, taken);
    return domains.length > 0 ? [{ ...host, domains }] : [];
  });
  return create(RouteConfigurationSchema, { name, virtualHosts: kept, validateClusters: false, maxDirectResponseBodySizeBytes: MAX_DIRECT_RESPONSE_BYTES, ignorePortInHostMatching: true });
}

/** The domains that no virtual host before claimed (in whatever case); `taken` notes these too. */
export function unclaimedDomains(domains: readonly string[], taken: Set<string>): string[] {
  const lower = domains.map((domain) => domain.toLowerCase());
  const free = domains.filter((_, index) => !taken.has(lower[index]!));
  for (const domain of lower) taken.add(domain);
  return free;
}

export function virtualHost(name: string, domains: readonly string[], routes: readonly Route[]): VirtualHost {
  return create(VirtualHostSchema, { name, domains: [...domains], routes: [...routes], includeRequestAttemptCount: true });
}

/** What happens to hosts the mesh does not know: they pass, are looked up by name, or get 502 under REGISTRY_ONLY. */
export function catchAllVirtualHost(view: ProxyView): VirtualHost {
  if (view.outboundPolicy !== 'REGISTRY_ONLY') {
    const [name, cluster] = view.outboundPolicy === 'ALLOW_ANY' ? [ALLOW_ANY, PASSTHROUGH_CLUSTER] : [ALLOW_ANY_DYNAMIC_DNS, ALLOW_ANY_DYNAMIC_DNS_CLUSTER];
    return virtualHost(name, ['*'], [
      create(RouteSchema, {
        name, match: { pathSpecifier: { case: 'prefix', value: '/' } },
        action: { case: 'route', value: { clusterSpecifier: { case: 'cluster', value: cluster }, timeout: duration(0), maxGrpcTimeout: duration(0) } },
      }),
    ]);
  }
  return virtualHost(BLOCK_ALL, ['*'], [
    create(RouteSchema, { name: BLOCK_ALL, match: { pathSpecifier: { case: 'prefix', value: '/' } }, action: { case: 'directResponse', value: { status: 502 } } }),
  ]);
}

/**
 * All names a caller may use for a service: FQDN (also with a trailing dot), what its own search path makes short, and its addresses.
 * @see features.md §2.1 rule 5
 */
export function domainsOf(view: ProxyView, service: Service): readonly string[] {
  const domains = [service.hostname, `${service.hostname}.`, ...shortNames(view, service)];
  // Pods of a headless service are reached by their own names, short ones as well.
  if (service.headless) domains.push(...domains.map((domain) => `*.${domain}`));
  if (!service.autoAllocated) for (const address of service.addresses) if (!address.includes('/')) domains.push(address.includes(':') ? `[${address}]` : address);
  return service.hostname.startsWith('*') ? [service.hostname] : domains;
}

function shortNames(view: ProxyView, service: Service): readonly string[] {
  const suffix = `.${service.namespace}.svc.${view.snapshot.mesh.domainSuffix}`;
  if (service.registry !== 'Kubernetes' && !service.hostname.endsWith(suffix)) return [];
  if (!service.hostname.endsWith(suffix)) return [];
  const name = service.hostname.slice(0, -suffix.length);
  const qualified = [`${name}.${service.namespace}`, `${name}.${service.namespace}.svc`];
  return service.namespace === view.proxy.namespace ? [name, ...qualified] : qualified;
}
