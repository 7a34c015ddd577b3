/**
 * A gRPC client over node:http2 for the few calls a proxy makes: 8 MB lighter in a sidecar than a full gRPC library, and its socket can be opened by
 * the caller (marked, so that redirection rules let it pass).
 * @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */
import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** Where a server is. */
export type GrpcTarget = { readonly host: string; readonly port: number } | { readonly path: string };

export interface GrpcTls {
  /** Roots the server's certificate must chain to, PEM; asked on every connect, so that a rotated root is seen. */
  readonly rootsPem: () => string;
  /** Name the server's certificate must carry. Default: the target's host. */
  readonly serverName?: string;
  /** Own certificate, asked on every connect. */
  readonly clientCertificate?: () => { readonly privateKeyPem: string; readonly certificateChainPem: string } | undefined;
}

export interface GrpcChannelOptions {
  readonly target: GrpcTarget;
  /** Plaintext when absent. */
  readonly tls?: GrpcTls;
  /** Opens the TCP socket. Default: `net.connect`. */
  readonly openSocket?: (target: GrpcTarget) => Socket;
  /** Bound on the wait for the connection and its handshake. Default 10 s. */
  readonly connectTimeoutMs?: number;
}

/** A call that the server (or the connection) ended with something other than OK. @see https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
export class GrpcError extends Error {
  override name = 'GrpcError';
  constructor(
    readonly code: number,
    readonly details: string,
  ) {
    super(`gRPC status ${code}: ${details}`);
  }
}

const UNAVAILABLE = 14;
const INTERNAL = 13;
const RESOURCE_EXHAUSTED = 8;
const KEEPALIVE_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;
const MAX_MESSAGE_BYTES = 256 * 1024 * 1024;
/** Room for a whole configuration in flight; HTTP/2's default of 64 KiB costs a round trip per 64 KiB. */
const WINDOW_BYTES = 1024 * 1024;

/** One open call. */
export interface GrpcCall {
  send(message: Uint8Array): void;
  /** Half-closes: no more messages will be sent. */
  finish(): void;
  cancel(): void;
}

export interface GrpcCallHandlers {
  readonly onMessage: (message: Buffer) => void;
  /** Called once. Undefined: the server ended the call with OK. */
  readonly onEnd: (error: GrpcError | undefined) => void;
}

/** One HTTP/2 connection. It is opened at once and is useless after its first failure: make another one. */
export class GrpcChannel {
  private readonly session: ClientHttp2Session;
  private failure: GrpcError | undefined;
  private readonly keepalive: NodeJS.Timeout;
  private readonly handshake: NodeJS.Timeout;

  constructor(private readonly options: GrpcChannelOptions) {
    const name = 'host' in options.target ? `${options.target.host}:${options.target.port}` : 'localhost';
    this.session = connect(`${options.tls ? 'https' : 'http'}://${name}`, { createConnection: () => openSocket(options), settings: { initialWindowSize: WINDOW_BYTES, enablePush: false } });
    this.session.on('error', (error) => this.fail(error.message));
    this.session.on('goaway', (code) => this.fail(`the server is going away (${code})`));
    this.session.on('connect', () => {
      clearTimeout(this.handshake);
      // A connection that took too long has been given up already.
      if (!this.session.destroyed) this.session.setLocalWindowSize(4 * WINDOW_BYTES);
    });
    this.handshake = setTimeout(() => this.fail('the connection timed out'), options.connectTimeoutMs ?? 10_000);
    this.keepalive = setInterval(() => this.ping(), KEEPALIVE_MS);
    this.keepalive.unref();
  }

  /** Starts a call. Handlers run later, never inside this function. */
  call(path: string, headers: Readonly<Record<string, string>>, handlers: GrpcCallHandlers): GrpcCall {
    let stream: ClientHttp2Stream;
    try {
      stream = this.session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers', 'user-agent': 'meltemi', ...headers }, { endStream: false });
    } catch (error) {
      queueMicrotask(() => handlers.onEnd(this.failure ?? new GrpcError(UNAVAILABLE, error instanceof Error ? error.message : String(error))));
      return { send: () => {}, finish: () => {}, cancel: () => {} };
    }
    readCall(stream, handlers, () => this.failure);
    return {
      send: (message) => void (stream.writable && stream.write(frame(message))),
      finish: () => void stream.end(),
      cancel: () => stream.close(constants.NGHTTP2_CANCEL),
    };
  }

  /** One request, one response. Rejects with {@link GrpcError}. */
  unary(path: string, message: Uint8Array, headers: Readonly<Record<string, string>> = {}): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      let response: Buffer | undefined;
      const call = this.call(path, headers, {
        onMessage: (received) => void (response = received),
        onEnd: (error) => (error ? reject(error) : response ? resolve(response) : reject(new GrpcError(INTERNAL, 'the server answered nothing'))),
      });
      call.send(message);
      call.finish();
    });
  }

  close(): void {
    clearTimeout(this.handshake);
    clearInterval(this.keepalive);
    this.session.destroy();
  }

  private ping(): void {
    if (this.session.destroyed) return clearInterval(this.keepalive);
    const timeout = setTimeout(() => this.fail('the server stopped answering'), KEEPALIVE_TIMEOUT_MS);
    timeout.unref();
    this.session.ping(() => clearTimeout(timeout));
  }

  private fail(message: string): void {
    const { target } = this.options;
    this.failure ??= new GrpcError(UNAVAILABLE, `${'host' in target ? `${target.host}:${target.port}` : target.path}: ${message}`);
    this.close();
  }
}

function openSocket({ target, tls, openSocket: open }: GrpcChannelOptions): Socket {
  const socket = open ? open(target) : 'host' in target ? connectTcp(target.port, target.host) : connectTcp(target.path);
  socket.setNoDelay(true);
  if (!tls) return socket;
  const own = tls.clientCertificate?.();
  const serverName = tls.serverName ?? ('host' in target ? target.host : 'localhost');
  return connectTls({ socket, servername: serverName, ca: tls.rootsPem(), ALPNProtocols: ['h2'], ...(own && { key: own.privateKeyPem, cert: own.certificateChainPem }) });
}

function frame(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(5 + message.length);
  framed[0] = 0;
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, 5);
  return framed;
}

function readCall(stream: ClientHttp2Stream, handlers: GrpcCallHandlers, failureOf: () => GrpcError | undefined): void {
  let ended = false;
  let verdict: GrpcError | 'ok' | undefined;
  const end = (error: GrpcError | undefined) => {
    if (ended) return;
    ended = true;
    handlers.onEnd(error);
  };
  stream.on('response', (headers) => {
    if (headers[':status'] !== 200) verdict = new GrpcError(UNAVAILABLE, `HTTP status ${headers[':status'] ?? 'none'}`);
    else verdict = verdictOf(headers) ?? verdict;
  });
  stream.on('trailers', (trailers) => void (verdict ??= verdictOf(trailers)));
  const reader = messageReader((message) => ended || handlers.onMessage(message));
  stream.on('data', (chunk: Buffer) => {
    if (reader(chunk)) return;
    verdict = new GrpcError(RESOURCE_EXHAUSTED, `a message is compressed or larger than ${MAX_MESSAGE_BYTES} bytes`);
    stream.close(constants.NGHTTP2_CANCEL);
  });
  // The server's half is over, so the call is; without this the stream would stay half open for ever.
  stream.on('end', () => void setImmediate(() => stream.close()));
  stream.on('error', (error) => void (verdict ??= failureOf() ?? new GrpcError(UNAVAILABLE, error.message)));
  stream.on('close', () => end(verdict === 'ok' ? undefined : (verdict ?? failureOf() ?? new GrpcError(UNAVAILABLE, 'the connection was lost'))));
}

function verdictOf(headers: IncomingHttpHeaders): GrpcError | 'ok' | undefined {
  const status = headers['grpc-status'];
  if (typeof status !== 'string') return undefined;
  const message = headers['grpc-message'];
  return status === '0' ? 'ok' : new GrpcError(Number(status) || 2, typeof message === 'string' ? decodeMessage(message) : '');
}

/** grpc-message is percent-encoded. */
function decodeMessage(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Cuts a byte stream into messages. The returned function is false when the stream cannot be read. */
function messageReader(onMessage: (message: Buffer) => void): (chunk: Buffer) => boolean {
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  let neededBytes = 5;
  return (chunk) => {
    pending.push(chunk);
    pendingBytes += chunk.length;
    while (pendingBytes >= neededBytes) {
      const buffer = pending.length === 1 ? pending[0]! : Buffer.concat(pending);
      const length = buffer.readUInt32BE(1);
      if (buffer[0] !== 0 || length > MAX_MESSAGE_BYTES) return false;
      neededBytes = 5 + length;
      pending = [buffer];
      if (buffer.length < neededBytes) return true;
      const message = buffer.subarray(5, neededBytes);
      pending = buffer.length > neededBytes ? [buffer.subarray(neededBytes)] : [];
      pendingBytes = buffer.length - neededBytes;
      neededBytes = 5;
      onMessage(message);
    }
    return true;
  };
}
