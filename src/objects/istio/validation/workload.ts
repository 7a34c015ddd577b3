import type { WorkloadEntry, WorkloadEntrySpec } from '../workload-entry.ts';
import type { WorkloadGroup } from '../workload-group.ts';
import type { Findings } from './findings.ts';
import { fqdnProblem, isDnsLabel, isIpAddress, labelsMapProblem, portProblem } from './names.ts';

/** Letters of a port's name must be fewer. @see https://github.com/istio/api/blob/master/networking/v1alpha3/workload_entry.proto */
const PORT_NAME_LIMIT = 63;

export function checkWorkloadEntry(findings: Findings, entry: WorkloadEntry): void {
  checkWorkloadAddress(findings, 'spec', entry.spec);
  checkWorkload(findings, 'spec', entry.spec);
  const { address } = entry.spec;
  if (address && !address.startsWith('unix://') && !isIpAddress(address)) findings.problem('spec.address', fqdnProblem(address));
}

/** Address of a workload entry or of an endpoint of a service entry: present unless there is a network, and sockets without ports. */
export function checkWorkloadAddress(findings: Findings, path: string, workload: WorkloadEntrySpec): void {
  const { address, network } = workload;
  if (!address && !network) findings.error(`${path}.address`, 'Address is required', 'set address, or network for a workload of another network');
  checkSocket(findings, path, workload);
}

function checkSocket(findings: Findings, path: string, { address, ports }: WorkloadEntrySpec): void {
  if (!address?.startsWith('unix://')) return;
  const socket = address.slice('unix://'.length);
  if (!socket.startsWith('/') && !socket.startsWith('@')) findings.error(`${path}.address`, 'UDS must be an absolute path or abstract socket');
  else if (socket.endsWith('/')) findings.error(`${path}.address`, 'UDS may not be a dir');
  if (ports) findings.error(`${path}.ports`, 'UDS may not include ports');
}

/** Ports of a workload: names as those of services, numbers in range. */
export function checkWorkloadPorts(findings: Findings, path: string, { ports = {} }: WorkloadEntrySpec): void {
  for (const [name, port] of Object.entries(ports)) {
    if (name.length >= PORT_NAME_LIMIT || !isDnsLabel(name)) findings.error(`${path}.ports.${name}`, `port name must be valid: "${name}"`, 'use letters, digits and dashes, less than 63');
    findings.problem(`${path}.ports.${name}`, portProblem(port));
  }
}

function checkWorkload(findings: Findings, path: string, workload: WorkloadEntrySpec): void {
  checkWorkloadPorts(findings, path, workload);
  findings.problem(`${path}.labels`, labelsMapProblem(workload.labels));
}

export function checkWorkloadGroup(findings: Findings, group: WorkloadGroup): void {
  const { metadata, template, probe } = group.spec;
  findings.problem('spec.metadata.labels', labelsMapProblem(metadata?.labels));
  checkWorkload(findings, 'spec.template', template);
  checkSocket(findings, 'spec.template', template);
  if (!probe) return;
  const methods = (['httpGet', 'tcpSocket', 'exec', 'grpc'] as const).filter((method) => probe[method] !== undefined);
  if (methods.length === 0) findings.error('spec.probe', 'unknown health check method', 'say how to check: httpGet, tcpSocket, exec or grpc');
  if (methods.length > 1) findings.error('spec.probe', `only one of httpGet, tcpSocket, exec and grpc can be set, not ${methods.join(' and ')}`);
  for (const method of ['httpGet', 'tcpSocket', 'grpc'] as const) {
    const port = probe[method]?.port;
    if (port !== undefined) findings.problem(`spec.probe.${method}.port`, portProblem(port));
  }
  const { scheme } = probe.httpGet ?? {};
  if (scheme && !['HTTP', 'HTTPS'].includes(scheme)) findings.error('spec.probe.httpGet.scheme', `httpGet.scheme must be one of HTTP, HTTPS, not "${scheme}"`);
  if (probe.exec && probe.exec.command.length === 0) findings.error('spec.probe.exec.command', 'exec.command must not be empty');
}
