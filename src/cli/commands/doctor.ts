/** `doctor`: can this machine run a mesh, and what would make it run better? */
import type { Command } from 'commander';
import { findEnvoy } from '../../agent/envoy/find-envoy.ts';
import { examine, type DoctorReport } from '../../local/launcher/doctor.ts';
import { stateDir } from '../../local/state-dir.ts';
import { formatOption, printData, type OutputFormat } from '../output.ts';

const SIGNS = { ok: '✔', warn: '!', fail: '✘' } as const;

export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .description('Check whether this machine can run a mesh, and how it could run better')
    .addOption(formatOption())
    .addHelpText('after', '\nExit code 0: "meltemi up" can work here, on the network it names. 1: something must be fixed first.')
    .action(async (flags: { readonly output?: OutputFormat }) => {
      const report = await examine({ dir: stateDir(), dist: import.meta.dirname, envoyPath: findEnvoy() });
      if (flags.output) printData(report, flags.output);
      else process.stdout.write(reportText(report));
      process.exitCode = report.ok ? 0 : 1;
    });
}

/** The report for people: a line a finding, its fix below it, the verdict last. */
export function reportText({ ok, network, findings }: DoctorReport): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  const lines = findings.flatMap(({ name, status, message, fix }) => [`${SIGNS[status]} ${name.padEnd(width)}  ${message}`, ...(fix === undefined ? [] : [`  ${' '.repeat(width)}  → ${fix}`])]);
  const verdict = !ok || network === undefined ? '"meltemi up" cannot work here before the lines with ✘ are fixed.' : `"meltemi up" works here, on the ${network} network.`;
  return `${lines.join('\n')}\n\n${verdict}\n`;
}
