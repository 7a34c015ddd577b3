import { createServer } from 'node:tls';
import type { SecureContextOptions, Server, TLSSocket, TlsOptions } from 'node:tls';
import type { Connection } from './connection.ts';
import { SocketConnection } from './socket-connection.ts';
import { factsOf } from './tls-facts.ts';

export interface ServerTlsOptions extends SecureContextOptions {
  readonly alpn: readonly string[];
  readonly requestClientCertificate: boolean;
  readonly requireClientCertificate: boolean;
  /** Client certificates are checked against the roots, also where none is required. */
  readonly verifyClientCertificate: boolean;
}

interface Waiting {
  readonly onSecure: (connection: Connection) => void;
  readonly onFailure: (reason: string) => void;
  readonly serverName: string;
  readonly localUriSan: string;
  timer: NodeJS.Timeout | undefined;
}

/**
 * Finishes TLS handshakes on connections that were accepted and sniffed elsewhere. `tls.Server` does the verification of client certificates; it never
 * listens itself.
 */
export class TlsAcceptor {
  /** One server with ALPN and one without: Node ends a handshake whose ALPNs it does not know, Envoy goes on without. */
  private readonly negotiating: Server;
  private readonly plain: Server;
  private readonly waiting = new Map<string, Waiting>();

  constructor(private readonly options: ServerTlsOptions) {
    this.plain = this.makeServer({});
    this.negotiating = options.alpn.length === 0 ? this.plain : this.makeServer({ ALPNCallback: ({ protocols }) => options.alpn.find((own) => protocols.includes(own)) });
  }

  private makeServer(extra: TlsOptions): Server {
    const { options } = this;
    const server = createServer({
      ...options,
      requestCert: options.requestClientCertificate,
      rejectUnauthorized: options.requireClientCertificate,
      handshakeTimeout: 0x7fffffff,
      ...extra,
    });
    server.on('secureConnection', (socket) => this.secured(socket));
    // Failures end in the raw socket's close, where they are reported; the event must have a listener.
    server.on('tlsClientError', () => {});
    return server;
  }

  private secured(socket: TLSSocket): void {
    const entry = this.take(socket.remoteAddress, socket.remotePort, socket.localPort);
    if (entry === undefined) {
      socket.destroy();
      return;
    }
    if (this.options.verifyClientCertificate && !socket.authorized && socket.getPeerX509Certificate() !== undefined) {
      socket.destroy();
      entry.onFailure('client certificate does not verify');
      return;
    }
    entry.onSecure(SocketConnection.secured(socket, factsOf(socket, entry.serverName, entry.localUriSan)));
  }

  /** New certificates for new handshakes; open connections are untouched. */
  setSecureContext(options: SecureContextOptions): void {
    this.plain.setSecureContext(options);
    if (this.negotiating !== this.plain) this.negotiating.setSecureContext(options);
  }

  /** Takes over a plaintext connection whose first bytes (`unread`) are a ClientHello. One of the callbacks is called, once. */
  accept(plain: SocketConnection, unread: Buffer, context: { readonly offeredAlpn: readonly string[]; readonly serverName: string; readonly localUriSan: string; readonly timeoutMs: number }, onSecure: (connection: Connection) => void, onFailure: (reason: string) => void): void {
    const { socket } = plain;
    const key = keyOf(socket.remoteAddress, socket.remotePort, socket.localPort);
    const entry: Waiting = { onSecure, onFailure, serverName: context.serverName, localUriSan: context.localUriSan, timer: undefined };
    this.waiting.set(key, entry);
    if (context.timeoutMs > 0) entry.timer = setTimeout(() => socket.destroy(), context.timeoutMs).unref();
    plain.detach(unread);
    let reason = 'closed during the TLS handshake';
    socket.on('error', (error) => void (reason = error.message));
    socket.once('close', () => {
      if (this.waiting.get(key) !== entry) return;
      this.waiting.delete(key);
      clearTimeout(entry.timer);
      entry.onFailure(reason);
    });
    const common = this.options.alpn.some((own) => context.offeredAlpn.includes(own));
    (common ? this.negotiating : this.plain).emit('connection', socket);
  }

  private take(address: string | undefined, port: number | undefined, localPort: number | undefined): Waiting | undefined {
    const key = keyOf(address, port, localPort);
    const entry = this.waiting.get(key);
    this.waiting.delete(key);
    clearTimeout(entry?.timer);
    return entry;
  }
}

function keyOf(address: string | undefined, port: number | undefined, localPort: number | undefined): string {
  return `${address}|${port}|${localPort}`;
}
