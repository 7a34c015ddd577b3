import { afterEach, expect, test, vi } from 'vitest';
import { runCommandLine } from './main.ts';

afterEach(() => {
  vi.restoreAllMocks();
  process.exitCode = undefined;
});

async function run(...argv: readonly string[]): Promise<{ readonly out: string; readonly error: string; readonly code: unknown }> {
  const texts = { out: '', error: '' };
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((texts.out += String(text)), true));
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => ((texts.error += String(text)), true));
  await runCommandLine(argv, '1.2.3');
  return { ...texts, code: process.exitCode };
}

test('a command that lives elsewhere is told where', async () => {
  expect(await run('describe', 'pod', 'x')).toEqual({ out: '', error: expect.stringMatching(/unknown command 'describe'\n[^]*\(It is: meltemi x describe\)/), code: 64 });
});

test('help of a word that is no command is an error, not the help of everything', async () => {
  expect(await run('lgos', '--help')).toEqual({ out: '', error: expect.stringContaining("unknown command 'lgos'"), code: 64 });
});

test.each([[['--help']], [['help']], [['help', 'up']], [['up', '--help']]])('%s is help', async (argv) => {
  expect(await run(...argv)).toMatchObject({ out: expect.stringContaining('Usage: meltemi'), error: '', code: 0 });
});
