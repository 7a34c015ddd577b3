/** Starts the cluster program as process 1 of its own namespaces, with the host's listeners handed over. */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, statSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { dirname } from 'node:path';
import type { Readable } from 'node:stream';
import { CLUSTER_CONFIG_VARIABLE, type ClusterConfig, type DataPlane, type ProgressLine } from '../cluster-config.ts';
import { NODE_ENV, type ImageMapping } from '../images.ts';
import { LOOPBACK_BASE_VARIABLE } from '../loopback/address-plan.ts';
import { CLUSTER_VARIABLE } from '../loopback/launch-on-host.ts';
import { endProcesses, hasVariable } from '../loopback/leftovers.ts';
import { networkOf } from '../settings.ts';
import type { StateDir } from '../state-dir.ts';
import { toolPath, unshareFlags } from './checks.ts';
import type { ChosenNetwork } from './network-choice.ts';
import type { OpenPort } from './ports.ts';
import { initPidOf, startTicksOf, writeRuntime, type RuntimeInfo } from './runtime.ts';

export interface LaunchOptions {
  readonly dir: StateDir;
  readonly network: ChosenNetwork;
  readonly dataPlane: DataPlane;
  readonly images: readonly ImageMapping[];
  /** The project's `meltemi.yaml`. */
  readonly project?: string;
  readonly envoyPath?: string;
  readonly ports: readonly OpenPort[];
  /** The bundled cluster program. */
  readonly program: string;
  /** The cluster ends when this process does. */
  readonly foreground: boolean;
  onProgress(step: string): void;
}

export interface Launched {
  readonly runtime: RuntimeInfo;
  /** Resolves when the API server answers and the node is ready; rejects with what the cluster said when it failed. */
  readonly ready: Promise<void>;
  /** Resolves when the cluster has ended. */
  readonly ended: Promise<void>;
  /** Lets this process exit while the cluster goes on. */
  detach(): void;
}

/**
 * Process 1: a shell, because it reaps every orphan of the namespace, which Node does not. It passes a request to end on, and ends when the
 * cluster program ends; with it the kernel ends every process, interface, rule and mount of the namespaces.
 */
const INIT_SCRIPT = `trap 'kill -TERM $c 2>/dev/null' TERM INT HUP
"$@" & c=$!
while :; do wait $c; r=$?; kill -0 $c 2>/dev/null || exit $r; done`;

/** Without namespaces the shell watches instead of the kernel: when the cluster program ends badly, every process that carries the cluster's name is killed. */
const LOOPBACK_SCRIPT = `trap 'kill -TERM $c 2>/dev/null' TERM INT HUP
m=$1; shift
"$@" & c=$!
while :; do wait $c; r=$?; kill -0 $c 2>/dev/null || break; done
[ $r = 0 ] && exit 0
for e in /proc/[0-9]*/environ; do
  tr '\\0' '\\n' <"$e" 2>/dev/null | grep -qxF -- "$m" && { p=\${e#/proc/}; kill -9 "\${p%/environ}"; }
done 2>/dev/null
exit $r`;

/** The cluster program serves an API to one machine, not to a data centre: a larger young generation than a sidecar's, otherwise the same. */
const CLUSTER_NODE_OPTIONS = ['--max-semi-space-size=4', '--v8-pool-size=1', '--expose-gc'];
const FIRST_FD = 4;
const MAX_LOG_BYTES = 10 << 20;

/** Spawns the cluster; the caller has taken the lock, cleaned the state directory and opened the ports. */
export function launchCluster(options: LaunchOptions): Launched {
  const { dir, ports } = options;
  mkdirSync(dir.home, { recursive: true, mode: 0o700 });
  rotateLog(dir.log);
  const api = ports.find((port) => port.name === 'api');
  if (!api) throw new Error('the API server needs a port');
  const published = ports.filter((port) => port.servicePort !== undefined);
  const tieFd = FIRST_FD + ports.length;
  const config: ClusterConfig = {
    home: dir.home, mode: options.network.mode, firstPort: options.network.firstPort, dataPlane: options.dataPlane, images: options.images,
    api: { fd: FIRST_FD + ports.indexOf(api), hostPort: api.hostPort },
    listeners: published.map((port) => ({ fd: FIRST_FD + ports.indexOf(port), servicePort: port.servicePort!, hostPort: port.hostPort })),
    progressFd: 3,
    ...(options.envoyPath === undefined ? {} : { envoyPath: options.envoyPath }),
    ...(options.project === undefined ? {} : { project: options.project }),
    ...(options.foreground ? { tieFd } : {}),
  };
  const logFd = openSync(dir.log, 'a', 0o600);
  const [command, ...args] = commandOf(options);
  const child = spawn(command, args, {
    detached: true,
    cwd: '/',
    stdio: ['ignore', logFd, logFd, 'pipe', ...ports.map((port) => port.fd), ...(options.foreground ? ['pipe' as const] : [])],
    env: { ...process.env, ...NODE_ENV, PATH: toolPath(), [CLUSTER_VARIABLE]: undefined, [LOOPBACK_BASE_VARIABLE]: options.network.base?.toString(), [CLUSTER_CONFIG_VARIABLE]: JSON.stringify(config) },
  });
  closeSync(logFd);
  // From here on only the cluster accepts.
  for (const port of ports) port.server.close();
  return follow(child, options, urlsOf(ports));
}

function commandOf({ network, dir, program }: LaunchOptions): readonly [string, ...string[]] {
  const node = [process.execPath, ...CLUSTER_NODE_OPTIONS, program];
  if (networkOf(network.mode) === 'loopback') return ['/bin/sh', '-c', LOOPBACK_SCRIPT, 'meltemi-init', `${CLUSTER_VARIABLE}=${dir.home}`, ...node];
  return ['unshare', ...unshareFlags(network.mode), '/bin/sh', '-c', INIT_SCRIPT, 'meltemi-init', ...node];
}

function urlsOf(ports: readonly OpenPort[]): Readonly<Record<string, string>> {
  const scheme = (port: OpenPort) => (port.name === 'api' || port.servicePort === 443 ? 'https' : 'http');
  return Object.fromEntries(ports.map((port) => [port.name, `${scheme(port)}://127.0.0.1:${port.hostPort}`]));
}

function follow(child: ChildProcess, options: LaunchOptions, urls: Readonly<Record<string, string>>): Launched {
  const { dir } = options;
  const pid = child.pid ?? -1;
  const runtime: RuntimeInfo = { pid, startTicks: startTicksOf(pid) ?? '', mode: options.network.mode, dataPlane: options.dataPlane, kubeconfig: dir.kubeconfig, urls, startedAt: new Date().toISOString() };
  if (pid > 0) writeRuntime(dir, runtime);
  const ended = new Promise<void>((resolve) => child.on('exit', () => resolve()).on('error', () => resolve()));
  const progress = child.stdio[3] as Readable | null;
  const ready = new Promise<void>((resolve, reject) => {
    child.on('error', (error) => reject(new Error(`${child.spawnfile}: ${error.message}`)));
    void ended.then(() => reject(new Error(`the cluster ended while it was starting:\n${logTail(dir.log)}`)));
    if (!progress) return;
    createInterface({ input: progress }).on('line', (line) => {
      const message = parseLine(line);
      if (!message) return;
      if ('step' in message) options.onProgress(message.step);
      else if ('ready' in message) resolve();
      else reject(new Error(message.failed));
    });
  });
  ready.catch(() => {});
  const detach = (): void => {
    progress?.destroy();
    child.unref();
  };
  return { runtime, ready, ended, detach };
}

function parseLine(line: string): ProgressLine | undefined {
  try {
    return JSON.parse(line) as ProgressLine;
  } catch {
    return undefined;
  }
}

function rotateLog(path: string): void {
  if (existsSync(path) && statSync(path).size > MAX_LOG_BYTES) renameSync(path, `${path}.1`);
}

const ERROR_LINE = /^\w*Error\b.*: /;

/** The last lines of the cluster's log, for an error message. */
export function logTail(path: string, lines = 12): string {
  const all = existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n') : [];
  const last = all.slice(-lines);
  // A crash ends in its stack, which says less than its first line.
  const cause = last.some((line) => ERROR_LINE.test(line)) ? undefined : all.slice(-4 * lines).findLast((line) => ERROR_LINE.test(line));
  return [...(cause === undefined ? [] : [cause]), ...last].join('\n');
}

const TERM_WAIT_MS = 10_000;
const KILL_WAIT_MS = 5000;
const POLL_MS = 20;

/** Ends a running cluster: process 1 is asked, then killed. Returns how it went; rejects only when even SIGKILL did not end it. */
export async function stopCluster(runtime: RuntimeInfo): Promise<'stopped' | 'killed' | 'was-gone'> {
  const alive = (): boolean => startTicksOf(runtime.pid) === runtime.startTicks;
  const how = alive() ? await stopProcess(runtime, alive) : 'was-gone';
  if (networkOf(runtime.mode) === 'loopback') await endLeftovers(dirname(runtime.kubeconfig));
  return how;
}

/** Kills what a loopback cluster of this state directory left behind; resolves with how many processes that were. */
export function endLeftovers(home: string): Promise<number> {
  return endProcesses(hasVariable(CLUSTER_VARIABLE, home));
}

async function stopProcess(runtime: RuntimeInfo, alive: () => boolean): Promise<'stopped' | 'killed'> {
  signal(initPidOf(runtime.pid) ?? runtime.pid, 'SIGTERM');
  if (await waitUntil(() => !alive(), TERM_WAIT_MS)) return 'stopped';
  signal(initPidOf(runtime.pid) ?? runtime.pid, 'SIGKILL');
  signal(runtime.pid, 'SIGKILL');
  if (await waitUntil(() => !alive(), KILL_WAIT_MS)) return 'killed';
  throw new Error(`process ${runtime.pid} does not end, not even with SIGKILL`);
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone meanwhile.
  }
}

async function waitUntil(condition: () => boolean, timeoutMs: number): Promise<boolean> {
  for (const deadline = Date.now() + timeoutMs; Date.now() < deadline; ) {
    if (condition()) return true;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return condition();
}
