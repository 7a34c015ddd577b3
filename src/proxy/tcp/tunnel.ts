import type { Connection } from '../io/connection.ts';

/** A response head that is longer is no answer to CONNECT. */
const MAX_HEAD_BYTES = 65_536;

export interface TunnelHandlers {
  /** The other side agreed; `rest` are bytes of the tunnel that came with its answer. */
  onOpen(rest: Buffer): void;
  /** It said no, something else than HTTP, or went away. */
  onRefused(reason: string): void;
}

/** Asks an HTTP/1.1 proxy for a tunnel. Sets the connection's sink; one handler is called, once. @see RFC 9110 section 9.3.6 */
export function openTunnel(connection: Connection, hostname: string, handlers: TunnelHandlers): void {
  let head = Buffer.alloc(0);
  let settled = false;
  const refuse = (reason: string): void => {
    if (settled) return;
    settled = true;
    handlers.onRefused(reason);
  };
  connection.sink = {
    onData(buffer, start, end) {
      if (settled) return;
      head = Buffer.concat([head, buffer.subarray(start, end)]);
      const at = head.indexOf('\r\n\r\n');
      if (at < 0) return head.length > MAX_HEAD_BYTES ? refuse('the answer to CONNECT has no end') : undefined;
      const status = /^HTTP\/1\.[01] (\d{3})(?: |\r|$)/.exec(head.toString('latin1', 0, Math.min(at, 64)))?.[1];
      if (status?.startsWith('2') !== true) return refuse(`CONNECT was answered with ${status ?? 'something that is not HTTP'}`);
      settled = true;
      handlers.onOpen(head.subarray(at + 4));
    },
    onEnd: () => refuse('closed before CONNECT was answered'),
    onDrain: () => {},
    onClose: () => refuse('closed before CONNECT was answered'),
  };
  connection.writeText(`CONNECT ${hostname} HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`);
  connection.flush();
}
