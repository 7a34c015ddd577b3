import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ContainerStreams } from './container-streams.ts';
import { ContainerLog } from './logs.ts';
import { terminationMessage } from './termination-message.ts';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'end-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('terminationMessage', () => {
  const container = (terminationMessagePolicy?: string) => ({ name: 'a', ...(terminationMessagePolicy === undefined ? {} : { terminationMessagePolicy }) });
  const message = (written: string, lines: readonly string[], policy: string | undefined, exitCode: number) => {
    const [file, logFile] = [join(folder, 'message'), join(folder, 'log')];
    writeFileSync(file, written);
    const log = new ContainerLog(logFile);
    for (const line of lines) log.write('stderr', Buffer.from(`${line}\n`));
    log.close();
    return terminationMessage(container(policy), exitCode, file, logFile);
  };
  it('is what the program wrote, 4096 bytes of it', () => {
    expect(message('bye\n', ['log'], undefined, 1)).toBe('bye\n');
    expect(message('x'.repeat(5000), [], 'FallbackToLogsOnError', 1)).toHaveLength(4096);
  });
  it('is the end of the log only where the policy says so, the program failed, and wrote nothing', () => {
    expect(message('', ['a', 'b'], 'FallbackToLogsOnError', 1)).toBe('a\nb\n');
    expect(message('', ['a'], 'FallbackToLogsOnError', 0)).toBe('');
    expect(message('', ['a'], 'File', 1)).toBe('');
    expect(message('own', ['a'], 'FallbackToLogsOnError', 1)).toBe('own');
  });
  it('takes the last 80 lines, and at most 2048 bytes', () => {
    const lines = Array.from({ length: 200 }, (_, index) => String(index));
    expect(message('', lines, 'FallbackToLogsOnError', 1)).toBe(lines.slice(-80).map((line) => `${line}\n`).join(''));
    expect(message('', lines.map((line) => line.padEnd(100, '.')), 'FallbackToLogsOnError', 1)).toHaveLength(2048);
  });
  it('is nothing when there is no file', () => expect(terminationMessage(container(), 1, join(folder, 'none'), join(folder, 'none'))).toBe(''));
});

describe('ContainerStreams', () => {
  it('hands output to everybody who joined, from then on, until the end', async () => {
    const streams = new ContainerStreams(null, false);
    streams.write('stdout', Buffer.from('before'));
    const [first, second] = [streams.join(), streams.join()];
    streams.write('stdout', Buffer.from('a'));
    streams.write('stderr', Buffer.from('b'));
    second.leave();
    streams.write('stdout', Buffer.from('c'));
    streams.close();
    await first.ended;
    expect([await text(first.stdout), await text(first.stderr), await text(second.stdout)]).toEqual(['ac', 'b', 'a']);
  });
  it('leaves a listener behind that does not read, and nobody else', async () => {
    const streams = new ContainerStreams(new PassThrough(), true);
    const [slow, fast] = [streams.join(), streams.join()];
    const heard = text(fast.stdout);
    const megabyte = Buffer.alloc(1 << 20, 'x');
    for (let count = 0; count < 6; count++) {
      streams.write('stdout', megabyte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    streams.close();
    expect((await heard).length).toBe(6 << 20);
    expect((await text(slow.stdout)).length).toBe(4 << 20);
  });
});
