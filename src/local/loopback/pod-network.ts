/** The network of one container on a loopback cluster, and what happens to its connections: pure decisions, as the kernel's rules make them in a namespace. */
import { isClusterAddress, realPort } from './address-plan.ts';

/** The variable that names the file with a container's {@link PodNetwork}. */
export const POD_NETWORK_VARIABLE = 'MELTEMI_POD_NETWORK';

/** What a program must know to live in a pod without namespaces. Written by the kubelet, one file a container. */
export interface PodNetwork {
  /** `app`: its traffic may be captured. `proxy`: it is the one that captures (uid 1337), or a gateway. `node`: the cluster program itself. */
  readonly role: 'app' | 'proxy' | 'node';
  /** Where others reach the pod. */
  readonly podIP: string;
  /** `localhost` of the pod. */
  readonly localIP: string;
  /** First octet of the cluster's ranges. */
  readonly base: number;
  /** Lowest port this user may open; lower ones are shifted. */
  readonly firstPort: number;
  readonly hostname: string;
  /** Of the pod: redirection rules and the ports it listens on are kept here. */
  readonly folder: string;
  readonly dns: { readonly server: string; readonly searches: readonly string[]; readonly ndots: number };
  /** Names of /etc/hosts. */
  readonly hosts: readonly { readonly ip: string; readonly names: readonly string[] }[];
  /** Path in the container → path on the machine, longest first. */
  readonly mounts: readonly (readonly [target: string, source: string])[];
}

/** What istio-iptables was told, as far as it means something here. Lists are comma separated. */
export interface Redirect {
  readonly proxyPort: string;
  readonly inboundCapturePort: string;
  readonly inboundPortsInclude: string;
  readonly inboundPortsExclude: string;
  readonly outboundPortsInclude: string;
  readonly outboundPortsExclude: string;
  readonly outboundIpRangesInclude: string;
  readonly outboundIpRangesExclude: string;
  readonly redirectDns: boolean;
}

/** Source of connections by which a proxy delivers to its own application. */
export const DELIVERY_SOURCE = '127.0.0.6';
const LOCALHOST: ReadonlySet<string> = new Set(['127.0.0.1', '::1', '::ffff:127.0.0.1']);
const ANY: ReadonlySet<string> = new Set(['0.0.0.0', '::', '::0', '']);

export function isLocalhost(address: string): boolean {
  return LOCALHOST.has(address);
}

export function isAnyAddress(address: string): boolean {
  return ANY.has(address);
}

const list = (text: string): readonly string[] => text.split(',').map((part) => part.trim()).filter(Boolean);

/** Does the proxy take what arrives at this port? */
export function capturesInbound(redirect: Redirect | undefined, port: number): boolean {
  if (!redirect || redirect.inboundPortsInclude === '') return false;
  if (redirect.inboundPortsInclude === '*') return !list(redirect.inboundPortsExclude).includes(String(port));
  return list(redirect.inboundPortsInclude).includes(String(port));
}

/** Does a connection of the application to this IPv4 or IPv6 address go to the proxy? The order is that of Istio's chain ISTIO_OUTPUT. */
export function capturesOutbound(redirect: Redirect | undefined, address: string, port: number): boolean {
  if (!redirect) return false;
  if (list(redirect.outboundPortsExclude).includes(String(port))) return false;
  if (list(redirect.outboundIpRangesExclude).some((cidr) => contains(cidr, address))) return false;
  if (list(redirect.outboundPortsInclude).includes(String(port))) return true;
  return redirect.outboundIpRangesInclude === '*' || list(redirect.outboundIpRangesInclude).some((cidr) => contains(cidr, address));
}

function contains(cidr: string, address: string): boolean {
  const [network = '', bits = '32'] = cidr.split('/');
  const [a, b] = [numberOf(network), numberOf(address)];
  if (a === undefined || b === undefined) return false;
  const size = 2 ** (32 - Number(bits));
  return Math.floor(a / size) === Math.floor(b / size);
}

function numberOf(ip: string): number | undefined {
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(ip) ? ip.split('.').reduce((sum, part) => sum * 256 + Number(part), 0) : undefined;
}

/** Where a connection really goes. */
export interface ConnectPlan {
  readonly address: string;
  readonly port: number;
  /** Bound before connecting, so that the peer sees who calls. */
  readonly source?: string;
  /** The proxy is told the destination by a PROXY header, the first bytes of the connection. */
  readonly captured: boolean;
}

/** Plans `connect(address, port)`. `bound` is the source the program chose itself; `asApp`: the proxy acts for the application (its HTTP port). */
export function planConnect(pod: PodNetwork, redirect: Redirect | undefined, address: string, port: number, bound?: string, asApp = pod.role === 'app'): ConnectPlan {
  const plain = address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address;
  const real = realPort(port, pod.firstPort);
  if (pod.role === 'node') return isClusterAddress(plain, pod.base) ? { address: plain, port: real, captured: false, ...(bound === undefined ? { source: pod.podIP } : {}) } : { address, port, captured: false };
  if (isLocalhost(address) || isAnyAddress(address)) return { address: pod.localIP, port: real, captured: false };
  if (plain === pod.podIP) {
    // Delivery by the proxy, or a pod that calls its own address: past the proxy. The proxy itself, balancing to its own pod, comes in at its front door.
    const past = pod.role === 'proxy' && !asApp ? bound === DELIVERY_SOURCE : true;
    return { address: past && capturesInbound(redirect, port) ? pod.localIP : pod.podIP, port: real, captured: false, ...(bound === undefined ? { source: pod.podIP } : {}) };
  }
  if (plain === pod.localIP) return { address: plain, port: real, captured: false };
  if (asApp && capturesOutbound(redirect, plain, port)) return { address: pod.localIP, port: Number(redirect!.proxyPort), captured: true, ...(bound === undefined ? { source: pod.podIP } : {}) };
  if (isClusterAddress(plain, pod.base)) return { address: plain, port: real, captured: false, ...(bound === undefined ? { source: pod.podIP } : {}) };
  return { address, port, captured: false };
}

/** Where a socket is really bound, and where else it must listen. */
export interface BindPlan {
  readonly address: string;
  readonly port: number;
  /** Another address of the pod that the same listener answers on. */
  readonly also?: string;
  /** The proxy answers for the port at the pod's address. */
  readonly announced: boolean;
}

/** Plans `bind(address, port)` of a listener. */
export function planBind(pod: PodNetwork, redirect: Redirect | undefined, address: string, port: number): BindPlan {
  const real = realPort(port, pod.firstPort);
  if (pod.role === 'node') return isClusterAddress(address, pod.base) ? { address, port: real, announced: false } : { address, port, announced: false };
  if (isLocalhost(address)) return { address: pod.localIP, port: real, announced: false };
  const any = isAnyAddress(address);
  if (!any && address !== pod.podIP) return { address, port, announced: false };
  if (pod.role === 'app' && capturesInbound(redirect, port)) return { address: pod.localIP, port: real, announced: true };
  return { address: pod.podIP, port: real, announced: false, ...(any ? { also: pod.localIP } : {}) };
}

/** A PROXY header, version 2, that names the destination. @see https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt */
export function proxyHeader(source: string, sourcePort: number, destination: string, destinationPort: number): Uint8Array {
  const plain = destination.startsWith('::ffff:') ? destination.slice('::ffff:'.length) : destination;
  const v6 = plain.includes(':');
  const addresses = v6 ? [...ipv6Bytes(`::ffff:${source}`), ...ipv6Bytes(plain)] : [...source.split('.').map(Number), ...plain.split('.').map(Number)];
  return Uint8Array.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, 0x21, v6 ? 0x21 : 0x11, 0, addresses.length + 4, ...addresses, sourcePort >> 8, sourcePort & 255, destinationPort >> 8, destinationPort & 255]);
}

function ipv6Bytes(text: string): number[] {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  const hex = (a: string, b: string): string => (Number(a) * 256 + Number(b)).toString(16);
  const whole = dotted ? `${dotted[1]}${hex(dotted[2]!, dotted[3]!)}:${hex(dotted[4]!, dotted[5]!)}` : text.replace(/%.*$/, '');
  const [head = '', tail] = whole.split('::');
  const words = (part: string | undefined): number[] => (part ? part.split(':').map((word) => Number.parseInt(word, 16)) : []);
  const [left, right] = [words(head), words(tail)];
  const all = [...left, ...Array<number>(tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length)).fill(0), ...right];
  return all.flatMap((word) => [word >> 8, word & 255]);
}
