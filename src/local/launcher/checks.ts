/** Can this machine run pods, and as whom? Every "no" comes with its reason and what to do. */
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { runCommand } from '../command.ts';
import type { PrivilegeMode } from '../settings.ts';

/** What is missing, and what the user can do about it. */
export interface Obstacle {
  readonly what: string;
  readonly fix: string;
}

export type CheckResult = { readonly ok: true; readonly mode: PrivilegeMode; /** Why this mode. */ readonly why: string } | { readonly ok: false; readonly obstacles: readonly Obstacle[] };

const SYSTEM_PATHS = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin'];

interface Tool {
  readonly name: string;
  readonly debianPackage: string;
  readonly purpose: string;
}

const TOOLS: readonly Tool[] = [
  { name: 'ip', debianPackage: 'iproute2', purpose: 'network namespaces and links of pods' },
  { name: 'iptables', debianPackage: 'iptables', purpose: 'redirection to the sidecars' },
  { name: 'iptables-restore', debianPackage: 'iptables', purpose: 'service addresses' },
  { name: 'unshare', debianPackage: 'util-linux', purpose: 'namespaces of the cluster' },
  { name: 'nsenter', debianPackage: 'util-linux', purpose: 'starting programs in pods' },
  { name: 'mount', debianPackage: 'mount', purpose: 'volumes of pods' },
  { name: 'pivot_root', debianPackage: 'util-linux', purpose: 'file systems of pods' },
];
/** Needed only where there are several users. */
const SETPRIV: Tool = { name: 'setpriv', debianPackage: 'util-linux', purpose: 'users of containers' };

/** PATH with the system folders that an ordinary user's PATH leaves out. */
export function toolPath(): string {
  return [...new Set([...(process.env['PATH'] ?? '').split(delimiter), ...SYSTEM_PATHS])].filter(Boolean).join(delimiter);
}

/** Looks for tools, then tries namespaces, a bridge and an iptables rule for real. Takes about 50 ms. */
export async function checkMachine(): Promise<CheckResult> {
  if (process.platform !== 'linux') {
    return { ok: false, obstacles: [{ what: `this is ${process.platform}, and pods need Linux network namespaces`, fix: 'run meltemi on Linux: a virtual machine, WSL 2, or a container started with --privileged' }] };
  }
  const isRoot = process.getuid?.() === 0;
  const missing = [...TOOLS, ...(isRoot ? [SETPRIV] : [])].filter((tool) => !findTool(tool.name));
  if (missing.length > 0) return { ok: false, obstacles: missing.map((tool) => ({ what: `the program "${tool.name}" is missing (${tool.purpose})`, fix: `install it: apt-get install ${tool.debianPackage}` })) };
  if (isRoot) {
    const problem = await tryNamespaces('root');
    if (!problem) return { ok: true, mode: 'root', why: 'started as root' };
    const other = await tryNamespaces('user-namespace');
    if (!other) return { ok: true, mode: 'user-namespace', why: `root without the right to make namespaces (${problem})` };
    return { ok: false, obstacles: [{ what: `root may not make namespaces here: ${problem}`, fix: `give the container CAP_SYS_ADMIN and CAP_NET_ADMIN (docker run --privileged); a user namespace does not help either: ${other}` }] };
  }
  const problem = await tryNamespaces('user-namespace');
  if (!problem) return { ok: true, mode: 'user-namespace', why: 'not root, and unprivileged user namespaces work' };
  return { ok: false, obstacles: userNamespaceObstacles(problem) };
}

/** Where a program is, on the PATH or in a system folder; undefined when it is nowhere. */
export function findTool(name: string): string | undefined {
  return toolPath().split(delimiter).map((folder) => join(folder, name)).find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** The flags that make the cluster's namespaces. */
export function unshareFlags(mode: PrivilegeMode): readonly string[] {
  return [...(mode === 'user-namespace' ? ['--user', '--map-root-user'] : []), '--pid', '--mount', '--net', '--uts', '--ipc', '--fork', '--kill-child', '--mount-proc', '--propagation', 'private'];
}

const TRIAL = `set -e
mount -t tmpfs tmpfs /run && mkdir -p /run/netns
ip link set lo up
ip link add mtrial0 type bridge || { echo "no bridge: $(ip link add mtrial0 type bridge 2>&1)"; exit 1; }
ip netns add mtrial
ip link add mtrial1 type veth peer name eth0 netns mtrial
iptables -w 5 -t nat -A OUTPUT -p tcp -j REDIRECT --to-ports 15001
echo 1 > /proc/sys/net/ipv4/ip_forward
`;

/** Does once, in throw-away namespaces, what the cluster will do; the first complaint, or undefined. */
async function tryNamespaces(mode: PrivilegeMode): Promise<string | undefined> {
  const result = await runCommand(['unshare', ...unshareFlags(mode), '/bin/sh', '-c', TRIAL], { env: { ...(process.env as Record<string, string>), PATH: toolPath() }, timeoutMs: 10_000 });
  return result.code === 0 ? undefined : (result.stderr || result.stdout).trim().split('\n').slice(0, 3).join('; ') || `exit status ${result.code}`;
}

function sysctl(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined;
}

function userNamespaceObstacles(problem: string): readonly Obstacle[] {
  const obstacles: Obstacle[] = [];
  if (sysctl('/proc/sys/user/max_user_namespaces') === '0') obstacles.push({ what: 'user namespaces are switched off (user.max_user_namespaces is 0)', fix: 'sudo sysctl -w user.max_user_namespaces=15000, or run as root' });
  if (sysctl('/proc/sys/kernel/unprivileged_userns_clone') === '0') obstacles.push({ what: 'unprivileged user namespaces are switched off (kernel.unprivileged_userns_clone is 0)', fix: 'sudo sysctl -w kernel.unprivileged_userns_clone=1, or run as root' });
  if (sysctl('/proc/sys/kernel/apparmor_restrict_unprivileged_userns') === '1') obstacles.push({ what: 'AppArmor restricts unprivileged user namespaces (kernel.apparmor_restrict_unprivileged_userns is 1)', fix: 'sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or run as root' });
  if (obstacles.length === 0) obstacles.push({ what: `an unprivileged user namespace does not work: ${problem}`, fix: 'run as root (sudo meltemi up), or allow user, network and mount namespaces for this user' });
  return obstacles;
}
