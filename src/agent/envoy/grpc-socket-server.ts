// A gRPC server for one neighbour: HTTP/2 over a Unix socket, streaming calls only.
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { dirname } from 'node:path';
import { createLogger } from '../../base/log.ts';

const log = createLogger('grpc');

/** Nobody in the pod but the proxy talks here, and it sends requests, not configuration. */
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

/** The server's side of one call. */
export interface SocketCall {
  send(message: Uint8Array): void;
  /** Ends the call with a gRPC status; 0 is OK. */
  end(status: number, message?: string): void;
}

/** What a method does with a call. */
export interface CallHandler {
  onMessage(message: Buffer): void;
  /** The caller is gone, or has said all it will say. */
  onEnd(): void;
}

/** Methods by path, `/package.Service/Method`. */
export type Methods = ReadonlyMap<string, (call: SocketCall, headers: IncomingHttpHeaders) => CallHandler>;

/** Listens on a Unix socket that only this user can open. A socket left behind by an earlier run is replaced. */
export async function serveGrpcSocket(path: string, methods: Methods): Promise<{ close(): void }> {
  mkdirSync(dirname(path), { recursive: true });
  rmSync(path, { force: true });
  const sessions = new Set<ServerHttp2Session>();
  const server = createServer({ settings: { initialWindowSize: 1024 * 1024 } });
  server.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
    session.on('error', (error) => log.debug('connection', { path, error: error.message }));
  });
  server.on('stream', (stream, headers) => serveStream(stream, headers, methods));
  server.on('error', (error) => log.warn('socket', { path, error: error.message }));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => (server.off('error', reject), resolve()));
  });
  chmodSync(path, 0o600);
  return {
    close: () => {
      server.close();
      for (const session of sessions) session.destroy();
      rmSync(path, { force: true });
    },
  };
}

function serveStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, methods: Methods): void {
  stream.on('error', (error) => log.debug('stream', { error: error.message }));
  const path = headers[':path'] ?? '';
  const method = methods.get(path);
  if (!method) {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '12', 'grpc-message': `unknown method ${path}` }, { endStream: true });
    return;
  }
  let verdict: { readonly status: number; readonly message: string } = { status: 0, message: '' };
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': String(verdict.status), ...(verdict.message === '' ? {} : { 'grpc-message': encodeURIComponent(verdict.message) }) }));
  const call: SocketCall = {
    send: (message) => void (stream.writable && stream.write(frame(message))),
    end: (status, message = '') => {
      verdict = { status, message };
      if (stream.writable) stream.end();
    },
  };
  const handler = method(call, headers);
  readMessages(stream, handler, call);
  let ended = false;
  const end = (): void => {
    if (ended) return;
    ended = true;
    handler.onEnd();
  };
  stream.on('end', end);
  stream.on('close', end);
}

function frame(message: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(5 + message.length);
  framed[0] = 0;
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, 5);
  return framed;
}

function readMessages(stream: ServerHttp2Stream, handler: CallHandler, call: SocketCall): void {
  let buffered: Buffer = Buffer.alloc(0);
  stream.on('data', (chunk: Buffer) => {
    buffered = buffered.length === 0 ? chunk : Buffer.concat([buffered, chunk]);
    while (buffered.length >= 5) {
      const length = buffered.readUInt32BE(1);
      if (buffered[0] !== 0 || length > MAX_MESSAGE_BYTES) return call.end(8, 'message is compressed or too long');
      if (buffered.length < 5 + length) return;
      const message = buffered.subarray(5, 5 + length);
      buffered = buffered.subarray(5 + length);
      handler.onMessage(message);
    }
  });
}
