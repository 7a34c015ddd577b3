/** Which addresses a cluster uses: private ranges inside namespaces of its own, or parts of 127.0.0.0/8 on the machine everybody shares. */

/** The variable by which the launcher tells the cluster program (and only it) the second octet of its loopback ranges. */
export const LOOPBACK_BASE_VARIABLE = 'MELTEMI_LOOPBACK_BASE';

/** Second octets a loopback cluster may start at; several clusters of one machine take different ones. Four octets each: pods, their own localhosts, services, spare. */
export const LOOPBACK_BASES: readonly number[] = Array.from({ length: 16 }, (_, index) => 64 + 4 * index);

export interface AddressPlan {
  readonly nodeIP: string;
  readonly podCidr: string;
  readonly serviceCidr: string;
  readonly apiServiceIP: string;
  readonly dnsServiceIP: string;
}

/** The addresses of a cluster; without a base those of the netns network. Throws when the base is none of ours. */
export function addressPlan(base?: string): AddressPlan {
  if (base === undefined || base === '') return { nodeIP: '10.244.0.1', podCidr: '10.244.0.0/16', serviceCidr: '10.96.0.0/16', apiServiceIP: '10.96.0.1', dnsServiceIP: '10.96.0.10' };
  const first = Number(base);
  if (!LOOPBACK_BASES.includes(first)) throw new Error(`${LOOPBACK_BASE_VARIABLE}=${base} is no base of a loopback network`);
  return { nodeIP: `127.${first}.0.1`, podCidr: `127.${first}.0.0/16`, serviceCidr: `127.${first + 2}.0.0/16`, apiServiceIP: `127.${first + 2}.0.1`, dnsServiceIP: `127.${first + 2}.0.10` };
}

/** The address that stands for `localhost` inside the pod with this address: same host part, next octet. */
export function localAddressOf(podIP: string): string {
  const [a, b, c, d] = podIP.split('.');
  return `${a}.${Number(b) + 1}.${c}.${d}`;
}

/** True for addresses of the cluster that starts at `base`: pods, their localhosts, services. */
export function isClusterAddress(address: string, base: number): boolean {
  const [a, b] = address.split('.', 2);
  const second = Number(b);
  return a === '127' && second >= base && second <= base + 2;
}

/** Where ports below the first one that this user may open stand instead: above the ephemeral range of Linux. */
const SHIFTED = 61_000;

/** The port that is really opened for a port of the cluster. `firstPort` is the lowest port this user may open (0: all). */
export function realPort(port: number, firstPort: number): number {
  return port > 0 && port < firstPort && port < 1024 ? SHIFTED + port : port;
}

/** The inverse of {@link realPort}. */
export function logicalPort(port: number, firstPort: number): number {
  return port > SHIFTED && port - SHIFTED < Math.min(firstPort, 1024) ? port - SHIFTED : port;
}
