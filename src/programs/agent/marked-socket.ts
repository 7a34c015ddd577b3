// Sockets of the agent that redirection rules let pass, where its user does not tell it apart.
import { lookup } from 'node:dns/promises';
import { Socket, connect, isIP } from 'node:net';
import { createLogger } from '../../base/log.ts';
import type { GrpcChannelOptions } from '../../xds/client/grpc-channel.ts';
import { markedSocket } from '../../proxy/io/native.ts';

const log = createLogger('agent');

/** How to open sockets with a mark; undefined when no mark is needed. */
export function markedSocketOpener(mark: number): GrpcChannelOptions['openSocket'] {
  if (mark === 0) return undefined;
  return (target) => {
    if (!('host' in target)) return connect(target.path);
    try {
      return isIP(target.host) ? openMarked(target.host, target.port, mark) : resolveFirst(target.host, target.port, mark);
    } catch (thrown) {
      // Ports of the control plane are exempt by rule as well, so a plain socket still gets through.
      log.warn('no marked socket', { error: String(thrown) });
      return connect(target.port, target.host);
    }
  };
}

function openMarked(host: string, port: number, mark: number): Socket {
  return new Socket({ fd: markedSocket(host, mark), readable: true, writable: true }).connect(port, host);
}

/** The descriptor's address family is known only once the name is resolved: IPv4 first, as the pod network has it. */
function resolveFirst(host: string, port: number, mark: number): Socket {
  // Reading before the connection is there would fail.
  const socket = new Socket({ fd: markedSocket('0.0.0.0', mark), readable: true, writable: true, manualStart: true } as ConstructorParameters<typeof Socket>[0]);
  lookup(host, { family: 4 }).then(({ address }) => socket.connect(port, address), (error: Error) => socket.destroy(error));
  return socket;
}
