import { createLogger } from '../../base/log.ts';
import type { HeaderMap, RequestHead, ResponseHead } from '../http/message.ts';
import type { BodyReceiver, CodecError, RequestHandler, ServerStream } from '../http/stream.ts';
import { FieldHeaders } from '../http/field-headers.ts';
import type { Connection } from '../io/connection.ts';
import { ERROR, MAX_STREAMS, MAX_STREAM_ID, PREFACE, SETTING } from './constants.ts';
import { outgoingFields, outgoingTrailers, parseRequest, parseTrailers, wireSize } from './fields.ts';
import type { ParsedRequest } from './fields.ts';
import type { FieldBlock } from './hpack-decoder.ts';
import { Http2Session } from './session.ts';
import { Http2Stream } from './stream.ts';
import type { StreamEnd } from './stream.ts';

const log = createLogger('h2');

export interface H2ServerOptions {
  readonly secure: boolean;
  /** Time without streams after which the connection drains; 0 = none. */
  readonly idleTimeoutMs: number;
  /** From the first frame of a header block to its last; 0 = none. */
  readonly headersTimeoutMs: number;
  readonly maxHeaders: number;
  /** Names and values of one request. */
  readonly maxHeaderBytes: number;
  /** Requests after which the connection drains; 0 = unlimited. */
  readonly maxRequests: number;
  /** Offers extended CONNECT. Default false. @see RFC 8441 */
  readonly allowConnect?: boolean;
  /** For flood limits; Date.now unless given. */
  readonly nowMs?: () => number;
}

const TOO_LARGE: CodecError = { status: 431, body: 'Request Header Fields Too Large', details: 'http2.headers_too_large' };
/** :method, :scheme, :path, :authority. */
const PSEUDO_FIELDS = 4;
/** How long the peer gets to answer the PING of a drain before no further stream is taken. */
const DRAIN_STEP_MS = 1000;
const DRAIN_PING = Buffer.from('drain\0\0\0', 'latin1');

/** HTTP/2 on an accepted connection. */
export class H2ServerConnection extends Http2Session {
  private prefaceBytes = 0;
  private lastStream = 0;
  /** `announced`: the peer was told to stop, what is under way is still taken. `final`: nothing is taken any more. */
  private draining: 'no' | 'announced' | 'final' = 'no';
  private requests = 0;
  private idleTimer: NodeJS.Timeout | undefined;
  private drainTimer: NodeJS.Timeout | undefined;
  private blockTimer: NodeJS.Timeout | undefined;

  constructor(
    connection: Connection,
    private readonly options: H2ServerOptions,
    private readonly handler: RequestHandler,
    private readonly onGone: () => void,
  ) {
    super(connection, { maxBytes: options.maxHeaderBytes, maxFields: options.maxHeaders + PSEUDO_FIELDS }, { nowMs: options.nowMs ?? Date.now, countsResets: true });
    this.sayHello([[SETTING.maxConcurrentStreams, MAX_STREAMS], [SETTING.maxHeaderListSize, options.maxHeaderBytes], ...(options.allowConnect === true ? [[SETTING.enableConnectProtocol, 1] as const] : [])]);
    this.armIdle();
  }

  /** GOAWAY in two steps, so that requests that are on their way are still answered; open streams finish. @see RFC 9113 section 6.8 */
  drain(): void {
    if (this.closed || this.draining !== 'no') return;
    this.draining = 'announced';
    this.writer.goAway(MAX_STREAM_ID, ERROR.none, '');
    this.writer.ping(DRAIN_PING, 0, false);
    this.drainTimer = setTimeout(() => this.finishDrain(), DRAIN_STEP_MS).unref();
  }

  private finishDrain(): void {
    if (this.closed || this.draining === 'final') return;
    clearTimeout(this.drainTimer);
    this.draining = 'final';
    this.writer.goAway(this.lastStream, ERROR.none, '');
    if (this.streams.size === 0) this.end();
  }

  destroy(): void {
    this.connection.destroy();
  }

  override onData(buffer: Buffer, start: number, end: number): void {
    let at = start;
    while (this.prefaceBytes < PREFACE.length && at < end && !this.closed) if (buffer[at++] !== PREFACE[this.prefaceBytes++]) this.fail(ERROR.protocol, 'no HTTP/2 preface');
    if (at < end && !this.closed) super.onData(buffer, at, end);
  }

  protected get lastPeerStream(): number {
    return this.lastStream;
  }

  protected isIdle(streamId: number): boolean {
    return streamId > this.lastStream || (streamId & 1) === 0;
  }

  protected onUnknownBlock(streamId: number, block: FieldBlock, end: boolean): void {
    if ((streamId & 1) === 0) return this.fail(ERROR.protocol, 'stream of a server');
    if (streamId <= this.lastStream) return this.fail(ERROR.streamClosed, 'HEADERS on a closed stream');
    if (this.draining === 'final') return;
    this.lastStream = streamId;
    if (this.streams.size >= MAX_STREAMS) {
      this.resetStream(streamId, ERROR.refusedStream);
      if (!this.guard.onReset()) this.fail(ERROR.enhanceYourCalm, 'too many: streams');
      return;
    }
    const request = block.tooLarge ? undefined : parseRequest(block, this.options.secure, this.options.allowConnect);
    const mismatched = request !== undefined && end && request.contentLength > 0;
    if (!block.tooLarge && (request === undefined || mismatched)) {
      this.resetStream(streamId, ERROR.protocol);
      if (!this.guard.onReset()) this.fail(ERROR.enhanceYourCalm, 'too many: malformed requests');
      return;
    }
    this.open(streamId, request, block, end);
  }

  /** `request` undefined: it is too large. */
  private open(streamId: number, request: ParsedRequest | undefined, block: FieldBlock, end: boolean): void {
    const exchange = new H2Exchange(this, streamId, this.newStreamWindow, request?.head ?? emptyHead(this.options.secure), request?.upgrade, wireSize(block.fields));
    exchange.remoteClosed = end;
    if (!end && request !== undefined) exchange.expectedBytes = request.contentLength;
    this.addStream(exchange);
    try {
      if (request === undefined) this.handler.onCodecError(exchange, TOO_LARGE);
      else exchange.receiver = this.handler.onRequest(exchange, end);
    } catch (thrown) {
      log.error('stream failed', { error: thrown instanceof Error ? (thrown.stack ?? '') : String(thrown) });
      this.cancelStream(exchange, ERROR.internal);
    }
    if (this.options.maxRequests > 0 && ++this.requests >= this.options.maxRequests) this.drain();
  }

  protected onPartialBlock(waiting: boolean): void {
    if (!waiting) {
      clearTimeout(this.blockTimer);
      this.blockTimer = undefined;
    } else if (this.options.headersTimeoutMs > 0) this.blockTimer ??= setTimeout(() => this.fail(ERROR.enhanceYourCalm, 'header block takes too long'), this.options.headersTimeoutMs).unref();
  }

  protected onSetting(): void {
    // What concerns servers is done by the session.
  }

  protected onGoAway(): void {
    // A client that goes away still gets its answers.
  }

  protected onPingAck(): void {
    if (this.draining === 'announced') this.finishDrain();
  }

  /** The answer is complete: the rest of the request is of no interest. @see RFC 9113 section 8.1 */
  protected onLocalEnd(stream: Http2Stream): void {
    this.cancelStream(stream, ERROR.none);
  }

  protected onStreamGone(): void {
    if (this.streams.size > 0) return;
    if (this.draining === 'final') this.end();
    else this.armIdle();
  }

  private armIdle(): void {
    if (this.options.idleTimeoutMs <= 0) return;
    if (this.idleTimer === undefined) this.idleTimer = setTimeout(() => {
      if (this.streams.size === 0) this.drain();
    }, this.options.idleTimeoutMs).unref();
    else this.idleTimer.refresh();
  }

  protected onSessionClosed(): void {
    clearTimeout(this.idleTimer);
    clearTimeout(this.drainTimer);
    clearTimeout(this.blockTimer);
  }

  override onClose(cause: Parameters<Http2Session['onClose']>[0]): void {
    super.onClose(cause);
    this.onGone();
  }
}

function emptyHead(secure: boolean): RequestHead {
  return { method: '', path: '', authority: '', scheme: secure ? 'https' : 'http', protocol: 'HTTP/2', headers: new FieldHeaders() };
}

/** One request and its answer. */
class H2Exchange extends Http2Stream implements ServerStream {
  receiver: BodyReceiver | undefined;
  wireBytesSent = 0;
  private headSent = false;
  /** HEAD, 204, 304: END_STREAM goes with the head. */
  private bodyless = false;

  constructor(
    private readonly session: H2ServerConnection,
    id: number,
    sendWindow: number,
    readonly head: RequestHead,
    readonly upgrade: string | undefined,
    private readonly headBytes: number,
  ) {
    super(id, sendWindow);
  }

  get wireBytesReceived(): number {
    return this.headBytes + this.bodyBytes;
  }

  // The request.

  onBlock(block: FieldBlock, end: boolean): boolean {
    const trailers = end ? parseTrailers(block) : undefined;
    if (trailers === undefined) return false;
    this.receiver?.onEnd(trailers.flat.length === 0 ? undefined : trailers);
    return true;
  }

  onData(buffer: Buffer, start: number, end: number): void {
    this.receiver?.onBody(buffer, start, end);
  }

  onEnd(): void {
    this.receiver?.onEnd(undefined);
  }

  onReset(end: StreamEnd, code: number, detail: string): void {
    void end;
    // Whatever ended it: nobody can be answered any more.
    this.receiver?.onReset('connection termination', detail === '' ? `h2 ${code}` : detail);
  }

  onWritable(): void {
    this.receiver?.onDrain();
  }

  pauseBody(): void {
    this.session.pauseStream(this);
  }

  resumeBody(): void {
    this.session.resumeStream(this);
  }

  // The answer.

  sendInformational(head: ResponseHead): void {
    if (this.headSent || head.status === 101) return;
    this.session.sendHeaders(this, outgoingFields([':status', String(head.status)], head.headers), false);
  }

  sendHead(head: ResponseHead, end: boolean): void {
    if (this.headSent || this.closed) return;
    this.headSent = true;
    this.bodyless = this.head.method === 'HEAD' || head.status === 204 || head.status === 304;
    // An upgrade that is granted is 200 in HTTP/2. @see RFC 8441 section 5
    const block = outgoingFields([':status', String(this.upgrade !== undefined && head.status === 101 ? 200 : head.status)], head.headers);
    this.wireBytesSent += wireSize(block.fields);
    this.session.sendHeaders(this, block, end || this.bodyless);
  }

  sendBody(buffer: Buffer, start: number, end: number): boolean {
    if (this.closed || this.bodyless || end === start) return true;
    this.wireBytesSent += end - start;
    return this.session.sendData(this, buffer, start, end);
  }

  sendEnd(trailers: HeaderMap | undefined): void {
    if (!this.bodyless) this.session.sendEnd(this, outgoingTrailers(trailers));
  }

  reset(): void {
    this.session.cancelStream(this, ERROR.internal);
  }

  closeAfterResponse(): void {
    // One stream's trouble is not the connection's.
  }
}
