import { Socket, createServer } from 'node:net';
import type { Server } from 'node:net';
import { createLogger } from '../../base/log.ts';
import { SocketConnection } from './socket-connection.ts';

const log = createLogger('io');

/** A bound port. */
export interface TcpServer {
  readonly port: number;
  /** Stops accepting; accepted connections live on. */
  close(): Promise<void>;
}

interface AcceptHandle {
  onconnection: ((status: number, handle: ClientHandle | undefined) => void) | null;
}

interface ClientHandle {
  setNoDelay(on: boolean): number;
  close(): void;
}

/**
 * Listens. Accepted handles become sockets that read into the shared buffer; where Node does not offer its handle, the public API is used (one buffer
 * per read more).
 * @throws Error `EADDRINUSE` and the like.
 */
export async function listenTcp(address: string, port: number, onConnection: (connection: SocketConnection) => void): Promise<TcpServer> {
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    const connection = new SocketConnection(socket);
    connection.attach(false);
    onConnection(connection);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address === '' ? '0.0.0.0' : address, port, backlog: 4096 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  server.on('error', (error) => log.error('listener failed', { address, port, error: error.message }));
  takeHandles(server, onConnection);
  const bound = server.address();
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : port,
    close: () => new Promise((resolve) => {
      server.close();
      // `close` calls back when every connection ended; the port is free at once.
      setImmediate(resolve);
    }),
  };
}

function takeHandles(server: Server, onConnection: (connection: SocketConnection) => void): void {
  const handle = (server as unknown as { _handle?: AcceptHandle })._handle;
  if (handle === undefined || typeof handle.onconnection !== 'function' || process.env['MELTEMI_PORTABLE_IO'] === '1') return;
  handle.onconnection = (status, client) => {
    if (status !== 0 || client === undefined) return;
    client.setNoDelay(true);
    let connection: SocketConnection;
    try {
      connection = SocketConnection.open((onread) => new Socket({ handle: client, readable: true, writable: true, allowHalfOpen: true, manualStart: true, onread } as unknown as ConstructorParameters<typeof Socket>[0]));
    } catch (thrown) {
      log.error('cannot take an accepted connection', { error: String(thrown) });
      client.close();
      return;
    }
    onConnection(connection);
    if (!connection.destroyed) connection.socket.read(0);
  };
}
