/** `meltemi doctor`: everything a mesh on one machine depends on, one finding each, with what to do about it. */
import { existsSync, readFileSync, statfsSync } from 'node:fs';
import net from 'node:net';
import { dirname, join } from 'node:path';
import { runCommand } from '../command.ts';
import { findProcesses } from '../loopback/leftovers.ts';
import { CLUSTER_VARIABLE } from '../loopback/launch-on-host.ts';
import { networkOf } from '../settings.ts';
import type { StateDir } from '../state-dir.ts';
import { checkMachine, findTool, toolPath, type CheckResult } from './checks.ts';
import { openLoopback } from './network-choice.ts';
import { DEFAULT_PORTS } from './ports.ts';
import { readRuntime } from './runtime.ts';
import { packageObstacle, stateObstacle } from './state-check.ts';

/** `fail`: no mesh can run before this is fixed. `warn`: it runs, with less. */
export interface Finding {
  readonly name: string;
  readonly status: 'ok' | 'warn' | 'fail';
  readonly message: string;
  /** What to do; present unless all is well. */
  readonly fix?: string;
}

export interface DoctorReport {
  /** A mesh can run here, on this network with `--network auto`. */
  readonly ok: boolean;
  readonly network?: 'netns' | 'loopback';
  readonly findings: readonly Finding[];
}

export interface DoctorOptions {
  readonly dir: StateDir;
  /** Folder of the bundled programs. */
  readonly dist: string;
  /** The Envoy that `--data-plane envoy` would run. */
  readonly envoyPath: string | undefined;
}

const MIN_NODE = [20, 19] as const;
/** What Bookinfo with a sidecar each takes, with room for a build. */
const MIN_MEMORY_MB = 1200;
const MIN_DISK_MB = 200;
const MIN_FILES = 4096;
const MIN_WATCHES = 64;

const ok = (name: string, message: string): Finding => ({ name, status: 'ok', message });
const warn = (name: string, message: string, fix: string): Finding => ({ name, status: 'warn', message, fix });
const bad = (name: string, message: string, fix: string): Finding => ({ name, status: 'fail', message, fix });

/** Looks at everything; changes nothing but a probe file in the state directory. Takes well under a second. */
export async function examine(options: DoctorOptions): Promise<DoctorReport> {
  const { dir, dist } = options;
  const machine = await checkMachine();
  const running = readRuntime(dir);
  const loopback = await openLoopback();
  const canLoopback = !('what' in loopback);
  const findings = [
    node(), programs(dist), state(dir), networks(machine, loopback), ...(await Promise.all([iptables(), ...ports(running !== undefined), kubectl()])),
    packageFiles(dist, machine), umask(), envoy(options.envoyPath, machine), memory(), disk(dir), openFiles(), watches(), cluster(dir, running), ...leftovers(running !== undefined),
  ].flat();
  const network = running ? networkOf(running.mode) : machine.ok ? 'netns' : canLoopback ? 'loopback' : undefined;
  return { ok: findings.every(({ status }) => status !== 'fail'), ...(network === undefined ? {} : { network }), findings };
}

function node(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const fits = major > MIN_NODE[0] || (major === MIN_NODE[0] && minor >= MIN_NODE[1]);
  return fits ? ok('node', `Node ${process.versions.node}`) : bad('node', `Node ${process.versions.node} is too old`, `install Node ${MIN_NODE.join('.')} or newer`);
}

function programs(dist: string): Finding {
  const missing = ['cluster.js', 'control-plane.js', 'agent.js', 'pod-preload.cjs'].filter((file) => !existsSync(join(dist, file)));
  return missing.length === 0 ? ok('programs', `built in ${dist}`) : bad('programs', `${missing.join(', ')} missing in ${dist}`, 'npm run build');
}

function state(dir: StateDir): Finding {
  const obstacle = stateObstacle(dir);
  return obstacle ? bad('state directory', obstacle.what, obstacle.fix) : ok('state directory', `${dir.home} is writable`);
}

function networks(machine: CheckResult, loopback: Awaited<ReturnType<typeof openLoopback>>): readonly Finding[] {
  if (machine.ok) return [ok('network', `netns: a network namespace for every pod (${machine.why})`)];
  const [first, ...others] = machine.obstacles;
  const reasons = [first?.what, ...others.map(({ what }) => what)].filter(Boolean).join('; ');
  const fix = machine.obstacles.map((obstacle) => obstacle.fix).join('; ');
  if ('what' in loopback) return [bad('network', `${reasons}; and no loopback addresses: ${loopback.what}`, `${fix}; or ${loopback.fix}`)];
  return [warn('network', `loopback addresses only, with the limits of docs/local-loopback.md: ${reasons}`, `for network namespaces: ${fix}`)];
}

async function iptables(): Promise<Finding> {
  if (!findTool('iptables')) return warn('iptables', 'not there: no network namespaces', 'apt-get install iptables');
  const { stdout, code, stderr } = await runCommand(['iptables', '--version'], { env: { PATH: toolPath() } });
  return code === 0 ? ok('iptables', stdout.trim()) : warn('iptables', `does not run: ${(stderr || stdout).trim().split('\n')[0]}`, 'apt-get install --reinstall iptables');
}

function ports(running: boolean): readonly Promise<Finding>[] {
  return DEFAULT_PORTS.filter(({ hostPort }) => hostPort > 0).map(async ({ name, hostPort }) => {
    const free = await new Promise<boolean>((resolve) => {
      const server = net.createServer();
      server.once('error', () => resolve(false));
      server.listen({ port: hostPort, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
    });
    if (free || running) return ok(`port ${hostPort}`, running ? `${name} of the running mesh, or free` : `free for ${name}`);
    return warn(`port ${hostPort}`, `taken on 127.0.0.1; ${name} will take the next free one`, 'stop what listens there, or read the address that "meltemi up" prints');
  });
}

async function kubectl(): Promise<Finding> {
  const fix = 'bash scripts/setup.sh, or https://kubernetes.io/docs/tasks/tools/';
  if (!findTool('kubectl')) return warn('kubectl', 'not on the PATH: the mesh runs, but you cannot talk to it as its lessons do', fix);
  const { stdout, code } = await runCommand(['kubectl', 'version', '--client', '-o', 'json'], { env: { PATH: toolPath(), HOME: process.env['HOME'] ?? '/' } });
  const version = /"gitVersion": *"v?([^"]+)"/.exec(stdout)?.[1];
  return code === 0 && version !== undefined ? ok('kubectl', version) : warn('kubectl', 'does not say its version', fix);
}

function packageFiles(dist: string, machine: CheckResult): Finding {
  if (!machine.ok || machine.mode !== 'root') return ok('package', 'sidecars run as you, and you can read this package');
  const obstacle = packageObstacle(dirname(dist));
  return obstacle ? bad('package', obstacle.what, obstacle.fix) : ok('package', 'readable for user 1337, as whom sidecars run');
}

function umask(): Finding {
  const mask = process.umask();
  const text = mask.toString(8).padStart(3, '0');
  return (mask & 0o055) === 0 ? ok('umask', text) : warn('umask', `${text}: what you clone or install now is closed to other users, as whom root's pods run`, 'umask 022 before "git clone" and "npm ci"; files of your own images need o+rX as well');
}

function envoy(path: string | undefined, machine: CheckResult): Finding {
  if (path === undefined) return ok('envoy', 'not there; only --data-plane envoy needs it (scripts/setup.sh --with-envoy)');
  return machine.ok ? ok('envoy', path) : ok('envoy', `${path}; unused: Envoy needs network namespaces`);
}

function memory(): Finding {
  const freeMb = Number(/MemAvailable:\s+(\d+)/.exec(read('/proc/meminfo') ?? '')?.[1] ?? 0) / 1024;
  const limitMb = Number(read('/sys/fs/cgroup/memory.max') ?? NaN) / (1 << 20);
  const mb = Math.round(Number.isFinite(limitMb) ? Math.min(freeMb, limitMb) : freeMb);
  return mb === 0 || mb >= MIN_MEMORY_MB ? ok('memory', mb === 0 ? 'unknown' : `${mb} MB available`) : warn('memory', `${mb} MB available; Bookinfo takes about 800 MB`, 'close something, or leave replicas out: kubectl scale');
}

function disk(dir: StateDir): Finding {
  try {
    let place = dir.home;
    while (!existsSync(place) && dirname(place) !== place) place = dirname(place);
    const { bavail, bsize } = statfsSync(place);
    const mb = Math.round((bavail * bsize) / (1 << 20));
    return mb >= MIN_DISK_MB ? ok('disk', `${mb} MB free`) : warn('disk', `${mb} MB free at ${place}`, 'free some space, or set $MELTEMI_HOME to another disk');
  } catch {
    return ok('disk', 'unknown');
  }
}

function openFiles(): Finding {
  const soft = /Max open files\s+(\S+)/.exec(read('/proc/self/limits') ?? '')?.[1] ?? 'unlimited';
  return soft === 'unlimited' || Number(soft) >= MIN_FILES ? ok('open files', soft) : warn('open files', `at most ${soft} in a process; a proxy takes two for every request under way`, `ulimit -n ${MIN_FILES}`);
}

function watches(): Finding {
  const instances = Number(read('/proc/sys/fs/inotify/max_user_instances') ?? MIN_WATCHES);
  return instances >= MIN_WATCHES ? ok('file watches', `fs.inotify.max_user_instances is ${instances}`) : warn('file watches', `fs.inotify.max_user_instances is ${instances}: sidecars look for renewed certificates less often`, 'sudo sysctl -w fs.inotify.max_user_instances=512');
}

function cluster(dir: StateDir, running: ReturnType<typeof readRuntime>): Finding {
  if (running) return ok('cluster', `runs since ${running.startedAt} (network ${networkOf(running.mode)}, data plane ${running.dataPlane})`);
  return existsSync(dir.runtimeFile) ? warn('cluster', `the one of ${dir.home} was killed`, 'meltemi down, or meltemi up to go on with what it had stored') : ok('cluster', 'not running');
}

/** Processes of loopback clusters whose cluster program is gone, by state directory. */
function leftovers(running: boolean): readonly Finding[] {
  const homes = new Map<string, number>();
  findProcesses((environment) => {
    const home = new RegExp(`(?:^|\\0)${CLUSTER_VARIABLE}=([^\\0]+)`).exec(environment)?.[1];
    if (home !== undefined) homes.set(home, (homes.get(home) ?? 0) + 1);
    return false;
  });
  const orphaned = [...homes].filter(([home]) => !clusterRuns(home));
  if (orphaned.length === 0) return running ? [] : [ok('leftovers', 'none')];
  return orphaned.map(([home, count]) => warn('leftovers', `${count} processes of a killed cluster (${home})`, `MELTEMI_HOME=${home} meltemi down`));
}

function clusterRuns(home: string): boolean {
  return readRuntime({ runtimeFile: join(home, 'run', 'cluster.json') }) !== undefined;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
