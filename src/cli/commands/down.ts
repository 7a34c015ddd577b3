/** `down`: ends the cluster of this machine and leaves nothing behind. */
import type { Command } from 'commander';
import { initPidOf, cleanState, readRuntime } from '../../local/launcher/runtime.ts';
import { LockedError, takeLock } from '../../local/launcher/lock.ts';
import { endLeftovers, stopCluster } from '../../local/launcher/launch.ts';
import { stateObstacle } from '../../local/launcher/state-check.ts';
import { stateDir, type StateDir } from '../../local/state-dir.ts';
import { Progress } from '../output.ts';

interface Flags {
  readonly keepData?: boolean;
}

export function addDown(program: Command): void {
  program
    .command('down')
    .description('Stop the mesh on this machine and remove everything it made')
    .option('--keep-data', 'keep what is stored in the cluster for the next "up"')
    .action((flags: Flags) => down(stateDir(), flags.keepData === true));
}

async function down(dir: StateDir, keepData: boolean): Promise<void> {
  const closed = stateObstacle(dir);
  if (closed) {
    process.stderr.write(`Error: ${closed.what}\n      ${closed.fix}\n`);
    process.exitCode = 1;
    return;
  }
  const release = lock(dir);
  if (!release) return;
  try {
    const runtime = readRuntime(dir);
    if (!runtime) {
      const killed = await endLeftovers(dir.home);
      if (killed > 0) process.stderr.write(`✔ Ended ${killed} processes that a killed cluster had left\n`);
      cleanState(dir, { data: !keepData });
      process.stderr.write('The mesh is not running; nothing to stop.\n');
      return;
    }
    const progress = new Progress(`Stopping the mesh (process ${initPidOf(runtime.pid) ?? runtime.pid})`);
    const how = await stopCluster(runtime);
    cleanState(dir, { data: !keepData });
    progress.end(how === 'killed' ? '✔ Stopped, by force: it did not answer' : '✔ Stopped: no process, namespace, interface or rule is left');
    if (keepData) process.stderr.write(`  The stored objects are kept in ${dir.data}\n`);
  } finally {
    release();
  }
}

function lock(dir: StateDir): (() => void) | undefined {
  try {
    return takeLock(dir);
  } catch (error) {
    if (!(error instanceof LockedError)) throw error;
    process.stderr.write(`Error: ${error.message}; try again when it has finished.\n`);
    process.exitCode = 1;
    return undefined;
  }
}
