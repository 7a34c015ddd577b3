/** Starts programs inside a pod: network namespace, private mounts, root folder, user and capabilities; then the program takes the place of all of it. */
import { spawn, type ChildProcess } from 'node:child_process';
import type { PrivilegeMode } from '../settings.ts';
import type { SecurityContext } from '../../objects/kubernetes/container.ts';
import type { PodSpec } from '../../objects/kubernetes/pod.ts';
import { dirname } from 'node:path';
import { openOutputPipes } from './output-pipe.ts';
import type { Readable } from 'node:stream';

/** Who a container runs as. In a user namespace there is one user only, and the program keeps the namespace's capabilities. */
export interface Credentials {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  /** Lower case without `cap_`, `net_admin`; `all` for a privileged container. */
  readonly capabilities: readonly string[] | 'all';
  readonly noNewPrivileges: boolean;
}

/** What a container runtime gives a container that asks for nothing. @see https://github.com/containerd/containerd/blob/main/pkg/oci/spec.go */
const DEFAULT_CAPABILITIES = ['chown', 'dac_override', 'fsetid', 'fowner', 'mknod', 'net_raw', 'setgid', 'setuid', 'setfcap', 'setpcap', 'net_bind_service', 'sys_chroot', 'kill', 'audit_write'];

/** Works out user, groups and capabilities from the container's and the pod's security context; `imageUser` is the image's USER. */
export function credentialsOf(spec: PodSpec, context: SecurityContext | undefined, imageUser = 0): Credentials {
  const pod = spec.securityContext;
  const uid = context?.runAsUser ?? pod?.runAsUser ?? imageUser;
  const gid = context?.runAsGroup ?? pod?.runAsGroup ?? (context?.runAsUser ?? pod?.runAsUser) === undefined ? (context?.runAsGroup ?? pod?.runAsGroup ?? imageUser) : (context?.runAsGroup ?? pod?.runAsGroup ?? 0);
  const groups = [...new Set([...(pod?.supplementalGroups ?? []), ...(pod?.fsGroup === undefined ? [] : [pod.fsGroup])])];
  return { uid, gid, groups, capabilities: context?.privileged ? 'all' : capabilitiesOf(context), noNewPrivileges: context?.allowPrivilegeEscalation === false && !context.privileged };
}

function capabilitiesOf(context: SecurityContext | undefined): readonly string[] | 'all' {
  const name = (text: string) => text.toLowerCase().replace(/^cap_/, '');
  const drop = new Set((context?.capabilities?.drop ?? []).map(name));
  const add = (context?.capabilities?.add ?? []).map(name).filter((cap) => /^[a-z_]+$/.test(cap));
  if (add.includes('all')) return 'all';
  return [...new Set([...(drop.has('all') ? [] : DEFAULT_CAPABILITIES.filter((cap) => !drop.has(cap))), ...add])].sort();
}

/** Reasons why a container may not run at all, in the words of kubectl; undefined when it may. */
export function refusalOf(credentials: Credentials, context: SecurityContext | undefined, mode: PrivilegeMode): string | undefined {
  if (mode === 'root' && context?.runAsNonRoot && credentials.uid === 0) return 'container has runAsNonRoot and image will run as root';
  return undefined;
}

/** The arguments of setpriv for these credentials; empty where the only user there is must do. */
export function setprivArgv(credentials: Credentials, mode: PrivilegeMode): readonly string[] {
  if (mode !== 'root') return [];
  const { uid, gid, groups, capabilities, noNewPrivileges } = credentials;
  const bounding = capabilities === 'all' ? [] : [`--bounding-set=${['-all', ...capabilities.map((cap) => `+${cap}`)].join(',')}`];
  return ['/usr/bin/setpriv', `--reuid=${uid}`, `--regid=${gid}`, groups.length > 0 ? `--groups=${groups.join(',')}` : '--clear-groups', '--inh-caps=-all', ...bounding, ...(noNewPrivileges ? ['--no-new-privs'] : [])];
}

/**
 * Positional: fstab, root folder, `ro` or `rw`, host name, working directory, whether it must exist (`must`, `may`), PATH, privilege dropper; then the program. fd 3 says why it could not be started;
 * nothing on it means that the program runs. Only positional names are used: the environment is the container's.
 */
const START_SCRIPT = `set -e
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
fail() { printf '%s' "$1" >&3; exit 128; }
m=$(mount -a -T "$1" 2>&1) || fail "mount: $m"
unset m
cd "$2"
[ "$3" = rw ] || mount -o remount,bind,ro . || fail 'cannot make the root read-only'
pivot_root . . && umount -l . || fail 'cannot change the root'
hostname "$4" 2>/dev/null || echo "$4" 2>/dev/null > /proc/sys/kernel/hostname || :
cd / && cd "$5" 2>/dev/null || [ "$6" = may ] || fail "chdir to cwd (\\"$5\\") set in config.json failed: no such file or directory"
PATH=$7 && unset OLDPWD
shift 7
s=$1 && shift
command -v "$1" >/dev/null 2>&1 || fail "exec: \\"$1\\": executable file not found in \\$PATH"
exec 3>&-
eval "unset s; exec $s \\"\\$@\\""`;

const EXEC_SCRIPT = `cd "$1" 2>/dev/null || cd /
PATH=$2 && unset OLDPWD
s=$3 && shift 3
command -v "$1" >/dev/null 2>&1 || { echo "exec: \\"$1\\": executable file not found in \\$PATH" >&2; exit 127; }
eval "unset s; exec $s \\"\\$@\\""`;

export interface StartRequest {
  /** Name of the network namespace. */
  readonly network: string;
  readonly fstab: string;
  readonly root: string;
  readonly readOnlyRoot: boolean;
  readonly hostname: string;
  readonly cwd: string;
  /** False: the program starts in / when a volume hides the folder. */
  readonly cwdMustExist: boolean;
  readonly argv: readonly string[];
  /** Complete; must have PATH. */
  readonly env: Readonly<Record<string, string>>;
  readonly setpriv: readonly string[];
  /** Standard input is a pipe that stays open; else there is none. */
  readonly stdin: boolean;
}

export interface StartedProcess {
  readonly child: ChildProcess;
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly pid: number;
  /** Resolves when the program has taken over, or with the reason why it could not. */
  readonly started: Promise<string | undefined>;
}

/** Starts a container's program as the leader of its own process group and session. stdout and stderr are pipes. */
export function startInPod(request: StartRequest): StartedProcess {
  const { plain, odd } = splitEnv(request.env);
  const args = [
    `--net=/run/netns/${request.network}`, 'unshare', '--mount', '--uts', '--propagation', 'private', '/bin/sh', '-c', START_SCRIPT, 'sh',
    request.fstab, request.root, request.readOnlyRoot ? 'ro' : 'rw', request.hostname, request.cwd, request.cwdMustExist ? 'must' : 'may', request.env['PATH'] ?? '', request.setpriv.join(' '), ...odd, ...request.argv,
  ];
  const { stdout, stderr } = openOutputPipes(dirname(request.fstab), 'stdout', 'stderr');
  const child = spawn('nsenter', args, { stdio: [request.stdin ? 'pipe' : 'ignore', stdout.writeFd, stderr.writeFd, 'pipe'], env: plain, detached: true, cwd: '/' });
  stdout.release();
  stderr.release();
  const started = new Promise<string | undefined>((resolve) => {
    let said = '';
    child.on('error', (error) => resolve(error.message));
    const status = child.stdio[3] as NodeJS.ReadableStream | null;
    status?.on('data', (text: Buffer) => (said += text.toString()));
    status?.on('error', () => {});
    status?.on('close', () => resolve(said || undefined));
  });
  return { child, stdout: stdout.reader, stderr: stderr.reader, pid: child.pid ?? 0, started };
}

export interface ExecRequest {
  /** A process of the container whose namespaces are entered. */
  readonly pid: number;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly setpriv: readonly string[];
  readonly stdin?: boolean;
}

/** Runs one more program inside a running container (probes, lifecycle hooks, `kubectl exec`). */
export function execInContainer(request: ExecRequest): ChildProcess {
  const { plain, odd } = splitEnv(request.env);
  return spawn('nsenter', ['-t', String(request.pid), '-m', '-n', '-u', '/bin/sh', '-c', EXEC_SCRIPT, 'sh', request.cwd, request.env['PATH'] ?? '', request.setpriv.join(' '), ...odd, ...request.argv], {
    stdio: [request.stdin ? 'pipe' : 'ignore', 'pipe', 'pipe'],
    env: plain,
    detached: true,
    cwd: '/',
  });
}

/** A shell drops variables whose names are no shell names (`a.b`); those go through env(1). */
function splitEnv(env: Readonly<Record<string, string>>): { plain: Record<string, string>; odd: readonly string[] } {
  const entries = Object.entries(env);
  const isPlain = ([name]: readonly [string, string]) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && name !== 's' && name !== 'm';
  const odd = entries.filter((entry) => !isPlain(entry)).map(([name, value]) => `${name}=${value}`);
  return { plain: Object.fromEntries(entries.filter(isPlain)), odd: odd.length > 0 ? ['env', ...odd] : [] };
}

/** Sends a signal to a whole process group; false when it is gone. */
export function signalGroup(pid: number, signal: NodeJS.Signals): boolean {
  // 0 would be our own group, 1 everybody.
  if (pid <= 1) return false;
  try {
    process.kill(-pid, signal);
    return true;
  } catch {
    return false;
  }
}
