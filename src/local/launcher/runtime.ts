/** What is running: a description in the state directory, and whether the process it names is still that process. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DataPlane } from '../cluster-config.ts';
import type { PrivilegeMode } from '../settings.ts';
import type { StateDir } from '../state-dir.ts';

export interface RuntimeInfo {
  /** Host pid of `unshare`, the parent of process 1; on a loopback network of the shell that watches the cluster program. */
  readonly pid: number;
  /** Start time of that process in clock ticks since boot: tells it from a later one with the same pid. */
  readonly startTicks: string;
  readonly mode: PrivilegeMode;
  readonly dataPlane: DataPlane;
  readonly kubeconfig: string;
  /** `api`, `ingress`, …: what a user opens. */
  readonly urls: Readonly<Record<string, string>>;
  readonly startedAt: string;
}

/** Start time of a process, or undefined when there is none of this pid. @see proc_pid_stat(5), field 22 */
export function startTicksOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/** Host pid of process 1 of the cluster: the only child of `unshare`. */
export function initPidOf(unsharePid: number): number | undefined {
  try {
    const children = readFileSync(`/proc/${unsharePid}/task/${unsharePid}/children`, 'utf8').trim().split(' ').map(Number);
    return children.find((pid) => pid > 1);
  } catch {
    return undefined;
  }
}

/** The running cluster of a state directory; undefined when none runs. */
export function readRuntime(dir: Pick<StateDir, 'runtimeFile'>): RuntimeInfo | undefined {
  try {
    const info = JSON.parse(readFileSync(dir.runtimeFile, 'utf8')) as RuntimeInfo;
    return startTicksOf(info.pid) === info.startTicks && info.startTicks !== undefined ? info : undefined;
  } catch {
    return undefined;
  }
}

/** Writes the description as a whole. */
export function writeRuntime(dir: StateDir, info: RuntimeInfo): void {
  mkdirSync(dirname(dir.runtimeFile), { recursive: true, mode: 0o700 });
  writeFileSync(`${dir.runtimeFile}.new`, `${JSON.stringify(info, undefined, 2)}\n`);
  renameSync(`${dir.runtimeFile}.new`, dir.runtimeFile);
}

/** Removes what a run leaves in the state directory: the description, pods' files; with `data` also the store, its keys and the kubeconfig. */
export function cleanState(dir: StateDir, options: { readonly data: boolean }): void {
  for (const path of [dir.runtimeFile, dir.pods, ...(options.data ? [dir.data, dir.volumes, dir.pki, dir.kubeconfig] : [])]) rmSync(path, { recursive: true, force: true });
}
