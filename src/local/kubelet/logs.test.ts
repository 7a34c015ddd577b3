import { mkdtempSync, readFileSync, rmSync, existsSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ContainerLog, readLog, type LogReadOptions } from './logs.ts';

let folder: string;
let log: ContainerLog;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'log-'));
  log = new ContainerLog(join(folder, 'c/0.log'));
});
afterEach(() => {
  log.close();
  rmSync(folder, { recursive: true, force: true });
});
const read = async (options: LogReadOptions = {}, onChunk?: (text: string) => void): Promise<string> => {
  let text = '';
  for await (const chunk of readLog(log.path, log, options)) {
    text += chunk.toString();
    onChunk?.(text);
  }
  return text;
};
const write = (text: string, stream: 'stdout' | 'stderr' = 'stdout') => log.write(stream, Buffer.from(text));

describe('ContainerLog', () => {
  it('writes whole lines in the format of CRI', () => {
    write('on');
    write('e\ntwo\nrest');
    write('err\n', 'stderr');
    log.close();
    const lines = readFileSync(log.path, 'utf8').trimEnd().split('\n');
    expect(lines.map((line) => line.replace(/^\S+ /, ''))).toEqual(['stdout F one', 'stdout F two', 'stderr F err', 'stdout P rest']);
    expect(lines[0]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z /);
  });
  it('is bounded', () => {
    const line = `${'x'.repeat(9999)}\n`;
    for (let index = 0; index < 2500; index++) write(line);
    expect(statSync(log.path).size).toBeLessThanOrEqual(10 << 20);
    expect(statSync(`${log.path}.1`).size).toBeLessThanOrEqual(10 << 20);
    expect(existsSync(`${log.path}.2`)).toBe(false);
  });
});

describe('readLog', () => {
  it('joins parts of a long line', async () => {
    const long = 'y'.repeat(40_000);
    write(`${long}\n`);
    expect(await read()).toBe(`${long}\n`);
  });
  it('keeps bytes that are no UTF-8', async () => {
    log.write('stdout', Buffer.from([0xff, 0xfe, 10]));
    const chunks: Buffer[] = [];
    for await (const chunk of readLog(log.path, log)) chunks.push(chunk);
    expect(Buffer.concat(chunks)).toEqual(Buffer.from([0xff, 0xfe, 10]));
  });
  it.each<[LogReadOptions, string]>([
    [{ tailLines: 1 }, 'c\n'],
    [{ tailLines: 0 }, ''],
    [{ limitBytes: 3 }, 'a\nb'],
    [{ sinceMs: Date.now() + 60_000 }, ''],
    [{}, 'a\nb\nc\n'],
  ])('%j', async (options, expected) => {
    write('a\nb\nc\n');
    expect(await read(options)).toBe(expected);
  });
  it('shows times', async () => {
    write('a\n');
    expect(await read({ timestamps: true })).toMatch(/^\d{4}-\S+Z a\n$/);
  });
  it('follows to the end of the container', async () => {
    write('a\n');
    const text = await read({ follow: true }, (sofar) => {
      if (sofar === 'a\n') setTimeout(() => write('b\n'), 5);
      if (sofar === 'a\nb\n') setTimeout(() => log.close(), 5);
    });
    expect(text).toBe('a\nb\n');
  });
  it('follows across a rotation', async () => {
    write('a\n');
    const line = 'z'.repeat(1 << 20);
    const text = await read({ follow: true }, (sofar) => {
      if (sofar === 'a\n') setTimeout(() => {
        for (let index = 0; index < 12; index++) write(`${line}\n`);
        write('end\n');
        log.close();
      }, 5);
    });
    expect(text.endsWith('end\n')).toBe(true);
  });
  it('stops when the reader goes away', async () => {
    const abort = new AbortController();
    write('a\n');
    setTimeout(() => abort.abort(), 20);
    expect(await read({ follow: true, signal: abort.signal })).toBe('a\n');
  });
});
