import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { VirtualClock, systemClock } from '../../base/clock.ts';
import { BufferedSink, openLogSink } from './sink.ts';

function collect(clock: VirtualClock, options: { flushBytes?: number; maxBytes?: number } = {}) {
  const chunks: string[] = [];
  return { chunks, sink: new BufferedSink(async (chunk) => void chunks.push(chunk.toString()), () => {}, { clock, ...options }) };
}

it('flushes after a second', async () => {
  const clock = new VirtualClock();
  const { chunks, sink } = collect(clock);
  sink.write('a\n');
  sink.write('b\n');
  clock.advance(999);
  await Promise.resolve();
  expect(chunks).toEqual([]);
  clock.advance(1);
  await sink.flush();
  expect(chunks).toEqual(['a\nb\n']);
});

it('flushes as soon as enough waits', async () => {
  const { chunks, sink } = collect(new VirtualClock(), { flushBytes: 4 });
  sink.write('abcd');
  sink.write('e');
  await Promise.resolve();
  await Promise.resolve();
  expect(chunks).toEqual(['abcd']);
});

it('drops and counts rather than growing without bound', async () => {
  const { chunks, sink } = collect(new VirtualClock(), { maxBytes: 5 });
  sink.write('abc');
  sink.write('def');
  await sink.close();
  sink.write('x');
  expect(chunks).toEqual(['abc']);
  expect(sink.dropped).toBe(2);
});

it('keeps long lines and characters beyond ASCII whole', async () => {
  const { chunks, sink } = collect(new VirtualClock(), { flushBytes: 100 });
  const lines = ['äöü€😀\n', `${'x'.repeat(40_000)}\n`, 'short\n', `${'€'.repeat(20_000)}\n`, 'end\n'];
  for (const line of lines) sink.write(line);
  await sink.close();
  expect(chunks.join('')).toBe(lines.join(''));
  expect(sink.dropped).toBe(0);
});

it('appends to a file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sink-'));
  const path = join(folder, 'access.log');
  for (const line of ['one\n', 'two\n']) {
    const sink = openLogSink(path, { clock: systemClock });
    sink.write(line);
    await sink.close();
  }
  expect(readFileSync(path, 'utf8')).toBe('one\ntwo\n');
  rmSync(folder, { recursive: true });
});
