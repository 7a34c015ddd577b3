import { Command } from 'commander';
import { expect, test } from 'vitest';
import { withGoFlags } from './go-flags.ts';

function parse(...argv: readonly string[]): unknown {
  let result: unknown;
  const program = new Command().exitOverride().configureOutput({ writeErr: () => {} });
  withGoFlags(program.command('x [pod]')).option('--no-verbose', '').option('-w, --with-headers', '').option('--name <name>', '')
    .action((pod: string | undefined, flags: object) => { result = { pod, ...flags }; });
  program.parse(['x', ...argv], { from: 'user' });
  return result;
}

test('flags with and without a value', () => {
  expect(parse('--verbose', 'p', '--with-headers=true')).toEqual({ pod: 'p', verbose: true, withHeaders: true });
  expect(parse('--verbose=false', '--with-headers=0', '--name=true', 'p')).toEqual({ pod: 'p', verbose: false, name: 'true' });
  expect(parse('--no-verbose')).toEqual({ pod: undefined, verbose: false });
  expect(parse('--', '--verbose=false')).toEqual({ pod: '--verbose=false', verbose: true });
});

test('what is neither yes nor no is refused', () => expect(() => parse('--with-headers=maybe')).toThrow(/unknown option/));
