/** `validate`: files against the rules of their kinds, without a cluster. */
import type { Command } from 'commander';
import { hasErrors, type Issue } from '../../base/issue.ts';
import { validateFileObject } from '../../objects/istio/validate-file.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { guarded, REAL_WORLD, type CommandWorld } from '../command-world.ts';
import { issueLine } from '../output.ts';
import { readFiles } from '../read-files.ts';
import { conversionNotes } from '../conversion-notes.ts';

interface Flags {
  readonly filename: readonly string[];
  readonly recursive?: boolean;
}

export function addValidate(program: Command, world = REAL_WORLD): void {
  program.command('validate').alias('v').description('Validate Istio policies and rules files, and show what was meant where a file cannot be taken as it is')
    .requiredOption('-f, --filename <file>', 'file or folder to validate, - for standard input; may be repeated', (value: string, previous: readonly string[] | undefined) => [...(previous ?? []), value])
    .option('-R, --recursive', 'go into folders')
    .action((flags: Flags) => guarded(world, async () => run(world, flags)));
}

function run(world: CommandWorld, { filename, recursive }: Flags): void {
  let failed = false;
  for (const file of filename) {
    const { objects, issues } = readFiles([file], recursive === true);
    const found: readonly Issue[] = [
      ...issues,
      ...objects.flatMap(({ object, origin }) => validateFileObject(object).map((issue) => ({ ...issue, object: { ...issue.object, origin } }))),
      ...conversionNotes(objects.map(({ object }): KubeObject => object)),
    ];
    for (const issue of found) world.print(`${issueLine(issue)}\n`);
    if (hasErrors(found)) failed = true;
    else world.print(`${JSON.stringify(file)} is valid\n`);
  }
  if (failed) world.exitWith(1);
}
