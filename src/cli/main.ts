/** The command line: a table of commands, each loaded only when it is asked for. */
import { existsSync } from 'node:fs';
import { Command } from 'commander';
import { messageOf } from '../base/errors.ts';
import { stateDir } from '../local/state-dir.ts';

/** A row of the table; a command adds itself (and its aliases and subcommands) to the program. */
interface CommandRow {
  /** First words on the command line that mean it. */
  readonly names: readonly string[];
  readonly load: () => Promise<(program: Command) => void>;
}

/** In the order in which `--help` lists them. */
const COMMANDS: readonly CommandRow[] = [
  { names: ['up'], load: async () => (await import('./commands/up.ts')).addUp },
  { names: ['attach'], load: async () => (await import('./commands/attach.ts')).addAttach },
  { names: ['detach'], load: async () => (await import('./commands/attach.ts')).addDetach },
  { names: ['doctor'], load: async () => (await import('./commands/doctor.ts')).addDoctor },
  { names: ['down'], load: async () => (await import('./commands/down.ts')).addDown },
  { names: ['status'], load: async () => (await import('./commands/status.ts')).addStatus },
  { names: ['kubeconfig'], load: async () => (await import('./commands/kubeconfig.ts')).addKubeconfig },
  { names: ['install', 'apply', 'manifest', 'verify-install'], load: async () => (await import('./commands/install.ts')).addInstall },
  { names: ['version'], load: async () => (await import('./commands/version.ts')).addVersion },
  { names: ['proxy-status', 'ps'], load: async () => (await import('./commands/proxy-status.ts')).addProxyStatus },
  { names: ['proxy-config', 'pc'], load: async () => (await import('./commands/proxy-config.ts')).addProxyConfig },
  { names: ['kube-inject'], load: async () => (await import('./commands/kube-inject.ts')).addKubeInject },
  { names: ['analyze'], load: async () => (await import('./commands/analyze.ts')).addAnalyze },
  { names: ['validate', 'v'], load: async () => (await import('./commands/validate.ts')).addValidate },
  { names: ['experimental', 'x', 'exp'], load: async () => (await import('./commands/experimental.ts')).addExperimental },
  { names: ['waypoint'], load: async () => (await import('./commands/waypoint.ts')).addWaypoint },
  { names: ['ztunnel-config', 'zc'], load: async () => (await import('./commands/ztunnel-config.ts')).addZtunnelConfig },
  { names: ['load'], load: async () => (await import('./commands/load.ts')).addLoad },
  { names: ['completion'], load: async () => (await import('./commands/completion.ts')).addCompletion },
];

/** Commands that people look for here, and how to do what they do. */
const ELSEWHERE: ReadonlyMap<string, string> = new Map([
  ['describe', 'meltemi x describe'],
  ['check-inject', 'meltemi x check-inject'],
  ['workload', 'meltemi x workload'],
  ['logs', 'kubectl logs deploy/NAME -c istio-proxy'],
  ['uninstall', 'meltemi manifest generate | kubectl delete -f -, with the options of the installation; meltemi down for the mesh on this machine'],
]);

/** Exit status of a command line that cannot be understood (EX_USAGE). */
const USAGE_ERROR = 64;
/** Commands with a `--version` of their own. */
const OWN_VERSION = new Set(['attach', 'detach']);

/** Runs one command line (without node and script) to its end; sets `process.exitCode`. */
export async function runCommandLine(argv: readonly string[], version: string): Promise<void> {
  const program = new Command('meltemi')
    .description('A service mesh with Istio\'s API, on one machine or on Kubernetes')
    .option('--home <dir>', 'state directory (default: $MELTEMI_HOME, else ~/.meltemi)')
    .enablePositionalOptions(false)
    .showSuggestionAfterError()
    .exitOverride((error) => {
      process.exitCode = error.exitCode === 0 ? 0 : USAGE_ERROR;
      throw error;
    });
  // Every command reads the state directory from the environment; the option is the same for all of them.
  program.on('option:home', (home: string) => {
    process.env['MELTEMI_HOME'] = home;
    // Who names a mesh on the command line means it, whatever cluster the shell works with.
    if (existsSync(stateDir(home).kubeconfig)) delete process.env['KUBECONFIG'];
  });
  if (argv[0] === '__complete') return complete(program, argv.slice(1));
  const row = COMMANDS.find(({ names }) => names.includes(firstWord(argv) ?? ''));
  // An option of the program counts after a command as well, where `attach` means another version.
  if (!row?.names.some((name) => OWN_VERSION.has(name))) program.version(version, '--version', 'print the version of this program');
  for (const command of row ? [row] : COMMANDS) (await command.load())(program);
  // `--help` after a word nobody knows must not look like an answer.
  const known = row !== undefined || firstWord(argv) === undefined || firstWord(argv) === 'help';
  try {
    await program.parseAsync(known ? argv : argv.filter((word) => word !== '--help' && word !== '-h'), { from: 'user' });
  } catch (error) {
    const { code } = error as { code?: string };
    const elsewhere = code === 'commander.unknownCommand' ? ELSEWHERE.get(firstWord(argv) ?? '') : undefined;
    if (elsewhere !== undefined) process.stderr.write(`(It is: ${elsewhere})\n`);
    if (code?.startsWith('commander.')) return;
    process.stderr.write(`Error: ${messageOf(error)}\n`);
    process.exitCode = 1;
  }
}

/** What the shell's completion asks: every command is loaded, nothing is run. */
async function complete(program: Command, words: readonly string[]): Promise<void> {
  for (const command of COMMANDS) (await command.load())(program);
  const { completeWords } = await import('./completion.ts');
  const { podNames } = await import('./commands/completion.ts');
  for (const word of await completeWords(program, words, podNames)) process.stdout.write(`${word}\n`);
}

function firstWord(argv: readonly string[]): string | undefined {
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index]!;
    if (word === '--home') index++;
    else if (!word.startsWith('-')) return word;
  }
  return undefined;
}
