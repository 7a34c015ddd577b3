import type { Endpoint } from '../model/endpoint.ts';
import { contentHash } from '../model/hash.ts';
import { parseCidr, isWildcard } from '../model/hostname.ts';
import { parseProtocol, selectProtocol } from '../model/protocol.ts';
import type { Resolution, Service, ServicePort } from '../model/service.ts';
import { visibilityOf } from '../model/visibility.ts';
import { selects, type Workload } from '../model/workload.ts';
import type { KubeObject } from '../objects/meta.ts';
import { createdMsOf, namespaceOf, readSpec, type ResolveContext } from './context.ts';
import type { Cursor } from './cursor.ts';
import { endpointOf } from './kubernetes-service.ts';
import { readWorkloadEntry } from './workload.ts';

export interface ResolvedServiceEntry {
  readonly services: readonly Service[];
  /** Service key → endpoints. */
  readonly endpoints: ReadonlyMap<string, readonly Endpoint[]>;
}

const RESOLUTION: Readonly<Record<string, Resolution>> = { NONE: 'passthrough', STATIC: 'static', DNS: 'dns', DNS_ROUND_ROBIN: 'dns-round-robin', DYNAMIC_DNS: 'dynamic-dns' };

/** A ServiceEntry → one service per host with its endpoints. `workloads`: pods and WorkloadEntries its selector may pick. */
export function resolveServiceEntry(context: ResolveContext, object: KubeObject, workloads: readonly Workload[]): ResolvedServiceEntry | undefined {
  return readSpec(context, object, (spec) => {
    const namespace = namespaceOf(object);
    const named = spec.at('resolution').oneOf(['NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS']) ?? 'NONE';
    const inline = spec.at('endpoints').items().map((entry, index) => readWorkloadEntry(context, entry, `${object.metadata.name}-${index}`, namespace));
    const selector = spec.at('workloadSelector').at('labels');
    const picked = selector.exists ? workloads.filter((workload) => workload.namespace === namespace && selects(selector.stringMap(), workload.labels)) : inline;
    const ports = spec.at('ports').items().map(readPort);
    const addresses = spec.at('addresses').strings().filter((address) => {
      if (parseCidr(address)) return true;
      spec.at('addresses').fail(`"${address}" is no address and no CIDR`);
      return false;
    });
    const allocated = addresses.length === 0 ? statusAddresses(object) : [];
    const services: Service[] = [];
    const endpoints = new Map<string, readonly Endpoint[]>();
    if (spec.at('hosts').strings().length === 0) spec.at('hosts').fail('needs at least one host');
    for (const text of spec.at('hosts').strings()) {
      const hostname = text.toLowerCase();
      const body = {
        kind: 'service' as const,
        key: `${namespace}/${hostname}`, hostname, name: hostname, namespace, registry: 'External' as const,
        // A wildcard cannot be looked up, so DNS falls back to the address the caller chose.
        resolution: isWildcard(hostname) && named.startsWith('DNS') ? ('passthrough' as const) : (RESOLUTION[named] ?? 'passthrough'),
        addresses: [...addresses, ...allocated], autoAllocated: allocated.length > 0, ports,
        meshExternal: (spec.at('location').oneOf(['MESH_EXTERNAL', 'MESH_INTERNAL']) ?? 'MESH_EXTERNAL') === 'MESH_EXTERNAL',
        headless: false, aliasOf: undefined,
        visibility: visibilityOf(spec.at('exportTo').strings(), namespace, context.mesh.serviceExportTo),
        subjectAltNames: spec.at('subjectAltNames').strings(), selector: {}, labels: object.metadata.labels ?? {},
        createdMs: createdMsOf(object), publishNotReady: false, preferClose: false,
      };
      services.push({ ...body, digest: contentHash(body) });
      endpoints.set(body.key, endpointsFor(body, picked, ports));
    }
    return { services, endpoints };
  });
}

function endpointsFor(service: Pick<Service, 'hostname' | 'resolution'>, picked: readonly Workload[], ports: readonly ServicePort[]): readonly Endpoint[] {
  const dns = service.resolution === 'dns' || service.resolution === 'dns-round-robin';
  return ports.flatMap((port) => {
    const target = typeof port.targetPort === 'number' ? port.targetPort : port.number;
    if (picked.length === 0) return dns ? [endpointOf(undefined, { address: service.hostname, port: target, portName: port.name, health: 'healthy' })] : [];
    return picked.filter((workload) => workload.address).map((workload) =>
      endpointOf(workload, { address: workload.address, port: workload.entryPorts.get(port.name) ?? workload.containerPorts.get(port.name) ?? target, portName: port.name, health: workload.ready ? 'healthy' : 'unhealthy' }));
  });
}

function readPort(port: Cursor): ServicePort {
  const number = port.at('number').number() ?? 0;
  if (number < 1 || number > 65535) port.at('number').fail('must be between 1 and 65535');
  const name = port.at('name').string();
  return { name, number, protocol: parseProtocol(port.at('protocol').string()) ?? selectProtocol({ number, name }), targetPort: port.at('targetPort').positive() ?? number };
}

function statusAddresses(object: KubeObject): readonly string[] {
  const status = (object as { readonly status?: { readonly addresses?: unknown } }).status;
  if (!Array.isArray(status?.addresses)) return [];
  return status.addresses.flatMap((entry: unknown) => {
    const value = typeof entry === 'object' && entry !== null ? (entry as { readonly value?: unknown }).value : undefined;
    return typeof value === 'string' && parseCidr(value) ? [value] : [];
  });
}
