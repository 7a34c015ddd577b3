/** `kubeconfig`: where the kubeconfig of the mesh on this machine is. */
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { stateDir } from '../../local/state-dir.ts';

export function addKubeconfig(program: Command): void {
  program
    .command('kubeconfig')
    .description('Print the path of the kubeconfig of the mesh on this machine')
    .addHelpText('after', '\nUse it with: export KUBECONFIG=$(meltemi kubeconfig)')
    .action(() => {
      const { kubeconfig } = stateDir();
      process.stdout.write(`${kubeconfig}\n`);
      if (existsSync(kubeconfig)) return;
      process.stderr.write('There is none yet: it is written by "meltemi up".\n');
      process.exitCode = 1;
    });
}
