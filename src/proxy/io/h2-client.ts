import { connect, constants } from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http2';
import { createLogger } from '../../base/log.ts';
import type { HeaderMap, RequestHead } from '../http/message.ts';
import type { ClientStream, ResponseReceiver } from '../http/stream.ts';
import { beginBatch, endBatch } from './batch.ts';
import { blockOf, fieldsOf, resetReasonOf } from './h2-common.ts';
import type { SocketConnection } from './socket-connection.ts';

const log = createLogger('h2');

/** HTTP/2 on an opened connection. */
export class H2ClientConnection {
  private readonly session: ClientHttp2Session;
  private streams = 0;
  private goingAway = false;
  readonly localAddress: string;
  readonly remoteAddress: string;
  requests = 0;

  constructor(connection: SocketConnection, private readonly onClosed: () => void, private readonly onIdle: () => void) {
    this.localAddress = `${connection.localAddress}:${connection.localPort}`;
    this.remoteAddress = `${connection.remoteAddress}:${connection.remotePort}`;
    const socket = connection.detach(undefined);
    this.session = connect('http://mesh.invalid', { createConnection: () => socket, settings: { enablePush: false, initialWindowSize: 1_048_576 } });
    this.session.on('error', (error) => log.debug('session failed', { error: error.message }));
    this.session.on('goaway', () => void (this.goingAway = true));
    this.session.on('close', () => {
      this.goingAway = true;
      socket.destroy();
      this.onClosed();
    });
  }

  get usable(): boolean {
    return !this.goingAway && !this.session.closed && !this.session.destroyed && this.streams < Math.min(this.session.remoteSettings.maxConcurrentStreams ?? 100, 1024);
  }

  get activeStreams(): number {
    return this.streams;
  }

  /** Takes no new requests; closes when the open ones are done. */
  close(): void {
    this.goingAway = true;
    if (!this.session.closed) this.session.close();
  }

  /** Sends a request head; `end`: there is no body. */
  start(head: RequestHead, end: boolean, receiver: ResponseReceiver): ClientStream {
    this.streams++;
    this.requests++;
    const pseudo: OutgoingHttpHeaders = head.method === 'CONNECT'
      ? { ':method': 'CONNECT', ':authority': head.authority }
      : { ':method': head.method, ':path': head.path, ':scheme': head.scheme, ':authority': head.authority };
    const options = { endStream: end, waitForTrailers: !end };
    let stream: ClientHttp2Stream;
    try {
      stream = this.session.request(blockOf(head.headers, pseudo), options);
    } catch {
      stream = this.session.request(blockOf(head.headers, pseudo, true), options);
    }
    const exchange = new H2ClientExchange(stream, end);
    listen(stream, exchange, receiver, () => {
      this.streams--;
      if (this.streams === 0) this.onIdle();
    });
    return exchange;
  }
}

function listen(stream: ClientHttp2Stream, exchange: H2ClientExchange, receiver: ResponseReceiver, onDone: () => void): void {
  let trailers: HeaderMap | undefined;
  let finished = false;
  const batched = (run: () => void): void => {
    beginBatch();
    try {
      if (!exchange.cancelled) run();
    } catch (thrown) {
      log.error('stream failed', { error: thrown instanceof Error ? (thrown.stack ?? '') : String(thrown) });
      stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    } finally {
      endBatch();
    }
  };
  stream.on('headers', (block: IncomingHttpHeaders) => batched(() => receiver.onInformational({ status: Number(block[':status']), headers: fieldsOf(block) })));
  stream.on('response', (block: IncomingHttpHeaders, flags: number) => batched(() => {
    finished = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    receiver.onHead({ status: Number(block[':status']), headers: fieldsOf(block) }, finished);
  }));
  stream.on('trailers', (block: IncomingHttpHeaders) => void (trailers = fieldsOf(block)));
  stream.on('data', (chunk: Buffer) => batched(() => receiver.onBody(chunk, 0, chunk.length)));
  stream.on('end', () => batched(() => {
    if (finished || stream.aborted || stream.rstCode !== constants.NGHTTP2_NO_ERROR) return;
    finished = true;
    receiver.onEnd(trailers);
  }));
  stream.on('drain', () => batched(() => receiver.onDrain()));
  stream.on('error', (error) => void (exchange.failure = error.message));
  stream.on('close', () => {
    batched(() => {
      if (finished) return;
      finished = true;
      const lost = stream.rstCode === constants.NGHTTP2_NO_ERROR || stream.rstCode === constants.NGHTTP2_CANCEL || stream.session?.destroyed === true;
      receiver.onReset(lost ? 'connection termination' : resetReasonOf(stream.rstCode), exchange.failure);
    });
    onDone();
  });
}

class H2ClientExchange implements ClientStream {
  cancelled = false;
  failure = '';
  private trailers: HeaderMap | undefined;
  private ended: boolean;

  constructor(private readonly stream: ClientHttp2Stream, end: boolean) {
    this.ended = end;
    if (end) return;
    stream.on('wantTrailers', () => stream.sendTrailers(blockOf(this.trailers, {})));
  }

  sendBody(buffer: Buffer, start: number, end: number): boolean {
    if (this.ended || this.stream.destroyed || end === start) return true;
    return this.stream.write(Buffer.from(buffer.subarray(start, end)));
  }

  sendEnd(trailers: HeaderMap | undefined): void {
    if (this.ended || this.stream.destroyed) return;
    this.ended = true;
    this.trailers = trailers;
    this.stream.end();
  }

  cancel(): void {
    this.cancelled = true;
    if (!this.stream.destroyed) this.stream.close(constants.NGHTTP2_CANCEL);
  }

  pauseBody(): void {
    this.stream.pause();
  }

  resumeBody(): void {
    this.stream.resume();
  }
}
