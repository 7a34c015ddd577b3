import type { ServiceEntry, ServiceEntrySpec } from '../service-entry.ts';
import { checkExportTo, checkNetworkingSelector } from './common.ts';
import type { Findings } from './findings.ts';
import { fqdnProblem, isDnsLabel, isHttpProtocol, isIpAddress, isPartialWildcard, isProtocol, isTlsProtocol, labelsMapProblem, portProblem, subnetProblem, wildcardDomainProblem } from './names.ts';
import { checkWorkloadAddress, checkWorkloadPorts } from './workload.ts';

export function checkServiceEntry(findings: Findings, entry: ServiceEntry): void {
  const { spec } = entry;
  checkNetworkingSelector(findings, 'spec.workloadSelector', spec.workloadSelector);
  if (spec.workloadSelector && spec.endpoints) findings.error('spec', 'only one of WorkloadSelector or Endpoints can be set', 'keep one of them');
  if (spec.hosts.length === 0) findings.error('spec.hosts', 'service entry must have at least one host');
  spec.hosts.forEach((host, index) => {
    if (host === '*') findings.error(`spec.hosts[${index}]`, 'invalid host *', 'a full wildcard is not allowed in a service entry');
    else findings.problem(`spec.hosts[${index}]`, wildcardDomainProblem(host));
    if (isPartialWildcard(host)) findings.warn(`spec.hosts[${index}]`, `partial wildcard "${host}" not allowed`, 'begin the host with "*."');
  });
  spec.addresses?.forEach((address, index) => findings.problem(`spec.addresses[${index}]`, subnetProblem(address)));
  const resolution = spec.resolution ?? 'NONE';
  if (spec.addresses?.some((address) => address.includes('/')) && resolution !== 'NONE' && resolution !== 'STATIC') {
    findings.error('spec.addresses', 'CIDR addresses are allowed only for NONE/STATIC resolution types');
  }
  checkPorts(findings, spec);
  checkEndpoints(findings, spec, resolution);
  if (resolution !== 'NONE' && spec.hosts.length > 1 && spec.ports?.some(({ protocol = '' }) => !isHttpProtocol(protocol) && !isTlsProtocol(protocol))) {
    findings.error('spec.ports', 'multiple hosts provided with non-HTTP, non-TLS ports', 'make a service entry for each host: plain TCP does not say which host is meant');
  }
  checkExportTo(findings, spec.exportTo, entry.metadata.namespace, true);
}

function checkPorts(findings: Findings, spec: ServiceEntrySpec): void {
  const numbers = new Set<number>();
  const names = new Set<string>();
  spec.ports?.forEach(({ name, number, protocol, targetPort }, index) => {
    const path = `spec.ports[${index}]`;
    if (names.has(name)) findings.error(`${path}.name`, `service entry port name "${name}" already defined`);
    if (numbers.has(number)) findings.error(`${path}.number`, `port number cannot be duplicated: ${number}`);
    names.add(name);
    numbers.add(number);
    if (!isDnsLabel(name)) findings.error(`${path}.name`, `invalid port name: ${name}`);
    if (protocol && !isProtocol(protocol)) findings.error(`${path}.protocol`, `unsupported protocol: ${protocol}`);
    findings.problem(`${path}.number`, portProblem(number));
    if (targetPort) findings.problem(`${path}.targetPort`, portProblem(targetPort));
  });
}

function checkEndpoints(findings: Findings, spec: ServiceEntrySpec, resolution: NonNullable<ServiceEntrySpec['resolution']>): void {
  const endpoints = spec.endpoints ?? [];
  const portNames = new Set(spec.ports?.map(({ name }) => name));
  endpoints.forEach((endpoint, index) => {
    const path = `spec.endpoints[${index}]`;
    checkWorkloadAddress(findings, path, endpoint);
    checkWorkloadPorts(findings, path, endpoint);
    findings.problem(`${path}.labels`, labelsMapProblem(endpoint.labels));
    for (const [name, port] of Object.entries(endpoint.ports ?? {})) {
      if (!portNames.has(name)) findings.error(`${path}.ports.${name}`, `endpoint port ${port} is not defined by the service entry`, `add a port named ${name} to spec.ports`);
    }
    checkEndpointAddress(findings, path, endpoint.address ?? '', resolution);
  });
  if (resolution === 'NONE' && spec.endpoints) findings.error('spec.endpoints', 'NONE mode cannot set endpoints', 'set resolution: STATIC or DNS');
  if (resolution === 'DNS_ROUND_ROBIN' && endpoints.length > 1) findings.error('spec.endpoints', 'DNS_ROUND_ROBIN mode cannot have multiple endpoints');
  if (endpoints.some(({ address }) => address?.startsWith('unix://')) && spec.ports?.length !== 1) findings.error('spec.ports', 'exactly 1 service port required for unix endpoints');
  if (resolution === 'DYNAMIC_DNS') checkDynamicDns(findings, spec);
  if (resolution === 'NONE' && spec.workloadSelector) findings.warn('spec.workloadSelector', 'workloadSelector should not be set when resolution mode is NONE', 'use resolution: STATIC');
  if ((resolution === 'DNS' || resolution === 'DNS_ROUND_ROBIN') && endpoints.length === 0) {
    spec.hosts.forEach((host, index) => {
      if (fqdnProblem(host) !== undefined) findings.error(`spec.hosts[${index}]`, `hosts must be FQDN if no endpoints are provided for resolution mode ${resolution}`, 'name the host, add endpoints, or use resolution: DYNAMIC_DNS');
    });
  }
}

function checkEndpointAddress(findings: Findings, path: string, address: string, resolution: string): void {
  if (resolution === 'STATIC' && address === '') return;
  if (address.startsWith('unix://')) {
    if ((resolution === 'DNS' || resolution === 'DNS_ROUND_ROBIN')) findings.error(`${path}.address`, `unix endpoints are not supported for resolution ${resolution}`, 'use STATIC');
    return;
  }
  if (resolution === 'STATIC' && !isIpAddress(address)) findings.error(`${path}.address`, `${address} is not a valid IP`, 'resolution STATIC needs addresses; names need DNS');
  if ((resolution === 'DNS' || resolution === 'DNS_ROUND_ROBIN') && !isIpAddress(address) && fqdnProblem(address) !== undefined) {
    findings.error(`${path}.address`, `endpoint address "${address}" is not a valid FQDN or an IP address`);
  }
}

function checkDynamicDns(findings: Findings, spec: ServiceEntrySpec): void {
  if (spec.endpoints?.length) findings.error('spec.endpoints', 'no endpoints should be provided for resolution type DYNAMIC_DNS');
  if (spec.workloadSelector) findings.error('spec.workloadSelector', 'no workloadSelector should be provided for resolution type DYNAMIC_DNS');
  spec.hosts.forEach((host, index) => {
    if (!host.startsWith('*')) findings.error(`spec.hosts[${index}]`, 'hosts must be wildcard for resolution type DYNAMIC_DNS', 'use resolution: DNS for a plain name');
  });
  spec.ports?.forEach(({ protocol = '' }, index) => {
    if (protocol && !isHttpProtocol(protocol) && !isTlsProtocol(protocol)) findings.error(`spec.ports[${index}].protocol`, 'DYNAMIC_DNS needs HTTP or TLS ports: the host comes from the request');
  });
}
