import { Argument, Command, Option } from 'commander';
import { expect, test } from 'vitest';
import { completeWords, completionScript, SHELLS } from './completion.ts';

const program = new Command('meltemi');
program.command('up').addOption(new Option('--data-plane <name>', '').choices(['proxy', 'envoy'])).option('-s, --set <key=value>', '').option('--foreground', '');
program.command('completion').addArgument(new Argument('<shell>').choices([...SHELLS]));
const group = program.command('proxy-config').alias('pc');
group.command('routes [pod]').alias('r').option('--name <name>', '');
program.command('__complete', { hidden: true });

test.each([
  { words: [''], want: ['completion', 'proxy-config', 'up'] },
  { words: ['u'], want: ['up'] },
  { words: ['up', '--d'], want: ['--data-plane'] },
  { words: ['up', '--data-plane', ''], want: ['envoy', 'proxy'] },
  { words: ['up', '--data-plane', 'e'], want: ['envoy'] },
  { words: ['up', '--data-plane', 'envoy', '--f'], want: ['--foreground'] },
  { words: ['completion', ''], want: ['bash', 'fish', 'zsh'] },
  { words: ['pc', 'r', '--name', ''], want: [] },
  { words: ['pc', 'r', '--name', '80', 'd'], want: ['details-v1-x'] },
  { words: ['pc', ''], want: ['routes'] },
  { words: ['pc', 'r', 'pr'], want: ['productpage-v1-x'] },
  { words: ['pc', 'r', 'productpage-v1-x', ''], want: [] },
])('$words completes to $want', async ({ words, want }) => {
  expect(await completeWords(program, words, () => Promise.resolve(['productpage-v1-x', 'details-v1-x']))).toEqual(want);
});

test.each(SHELLS.map((shell) => [shell]))('%s asks the program', (shell) => expect(completionScript(shell)).toContain('meltemi __complete'));
