import { tmpdir } from 'node:os';
import { spawn } from 'node:child_process';
import { expect, test } from 'vitest';
import { openOutputPipes } from './output-pipe.ts';

test('a child may open its own /dev/stdout, and the end is seen', async () => {
  const { stdout } = openOutputPipes(tmpdir(), 'stdout');
  spawn('sh', ['-c', 'echo one; echo two > /dev/stdout'], { stdio: ['ignore', stdout.writeFd, 'ignore'] });
  stdout.release();
  let text = '';
  for await (const chunk of stdout.reader) text += String(chunk);
  expect(text).toBe('one\ntwo\n');
});
