/** The WorkloadEntry of a workload that registers itself: from its group and from what its proxy says. Pure. @see features.md §2.6 */
import type { ProxyNode } from '../../model/proxy-node.ts';
import type { WorkloadEntry } from '../../objects/istio/workload-entry.ts';
import type { WorkloadGroup } from '../../objects/istio/workload-group.ts';
import { WORKLOAD_ENTRY } from '../../objects/resource-types.ts';

/** Names the group an entry was made from; entries without it were written by people and are left alone. */
export const GROUP_ANNOTATION = 'istio.io/autoRegistrationGroup';
/** Which control plane the workload is, or was last, connected to. */
export const CONTROLLER_ANNOTATION = 'istio.io/workloadController';
export const CONNECTED_ANNOTATION = 'istio.io/connectedAt';
export const DISCONNECTED_ANNOTATION = 'istio.io/disconnectedAt';
/** The entry counts only while its condition Healthy is True. */
export const HEALTH_CHECKS_ANNOTATION = 'proxy.istio.io/health-checks-enabled';
const LOCALITY_LABEL = 'istio-locality';
/** Longest name of an object. */
const MAX_NAME = 253;

/** Name of the group a proxy wants to be registered in; '' = it does not. */
export function groupOf(node: ProxyNode): string {
  const group = node.metadata['AUTO_REGISTER_GROUP'];
  return typeof group === 'string' ? group : '';
}

/** `<group>-<ip>[-<network>]`, `:` of IPv6 as `-`; of a name that is too long its end. */
export function entryNameOf(node: ProxyNode): string {
  const name = [groupOf(node), (node.ipAddresses[0] ?? '').replaceAll(':', '-'), ...(node.network ? [node.network] : [])].join('-');
  return name.length > MAX_NAME ? name.slice(-MAX_NAME) : name;
}

/** The whole object. Labels of the proxy win over the group's metadata, those over its template. */
export function workloadEntryOf(group: WorkloadGroup, node: ProxyNode, controller: string, connectedAt: string): WorkloadEntry {
  const { template, metadata } = group.spec;
  const locality = [node.locality.region, node.locality.zone, node.locality.subZone].join('/').replace(/\/+$/, '');
  const labels: Record<string, string> = { ...template.labels, ...metadata?.labels, ...node.labels };
  // A label cannot hold what a locality is written with.
  if (labels[LOCALITY_LABEL] !== undefined) labels[LOCALITY_LABEL] = labels[LOCALITY_LABEL].replaceAll('/', '.');
  const { address: _address, ...rest } = template;
  return {
    apiVersion: `${WORKLOAD_ENTRY.group}/${WORKLOAD_ENTRY.version}`, kind: WORKLOAD_ENTRY.kind,
    metadata: {
      name: entryNameOf(node), namespace: node.namespace, labels,
      annotations: {
        ...metadata?.annotations, [GROUP_ANNOTATION]: group.metadata.name, [CONTROLLER_ANNOTATION]: controller, [CONNECTED_ANNOTATION]: connectedAt,
        ...(hasReadinessProbe(node) && { [HEALTH_CHECKS_ANNOTATION]: 'true' }),
      },
      // The entries of a group go with it.
      ownerReferences: [{ apiVersion: group.apiVersion, kind: group.kind, name: group.metadata.name, uid: group.metadata.uid ?? '', controller: true }],
    },
    spec: { ...rest, address: node.ipAddresses[0] ?? '', labels, ...(node.network && { network: node.network }), ...(locality && { locality }) },
  };
}

function hasReadinessProbe(node: ProxyNode): boolean {
  const config = node.metadata['PROXY_CONFIG'];
  return typeof config === 'object' && config !== null && Boolean((config as { readonly readinessProbe?: unknown }).readinessProbe);
}

/** Why this proxy may not be an entry of the group, or undefined. `account`: of the identity it proved; undefined when it proved none. */
export function registrationProblem(group: WorkloadGroup | undefined, node: ProxyNode, account: string | undefined): string | undefined {
  const name = `${node.namespace}/${groupOf(node)}`;
  if (!group) return `WorkloadGroup ${name} does not exist: create it before its workloads connect`;
  const wanted = group.spec.template.serviceAccount || 'default';
  if (account !== undefined && account !== wanted) return `WorkloadGroup ${name} is for service account ${wanted}, the workload's is ${account}`;
  return node.ipAddresses[0] ? undefined : 'the workload names no address';
}

/** The condition that a report of health becomes. */
export function healthCondition(problem: string | undefined, now: string): { readonly type: string; readonly status: string; readonly lastProbeTime: string; readonly lastTransitionTime: string; readonly message?: string } {
  return { type: 'Healthy', status: problem === undefined ? 'True' : 'False', lastProbeTime: now, lastTransitionTime: now, ...(problem !== undefined && { message: problem }) };
}
