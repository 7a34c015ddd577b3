import type { WorkloadEntry, WorkloadEntrySpec } from '../workload-entry.ts';
import type { WorkloadGroup } from '../workload-group.ts';
import type { Findings } from './findings.ts';
import { fqdnProblem, isIpAddress, labelsMapProblem, portProblem } from './names.ts';

export function checkWorkloadEntry(findings: Findings, entry: WorkloadEntry): void {
  checkWorkloadAddress(findings, 'spec', entry.spec);
  checkWorkload(findings, 'spec', entry.spec);
  const { address } = entry.spec;
  if (address && !address.startsWith('unix://') && !isIpAddress(address)) findings.problem('spec.address', fqdnProblem(address));
}

/** Address of a workload entry or of an endpoint of a service entry: present unless there is a network, and sockets without ports. */
export function checkWorkloadAddress(findings: Findings, path: string, workload: WorkloadEntrySpec): void {
  const { address, network, ports } = workload;
  if (!address) {
    if (!network) findings.error(`${path}.address`, 'Address is required', 'set address, or network for a workload of another network');
    return;
  }
  if (!address.startsWith('unix://')) return;
  const socket = address.slice('unix://'.length);
  if (!socket.startsWith('/') && !socket.startsWith('@')) findings.error(`${path}.address`, 'UDS must be an absolute path or abstract socket');
  else if (socket.startsWith('/') && socket.endsWith('/')) findings.error(`${path}.address`, 'UDS may not be a dir');
  if (Object.keys(ports ?? {}).length > 0) findings.error(`${path}.ports`, 'UDS may not include ports');
}

function checkWorkload(findings: Findings, path: string, workload: WorkloadEntrySpec): void {
  for (const [name, port] of Object.entries(workload.ports ?? {})) findings.problem(`${path}.ports.${name}`, portProblem(port));
  findings.problem(`${path}.labels`, labelsMapProblem(workload.labels));
}

export function checkWorkloadGroup(findings: Findings, group: WorkloadGroup): void {
  const { metadata, template, probe } = group.spec;
  findings.problem('spec.metadata.labels', labelsMapProblem(metadata?.labels));
  checkWorkload(findings, 'spec.template', template);
  if (!probe) return;
  const methods = (['httpGet', 'tcpSocket', 'exec', 'grpc'] as const).filter((method) => probe[method] !== undefined);
  if (methods.length > 1) findings.error('spec.probe', `only one of httpGet, tcpSocket, exec and grpc can be set, not ${methods.join(' and ')}`);
  for (const field of ['initialDelaySeconds', 'timeoutSeconds', 'periodSeconds', 'successThreshold', 'failureThreshold'] as const) {
    if ((probe[field] ?? 0) < 0) findings.error(`spec.probe.${field}`, `${field} must be non-negative`);
  }
  for (const method of ['httpGet', 'tcpSocket', 'grpc'] as const) {
    const port = probe[method]?.port;
    if (port !== undefined) findings.problem(`spec.probe.${method}.port`, portProblem(port));
  }
  const { scheme } = probe.httpGet ?? {};
  if (scheme && !['HTTP', 'HTTPS'].includes(scheme)) findings.error('spec.probe.httpGet.scheme', `httpGet.scheme must be one of HTTP, HTTPS, not "${scheme}"`);
  if (probe.exec && probe.exec.command.length === 0) findings.error('spec.probe.exec.command', 'exec.command must not be empty');
}
