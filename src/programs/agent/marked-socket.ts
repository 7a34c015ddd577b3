// Sockets of the agent that redirection rules let pass, where its user does not tell it apart.
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
      return openMarked(target.host, target.port, mark);
    } catch (thrown) {
      // Ports of the control plane are exempt by rule as well, so a plain socket still gets through.
      log.warn('no marked socket', { error: String(thrown) });
      return connect(target.port, target.host);
    }
  };
}

/**
 * `connect` is called at once, also for a name, so that whoever wraps the socket (TLS, HTTP/2) sees it connecting and does not read yet. IPv4 only, as the
 * pod network: the descriptor's family is fixed, and trying several addresses would replace the descriptor.
 */
function openMarked(host: string, port: number, mark: number): Socket {
  const options = { fd: markedSocket(isIP(host) ? host : '0.0.0.0', mark), readable: true, writable: true, manualStart: true };
  return new Socket(options as ConstructorParameters<typeof Socket>[0]).connect({ host, port, autoSelectFamily: false, ...(isIP(host) ? {} : { family: 4 }) });
}
