import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { StateDir } from '../state-dir.ts';
import { startTicksOf } from './runtime.ts';

/** Someone else is just starting or stopping the cluster of this state directory. */
export class LockedError extends Error {
  override name = 'LockedError';
}

/**
 * Takes the state directory's lock for `up` and `down`. A lock of a process that is gone is taken over. Throws {@link LockedError} when another
 * process holds it. Returns the function that releases it.
 */
export function takeLock(dir: StateDir): () => void {
  mkdirSync(dir.run, { recursive: true, mode: 0o700 });
  const path = join(dir.run, 'lock');
  const own = `${path}.${process.pid}`;
  writeFileSync(own, JSON.stringify({ pid: process.pid, startTicks: startTicksOf(process.pid) }));
  try {
    for (let attempt = 0; ; attempt++) {
      try {
        // link(2) either makes the lock with its content or fails: there is no moment with an empty lock.
        linkSync(own, path);
        return () => rmSync(path, { force: true });
      } catch (error) {
        const holder = readHolder(path);
        if (attempt > 2 || (error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
        if (holder && startTicksOf(holder.pid) === holder.startTicks) throw new LockedError(`another meltemi (pid ${holder.pid}) is starting or stopping this cluster`);
        rmSync(path, { force: true });
      }
    }
  } finally {
    rmSync(own, { force: true });
  }
}

function readHolder(path: string): { readonly pid: number; readonly startTicks: string } | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as { pid: number; startTicks: string };
  } catch {
    return undefined;
  }
}
