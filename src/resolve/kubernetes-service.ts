import type { Endpoint } from '../model/endpoint.ts';
import { contentHash } from '../model/hash.ts';
import { selectProtocol } from '../model/protocol.ts';
import { hasPersistentSessions, type Service, type ServicePort } from '../model/service.ts';
import { visibilityOf } from '../model/visibility.ts';
import { selects, type Workload } from '../model/workload.ts';
import type { KubeObject } from '../objects/meta.ts';
import { createdMsOf, namespaceOf, readSpec, type ResolveContext } from './context.ts';
import { Cursor } from './cursor.ts';
import type { Workloads } from './memo.ts';

/** A Kubernetes Service → a service of the mesh, `<name>.<namespace>.svc.<domain>`. */
export function resolveKubernetesService(context: ResolveContext, object: KubeObject): Service | undefined {
  return readSpec(context, object, (spec) => {
    const namespace = namespaceOf(object);
    const hostname = `${object.metadata.name}.${namespace}.svc.${context.mesh.domainSuffix}`;
    const annotations = object.metadata.annotations ?? {};
    const clusterIps = spec.at('clusterIPs').exists ? spec.at('clusterIPs').strings() : [spec.at('clusterIP').string()];
    const headless = clusterIps.includes('None');
    const external = spec.at('type').string() === 'ExternalName';
    const exportTo = (annotations['networking.istio.io/exportTo'] ?? '').split(',').map((entry) => entry.trim()).filter(Boolean);
    const distribution = spec.at('trafficDistribution').string() || (annotations['networking.istio.io/traffic-distribution'] ?? '');
    const body = {
      kind: 'service' as const,
      key: `${namespace}/${hostname}`, hostname, name: object.metadata.name, namespace, registry: 'Kubernetes' as const,
      resolution: external ? ('alias' as const) : headless ? ('passthrough' as const) : ('static' as const),
      addresses: clusterIps.filter((ip) => ip && ip !== 'None'), autoAllocated: false,
      ports: spec.at('ports').items().map(readPort),
      meshExternal: external, headless, aliasOf: external ? spec.at('externalName').string().toLowerCase() : undefined,
      visibility: visibilityOf(exportTo, namespace, context.mesh.serviceExportTo),
      subjectAltNames: (annotations['alpha.istio.io/kubernetes-serviceaccounts'] ?? '').split(',').filter(Boolean),
      selector: spec.at('selector').stringMap(), labels: object.metadata.labels ?? {}, createdMs: createdMsOf(object),
      publishNotReady: spec.at('publishNotReadyAddresses').boolean() ?? false,
      preferClose: distribution.startsWith('Prefer'),
    };
    return { ...body, digest: contentHash(body) };
  });
}

function readPort(port: Cursor) {
  const number = port.at('port').number() ?? 0;
  if (number < 1) port.at('port').fail('is required');
  const target = port.at('targetPort');
  const targetPort = typeof target.value === 'string' && !/^\d+$/.test(target.value) ? target.value : (target.positive() ?? number);
  const name = port.at('name').string();
  return { name, number, protocol: selectProtocol({ number, name, appProtocol: port.at('appProtocol').string(), transport: port.at('protocol').string() }), targetPort };
}

/** The service a slice belongs to: `namespace/name`, or undefined when it has no owner label. */
export function serviceOfSlice(slice: KubeObject): string | undefined {
  const name = slice.metadata.labels?.['kubernetes.io/service-name'];
  return name ? `${namespaceOf(slice)}/${name}` : undefined;
}

/**
 * The endpoints of one Kubernetes service from its EndpointSlices, completed by what the pods behind the addresses say. Not-ready addresses are listed as
 * unhealthy (healthy when the service publishes them), terminating ones as such, or as draining where sessions must end. This is the endpoint fast path's resolver.
 */
export function resolveSlices(service: Service, slices: readonly KubeObject[], workloads: Workloads): readonly Endpoint[] {
  const found = new Map<string, Endpoint>();
  for (const slice of slices) {
    const root = new Cursor(slice, '', () => {});
    const ports = root.at('ports').items().map((port) => ({ name: port.at('name').string(), port: port.at('port').number() }));
    for (const entry of root.at('endpoints').items()) {
      const conditions = entry.at('conditions');
      const ready = conditions.at('ready').boolean() ?? true;
      const terminating = conditions.at('terminating').boolean() ?? false;
      const ending = (conditions.at('serving').boolean() ?? true) && hasPersistentSessions(service) ? 'draining' : 'terminating';
      const health = ready || service.publishNotReady ? 'healthy' : terminating ? ending : 'unhealthy';
      for (const address of entry.at('addresses').strings())
        for (const port of ports) {
          if (port.port === undefined) continue;
          const workload = workloads.get(address);
          found.set(`${address}:${port.port}/${port.name}`, endpointOf(workload, { address, port: port.port, portName: port.name, health, hostname: entry.at('hostname').string() }));
        }
    }
  }
  return [...found.values()].sort(byAddress);
}

/** The WorkloadEntries a Kubernetes service selects, as endpoints of it. Ports they name by the service's name for them count first. */
export function resolveEntries(service: Service, entries: readonly Workload[]): readonly Endpoint[] {
  if (Object.keys(service.selector).length === 0 || service.aliasOf !== undefined) return [];
  const chosen = entries.filter((entry) => entry.namespace === service.namespace && entry.address !== '' && selects(service.selector, entry.labels));
  return chosen.flatMap((entry) => service.ports.flatMap((port) => {
    const number = entryPortOf(entry, port);
    return number === undefined ? [] : [endpointOf(entry, { address: entry.address, port: number, portName: port.name, health: entry.ready ? 'healthy' : 'unhealthy' })];
  }));
}

/** Where an entry serves a port of a Kubernetes service; undefined when the service's target is a name that the entry does not have. */
export function entryPortOf(entry: Workload, port: ServicePort): number | undefined {
  return entry.entryPorts.get(port.name) ?? (typeof port.targetPort === 'number' ? port.targetPort : entry.entryPorts.get(port.targetPort));
}

/** An endpoint with what its workload says of it. */
export function endpointOf(workload: Workload | undefined, own: Pick<Endpoint, 'address' | 'port' | 'portName' | 'health'> & { readonly hostname?: string }): Endpoint {
  return {
    address: own.address, port: own.port, portName: own.portName, health: workload && (workload.labels[DRAINING_LABEL] ?? '') !== '' ? 'draining' : own.health,
    labels: workload?.labels ?? {}, locality: workload?.locality ?? { region: '', zone: '', subZone: '' }, weight: workload?.weight ?? 0,
    serviceAccount: workload?.serviceAccount ?? '', tlsMode: workload?.tlsMode ?? 'disabled', workload: workload?.identity,
    hostname: own.hostname || (workload?.subdomain ? workload.hostname : ''), network: workload?.network ?? '',
  };
}

/** Puts an endpoint aside whatever its readiness. */
const DRAINING_LABEL = 'istio.io/draining';

function byAddress(a: Endpoint, b: Endpoint): number {
  return a.address < b.address ? -1 : a.address > b.address ? 1 : a.port - b.port;
}
