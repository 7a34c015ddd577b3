import { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { SocketConnection } from './socket-connection.ts';

/** A socket whose writes end when the test says so, as those over TLS do. */
class SlowSocket extends Socket {
  readonly written: string[] = [];
  complete: (() => void) | undefined;

  override _write(chunk: unknown, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.written.push(String(chunk));
    this.complete = callback;
  }
}

test('whoever saw a blocked connection is told when it is free', async () => {
  const socket = new SlowSocket();
  const connection = new SocketConnection(socket);
  let drained = 0;
  connection.sink = { onData: () => {}, onEnd: () => {}, onDrain: () => void drained++, onClose: () => {} };
  connection.writeText('first');
  await expect.poll(() => socket.written).toEqual(['first']);
  expect(connection.blocked).toBe(true);
  socket.complete!();
  expect(drained).toBe(1);
  connection.writeText('second');
  await expect.poll(() => socket.written).toEqual(['first', 'second']);
  socket.complete!();
  expect(drained).toBe(1);
});

test('what is written in one turn of the event loop leaves in one piece', async () => {
  const socket = new SlowSocket();
  const connection = new SocketConnection(socket);
  connection.writeText('a');
  queueMicrotask(() => connection.writeText('b'));
  process.nextTick(() => connection.writeText('c'));
  await expect.poll(() => socket.written.length).toBe(1);
  expect(socket.written[0]!.split('').sort().join('')).toBe('abc');
});
