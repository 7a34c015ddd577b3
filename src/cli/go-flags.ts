/** Yes-or-no flags as istioctl takes them: `--verbose`, `--verbose=false`, `--use-kube=0`. Commander knows only `--verbose` and `--no-verbose`. */
import type { Command, Option } from 'commander';

const YES: ReadonlySet<string> = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);
const NO: ReadonlySet<string> = new Set(['0', 'f', 'F', 'false', 'FALSE', 'False']);

/** Makes a command take `--flag=true` and `--flag=false` for each of its yes-or-no flags, also for those it has only as `--no-flag`. Returns the command. */
export function withGoFlags(command: Command): Command {
  const parseOptions = command.parseOptions.bind(command);
  command.parseOptions = (argv) => parseOptions(rewritten(argv, command.options));
  return command;
}

function rewritten(argv: readonly string[], options: readonly Option[]): string[] {
  // What follows a lone -- is not a flag.
  const end = argv.includes('--') ? argv.indexOf('--') : argv.length;
  return [...argv.slice(0, end).flatMap((word) => rewrite(word, options)), ...argv.slice(end)];
}

function rewrite(word: string, options: readonly Option[]): readonly string[] {
  const match = /^--([A-Za-z][-A-Za-z0-9]*)(?:=(.*))?$/.exec(word);
  if (!match) return [word];
  const [name = '', value] = [match[1], match[2]];
  const has = (long: string) => options.some((option) => option.long === long && !option.required && !option.optional);
  const [yes, no] = [has(`--${name}`), has(`--no-${name}`)];
  if (value === undefined) return no && !options.some(({ long }) => long === `--${name}`) ? [] : [word];
  if (!yes && !no) return [word];
  if (YES.has(value)) return yes ? [`--${name}`] : [];
  if (NO.has(value)) return no ? [`--no-${name}`] : [];
  return [word];
}
