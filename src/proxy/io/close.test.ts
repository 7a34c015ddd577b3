import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import type { Connection } from './connection.ts';
import { listenTcp } from './server.ts';

/** More than the kernel keeps for both ends. */
const BYTES = 64_000_000;

/** Answers the first bytes of every connection with `answer`. */
async function serve(answer: (connection: Connection) => void): Promise<{ port: number; closed: () => number; stop: () => Promise<void> }> {
  let closed = 0;
  const server = await listenTcp('127.0.0.1', 0, (connection) => {
    connection.sink = { onData: () => answer(connection), onEnd: () => {}, onDrain: () => {}, onClose: () => void closed++ };
  });
  return { port: server.port, closed: () => closed, stop: () => server.close() };
}

async function readAll(socket: Socket): Promise<number> {
  let bytes = 0;
  socket.on('data', (chunk: Buffer) => void (bytes += chunk.length));
  await once(socket, 'end');
  return bytes;
}

test('a reader that pauses between reads gets everything that was written before the close', async () => {
  const { port, stop } = await serve((connection) => {
    connection.writeBytes(Buffer.alloc(BYTES, 120), 0, BYTES);
    connection.close();
  });
  const socket = connect(port, '127.0.0.1');
  socket.write('x');
  const all = readAll(socket);
  // More than the second that a close waits for a peer that takes nothing.
  for (let round = 0; round < 4; round++) {
    socket.pause();
    await new Promise((resolve) => setTimeout(resolve, 700));
    socket.resume();
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  expect(await all).toBe(BYTES);
  socket.destroy();
  await stop();
}, 20_000);

test('a reader that takes nothing is given up', async () => {
  const { port, closed, stop } = await serve((connection) => {
    connection.writeBytes(Buffer.alloc(BYTES, 120), 0, BYTES);
    connection.close();
  });
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write('x');
  socket.pause();
  await expect.poll(closed, { timeout: 8000, interval: 100 }).toBe(1);
  socket.destroy();
  await stop();
}, 20_000);

test('a peer that is done is closed behind the last byte, without waiting for it', async () => {
  const { port, closed, stop } = await serve((connection) => {
    connection.writeText('the whole answer');
    connection.close(true);
  });
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.write('x');
  expect(await readAll(socket)).toBe('the whole answer'.length);
  await expect.poll(closed, { timeout: 500, interval: 10 }).toBe(1);
  socket.destroy();
  await stop();
});
