/** CPU and memory of processes, from /proc. */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';

const TICKS_PER_SECOND = 100;

export interface CpuTimes {
  readonly userMs: number;
  readonly systemMs: number;
}

/** CPU time of a process since its start, all its threads included. @see proc_pid_stat(5) */
export function cpuOf(pid: number): CpuTimes {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
  return { userMs: (Number(fields[11]) * 1000) / TICKS_PER_SECOND, systemMs: (Number(fields[12]) * 1000) / TICKS_PER_SECOND };
}

/** Sum over processes. */
export function cpuOfAll(pids: readonly number[]): CpuTimes {
  return pids.map(cpuOf).reduce((sum, one) => ({ userMs: sum.userMs + one.userMs, systemMs: sum.systemMs + one.systemMs }), { userMs: 0, systemMs: 0 });
}

/** Resident memory now and at its highest, in MB. */
export function memoryOf(pid: number): { readonly rssMb: number; readonly peakMb: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024;
  return { rssMb: field('VmRSS'), peakMb: field('VmHWM') };
}

/** Starts the highest resident memory of a process anew. @see proc_pid_clear_refs(5) */
export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

/** Direct children of a process. */
export function childrenOf(pid: number): readonly number[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((candidate) => {
    try {
      return Number(readFileSync(`/proc/${candidate}/stat`, 'utf8').replace(/^.*\) /, '').split(' ')[1]) === pid;
    } catch {
      return false;
    }
  });
}
