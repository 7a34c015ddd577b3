import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createSecureContext, createServer } from 'node:tls';
import { expect, test } from 'vitest';
import { buildCertificate } from '../../identity/build-certificate.ts';
import { openConnection } from './client.ts';
import type { ResumableSession } from './client.ts';
import type { Connection } from './connection.ts';

const SERVER = 'spiffe://cluster.local/ns/default/sa/server';

function selfSigned(): { cert: string; key: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const publicKeyDer = publicKey.export({ type: 'spki', format: 'der' });
  const cert = buildCertificate({ publicKeyDer, notBeforeMs: Date.now() - 60_000, notAfterMs: Date.now() + 3_600_000, uris: [SERVER] }, { key: privateKey, publicKeyDer });
  return { cert, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

test('who the peer is stays known when its session is resumed', async () => {
  const { cert, key } = selfSigned();
  const reused: boolean[] = [];
  let rounds = 0;
  const server = createServer({ cert, key }, (socket) => {
    reused.push(socket.isSessionReused());
    socket.resume();
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  let session: ResumableSession | undefined;
  const open = async (): Promise<readonly string[] | undefined> => {
    rounds++;
    const connection = await new Promise<Connection>((resolve, reject) => {
      const onTicket = (ticket: ResumableSession): void => void (session = ticket);
      const tls = { secureContext: createSecureContext({ ca: cert }), serverName: undefined, alpn: [], verify: true, checkPeer: () => undefined, session, onSession: onTicket, localUriSan: '' };
      openConnection({ host: '127.0.0.1', port, path: undefined, sourceAddress: undefined, timeoutMs: 5000, tls }, { onConnect: resolve, onFailure: (failure) => reject(new Error(failure.message)) });
    });
    connection.sink = { onData: () => {}, onEnd: () => {}, onDrain: () => {}, onClose: () => {} };
    // Tickets follow the handshake: they are seen when something is read.
    connection.resume();
    await expect.poll(() => session !== undefined && reused.length === rounds).toBe(true);
    const names = connection.tls?.peer?.uriSans;
    connection.destroy();
    return names;
  };
  try {
    while (rounds < 3) expect(await open()).toEqual([SERVER]);
    expect(reused).toEqual([false, true, true]);
  } finally {
    server.close();
  }
});
