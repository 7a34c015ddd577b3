import { beginBatch, endBatch } from '../io/batch.ts';
import type { CloseCause, Connection, ConnectionSink } from '../io/connection.ts';
import { IdleTimer } from '../io/idle-timer.ts';
import { ChunkDecoder } from './chunked.ts';
import { FieldHeaders, headerLines } from './field-headers.ts';
import { H1Headers } from './h1-headers.ts';
import { HeadOffsets, PARSE, parseRequestHead } from './h1-parser.ts';
import { LF } from './h1-syntax.ts';
import type { HeadLimits } from './h1-parser.ts';
import { splitTarget } from './h1-target.ts';
import type { HeaderMap, RequestHead, ResponseHead } from './message.ts';
import { statusLine } from './status-text.ts';
import type { BodyReceiver, CodecError, RequestHandler, ServerStream } from './stream.ts';

export interface H1ServerOptions {
  readonly limits: HeadLimits;
  readonly secure: boolean;
  /** HTTP/1.0 requests are answered instead of refused with 426. */
  readonly acceptHttp10: boolean;
  /** Idle time between requests after which the connection closes; 0 = none. */
  readonly idleTimeoutMs: number;
  /** From the first byte of a head to its last; 0 = none. */
  readonly headersTimeoutMs: number;
  /** 0 = unlimited. */
  readonly maxRequests: number;
}

const BAD_REQUEST: CodecError = { status: 400, body: 'Bad Request', details: 'http1.codec_error' };

const LOW_VERSION: CodecError = { status: 426, body: 'Upgrade Required', details: 'low_version' };

/** What Envoy answers to heads its codec refuses. */
const REFUSALS: ReadonlyMap<number, CodecError> = new Map([
  [PARSE.tooLarge, { status: 431, body: 'Request Header Fields Too Large', details: 'http1.headers_too_large' }],
  [PARSE.tooManyHeaders, { status: 431, body: 'Request Header Fields Too Large', details: 'http1.too_many_headers' }],
  [PARSE.lengthAndChunked, { status: 400, body: 'Bad Request', details: 'http1.content_length_and_chunked_not_allowed' }],
  [PARSE.unknownCoding, { status: 501, body: 'Not Implemented', details: 'http1.invalid_transfer_encoding' }],
  [PARSE.badCharacter, { status: 400, body: 'Bad Request', details: 'http1.invalid_characters' }],
  [PARSE.otherVersion, LOW_VERSION],
]);


/** The methods Envoy's HTTP/1 codec takes. */
const METHODS: ReadonlySet<string> = new Set([
  'ACL', 'BIND', 'CHECKOUT', 'CONNECT', 'COPY', 'DELETE', 'GET', 'HEAD', 'LINK', 'LOCK', 'MERGE', 'MKACTIVITY', 'MKCALENDAR', 'MKCOL', 'MOVE', 'MSEARCH', 'NOTIFY', 'OPTIONS', 'PATCH', 'POST', 'PROPFIND', 'PROPPATCH',
  'PURGE', 'PUT', 'REBIND', 'REPORT', 'SEARCH', 'SOURCE', 'SUBSCRIBE', 'TRACE', 'UNBIND', 'UNLINK', 'UNLOCK', 'UNSUBSCRIBE',
]);

/** Of the head being read, for all connections: used up before anybody else is called. */
const offsets = new HeadOffsets();

type State = 'head' | 'length' | 'chunked' | 'raw' | 'complete' | 'closed';

/** Above this much of one body a connection reads into memory of its own. */
const OWN_BUFFER_BYTES = 131_072;

/** HTTP/1.1 on an accepted connection: one request at a time, pipelined ones wait. */
export class H1ServerConnection implements ConnectionSink {
  private state: State = 'head';
  private waiting: Buffer | undefined;
  private left = 0;
  private bodyBytes = 0;
  private readonly headers = new H1Headers();
  private readonly chunks = new ChunkDecoder();
  private exchange: H1Exchange | undefined;
  private requests = 0;
  private draining = false;
  private peerEnded = false;
  private readonly idleTimer = new IdleTimer(() => this.connection.close());
  private headTimer: NodeJS.Timeout | undefined;

  constructor(
    readonly connection: Connection,
    readonly options: H1ServerOptions,
    private readonly handler: RequestHandler,
    private readonly onClosed: () => void,
  ) {
    connection.sink = this;
    this.armIdle();
  }

  /**
   * The next response says `connection: close`. An idle connection stays open, as Envoy's does until its drain time is over: the peer may be sending a
   * request on it at this moment, which closing would turn into a 503 there.
   */
  drain(): void {
    this.draining = true;
  }

  get wantsClose(): boolean {
    return this.draining;
  }

  onData(buffer: Buffer, start: number, end: number): void {
    if (this.waiting !== undefined) {
      const joined = Buffer.concat([this.waiting, buffer.subarray(start, end)]);
      if (this.state === 'head' && joined.length <= this.options.limits.maxBytes && !buffer.subarray(start, end).includes(LF)) {
        // No line ended: a head that trickles in byte by byte is not parsed again for each of them.
        this.waiting = joined;
        return;
      }
      this.waiting = undefined;
      this.run(joined, 0, joined.length);
    } else this.run(buffer, start, end);
  }

  private run(buffer: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end && this.state !== 'closed') {
      if (this.state === 'head') at = this.readHead(buffer, at, end);
      else if (this.state === 'complete') {
        // A pipelined request: it waits, and so does the client when it sends more.
        this.waiting = Buffer.from(buffer.subarray(at, end));
        this.connection.pause();
        at = end;
      } else at = this.readBody(buffer, at, end);
    }
  }

  private readHead(buffer: Buffer, at: number, end: number): number {
    const outcome = parseRequestHead(buffer, at, end, offsets, this.options.limits);
    if (outcome === PARSE.partial) {
      this.waiting = Buffer.from(buffer.subarray(at, end));
      this.armHeadTimer();
      return end;
    }
    if (this.headTimer !== undefined) {
      clearTimeout(this.headTimer);
      this.headTimer = undefined;
    }
    if (outcome !== PARSE.complete) {
      this.refuse(REFUSALS.get(outcome) ?? BAD_REQUEST, end - at);
      return end;
    }
    const headEnd = offsets.end;
    this.startRequest(buffer, at);
    return headEnd;
  }

  private startRequest(buffer: Buffer, start: number): void {
    const { headers } = this;
    const hostOffset = offsets.hostRow << 2;
    const hostStart = offsets.hostRow < 0 ? 0 : offsets.table[hostOffset + 2]!;
    const hostEnd = offsets.hostRow < 0 ? 0 : offsets.table[hostOffset + 3]!;
    if (offsets.hostRow >= 0) offsets.drop(offsets.hostRow);
    headers.load(buffer, offsets, offsets.methodStart);
    const method = headers.part(offsets.methodStart, offsets.methodEnd);
    const target = headers.part(offsets.targetStart, offsets.targetEnd);
    if (!METHODS.has(method)) {
      this.refuse({ status: 400, body: 'Bad Request', details: 'http1.codec_error' }, offsets.end - start);
      return;
    }
    const parts = splitTarget(method, target, offsets.hostRow < 0 ? '' : headers.part(hostStart, hostEnd));
    if (parts === undefined) {
      this.refuse({ status: 400, body: 'Bad Request', details: 'http1.invalid_url' }, offsets.end - start);
      return;
    }
    if (offsets.minor === 0 && !this.options.acceptHttp10) {
      this.refuse(LOW_VERSION, offsets.end - start);
      return;
    }
    if (offsets.hostRow < 0 && parts.authority === '' && offsets.minor === 1) {
      this.refuse({ status: 400, body: '', details: 'missing_host_header' }, offsets.end - start, { method, path: parts.path });
      return;
    }
    const head: RequestHead = {
      method,
      path: parts.path,
      authority: parts.authority,
      scheme: this.options.secure ? 'https' : 'http',
      protocol: offsets.minor === 0 ? 'HTTP/1.0' : 'HTTP/1.1',
      headers: this.headers,
    };
    let upgrade = offsets.wantsUpgrade && offsets.upgradeRow >= 0 ? (headers.get('upgrade') ?? '').toLowerCase() : undefined;
    if (upgrade === 'h2c') {
      // An offer that may be ignored (RFC 7540 section 3.2), as Envoy does.
      upgrade = undefined;
      headers.remove('upgrade');
      headers.remove('http2-settings');
    }
    const raw = upgrade !== undefined || method === 'CONNECT';
    this.left = Math.max(0, offsets.contentLength);
    this.bodyBytes = 0;
    const last = offsets.close || (offsets.minor === 0 && !offsets.keepAlive);
    const close = last || (this.options.maxRequests > 0 && ++this.requests >= this.options.maxRequests);
    if (raw && offsets.contentLength <= 0 && !offsets.chunked) this.state = 'raw';
    else if (offsets.chunked) {
      this.chunks.reset();
      this.state = 'chunked';
    } else this.state = this.left > 0 ? 'length' : 'complete';
    this.idleTimer.busy();
    const exchange = new H1Exchange(this, head, upgrade, close, offsets.end - start, last);
    this.exchange = exchange;
    exchange.receiver = this.handler.onRequest(exchange, this.state === 'complete');
  }

  private readBody(buffer: Buffer, at: number, end: number): number {
    const exchange = this.exchange!;
    let stop: number;
    if (this.state === 'chunked') {
      const next = this.chunks.step(buffer, at, end);
      if (next < 0) {
        this.state = 'closed';
        exchange.codecFailure();
        return end;
      }
      exchange.wireBytesReceived += next - at;
      if (this.chunks.dataEnd > this.chunks.dataStart) this.deliver(exchange, buffer, this.chunks.dataStart, this.chunks.dataEnd);
      if (this.chunks.done) this.finishRequest(exchange);
      return next;
    }
    if (this.state === 'raw') stop = end;
    else {
      stop = Math.min(end, at + this.left);
      this.left -= stop - at;
    }
    exchange.wireBytesReceived += stop - at;
    this.deliver(exchange, buffer, at, stop);
    if (this.state === 'length' && this.left === 0) this.finishRequest(exchange);
    return stop;
  }

  private deliver(exchange: H1Exchange, buffer: Buffer, start: number, end: number): void {
    this.bodyBytes += end - start;
    if (this.bodyBytes > OWN_BUFFER_BYTES) this.connection.readIntoOwnBuffer(true);
    exchange.receiver?.onBody(buffer, start, end);
  }

  private finishRequest(exchange: H1Exchange): void {
    if (this.state === 'closed') return;
    this.state = 'complete';
    this.connection.readIntoOwnBuffer(false);
    exchange.receiver?.onEnd(undefined);
  }

  /** The response is out; what comes next may be parsed when the request is complete too. */
  responseDone(exchange: H1Exchange, close: boolean): void {
    if (exchange !== this.exchange) return;
    this.exchange = undefined;
    if (close || this.draining || this.state !== 'complete' || this.peerEnded) {
      const peerIsDone = exchange.lastOfPeer && this.state === 'complete' && this.waiting === undefined;
      this.state = 'closed';
      this.waiting = undefined;
      this.connection.close(peerIsDone);
      return;
    }
    this.state = 'head';
    this.armIdle();
    // Not now: whoever ended this response still reads this request's headers.
    if (this.waiting !== undefined) process.nextTick(() => this.runWaiting());
  }

  private runWaiting(): void {
    const { waiting } = this;
    if (waiting === undefined || this.state !== 'head') return;
    this.waiting = undefined;
    this.connection.resume();
    beginBatch();
    try {
      this.run(waiting, 0, waiting.length);
    } finally {
      endBatch();
    }
  }

  /** True until the whole request was read. */
  get requestIncomplete(): boolean {
    return this.state !== 'complete';
  }

  abort(exchange: H1Exchange): void {
    if (exchange !== this.exchange) return;
    this.exchange = undefined;
    this.state = 'closed';
    this.connection.flush();
    // What an upgraded connection has carried so far must arrive.
    if (exchange.raw) this.connection.close();
    else this.connection.destroy();
  }

  private refuse(error: CodecError, bytes: number, known = { method: '', path: '' }): void {
    this.state = 'closed';
    this.idleTimer.busy();
    const head: RequestHead = { ...known, authority: '', scheme: this.options.secure ? 'https' : 'http', protocol: 'HTTP/1.1', headers: new FieldHeaders() };
    const exchange = new H1Exchange(this, head, undefined, true, bytes);
    this.exchange = exchange;
    this.handler.onCodecError(exchange, error);
  }

  private armIdle(): void {
    this.idleTimer.idle(this.options.idleTimeoutMs);
  }

  private armHeadTimer(): void {
    if (this.options.headersTimeoutMs <= 0 || this.headTimer !== undefined) return;
    this.headTimer = setTimeout(() => {
      if (this.state === 'head') this.refuse({ status: 408, body: 'request header timeout', details: 'request_header_timeout' }, this.waiting?.length ?? 0);
    }, this.options.headersTimeoutMs).unref();
  }

  onEnd(): void {
    this.peerEnded = true;
    const { exchange } = this;
    if (exchange === undefined) {
      this.state = 'closed';
      this.connection.close();
    }
    // Envoy takes a half-closed HTTP/1 client for a gone one. An upgraded one too: a server that never closes would hold the tunnel for ever.
    else this.connection.destroy();
  }

  onDrain(): void {
    this.exchange?.receiver?.onDrain();
  }

  onClose(cause: CloseCause): void {
    const { exchange } = this;
    this.exchange = undefined;
    this.state = 'closed';
    this.idleTimer.stop();
    clearTimeout(this.headTimer);
    exchange?.receiver?.onReset('connection termination', cause?.code ?? '');
    this.onClosed();
  }
}

/** One request on an HTTP/1 connection and its response. */
class H1Exchange implements ServerStream {
  receiver: BodyReceiver | undefined;
  wireBytesSent = 0;
  private chunked = false;
  private bodyless = false;
  raw = false;
  private done = false;
  private close: boolean;

  constructor(
    private readonly owner: H1ServerConnection,
    readonly head: RequestHead,
    readonly upgrade: string | undefined,
    close: boolean,
    public wireBytesReceived: number,
    /** The client said that it sends no further request. */
    readonly lastOfPeer = false,
  ) {
    this.close = close;
  }

  sendInformational(head: ResponseHead): void {
    if (this.done) return;
    this.write(`${statusLine('HTTP/1.1', head.status)}${headerLines(head.headers)}\r\n`);
  }

  sendHead(head: ResponseHead, end: boolean): void {
    if (this.done) return;
    const { status, headers } = head;
    this.raw = (status === 101 && this.upgrade !== undefined) || (this.head.method === 'CONNECT' && status >= 200 && status < 300);
    if (!this.raw && (this.owner.wantsClose || (end && this.owner.requestIncomplete) || this.upgrade !== undefined)) this.close = true;
    this.bodyless = this.head.method === 'HEAD' || status === 204 || status === 304 || this.raw;
    let framing = '';
    if (this.raw) framing = status === 101 ? 'connection: upgrade\r\n' : '';
    else if (this.head.method === 'HEAD' && !headers.has('content-length') && status !== 204 && status !== 304) framing = 'transfer-encoding: chunked\r\n';
    else if (!this.bodyless && !headers.has('content-length')) {
      if (end) framing = 'content-length: 0\r\n';
      else if (this.head.protocol === 'HTTP/1.0') this.close = true;
      else {
        this.chunked = true;
        framing = 'transfer-encoding: chunked\r\n';
      }
    }
    if (this.close && !this.raw) framing += 'connection: close\r\n';
    else if (this.head.protocol === 'HTTP/1.0' && !this.raw) framing += 'connection: keep-alive\r\n';
    this.write(`${statusLine(this.head.protocol, status)}${headerLines(headers)}${framing}\r\n`);
    if (end) this.finish();
  }

  sendBody(buffer: Buffer, start: number, end: number): boolean {
    const { connection } = this.owner;
    if (this.done || end === start) return true;
    if (this.bodyless && !this.raw) return true;
    this.wireBytesSent += end - start;
    if (!this.chunked) return connection.writeBytes(buffer, start, end);
    connection.writeText(`${(end - start).toString(16)}\r\n`);
    const open = connection.writeBytes(buffer, start, end);
    connection.writeText('\r\n');
    return open;
  }

  sendEnd(trailers: HeaderMap | undefined): void {
    if (this.done) return;
    // Trailers are not for HTTP/1 clients unless enabled, which Istio does not do.
    void trailers;
    if (this.chunked) this.write('0\r\n\r\n');
    this.finish();
  }

  private write(text: string): void {
    this.wireBytesSent += text.length;
    this.owner.connection.writeText(text);
  }

  private finish(): void {
    this.done = true;
    this.owner.responseDone(this, this.close || this.raw);
  }

  /** The body's coding broke: Envoy answers 400 while no response has begun, else it just closes. */
  codecFailure(): void {
    this.close = true;
    const { receiver } = this;
    this.receiver = undefined;
    receiver?.onReset('protocol error', 'http1.codec_error');
  }

  reset(): void {
    if (this.done) return;
    this.done = true;
    this.owner.abort(this);
  }

  pauseBody(): void {
    if (!this.done && this.owner.requestIncomplete) this.owner.connection.pause();
  }

  resumeBody(): void {
    if (!this.done) this.owner.connection.resume();
  }

  closeAfterResponse(): void {
    this.close = true;
  }
}
