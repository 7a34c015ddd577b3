/** A pod's network namespace: one veth to the bridge, a /32 address, everything routed through the node. */
import { BRIDGE, NODE_IP, POD_CIDR, POD_MTU } from '../settings.ts';
import { mustRun, runCommand } from '../command.ts';

/** The node's own side: loopback, bridge and forwarding. Called once per cluster, inside its network namespace. */
export async function openNodeNetwork(): Promise<void> {
  const prefix = POD_CIDR.split('/')[1]!;
  await mustRun(['ip', '-batch', '-'], {
    input: ['link set lo up', `link add ${BRIDGE} mtu ${POD_MTU} type bridge`, `addr add ${NODE_IP}/${prefix} dev ${BRIDGE}`, `link set ${BRIDGE} up`, ''].join('\n'),
  });
  // Redirects would teach pods to talk past the node, and replies of a service would miss its address translation.
  // Where br_netfilter is loaded, translated packets would be switched past the node, and back to their own port not at all.
  await writeSysctls({ 'net/bridge/bridge-nf-call-iptables': '0', 'net/bridge/bridge-nf-call-ip6tables': '0', 'net/bridge/bridge-nf-call-arptables': '0' });
  await writeSysctls({ 'net/ipv4/ip_forward': '1', 'net/ipv4/conf/all/send_redirects': '0', [`net/ipv4/conf/${BRIDGE}/send_redirects`]: '0', 'net/ipv4/conf/default/send_redirects': '0' });
}

/** Sysctls of a pod: `safe` ones that container runtimes set, then the pod's own. */
const POD_SYSCTLS: Readonly<Record<string, string>> = {
  'net/ipv4/ip_unprivileged_port_start': '0',
  'net/ipv4/ping_group_range': '0 0',
  // Pods have IPv4 only; without this every link waits for duplicate address detection.
  'net/ipv6/conf/eth0/disable_ipv6': '1',
};

/** Makes the namespace `name` with the pod's address; returns when packets flow. */
export async function openPodNetwork(name: string, ip: string, sysctls: Readonly<Record<string, string>> = {}): Promise<void> {
  const link = hostLink(name);
  await mustRun(['ip', '-batch', '-'], {
    input: [`netns add ${name}`, `link add ${link} mtu ${POD_MTU} type veth peer name eth0 mtu ${POD_MTU} netns ${name}`, `link set ${link} master ${BRIDGE} up`, `link set ${link} type bridge_slave hairpin on`, ''].join('\n'),
  });
  await mustRun(['ip', '-n', name, '-batch', '-'], {
    input: ['link set lo up', `addr add ${ip}/32 dev eth0`, 'link set eth0 up', `route add ${NODE_IP} dev eth0 scope link src ${ip}`, `route add default via ${NODE_IP} src ${ip}`, ''].join('\n'),
  });
  await writeSysctls({ ...POD_SYSCTLS, ...sysctls }, name);
}

/** Ends every process that is still in the namespace, then removes it with its links. */
export async function closePodNetwork(name: string): Promise<void> {
  const { stdout } = await runCommand(['ip', 'netns', 'pids', name]);
  for (const pid of stdout.split('\n').map(Number).filter((pid) => pid > 1)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // Already gone.
    }
  }
  await runCommand(['ip', 'link', 'del', hostLink(name)]);
  await runCommand(['ip', 'netns', 'del', name]);
}

/** The namespace of a pod. */
export function networkName(uid: string): string {
  return `pod-${uid}`;
}

/** Interface names have at most 15 characters. */
function hostLink(name: string): string {
  return `mlt${name.replace(/[^0-9a-f]/g, '').slice(-11)}`;
}

/** Writes sysctls in the node's or a pod's network namespace; one that this kernel does not have is left out. */
async function writeSysctls(values: Readonly<Record<string, string>>, netns?: string): Promise<void> {
  const script = 'while [ $# -gt 1 ]; do echo "$2" > "/proc/sys/$1" 2>/dev/null || :; shift 2; done';
  const args = Object.entries(values).flatMap(([key, value]) => [key.replaceAll('.', '/'), value]);
  await runCommand([...(netns ? ['nsenter', `--net=/run/netns/${netns}`] : ['env']), 'sh', '-c', script, 'sh', ...args] as [string, ...string[]]);
}

/** Hands out pod addresses; one that was given back is used again only after all others. */
export class AddressPool {
  private next = 2;
  private readonly used = new Set<string>();

  /** Throws when all addresses are taken. */
  take(): string {
    const [a, b] = POD_CIDR.split('.');
    for (let tries = 0; tries < 65_533; tries++) {
      const index = this.next;
      this.next = this.next >= 65_534 ? 2 : this.next + 1;
      const ip = `${a}.${b}.${index >> 8}.${index & 255}`;
      if (this.used.has(ip)) continue;
      this.used.add(ip);
      return ip;
    }
    throw new Error(`no free address in ${POD_CIDR}`);
  }

  give(ip: string): void {
    this.used.delete(ip);
  }
}
