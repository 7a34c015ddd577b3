/** Takes over connections that leave HTTP for SPDY, directly (kubectl before 1.30) or inside WebSocket messages. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { createWebSocketStream, WebSocketServer } from 'ws';
import { serveSpdy, type SpdyStream } from './spdy.ts';

/** `SPDY/3.1+` before the protocol inside: every binary message is a piece of the SPDY connection. */
const TUNNEL_PREFIX = 'SPDY/3.1+';
const tunnels = new WebSocketServer({
  noServer: true,
  maxPayload: 4 * 1024 * 1024,
  handleProtocols: (offered) => [...offered].find((protocol) => protocol.startsWith(TUNNEL_PREFIX)) ?? false,
});

/** The kind of upgrade a request asks for; `tunnel` is SPDY inside WebSocket. */
export function upgradeKind(request: IncomingMessage): 'websocket' | 'tunnel' | 'spdy' | undefined {
  const upgrade = (request.headers.upgrade ?? '').toLowerCase();
  if (upgrade === 'spdy/3.1') return 'spdy';
  if (upgrade !== 'websocket') return undefined;
  return (request.headers['sec-websocket-protocol'] ?? '').split(',').some((one) => one.trim().startsWith(TUNNEL_PREFIX)) ? 'tunnel' : 'websocket';
}

/** The first of our protocols that the client offers; undefined when it offers none of them. */
export function streamProtocol(request: IncomingMessage, ours: readonly string[]): string | undefined {
  const raw = request.headers['x-stream-protocol-version'];
  const offered = (Array.isArray(raw) ? raw : (raw ?? '').split(',')).map((one) => one.trim());
  return ours.find((protocol) => offered.includes(protocol));
}

/** Answers a plain SPDY upgrade and serves the connection. */
export function acceptSpdy(socket: Duplex, head: Buffer, protocol: string, onStream: (stream: SpdyStream) => void): Promise<void> {
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`);
  if (head.length > 0) socket.unshift(head);
  return serveSpdy(socket, onStream);
}

/** Answers the upgrade to a WebSocket tunnel and serves the connection inside. */
export function acceptTunnel(request: IncomingMessage, socket: Duplex, head: Buffer, onStream: (stream: SpdyStream) => void): void {
  tunnels.handleUpgrade(request, socket, head, (connection) => {
    const carrier = createWebSocketStream(connection);
    void serveSpdy(carrier, onStream);
  });
}
