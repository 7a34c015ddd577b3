/** What is odd about a mesh as a whole, counted: the gauges that Istio keeps of its push context. @see features.md §3.8 */
import { endpointsOf, type MeshSnapshot } from '../../model/snapshot.ts';
import { hasAddress, type Service } from '../../model/service.ts';
import { isVisibleTo, type Visibility } from '../../model/visibility.ts';
import { findAuthorizer } from '../../translate/authz/ext-authz.ts';

/** Every number counts things, not occurrences: a port that three services fight for is one conflict. */
export interface MeshFindings {
  /** Services without endpoints whose endpoints we list. */
  readonly emptyServices: number;
  /** Services resolved by DNS that name nothing to resolve. */
  readonly emptyDnsServices: number;
  readonly unreadyEndpoints: number;
  /** Endpoints of services with a selector, at addresses where no pod or WorkloadEntry is known. */
  readonly endpointsWithoutPod: number;
  /** Workload ports that services of different protocols lead to. */
  readonly inboundConflicts: number;
  /** Addresses and ports where more than one host wants the bytes of a connection. */
  readonly tcpConflicts: number;
  /** Hosts that several VirtualServices claim for sidecars; the oldest has them. */
  readonly duplicateDomains: number;
  /** Subsets that several DestinationRules declare for one host; the oldest counts. */
  readonly duplicateSubsets: number;
}

/** Counts them. O(services + endpoints + rules): done when somebody asks, not on every push. */
export function meshFindings(snapshot: MeshSnapshot): MeshFindings {
  const { services } = snapshot;
  const isEmpty = (service: Service) => endpointsOf(snapshot, service).length === 0;
  const endpoints = services.flatMap((service) => endpointsOf(snapshot, service).map((endpoint) => ({ service, endpoint })));
  return {
    emptyServices: services.filter(isEmpty).length,
    emptyDnsServices: services.filter((service) => service.resolution.startsWith('dns') && isEmpty(service)).length,
    unreadyEndpoints: endpoints.filter(({ endpoint }) => endpoint.health !== 'healthy').length,
    endpointsWithoutPod: endpoints.filter(({ service, endpoint }) => Object.keys(service.selector).length > 0 && !snapshot.workloads.has(endpoint.address)).length,
    inboundConflicts: inboundConflicts(endpoints),
    tcpConflicts: tcpConflicts(services),
    duplicateDomains: duplicates(snapshot.virtualServices.filter(({ gateways }) => gateways.includes('mesh')).map((rule) => ({ rule, keys: rule.hosts }))),
    duplicateSubsets: duplicates(snapshot.destinationRules.map((rule) => ({ rule, keys: rule.subsets.map(({ name }) => `${rule.host} ${name} ${JSON.stringify(rule.workloadSelector ?? null)}`) }))),
  };
}

function inboundConflicts(endpoints: readonly { readonly service: Service; readonly endpoint: { readonly address: string; readonly port: number; readonly portName: string } }[]): number {
  const users = new Map<string, { readonly hosts: Set<string>; readonly protocols: Set<string> }>();
  for (const { service, endpoint } of endpoints) {
    const protocol = service.ports.find(({ name }) => name === endpoint.portName)?.protocol;
    if (protocol === undefined || service.registry !== 'Kubernetes') continue;
    const key = `${endpoint.address} ${endpoint.port}`;
    const known = users.get(key) ?? { hosts: new Set(), protocols: new Set() };
    known.hosts.add(service.hostname);
    known.protocols.add(protocol);
    users.set(key, known);
  }
  return [...users.values()].filter(({ hosts, protocols }) => hosts.size > 1 && protocols.size > 1).length;
}

function tcpConflicts(services: readonly Service[]): number {
  const claims = new Map<string, Set<string>>();
  for (const service of services) {
    // Headless ones are told apart by the addresses of their pods, and these cannot be shared.
    if (service.headless || service.resolution === 'alias') continue;
    for (const { number, protocol } of service.ports) {
      if (protocol !== 'TCP' && protocol !== 'Mongo' && protocol !== 'MySQL' && protocol !== 'Redis') continue;
      for (const address of hasAddress(service) ? service.addresses : ['0.0.0.0']) {
        const key = `${address} ${number}`;
        claims.set(key, (claims.get(key) ?? new Set()).add(service.hostname));
      }
    }
  }
  return [...claims.values()].filter((hosts) => hosts.size > 1).length;
}

/** Keys that several rules hold where one proxy sees them together. */
function duplicates(entries: readonly { readonly rule: { readonly namespace: string; readonly visibility: Visibility }; readonly keys: readonly string[] }[]): number {
  const holders = new Map<string, { readonly namespace: string; readonly visibility: Visibility }[]>();
  for (const { rule, keys } of entries) for (const key of new Set(keys)) holders.set(key, [...(holders.get(key) ?? []), rule]);
  const meet = (a: Visibility, b: Visibility): boolean => (a.public ? b.public || b.namespaces.length > 0 : a.namespaces.some((namespace) => isVisibleTo(b, namespace)));
  return [...holders.values()].filter((rules) => rules.some((one, index) => rules.slice(index + 1).some((other) => meet(one.visibility, other.visibility)))).length;
}

/** CUSTOM policies whose provider is unknown or wrong, or whose provider's service does not exist: what they select denies. */
export function lostProviders({ mesh, authorizationPolicies, services }: MeshSnapshot): number {
  return authorizationPolicies.filter(({ action, provider }) => action === 'CUSTOM' && !findAuthorizer(provider, mesh.extAuthzProviders, services)).length;
}
