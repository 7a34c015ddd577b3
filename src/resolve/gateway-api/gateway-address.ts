/** Which Services lead to a Gateway, and what its status says of them. */
import type { KubernetesGateway } from '../../objects/gateway-api/gateway.ts';
import { isIp } from '../../model/hostname.ts';
import { namespaceOf } from '../context.ts';
import type { ConditionPlan, ConfigError } from './condition.ts';
import { defaultDeploymentName, isManaged, NAME_OVERRIDE, type ClassInfo } from './gateway-class.ts';
import { joinForHumans, type World } from './world.ts';

/** Annotation that chooses which kind of internal address is reported. */
const ADDRESS_TYPE_OVERRIDE = 'networking.istio.io/address-type';
/** Deprecated annotation: the type of the deployed Service. */
const SERVICE_TYPE = 'networking.istio.io/service-type';

/** Host names of the Services of a Gateway. With an error there may be none (hard) or some (the error is only reported). */
export function gatewayServices(world: World, gateway: KubernetesGateway, info: ClassInfo): { readonly hostnames: readonly string[]; readonly error?: ConfigError } {
  const namespace = namespaceOf(gateway);
  const annotations = gateway.metadata.annotations ?? {};
  const hostOf = (name: string) => `${name}.${namespace}.svc.${world.domainSuffix}`;
  if (isManaged(gateway.spec, world.features)) return { hostnames: [hostOf(annotations[NAME_OVERRIDE] || defaultDeploymentName(gateway, info))] };
  const addresses = gateway.spec.addresses ?? [];
  const isHostname = (type: string | undefined) => type === undefined || type === 'Hostname';
  const hostnames = addresses.filter(({ type }) => isHostname(type)).map(({ value = '' }) => (value.includes('.') ? value : hostOf(value)));
  const skipped = addresses.filter(({ type }) => !isHostname(type)).map(({ value = '' }) => value);
  if (skipped.length > 0) return { hostnames, error: { reason: 'UnsupportedAddress', message: `only Hostname is supported, ignoring [${skipped.join(' ')}]` } };
  if (annotations[SERVICE_TYPE] !== undefined)
    return { hostnames, error: { reason: 'DeprecatedField', message: `annotation ${SERVICE_TYPE} is deprecated, use Spec.Infrastructure.Routeability` } };
  return { hostnames };
}

/** Where a Gateway can be reached. */
export interface Instances {
  /** `host:port` of every Service port that has endpoints. */
  readonly internal: readonly string[];
  readonly internalIps: readonly string[];
  readonly external: readonly string[];
  /** Services whose external address is still to come. */
  readonly pending: readonly string[];
  readonly warnings: readonly string[];
  /** False when a warning says that the configuration cannot work; true when waiting may help. */
  readonly allUsable: boolean;
}

/** Looks for every listener port at every Service. */
export function resolveInstances(world: World, namespace: string, hostnames: readonly string[], listenerPorts: readonly number[]): Instances {
  const found = { internal: new Set<string>(), internalIps: new Set<string>(), external: new Set<string>(), pending: new Set<string>(), warnings: [] as string[], unusable: false };
  for (const hostname of hostnames) {
    const service = world.services.find(hostname, namespace);
    if (!service) {
      const elsewhere = [...world.services.namespacesOf(hostname)].sort().map((other) => `"${other}"`).join(', ');
      found.warnings.push(elsewhere ? `hostname "${hostname}" not found in namespace "${namespace}", but it was found in namespace(s) ${elsewhere}` : `hostname "${hostname}" not found`);
      found.unusable = true;
      continue;
    }
    for (const port of new Set(listenerPorts)) {
      if (service.endpointPorts.has(port)) {
        found.internal.add(`${hostname}:${port}`);
        for (const address of service.addresses) found.internalIps.add(address);
        for (const address of service.externalAddresses) found.external.add(address);
        if (service.externalAddresses.length > 0 || !service.loadBalancer || found.pending.has(hostname)) continue;
        found.warnings.push(`address pending for hostname "${hostname}"`);
        found.pending.add(hostname);
      } else if (service.endpointPorts.size === 0) found.warnings.push(`no instances found for hostname "${hostname}"`);
      else {
        const hints = [...service.endpointPorts].filter(([, ports]) => ports.includes(port)).map(([number]) => String(number)).sort();
        if (hints.length === 0 && service.managed && service.ports.includes(port)) continue;
        const hint = hints.length > 0 ? ` (hint: the service port should be specified, not the workload port. Did you mean one of these ports: [${hints.join(' ')}]?)` : '';
        found.warnings.push(`port ${port} not found for hostname "${hostname}"${hint}`);
        found.unusable = true;
      }
    }
  }
  const sorted = (set: ReadonlySet<string>) => [...set].sort();
  return {
    internal: sorted(found.internal), internalIps: sorted(found.internalIps), external: sorted(found.external), pending: sorted(found.pending),
    warnings: found.warnings.sort(), allUsable: !found.unusable,
  };
}

/** The Programmed condition of a Gateway or ListenerSet. */
export function programmedPlan(instances: Instances, hostnames: readonly string[]): ConditionPlan {
  const assigned = joinForHumans(instances.internal);
  const message = instances.internal.length > 0 ? `Resource programmed, assigned to service(s) ${assigned}` : 'Resource programmed';
  const plan = { reason: 'Programmed', message };
  if (hostnames.length === 0) return { ...plan, error: { reason: 'UnsupportedAddress', message: 'Failed to assign to any requested addresses' } };
  if (instances.warnings.length === 0) return plan;
  const problems = instances.warnings.join('; ');
  return {
    ...plan,
    error: {
      reason: instances.allUsable ? 'AddressNotAssigned' : 'AddressNotUsable',
      message: instances.internal.length > 0 ? `Assigned to service(s) ${assigned}, but failed to assign to all requested addresses: ${problems}` : `Failed to assign to any requested addresses: ${problems}`,
    },
  };
}

/** Addresses for the status: external ones, else internal ones of the kind the class reports. None: nothing is ready yet. */
export function reportedAddresses(gateway: KubernetesGateway, info: ClassInfo, instances: Instances): readonly { readonly type: string; readonly value: string }[] {
  const wanted = gateway.metadata.annotations?.[ADDRESS_TYPE_OVERRIDE] ?? info.addressType;
  const names = [...new Set(instances.internal.map((entry) => entry.slice(0, entry.lastIndexOf(':'))))].filter((name) => !instances.pending.includes(name));
  const internal = [...(wanted === 'Hostname' ? [] : instances.internalIps), ...(wanted === 'IPAddress' ? [] : names)];
  return (instances.external.length > 0 ? instances.external : internal).map((value) => ({ type: isIp(value) ? 'IPAddress' : 'Hostname', value }));
}
