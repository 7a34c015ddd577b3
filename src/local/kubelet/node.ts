/** The Node object of this machine. */
import { arch, availableParallelism, release, totalmem } from 'node:os';
import type { KubeClient } from '../../kube/client/client.ts';
import type { SpecObject } from '../../objects/meta.ts';
import { NODE } from '../../objects/resource-types.ts';
import { NODE_IP, NODE_NAME, POD_CIDR } from '../settings.ts';
import { rfc3339 } from './container-runner.ts';
import type { NodeCapacity } from './downward.ts';

/** What this machine can give to pods. */
export function nodeCapacity(): NodeCapacity {
  return { cpuCores: availableParallelism(), memoryBytes: totalmem() };
}

const MAX_PODS = 110;

/** Creates or refreshes the Node, ready. */
export async function registerNode(client: KubeClient, version: string): Promise<void> {
  const architecture = arch() === 'x64' ? 'amd64' : arch();
  const labels = { 'kubernetes.io/hostname': NODE_NAME, 'kubernetes.io/os': 'linux', 'kubernetes.io/arch': architecture, 'beta.kubernetes.io/os': 'linux', 'beta.kubernetes.io/arch': architecture, 'node-role.kubernetes.io/control-plane': '' };
  const node: SpecObject<unknown> = { apiVersion: 'v1', kind: 'Node', metadata: { name: NODE_NAME, labels }, spec: { podCIDR: POD_CIDR, podCIDRs: [POD_CIDR], providerID: `meltemi://${NODE_NAME}` } };
  if (!(await client.get(NODE, NODE_NAME))) await client.create(NODE, node);
  await client.mergePatch(NODE, NODE_NAME, undefined, { status: nodeStatus(architecture, version) }, { subresource: 'status' });
}

function nodeStatus(architecture: string, version: string): unknown {
  const { cpuCores, memoryBytes } = nodeCapacity();
  const resources = { cpu: String(cpuCores), memory: `${Math.floor(memoryBytes / 1024)}Ki`, pods: String(MAX_PODS) };
  const now = rfc3339();
  const condition = (type: string, status: string, reason: string, message: string) => ({ type, status, reason, message, lastHeartbeatTime: now, lastTransitionTime: now });
  return {
    capacity: resources,
    allocatable: resources,
    addresses: [{ type: 'InternalIP', address: NODE_IP }, { type: 'Hostname', address: NODE_NAME }],
    conditions: [
      condition('MemoryPressure', 'False', 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'),
      condition('DiskPressure', 'False', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'),
      condition('PIDPressure', 'False', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'),
      condition('Ready', 'True', 'KubeletReady', 'kubelet is posting ready status'),
    ],
    daemonEndpoints: { kubeletEndpoint: { Port: 0 } },
    nodeInfo: {
      machineID: '', systemUUID: '', bootID: '', kernelVersion: release(), osImage: 'meltemi on one machine', containerRuntimeVersion: `meltemi://${version}`,
      kubeletVersion: `v${version}`, kubeProxyVersion: `v${version}`, operatingSystem: 'linux', architecture,
    },
  };
}
