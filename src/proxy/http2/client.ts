import type { HeaderMap, RequestHead } from '../http/message.ts';
import type { ClientStream, ResetReason, ResponseReceiver } from '../http/stream.ts';
import type { Connection } from '../io/connection.ts';
import { ERROR, FRAME, MAX_STREAMS, MAX_STREAM_ID, SETTING, STREAMS_BEFORE_SETTINGS } from './constants.ts';
import { outgoingFields, outgoingTrailers, parseResponse, parseTrailers } from './fields.ts';
import type { FieldBlock } from './hpack-decoder.ts';
import { Http2Session } from './session.ts';
import { Http2Stream } from './stream.ts';
import type { StreamEnd } from './stream.ts';

/** Limits Envoy has for responses: 60 KiB and 100 headers (and :status). */
const RESPONSE_LIMITS = { maxBytes: 61_440, maxFields: 101 };

/** What the pool wants to know of a connection. */
export interface H2ClientOwner {
  /** A stream ended: another one may begin when the connection is usable. */
  onCapacity(): void;
  onClosed(): void;
}

/** HTTP/2 on an opened connection. `maxConcurrentStreams`: our own limit beside the peer's; 0 = {@link MAX_STREAMS}. */
export class H2ClientConnection extends Http2Session {
  readonly localAddress: string;
  readonly remoteAddress: string;
  /** Requests sent on it, for max_requests_per_connection. */
  requests = 0;
  private nextStream = 1;
  private goingAway = false;
  private maxStreams: number;
  private settled = false;
  private readonly ownLimit: number;

  constructor(
    connection: Connection,
    private readonly owner: H2ClientOwner,
    maxConcurrentStreams = 0,
    nowMs: () => number = Date.now,
  ) {
    super(connection, RESPONSE_LIMITS, { nowMs, countsResets: false });
    this.ownLimit = maxConcurrentStreams > 0 ? Math.min(maxConcurrentStreams, MAX_STREAMS) : MAX_STREAMS;
    this.maxStreams = Math.min(this.ownLimit, STREAMS_BEFORE_SETTINGS);
    this.localAddress = `${connection.localAddress}:${connection.localPort}`;
    this.remoteAddress = `${connection.remoteAddress}:${connection.remotePort}`;
    this.writer.preface();
    this.sayHello([[SETTING.enablePush, 0], [SETTING.maxHeaderListSize, RESPONSE_LIMITS.maxBytes]]);
  }

  /** Another request may begin. */
  get usable(): boolean {
    return !this.goingAway && !this.closed && !this.connection.destroyed && this.streams.size < this.maxStreams && this.nextStream < MAX_STREAM_ID;
  }

  /** Takes no new requests; closes when the open ones are done. */
  close(): void {
    if (this.closed) return;
    this.goingAway = true;
    if (this.streams.size === 0) this.leave();
  }

  private leave(): void {
    if (this.closed) return;
    this.writer.goAway(0, ERROR.none, '');
    this.end();
  }

  /** Sends a request head; `end`: there is no body. An `upgrade` becomes an extended CONNECT. @see RFC 8441 section 4 */
  start(head: RequestHead, end: boolean, receiver: ResponseReceiver, upgrade?: string): ClientStream {
    this.requests++;
    const exchange = new H2ClientExchange(this, this.nextStream, this.newStreamWindow, head.method, upgrade, receiver);
    this.nextStream += 2;
    this.addStream(exchange);
    const pseudo = upgrade !== undefined
      ? [':method', 'CONNECT', ':protocol', upgrade, ':scheme', head.scheme, ':authority', head.authority, ':path', head.path]
      : head.method === 'CONNECT' ? [':method', 'CONNECT', ':authority', head.authority]
        : [':method', head.method, ':scheme', head.scheme, ':authority', head.authority, ':path', head.path];
    this.sendHeaders(exchange, outgoingFields(pseudo, head.headers), end);
    return exchange;
  }

  /** Servers open no streams, since push is off. */
  protected get lastPeerStream(): number {
    return 0;
  }

  protected isIdle(streamId: number): boolean {
    return streamId >= this.nextStream || (streamId & 1) === 0;
  }

  protected onUnknownBlock(streamId: number): void {
    if (this.isIdle(streamId)) this.fail(ERROR.protocol, 'HEADERS on an idle stream');
    else if (!this.guard.onNoise(false)) this.fail(ERROR.enhanceYourCalm, 'too many: HEADERS on closed streams');
  }

  protected onPartialBlock(): void {
    // Requests have timeouts of their own.
  }

  protected onSetting(id: number, value: number): void {
    if (id === SETTING.maxConcurrentStreams) this.maxStreams = Math.min(value, this.ownLimit);
    else if (id === SETTING.enablePush && value !== 0) this.fail(ERROR.protocol, 'a server cannot enable push');
  }

  override onFrame(type: number, flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
    const before = this.maxStreams;
    if (type === FRAME.settings && !this.settled) {
      // What the peer does not limit is unlimited. @see RFC 9113 section 6.5.2
      this.settled = true;
      this.maxStreams = this.ownLimit;
    }
    super.onFrame(type, flags, streamId, buffer, start, end);
    if (this.maxStreams > before) this.owner.onCapacity();
  }

  protected onGoAway(lastStreamId: number, code: number): void {
    this.goingAway = true;
    for (const stream of this.streams.values()) {
      if (stream.id <= lastStreamId) continue;
      this.forget(stream);
      stream.onReset('goaway', code, '');
    }
    if (this.streams.size === 0) this.leave();
  }

  protected onPingAck(): void {
    // We ask no PINGs.
  }

  protected onLocalEnd(): void {
    // The response is still to come.
  }

  protected onStreamGone(): void {
    if (this.goingAway && this.streams.size === 0) this.leave();
    else this.owner.onCapacity();
  }

  protected onSessionClosed(): void {
    this.goingAway = true;
    this.owner.onClosed();
  }
}

/** Envoy's word for an end. */
function reasonOf(end: StreamEnd, code: number): ResetReason {
  if (end === 'connection') return 'connection termination';
  if (end === 'malformed') return 'protocol error';
  if (end === 'goaway' || code === ERROR.refusedStream) return 'remote refused stream reset';
  return code === ERROR.protocol ? 'protocol error' : 'remote reset';
}

/** One request that the proxy sends, and its response. */
class H2ClientExchange extends Http2Stream implements ClientStream {
  private headReceived = false;

  constructor(
    private readonly session: H2ClientConnection,
    id: number,
    sendWindow: number,
    private readonly method: string,
    private readonly upgrade: string | undefined,
    private readonly receiver: ResponseReceiver,
  ) {
    super(id, sendWindow);
  }

  onBlock(block: FieldBlock, end: boolean): boolean {
    if (this.headReceived) {
      const trailers = end ? parseTrailers(block) : undefined;
      if (trailers === undefined) return false;
      this.receiver.onEnd(trailers.flat.length === 0 ? undefined : trailers);
      this.giveUpRequest();
      return true;
    }
    const head = block.tooLarge ? undefined : parseResponse(block);
    if (head === undefined || head.status === 101) return false;
    if (head.status < 200) {
      if (end) return false;
      if (head.status === 100) this.receiver.onInformational({ status: 100, headers: head.headers });
      return true;
    }
    this.headReceived = true;
    const bodyless = this.method === 'HEAD' || head.status === 304;
    if (!bodyless) {
      if (end && head.contentLength > 0) return false;
      this.expectedBytes = head.contentLength;
    }
    if (this.upgrade !== undefined && head.status === 200) {
      // To whoever asked by HTTP/1 this is 101.
      head.headers.set('upgrade', this.upgrade);
      this.receiver.onHead({ status: 101, headers: head.headers }, end);
    } else this.receiver.onHead({ status: head.status, headers: head.headers }, end);
    if (end) this.giveUpRequest();
    return true;
  }

  onData(buffer: Buffer, start: number, end: number): void {
    if (!this.headReceived) this.session.refuse(this, 'DATA before the response head');
    else this.receiver.onBody(buffer, start, end);
  }

  onEnd(): void {
    if (!this.headReceived) {
      this.session.refuse(this, 'END_STREAM before the response head');
      return;
    }
    this.receiver.onEnd(undefined);
    this.giveUpRequest();
  }

  /** The response is complete: what is left of the request helps nobody. */
  private giveUpRequest(): void {
    if (!this.localClosed) this.session.cancelStream(this, ERROR.cancel);
  }

  onReset(end: StreamEnd, code: number, detail: string): void {
    this.receiver.onReset(reasonOf(end, code), detail);
  }

  onWritable(): void {
    this.receiver.onDrain();
  }

  sendBody(buffer: Buffer, start: number, end: number): boolean {
    return end === start || this.session.sendData(this, buffer, start, end);
  }

  sendEnd(trailers: HeaderMap | undefined): void {
    this.session.sendEnd(this, outgoingTrailers(trailers));
  }

  cancel(): void {
    this.session.cancelStream(this, ERROR.cancel);
  }

  pauseBody(): void {
    this.session.pauseStream(this);
  }

  resumeBody(): void {
    this.session.resumeStream(this);
  }
}
