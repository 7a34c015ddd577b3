/** Addresses and names of the one-machine cluster (ARCHITECTURE.md, "One machine as a cluster"). */

/** The only node. */
export const NODE_NAME = 'meltemi';
/** The node's address on the bridge, seen by every pod as its gateway. */
export const NODE_IP = '10.244.0.1';
/** Pods get a /32 each out of this /16. */
export const POD_CIDR = '10.244.0.0/16';
/** Service addresses. */
export const SERVICE_CIDR = '10.96.0.0/16';
/** ClusterIP of `default/kubernetes`. */
export const API_SERVICE_IP = '10.96.0.1';
/** ClusterIP of `kube-system/kube-dns`; the nameserver of every pod. */
export const DNS_SERVICE_IP = '10.96.0.10';
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

/** How pods get their identity on this machine: real users, or one user inside an unprivileged user namespace. */
export type PrivilegeMode = 'root' | 'user-namespace';
