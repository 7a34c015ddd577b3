import type { TunnelRuntime } from '../config/runtime.ts';
import { FieldHeaders } from '../http/field-headers.ts';
import { H1ClientConnection } from '../http/h1-client.ts';
import type { RequestHead } from '../http/message.ts';
import { H2ClientConnection } from '../http2/client.ts';
import type { Connection } from '../io/connection.ts';
import { TunnelConnection } from './tunnel-connection.ts';

/** A response head that is longer is no answer to CONNECT. */
const MAX_HEAD_BYTES = 65_536;

export interface TunnelHandlers {
  /** The other side agreed: `tunnel` carries the bytes; `rest` are bytes that came with its answer. */
  onOpen(tunnel: Connection, rest: Buffer): void;
  /** It said no, something else than HTTP, or went away. */
  onRefused(reason: string): void;
}

const NOTHING = Buffer.alloc(0);

/** Asks an HTTP proxy for a tunnel. Sets the connection's sink; one handler is called, once. @see RFC 9110 section 9.3.6, RFC 9113 section 8.5 */
export function openTunnel(connection: Connection, tunnel: TunnelRuntime, http2: boolean, handlers: TunnelHandlers): void {
  // After CONNECT over HTTP/1 nothing stands between us and the bytes; everything else stays framed.
  if (!http2 && tunnel.postPath === undefined) connectByHttp1(connection, tunnel.hostname, handlers);
  else openFramed(connection, tunnel, http2, handlers);
}

function openFramed(connection: Connection, { hostname, postPath }: TunnelRuntime, http2: boolean, handlers: TunnelHandlers): void {
  const head: RequestHead = { method: postPath === undefined ? 'CONNECT' : 'POST', path: postPath ?? '', authority: hostname, scheme: connection.tls === undefined ? 'http' : 'https', protocol: http2 ? 'HTTP/2' : 'HTTP/1.1', headers: new FieldHeaders() };
  const framed = new TunnelConnection(connection, (reason) => {
    if (reason === undefined) handlers.onOpen(framed, NOTHING);
    else handlers.onRefused(reason);
  });
  const session = http2 ? new H2ClientConnection(connection, { onCapacity: () => {}, onClosed: () => {} }) : new H1ClientConnection(connection, { onIdle: () => connection.close(), onClosed: () => {} });
  framed.stream = session instanceof H2ClientConnection ? session.start(head, false, framed) : session.start(head, undefined, false, framed);
  connection.flush();
}

function connectByHttp1(connection: Connection, hostname: string, handlers: TunnelHandlers): void {
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
      handlers.onOpen(connection, head.subarray(at + 4));
    },
    onEnd: () => refuse('closed before CONNECT was answered'),
    onDrain: () => {},
    onClose: () => refuse('closed before CONNECT was answered'),
  };
  connection.writeText(`CONNECT ${hostname} HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`);
  connection.flush();
}
