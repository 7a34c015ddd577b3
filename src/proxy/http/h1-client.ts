import type { CloseCause, Connection, ConnectionSink } from '../io/connection.ts';
import { ChunkDecoder } from './chunked.ts';
import { headerLines } from './field-headers.ts';
import { H1Headers } from './h1-headers.ts';
import { HeadOffsets, PARSE, parseResponseHead } from './h1-parser.ts';
import type { HeaderMap, RequestHead } from './message.ts';
import type { ClientStream, ResetReason, ResponseReceiver } from './stream.ts';

/** Limits Envoy has for responses: 60 KiB and 100 headers. */
const LIMITS = { maxBytes: 61_440, maxHeaders: 100 };
/** Above this much of one body a connection reads into memory of its own. */
const OWN_BUFFER_BYTES = 131_072;

/** Requests of other methods say that they have no body. @see RFC 9110 section 8.6 */
const BODYLESS_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'TRACE', 'CONNECT']);

/** Of the head being read, for all connections: used up before anybody else is called. */
const offsets = new HeadOffsets();

type State = 'idle' | 'head' | 'length' | 'chunked' | 'until-close' | 'raw' | 'closed';

/** What the pool wants to know of a connection. */
export interface H1ClientOwner {
  /** The exchange is over and the connection may be used again. */
  onIdle(connection: H1ClientConnection): void;
  onClosed(connection: H1ClientConnection): void;
}

/** HTTP/1.1 on an opened connection. */
export class H1ClientConnection implements ConnectionSink {
  private state: State = 'idle';
  private waiting: Buffer | undefined;
  private left = 0;
  private bodyBytes = 0;
  private readonly headers = new H1Headers();
  private readonly chunks = new ChunkDecoder();
  private exchange: H1ClientExchange | undefined;
  private reusable = true;
  /** Requests sent on it, for max_requests_per_connection. */
  requests = 0;

  constructor(
    readonly connection: Connection,
    private readonly owner: H1ClientOwner,
  ) {
    connection.sink = this;
  }

  get usable(): boolean {
    return this.state === 'idle' && !this.connection.destroyed;
  }

  /** Sends a request head; `end`: there is no body. */
  start(head: RequestHead, upgrade: string | undefined, end: boolean, receiver: ResponseReceiver): ClientStream {
    this.state = 'head';
    this.reusable = true;
    this.bodyBytes = 0;
    this.requests++;
    const raw = upgrade !== undefined || head.method === 'CONNECT';
    const chunked = !end && !raw && !head.headers.has('content-length');
    let framing = '';
    if (upgrade !== undefined) framing = 'connection: upgrade\r\n';
    else if (chunked) framing = 'transfer-encoding: chunked\r\n';
    else if (end && !BODYLESS_METHODS.has(head.method) && !head.headers.has('content-length')) framing = 'content-length: 0\r\n';
    const exchange = new H1ClientExchange(this, receiver, head.method, upgrade, chunked, end);
    this.exchange = exchange;
    const target = head.method === 'CONNECT' ? head.authority : head.path;
    this.connection.writeText(`${head.method} ${target} HTTP/1.1\r\nhost: ${head.authority}\r\n${headerLines(head.headers)}${framing}\r\n`);
    return exchange;
  }

  onData(buffer: Buffer, start: number, end: number): void {
    if (this.exchange === undefined) {
      // Bytes nobody asked for: a late 408 of the server or nonsense; the connection is of no use.
      this.connection.destroy();
      return;
    }
    if (this.waiting !== undefined) {
      const joined = Buffer.concat([this.waiting, buffer.subarray(start, end)]);
      this.waiting = undefined;
      this.run(joined, 0, joined.length);
    } else this.run(buffer, start, end);
  }

  private run(buffer: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end && this.exchange !== undefined) {
      if (this.state === 'head') at = this.readHead(buffer, at, end, this.exchange);
      else at = this.readBody(buffer, at, end, this.exchange);
    }
    if (at < end && this.exchange === undefined && !this.connection.destroyed) this.connection.destroy();
  }

  private readHead(buffer: Buffer, at: number, end: number, exchange: H1ClientExchange): number {
    const outcome = parseResponseHead(buffer, at, end, offsets, LIMITS);
    if (outcome === PARSE.partial) {
      this.waiting = Buffer.from(buffer.subarray(at, end));
      return end;
    }
    if (outcome !== PARSE.complete) {
      this.fail(outcome === PARSE.tooLarge || outcome === PARSE.tooManyHeaders ? 'http1.headers_too_large' : 'http1.codec_error');
      return end;
    }
    const { status, end: headEnd } = offsets;
    this.headers.load(buffer, offsets, offsets.fieldsStart);
    if (status < 200 && !(status === 101 && exchange.upgrade !== undefined)) {
      if (status === 101) this.fail('http1.codec_error');
      else if (status === 100) exchange.receiver.onInformational({ status, headers: this.headers });
      return headEnd;
    }
    if (status === 204 && offsets.contentLength > 0) {
      this.fail('http1.content_length_not_allowed');
      return end;
    }
    const head = { status, headers: this.headers };
    if (offsets.close || (offsets.minor === 0 && !offsets.keepAlive)) this.reusable = false;
    this.chooseBody(exchange, status);
    const bodyless = this.state === 'idle';
    if (bodyless) this.state = 'head';
    exchange.receiver.onHead(head, bodyless);
    if (bodyless) this.finish(exchange);
    return headEnd;
  }

  /** Sets how the body ends. `idle` = there is none. @see RFC 9112 section 6.3 */
  private chooseBody(exchange: H1ClientExchange, status: number): void {
    if (status === 101 || (exchange.method === 'CONNECT' && status < 300)) {
      this.state = 'raw';
      this.reusable = false;
    } else if (exchange.method === 'HEAD' || status === 204 || status === 304) this.state = 'idle';
    else if (offsets.chunked) {
      this.chunks.reset();
      this.state = 'chunked';
    } else if (offsets.contentLength >= 0) {
      this.left = offsets.contentLength;
      this.state = this.left === 0 ? 'idle' : 'length';
    } else {
      this.state = 'until-close';
      this.reusable = false;
    }
  }

  private readBody(buffer: Buffer, at: number, end: number, exchange: H1ClientExchange): number {
    if (this.state === 'chunked') {
      const next = this.chunks.step(buffer, at, end);
      if (next < 0) {
        this.fail('http1.codec_error');
        return end;
      }
      if (this.chunks.dataEnd > this.chunks.dataStart) this.deliver(exchange, buffer, this.chunks.dataStart, this.chunks.dataEnd);
      if (this.chunks.done && this.exchange === exchange) this.finishWithEnd(exchange);
      return next;
    }
    let stop = end;
    if (this.state === 'length') {
      stop = Math.min(end, at + this.left);
      this.left -= stop - at;
    }
    this.deliver(exchange, buffer, at, stop);
    if (this.state === 'length' && this.left === 0 && this.exchange === exchange) this.finishWithEnd(exchange);
    return stop;
  }

  private deliver(exchange: H1ClientExchange, buffer: Buffer, start: number, end: number): void {
    this.bodyBytes += end - start;
    if (this.bodyBytes > OWN_BUFFER_BYTES) this.connection.readIntoOwnBuffer(true);
    exchange.receiver.onBody(buffer, start, end);
  }

  /** The response is complete; the receiver is told first, so that its bytes leave in the same write. */
  private finishWithEnd(exchange: H1ClientExchange): void {
    this.state = 'head';
    exchange.receiver.onEnd(undefined);
    this.finish(exchange);
  }

  private finish(exchange: H1ClientExchange): void {
    if (this.exchange !== exchange) return;
    this.exchange = undefined;
    this.connection.readIntoOwnBuffer(false);
    if (!this.reusable || !exchange.sent || this.connection.destroyed) {
      this.state = 'closed';
      this.connection.destroy();
      return;
    }
    this.state = 'idle';
    this.connection.resume();
    this.owner.onIdle(this);
  }

  private fail(detail: string): void {
    const { exchange } = this;
    this.exchange = undefined;
    this.state = 'closed';
    this.connection.destroy();
    exchange?.receiver.onReset('protocol error', detail);
  }

  cancelExchange(exchange: H1ClientExchange): void {
    if (this.exchange !== exchange) return;
    this.exchange = undefined;
    this.state = 'closed';
    this.connection.destroy();
  }

  close(): void {
    this.connection.destroy();
  }

  onEnd(): void {
    const { exchange } = this;
    if (exchange === undefined) {
      this.state = 'closed';
      this.connection.destroy();
      return;
    }
    if (this.state === 'until-close') {
      this.exchange = undefined;
      exchange.receiver.onEnd(undefined);
      this.connection.destroy();
    }
    // An end inside a body contradicts what the head promised; before the head and after an upgrade it is only a lost connection. As Envoy says it.
    else if (this.state === 'length' || this.state === 'chunked') this.fail('unexpected end of the body');
    else this.connection.destroy();
  }

  onDrain(): void {
    this.exchange?.receiver.onDrain();
  }

  onClose(cause: CloseCause): void {
    const { exchange } = this;
    this.exchange = undefined;
    this.state = 'closed';
    this.owner.onClosed(this);
    exchange?.receiver.onReset('connection termination' satisfies ResetReason, cause?.code ?? '');
  }
}

class H1ClientExchange implements ClientStream {
  /** True once the whole request was sent. */
  sent: boolean;

  constructor(
    private readonly owner: H1ClientConnection,
    readonly receiver: ResponseReceiver,
    readonly method: string,
    readonly upgrade: string | undefined,
    private readonly chunked: boolean,
    end: boolean,
  ) {
    this.sent = end;
  }

  sendBody(buffer: Buffer, start: number, end: number): boolean {
    if (this.sent || end === start) return true;
    const { connection } = this.owner;
    if (!this.chunked) return connection.writeBytes(buffer, start, end);
    connection.writeText(`${(end - start).toString(16)}\r\n`);
    const open = connection.writeBytes(buffer, start, end);
    connection.writeText('\r\n');
    return open;
  }

  sendEnd(trailers: HeaderMap | undefined): void {
    if (this.sent) return;
    void trailers;
    this.sent = true;
    if (this.chunked) this.owner.connection.writeText('0\r\n\r\n');
    else if (this.upgrade !== undefined || this.method === 'CONNECT') this.owner.connection.end();
  }

  cancel(): void {
    this.owner.cancelExchange(this);
  }

  pauseBody(): void {
    this.owner.connection.pause();
  }

  resumeBody(): void {
    this.owner.connection.resume();
  }
}
