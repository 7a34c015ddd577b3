/**
 * A gRPC server over node:http2: raw messages, plaintext or TLS, own certificate replaceable while serving. It asks for client certificates without insisting.
 * Half the memory of a full gRPC library, which a control plane of one machine notices.
 * @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */
import { createSecureServer, createServer, type Http2SecureServer, type Http2Server, type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/** gRPC status codes in use. @see https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
export const GRPC_STATUS = { ok: 0, invalidArgument: 3, permissionDenied: 7, resourceExhausted: 8, unimplemented: 12, internal: 13, unavailable: 14, unauthenticated: 16 } as const;

/** The server's side of one call. */
export interface ServerCall {
  readonly headers: IncomingHttpHeaders;
  /** `address:port` of the caller. */
  readonly peerAddress: string;
  /** DER of a client certificate that TLS verified. */
  readonly clientCertificate: Uint8Array | undefined;
  /** Sends one message, which may come in pieces; they must not change afterwards. False when the caller reads too slowly: then wait for `onDrain` before sending more. */
  send(...chunks: readonly Uint8Array[]): boolean;
  onDrain(listener: () => void): void;
  /** Ends the call with a gRPC status. Later calls do nothing. */
  end(status: number, message?: string): void;
}

/** What a method does with one call. */
export interface CallHandler {
  onMessage(message: Buffer): void;
  /** The caller has said all it will say. */
  onFinish(): void;
  /** The call is over, however it ended. Called once, last. */
  onClose(): void;
}

/** Methods by path, `/package.Service/Method`. */
export type Methods = ReadonlyMap<string, (call: ServerCall) => CallHandler>;

/** PEM texts of a server. */
export interface ServerIdentity {
  readonly privateKeyPem: string;
  readonly certificateChainPem: string;
  /** Roots that client certificates must chain to. */
  readonly rootsPem: string;
}

/** As istiod: requests up to 4 MiB; a peer that is silent for 30 s is asked, and dropped 10 s later. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
const KEEPALIVE_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;
/** In MB. Node's default of 10 would refuse new calls while a large configuration is on its way. */
const MAX_SESSION_MEMORY = 1024;

export class GrpcServer {
  private readonly sessions = new Set<ServerHttp2Session>();
  private readonly servers: (Http2Server | Http2SecureServer)[] = [];

  constructor(private readonly methods: Methods) {}

  /** Listens on `host:port`; over TLS when an identity is given. Resolves to the port. */
  listen(address: string, identity?: ServerIdentity): Promise<number> {
    const options = { maxSessionMemory: MAX_SESSION_MEMORY, settings: { maxConcurrentStreams: 1000, initialWindowSize: 1024 * 1024 } };
    const server = identity ? createSecureServer({ ...options, ...contextOf(identity), requestCert: true, rejectUnauthorized: false }) : createServer(options);
    this.servers.push(server);
    server.on('connection', (socket: Socket) => void socket.setNoDelay(true));
    server.on('session', (session: ServerHttp2Session) => this.keep(session));
    server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => serveCall(stream, headers, this.methods));
    for (const event of ['tlsClientError', 'sessionError']) server.on(event, () => {});
    const colon = address.lastIndexOf(':');
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(Number(address.slice(colon + 1)), address.slice(0, colon).replace(/^\[|\]$/g, ''), () => resolve((server.address() as AddressInfo).port));
    });
  }

  /** New TLS connections get the new certificate; open ones stay. */
  rotate(identity: ServerIdentity): void {
    for (const server of this.servers) if ('setSecureContext' in server) server.setSecureContext(contextOf(identity));
  }

  close(): void {
    for (const server of this.servers) server.close();
    for (const session of this.sessions) session.destroy();
  }

  private keep(session: ServerHttp2Session): void {
    this.sessions.add(session);
    session.on('error', () => {});
    const timer = setInterval(() => {
      const timeout = setTimeout(() => session.destroy(), KEEPALIVE_TIMEOUT_MS);
      timeout.unref();
      if (session.destroyed || !session.ping(() => clearTimeout(timeout))) clearTimeout(timeout);
    }, KEEPALIVE_MS);
    timer.unref();
    session.on('close', () => {
      clearInterval(timer);
      this.sessions.delete(session);
    });
  }
}

function contextOf(identity: ServerIdentity): { ca: string; cert: string; key: string; minVersion: 'TLSv1.2' } {
  return { ca: identity.rootsPem, cert: identity.certificateChainPem, key: identity.privateKeyPem, minVersion: 'TLSv1.2' };
}

function serveCall(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, methods: Methods): void {
  stream.on('error', () => {});
  const method = methods.get(headers[':path'] ?? '');
  const refusal = headers[':method'] !== 'POST' || !headers['content-type']?.startsWith('application/grpc') ? { ':status': 415 } : method ? undefined : { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': String(GRPC_STATUS.unimplemented), 'grpc-message': 'unknown method' };
  if (refusal || !method) return stream.respond(refusal, { endStream: true });
  let verdict: { readonly status: number; readonly message: string } | undefined;
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => {
    const { status, message } = verdict ?? { status: GRPC_STATUS.ok, message: '' };
    stream.sendTrailers({ 'grpc-status': String(status), ...(message !== '' && { 'grpc-message': encodeURIComponent(message) }) });
  });
  const call: ServerCall = {
    headers,
    ...callerOf(stream),
    send: (...chunks) => (stream.writable ? writeMessage(stream, chunks) : true),
    onDrain: (listener) => void stream.on('drain', listener),
    end(status, message = '') {
      if (verdict) return;
      verdict = { status, message };
      if (stream.writable) stream.end();
    },
  };
  const handler = method(call);
  readMessages(stream, (message) => verdict ?? handler.onMessage(message), call);
  stream.on('end', () => handler.onFinish());
  stream.on('close', () => handler.onClose());
}

function callerOf(stream: ServerHttp2Stream): Pick<ServerCall, 'peerAddress' | 'clientCertificate'> {
  const socket = stream.session?.socket;
  const certificate = socket instanceof TLSSocket && socket.authorized ? socket.getPeerCertificate().raw : undefined;
  return { peerAddress: `${socket?.remoteAddress ?? ''}:${socket?.remotePort ?? ''}`, clientCertificate: certificate };
}

const PREFIX_BYTES = 5;

/** The first piece is copied behind the length of all; the others go out as they are. */
function writeMessage(stream: ServerHttp2Stream, [first, ...rest]: readonly Uint8Array[]): boolean {
  const framed = Buffer.allocUnsafe(PREFIX_BYTES + (first?.length ?? 0));
  framed[0] = 0;
  framed.writeUInt32BE(rest.reduce((sum, chunk) => sum + chunk.length, first?.length ?? 0), 1);
  if (first) framed.set(first, PREFIX_BYTES);
  if (rest.length === 0) return stream.write(framed);
  stream.cork();
  let mayGoOn = stream.write(framed);
  for (const chunk of rest) mayGoOn = stream.write(chunk);
  stream.uncork();
  return mayGoOn;
}

function readMessages(stream: ServerHttp2Stream, onMessage: (message: Buffer) => void, call: ServerCall): void {
  let chunks: Buffer[] = [];
  let size = 0;
  let needed = 5;
  stream.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    size += chunk.length;
    while (size >= needed) {
      const bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
      const length = bytes.readUInt32BE(1);
      if (bytes[0] !== 0 || length > MAX_MESSAGE_BYTES) {
        chunks = [];
        size = 0;
        stream.removeAllListeners('data').resume();
        return call.end(GRPC_STATUS.resourceExhausted, `a message is compressed or larger than ${MAX_MESSAGE_BYTES} bytes`);
      }
      chunks = [bytes];
      needed = 5 + length;
      if (size < needed) return;
      const rest = bytes.subarray(needed);
      chunks = rest.length > 0 ? [rest] : [];
      size = rest.length;
      const message = bytes.subarray(5, needed);
      needed = 5;
      onMessage(message);
    }
  });
}
