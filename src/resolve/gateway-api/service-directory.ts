/** What a Gateway must know of the Services that lead to it. */
import type { Endpoint } from '../../model/endpoint.ts';
import type { Service } from '../../model/service.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { namespaceOf } from '../context.ts';

/** A Service as a way into a gateway. */
export interface GatewayService {
  readonly ports: readonly number[];
  /** Service port → ports its ready endpoints listen on; ports without any are missing. */
  readonly endpointPorts: ReadonlyMap<number, readonly number[]>;
  /** Addresses inside the cluster. */
  readonly addresses: readonly string[];
  /** Addresses the world reaches it by. */
  readonly externalAddresses: readonly string[];
  /** Somebody will give it an external address. */
  readonly loadBalancer: boolean;
  /** Made by a Gateway's deployment: a port without endpoints only waits for its pods. */
  readonly managed: boolean;
}

export interface ServiceDirectory {
  readonly find: (hostname: string, namespace: string) => GatewayService | undefined;
  /** Namespaces that have a service of this host name. */
  readonly namespacesOf: (hostname: string) => readonly string[];
}

interface KubernetesService extends KubeObject {
  readonly spec?: { readonly type?: unknown; readonly externalIPs?: unknown };
  readonly status?: { readonly loadBalancer?: { readonly ingress?: unknown } };
}

const MANAGED_LABEL = 'gateway.istio.io/managed';

/** The directory of a resolved mesh; the objects of kind Service say what the model does not keep: external addresses. */
export function serviceDirectory(services: readonly Service[], endpoints: ReadonlyMap<string, readonly Endpoint[]>, objects: readonly KubeObject[]): ServiceDirectory {
  const byKey = new Map(services.map((service) => [service.key, service]));
  const objectByName = new Map(objects.map((object) => [`${namespaceOf(object)}/${object.metadata.name}`, object as KubernetesService]));
  const namespaces = new Map<string, string[]>();
  for (const { hostname, namespace } of services) namespaces.set(hostname, [...(namespaces.get(hostname) ?? []), namespace]);
  return {
    namespacesOf: (hostname) => namespaces.get(hostname) ?? [],
    find: (hostname, namespace) => {
      const service = byKey.get(`${namespace}/${hostname}`);
      if (!service) return undefined;
      const object = service.registry === 'Kubernetes' ? objectByName.get(`${service.namespace}/${service.name}`) : undefined;
      const endpointPorts = new Map<number, readonly number[]>();
      for (const port of service.ports) {
        const own = (endpoints.get(service.key) ?? []).filter((endpoint) => endpoint.portName === port.name && endpoint.health === 'healthy').map((endpoint) => endpoint.port);
        if (own.length > 0) endpointPorts.set(port.number, own);
      }
      return {
        ports: service.ports.map(({ number }) => number), endpointPorts, addresses: service.addresses, externalAddresses: externalAddressesOf(object),
        loadBalancer: object?.spec?.type === 'LoadBalancer', managed: service.labels[MANAGED_LABEL] !== undefined,
      };
    },
  };
}

/** Load balancer addresses (an address before a name) and external IPs of a Service object. */
export function externalAddressesOf(object: KubernetesService | undefined): readonly string[] {
  const texts = (value: unknown): readonly unknown[] => (Array.isArray(value) ? (value as unknown[]) : []);
  const ingress = texts(object?.status?.loadBalancer?.ingress).map((entry) => {
    const { ip, hostname } = (entry ?? {}) as { readonly ip?: unknown; readonly hostname?: unknown };
    return ip || hostname;
  });
  return [...ingress, ...texts(object?.spec?.externalIPs)].filter((text): text is string => typeof text === 'string' && text !== '');
}
