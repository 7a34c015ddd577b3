/** Processes of a loopback cluster, found by their environment: nothing of the kernel ends them with the cluster. */
import { readFileSync, readdirSync } from 'node:fs';

const ATTEMPTS = 20;
const WAIT_MS = 25;

/** Ids of this user's processes whose environment, as the kernel keeps it from their start, satisfies the test. Our own process is never among them. */
export function findProcesses(matches: (environment: string) => boolean): readonly number[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
    if (pid === process.pid) return false;
    try {
      return matches(readFileSync(`/proc/${pid}/environ`, 'latin1'));
    } catch {
      // Another user's, or gone.
      return false;
    }
  });
}

/** Kills them until none is left, because they may start others meanwhile. Resolves with how many there were. */
export async function endProcesses(matches: (environment: string) => boolean): Promise<number> {
  const seen = new Set<number>();
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const found = findProcesses(matches);
    if (found.length === 0) break;
    for (const pid of found) {
      seen.add(pid);
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone meanwhile.
      }
    }
    await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
  }
  return seen.size;
}

/** A test for {@link findProcesses}: the variable has exactly this value. */
export function hasVariable(name: string, value: string): (environment: string) => boolean {
  const entry = `${name}=${value}`;
  return (environment) => environment === entry || environment.startsWith(`${entry}\0`) || environment.includes(`\0${entry}\0`) || environment.endsWith(`\0${entry}`);
}
