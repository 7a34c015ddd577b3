import { constants, performServerHandshake } from 'node:http2';
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { createLogger } from '../../base/log.ts';
import type { HeaderMap, RequestHead, ResponseHead } from '../http/message.ts';
import type { BodyReceiver, RequestHandler, ServerStream } from '../http/stream.ts';
import { beginBatch, endBatch } from './batch.ts';
import { blockOf, fieldsOf } from './h2-common.ts';
import type { SocketConnection } from './socket-connection.ts';

const log = createLogger('h2');

export interface H2ServerOptions {
  readonly secure: boolean;
  /** 0 = none. */
  readonly idleTimeoutMs: number;
  readonly maxHeaders: number;
  readonly maxHeaderBytes: number;
}

/** HTTP/2 on an accepted connection. */
export interface H2ServerConnection {
  /** GOAWAY; open streams finish. */
  drain(): void;
  destroy(): void;
}

/** Serves HTTP/2 on a connection whose first bytes (`unread`) may have been read already. */
export function serveH2(connection: SocketConnection, unread: Buffer | undefined, options: H2ServerOptions, handler: RequestHandler, onClosed: () => void): H2ServerConnection {
  const socket = connection.detach(unread);
  const session: ServerHttp2Session = performServerHandshake(socket, {
    maxHeaderListPairs: options.maxHeaders + 8,
    settings: { maxConcurrentStreams: 1024, initialWindowSize: 1_048_576, maxHeaderListSize: options.maxHeaderBytes },
  });
  if (options.idleTimeoutMs > 0) session.setTimeout(options.idleTimeoutMs, () => session.close());
  session.on('error', (error) => log.debug('session failed', { error: error.message }));
  session.on('close', () => {
    socket.destroy();
    onClosed();
  });
  session.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number) => {
    beginBatch();
    try {
      startStream(stream, headers, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0, options, handler);
    } catch (thrown) {
      log.error('stream failed', { error: thrown instanceof Error ? (thrown.stack ?? '') : String(thrown) });
      stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    } finally {
      endBatch();
    }
  });
  return {
    drain: () => {
      if (!session.closed) session.close();
    },
    destroy: () => session.destroy(),
  };
}

function startStream(stream: ServerHttp2Stream, block: IncomingHttpHeaders, end: boolean, options: H2ServerOptions, handler: RequestHandler): void {
  const headers = fieldsOf(block);
  const head: RequestHead = {
    method: String(block[':method'] ?? ''),
    path: String(block[':path'] ?? ''),
    authority: String(block[':authority'] ?? headers.get('host') ?? ''),
    scheme: block[':scheme'] === 'https' || options.secure ? 'https' : 'http',
    protocol: 'HTTP/2',
    headers,
  };
  headers.remove('host');
  const exchange = new H2Exchange(stream, head);
  let receiver: BodyReceiver | undefined;
  let trailers: HeaderMap | undefined;
  let ended = end;
  const batched = (run: () => void): void => {
    beginBatch();
    try {
      run();
    } finally {
      endBatch();
    }
  };
  stream.on('error', (error) => log.debug('stream failed', { error: error.message }));
  stream.on('close', () => batched(() => {
    if (!exchange.finished) receiver?.onReset('connection termination', `h2 ${stream.rstCode}`);
    exchange.closed = true;
  }));
  receiver = handler.onRequest(exchange, end);
  if (!end) {
    stream.on('data', (chunk: Buffer) => batched(() => {
      exchange.wireBytesReceived += chunk.length;
      if (!exchange.closed) receiver.onBody(chunk, 0, chunk.length);
    }));
    stream.on('trailers', (fields: IncomingHttpHeaders) => void (trailers = fieldsOf(fields)));
    stream.on('end', () => batched(() => {
      // `end` also comes after an abort; the close event tells that story.
      if (!ended && !exchange.closed && !stream.aborted) receiver.onEnd(trailers);
      ended = true;
    }));
  } else stream.resume();
  stream.on('drain', () => batched(() => {
    if (!exchange.closed) receiver.onDrain();
  }));
}

class H2Exchange implements ServerStream {
  readonly upgrade = undefined;
  wireBytesReceived = 0;
  wireBytesSent = 0;
  closed = false;
  /** The response is complete. */
  finished = false;
  private trailers: HeaderMap | undefined;

  constructor(
    private readonly stream: ServerHttp2Stream,
    readonly head: RequestHead,
  ) {
    for (const [name, value] of head.headers.entries()) this.wireBytesReceived += name.length + value.length + 4;
  }

  private get open(): boolean {
    return !this.closed && !this.finished && !this.stream.destroyed;
  }

  sendInformational(head: ResponseHead): void {
    if (!this.open || this.stream.headersSent || head.status === 101) return;
    this.stream.additionalHeaders(blockOf(head.headers, { ':status': head.status }));
  }

  sendHead(head: ResponseHead, end: boolean): void {
    if (!this.open || this.stream.headersSent) return;
    for (const [name, value] of head.headers.entries()) this.wireBytesSent += name.length + value.length + 4;
    if (end) this.finished = true;
    else this.stream.on('wantTrailers', () => {
      // Without fields this sends an empty DATA frame that ends the stream.
      this.stream.sendTrailers(blockOf(this.trailers, {}));
    });
    const extra = { endStream: end, waitForTrailers: !end };
    try {
      this.stream.respond(blockOf(head.headers, { ':status': head.status }), extra);
    } catch {
      this.stream.respond(blockOf(head.headers, { ':status': head.status }, true), extra);
    }
  }

  sendBody(buffer: Buffer, start: number, end: number): boolean {
    if (!this.open || end === start) return true;
    this.wireBytesSent += end - start;
    // The stream keeps what it is given until the peer's window opens.
    return this.stream.write(Buffer.from(buffer.subarray(start, end)));
  }

  sendEnd(trailers: HeaderMap | undefined): void {
    if (!this.open) return;
    this.trailers = trailers;
    this.finished = true;
    this.stream.end();
  }

  reset(): void {
    if (!this.open) return;
    this.finished = true;
    this.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }

  pauseBody(): void {
    if (!this.closed) this.stream.pause();
  }

  resumeBody(): void {
    if (!this.closed) this.stream.resume();
  }

  closeAfterResponse(): void {
    // One stream's trouble is not the connection's.
  }
}
