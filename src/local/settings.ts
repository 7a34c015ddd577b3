/** Addresses and names of the one-machine cluster (ARCHITECTURE.md, "One machine as a cluster"). */
import { addressPlan, LOOPBACK_BASE_VARIABLE } from './loopback/address-plan.ts';

/** Decided by the launcher, once for the life of the process. */
const PLAN = addressPlan(process.env[LOOPBACK_BASE_VARIABLE]);

/** The only node. */
export const NODE_NAME = 'meltemi';
/** The node's address on the bridge, seen by every pod as its gateway. */
export const NODE_IP = PLAN.nodeIP;
/** Pods get a /32 each out of this /16. */
export const POD_CIDR = PLAN.podCidr;
/** Service addresses. */
export const SERVICE_CIDR = PLAN.serviceCidr;
/** ClusterIP of `default/kubernetes`. */
export const API_SERVICE_IP = PLAN.apiServiceIP;
/** ClusterIP of `kube-system/kube-dns`; the nameserver of every pod. */
export const DNS_SERVICE_IP = PLAN.dnsServiceIP;
/** The API server's port on the node. */
export const API_PORT = 6443;
/** The bridge that joins the pods. */
export const BRIDGE = 'meltemi0';
/** DNS suffix of services. */
export const CLUSTER_DOMAIN = 'cluster.local';
/** MTU of pod links: nothing is encapsulated and nothing leaves the machine, so a packet may be large. */
export const POD_MTU = 65_000;
/** The proxy's user id; its connections are not redirected. */
export const PROXY_UID = 1337;

/** How pods get their identity on this machine: real users, one user inside an unprivileged user namespace, or simply the user who started the cluster. */
export type PrivilegeMode = 'root' | 'user-namespace' | 'unprivileged';

/** How pods are told apart on the network: a namespace each, or a loopback address each (docs/local-loopback.md). */
export type NetworkKind = 'netns' | 'loopback';

/** The network that belongs to a mode. */
export function networkOf(mode: PrivilegeMode): NetworkKind {
  return mode === 'unprivileged' ? 'loopback' : 'netns';
}
