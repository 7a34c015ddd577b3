import { Socket, connect } from 'node:net';
import type { TcpNetConnectOpts } from 'node:net';
import { connect as connectTlsSocket } from 'node:tls';
import type { ConnectionOptions, PeerCertificate as NodePeerCertificate, SecureContext, TLSSocket } from 'node:tls';
import type { Connection, PeerCertificate, TlsFacts } from './connection.ts';
import { markedSocket } from './native.ts';
import { SocketConnection } from './socket-connection.ts';
import { factsOf } from './tls-facts.ts';

/** Why a connection could not be opened. */
export interface ConnectFailure {
  readonly kind: 'connect' | 'timeout' | 'tls';
  /** errno name or OpenSSL code. */
  readonly code: string;
  readonly message: string;
}

export interface ConnectOptions {
  readonly host: string;
  readonly port: number;
  /** Unix socket instead of host and port. */
  readonly path: string | undefined;
  readonly sourceAddress: string | undefined;
  /** Covers TCP and TLS; 0 = none. */
  readonly timeoutMs: number;
  readonly tls: ClientTlsOptions | undefined;
  /** Sent first, before TLS. */
  readonly preface?: Buffer | undefined;
}

/** A session that a later connection can go on with. */
export interface ResumableSession {
  readonly ticket: Buffer;
  /** Whom it was opened with: a handshake that goes on with it shows no certificate. */
  readonly peer: PeerCertificate | undefined;
}

export interface ClientTlsOptions {
  readonly secureContext: SecureContext;
  readonly serverName: string | undefined;
  readonly alpn: readonly string[];
  /** False: any certificate is taken. */
  readonly verify: boolean;
  /** Says why the peer's names do not match, after its chain was verified. */
  readonly checkPeer: (subjectAltName: string) => string | undefined;
  readonly session: ResumableSession | undefined;
  readonly onSession: (session: ResumableSession) => void;
  /** URI SAN of the certificate we present. */
  readonly localUriSan: string;
}

export interface ConnectHandlers {
  onConnect(connection: Connection): void;
  onFailure(failure: ConnectFailure): void;
}

/** SO_MARK of upstream sockets, from MELTEMI_SO_MARK; 0 = none. Read once. */
const SOCKET_MARK = Number(process.env['MELTEMI_SO_MARK'] ?? 0) || 0;

/** Opens a connection; exactly one handler is called, once, unless the returned function abandons it first. */
export function openConnection(options: ConnectOptions, handlers: ConnectHandlers): () => void {
  let settled = false;
  let socket: Socket | undefined;
  let timer: NodeJS.Timeout | undefined;
  const settle = (): boolean => {
    if (settled) return false;
    settled = true;
    clearTimeout(timer);
    return true;
  };
  const fail = (failure: ConnectFailure): void => {
    if (!settle()) return;
    socket?.destroy();
    handlers.onFailure(failure);
  };
  const succeed = (connection: SocketConnection): void => {
    if (!settle()) return;
    connection.noteAddresses();
    handlers.onConnect(connection);
  };
  if (options.timeoutMs > 0) timer = setTimeout(() => fail({ kind: 'timeout', code: 'ETIMEDOUT', message: 'connection timeout' }), options.timeoutMs).unref();
  try {
    socket = options.tls === undefined ? openPlain(options, succeed, fail) : openTls(options, options.tls, succeed, fail);
  } catch (thrown) {
    const error = thrown as NodeJS.ErrnoException;
    // The caller has not got its cancel function yet: answer on the next tick.
    process.nextTick(fail, { kind: 'connect', code: error.code ?? 'EINVAL', message: error.message });
  }
  return () => {
    if (settle()) socket?.destroy();
  };
}

type Succeed = (connection: SocketConnection) => void;
type Fail = (failure: ConnectFailure) => void;

function openPlain(options: ConnectOptions, succeed: Succeed, fail: Fail): Socket {
  const connection = SocketConnection.open((onread) => rawSocket(options, { onread }));
  const { socket } = connection;
  connection.sink = { onData: () => {}, onEnd: () => {}, onDrain: () => {}, onClose: (cause) => fail({ kind: 'connect', code: cause?.code ?? 'ECONNRESET', message: cause?.message ?? 'closed' }) };
  socket.once('connect', () => {
    if (options.preface !== undefined) connection.writeBytes(options.preface, 0, options.preface.length);
    succeed(connection);
  });
  return socket;
}

function rawSocket(options: ConnectOptions, extra: object): Socket {
  if (options.path !== undefined) return connect({ path: options.path, allowHalfOpen: true, ...extra } as Parameters<typeof connect>[0] & object);
  const target: TcpNetConnectOpts = { host: options.host, port: options.port, noDelay: true, allowHalfOpen: true, ...(options.sourceAddress === undefined ? {} : { localAddress: options.sourceAddress }), ...extra };
  if (SOCKET_MARK === 0) return connect(target);
  const socket = new Socket({ fd: markedSocket(options.host, SOCKET_MARK), readable: true, writable: true, allowHalfOpen: true, manualStart: true, ...extra } as unknown as ConstructorParameters<typeof Socket>[0]);
  socket.connect(target);
  return socket;
}

function openTls(options: ConnectOptions, tls: ClientTlsOptions, succeed: Succeed, fail: Fail): Socket {
  let connected = false;
  const common: ConnectionOptions = {
    secureContext: tls.secureContext,
    ALPNProtocols: [...tls.alpn],
    rejectUnauthorized: tls.verify,
    ...(tls.serverName === undefined || tls.serverName === '' ? {} : { servername: tls.serverName }),
    ...(tls.session === undefined ? {} : { session: tls.session.ticket }),
    checkServerIdentity: (_host: string, certificate: NodePeerCertificate) => {
      const refusal = tls.checkPeer(certificate.subjectaltname ?? '');
      return refusal === undefined ? undefined : Object.assign(new Error(refusal), { code: 'SAN_MISMATCH' });
    },
  };
  const raw = rawSocket(options, {});
  raw.once('connect', () => {
    connected = true;
    raw.off('error', onRawError);
    if (options.preface !== undefined) raw.write(options.preface);
    const socket = connectTlsSocket({ ...common, socket: raw });
    const facts = clientFacts(socket, tls);
    socket.on('session', (ticket: Buffer) => tls.onSession({ ticket, peer: facts().peer }));
    const onError = (error: NodeJS.ErrnoException): void => fail({ kind: 'tls', code: error.code ?? 'ECONNRESET', message: error.message });
    const onClose = (): void => fail({ kind: 'tls', code: 'ECONNRESET', message: 'closed during the TLS handshake' });
    socket.once('error', onError);
    socket.once('close', onClose);
    socket.once('secureConnect', () => {
      socket.off('close', onClose);
      const connection = SocketConnection.secured(socket, facts());
      socket.off('error', onError);
      succeed(connection);
    });
  });
  const onRawError = (error: NodeJS.ErrnoException): void => {
    if (!connected) fail({ kind: 'connect', code: error.code ?? 'ECONNRESET', message: error.message });
  };
  raw.on('error', onRawError);
  raw.once('close', () => fail({ kind: connected ? 'tls' : 'connect', code: 'ECONNRESET', message: 'closed' }));
  return raw;
}

/** Facts of the handshake, read when first asked for. */
function clientFacts(socket: TLSSocket, tls: ClientTlsOptions): () => TlsFacts {
  let facts: TlsFacts | undefined;
  return () => (facts ??= factsOf(socket, tls.serverName ?? '', tls.localUriSan, socket.isSessionReused() ? tls.session?.peer : undefined));
}
