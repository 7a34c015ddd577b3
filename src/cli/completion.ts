/** Shell completion: the shell asks `meltemi __complete <words>`, so names come from the program itself and from the cluster. */
import type { Command, Option } from 'commander';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** The script a shell sources. */
export function completionScript(shell: Shell, name = 'meltemi'): string {
  const scripts: Readonly<Record<Shell, string>> = {
    bash: `_${name}() {\n  local IFS=$'\\n'\n  COMPREPLY=($(compgen -W "$(${name} __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "\${COMP_WORDS[COMP_CWORD]}"))\n}\ncomplete -o default -F _${name} ${name}\n`,
    zsh: `#compdef ${name}\n_${name}() {\n  local -a candidates\n  candidates=("\${(@f)$(${name} __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")\n  compadd -- $candidates\n}\ncompdef _${name} ${name}\n`,
    fish: `complete -c ${name} -f -a '(${name} __complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'\n`,
  };
  return scripts[shell];
}

/** What may stand at the last of `words`: subcommands, option names, the choices of an option or argument, or (from `pods`) pod names where a command takes a pod. */
export async function completeWords(program: Command, words: readonly string[], pods: () => Promise<readonly string[]>): Promise<readonly string[]> {
  const current = words.at(-1) ?? '';
  let command = program;
  let positionals = 0;
  /** The option whose value comes next. */
  let open: Option | undefined;
  for (const word of words.slice(0, -1)) {
    if (open) {
      open = undefined;
      continue;
    }
    if (word.startsWith('-')) {
      const { options } = command;
      open = [...program.options, ...options].find((option) => option.required && (option.long === word || option.short === word));
      continue;
    }
    const child = command.commands.find((candidate) => candidate.name() === word || candidate.aliases().includes(word));
    if (child) [command, positionals] = [child, 0];
    else positionals++;
  }
  if (open) return startingWith(open.argChoices ?? [], current);
  if (current.startsWith('-')) return startingWith(command.options.flatMap((option) => [option.long, option.short].filter((name) => typeof name === 'string')), current);
  const children = command.commands.map((child) => child.name()).filter((name) => !name.startsWith('__'));
  if (children.length > 0) return startingWith(children, current);
  const wanted = command.registeredArguments[positionals];
  return startingWith(wanted?.name() === 'pod' ? await pods() : (wanted?.argChoices ?? []), current);
}

function startingWith(candidates: readonly string[], prefix: string): readonly string[] {
  return candidates.filter((candidate) => candidate.startsWith(prefix)).toSorted();
}
