import { createLogger } from '../../base/log.ts';
import type { CloseCause, Connection, ConnectionSink } from '../io/connection.ts';
import { CONNECTION_WINDOW_BYTES, DEFAULT_FRAME_BYTES, DEFAULT_WINDOW_BYTES, ERROR, FLAG, FRAME, MAX_REMEMBERED_RESETS, MAX_STREAM_ID, MAX_WAITING_BYTES, MAX_WINDOW_BYTES, SETTING, STREAM_WINDOW_BYTES } from './constants.ts';
import { FloodGuard } from './flood-guard.ts';
import { FrameReader } from './frame-reader.ts';
import type { FrameSink } from './frame-reader.ts';
import { FrameWriter } from './frame-writer.ts';
import { HeaderAssembler } from './header-assembler.ts';
import type { AssembledBlock, ConnectionError } from './header-assembler.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import type { BlockLimits, FieldBlock } from './hpack-decoder.ts';
import { HpackEncoder } from './hpack-encoder.ts';
import { Outbound } from './outbound.ts';
import type { Http2Stream, TrailingFields } from './stream.ts';

const log = createLogger('h2');

/** What both sides of an HTTP/2 connection do: frames, settings, flow control, errors. @see RFC 9113 */
export abstract class Http2Session implements ConnectionSink, FrameSink {
  protected readonly streams = new Map<number, Http2Stream>();
  protected readonly writer: FrameWriter;
  protected readonly guard: FloodGuard;
  protected readonly reader: FrameReader;
  protected closed = false;
  /** Streams the peer may not use any more though it may not know it yet. */
  private readonly recentResets = new Set<number>();
  private readonly encoder = new HpackEncoder();
  private readonly decoder = new HpackDecoder();
  private readonly assembler = new HeaderAssembler();
  private receiveWindow = CONNECTION_WINDOW_BYTES;
  private owedBytes = 0;
  private settingsSeen = false;
  private readonly outbound: Outbound;
  /** Stream of the DATA frame that is being read, and how much of the frame is padding. */
  private dataStream: Http2Stream | undefined;
  private overheadBytes = 0;

  constructor(
    readonly connection: Connection,
    private readonly blockLimits: BlockLimits,
    role: { readonly nowMs: () => number; readonly countsResets: boolean },
  ) {
    this.writer = new FrameWriter(connection, this.encoder);
    this.reader = new FrameReader(this);
    this.guard = new FloodGuard(role.nowMs, role.countsResets);
    this.outbound = new Outbound(connection, this.writer, this.guard, (stream) => this.endLocal(stream));
    connection.sink = this;
  }

  /** Streams that are open now. */
  get activeStreams(): number {
    return this.streams.size;
  }

  protected sayHello(settings: readonly (readonly [number, number])[]): void {
    this.writer.settings([...settings, [SETTING.initialWindowSize, STREAM_WINDOW_BYTES]]);
    this.writer.windowUpdate(0, CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES);
  }

  /** Highest stream of the peer's that was looked at, for GOAWAY. */
  protected abstract get lastPeerStream(): number;
  /** True for a stream that nobody has opened yet. */
  protected abstract isIdle(streamId: number): boolean;
  /** A block on a stream that is not there. */
  protected abstract onUnknownBlock(streamId: number, block: FieldBlock, end: boolean): void;
  protected abstract onSetting(id: number, value: number): void;
  protected abstract onGoAway(lastStreamId: number, code: number): void;
  protected abstract onPingAck(): void;
  protected abstract onStreamGone(stream: Http2Stream): void;
  protected abstract onSessionClosed(): void;

  // Bytes in.

  onData(buffer: Buffer, start: number, end: number): void {
    this.reader.push(buffer, start, end);
  }

  onDataBytes(buffer: Buffer, start: number, end: number): void {
    this.overheadBytes -= end - start;
    const stream = this.dataStream;
    // Bytes of a stream that is not there were given back when their frame began.
    if (stream === undefined) return;
    if (stream.closed) {
      this.giveBack(undefined, end - start);
      return;
    }
    stream.bodyBytes += end - start;
    if (stream.expectedBytes >= 0 && stream.bodyBytes > stream.expectedBytes) {
      this.giveBack(undefined, end - start);
      this.refuseStream(stream, ERROR.protocol, 'body longer than content-length');
      return;
    }
    stream.onData(buffer, start, end);
    if (stream.paused && !stream.closed) stream.heldBytes += end - start;
    else this.giveBack(stream, end - start);
  }

  onDataFrame(flags: number, streamId: number, length: number): void {
    this.dataStream = undefined;
    if (!this.allowsFrame(FRAME.data, streamId)) return;
    if (streamId === 0 || this.isIdle(streamId)) return this.fail(ERROR.protocol, 'DATA on an idle stream');
    this.receiveWindow -= length;
    if (this.receiveWindow < 0) return this.fail(ERROR.flowControl, 'connection window exceeded');
    if (length > 0) this.guard.onBody(length);
    else if ((flags & FLAG.endStream) === 0 && !this.guard.onNoise(true)) return this.calmDown('empty DATA');
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      this.giveBack(undefined, length);
      if (!this.recentResets.has(streamId)) this.resetStream(streamId, ERROR.streamClosed);
      return;
    }
    stream.receiveWindow -= length;
    if (stream.remoteClosed) this.refuseStream(stream, ERROR.streamClosed, 'DATA after the end');
    else if (stream.receiveWindow < 0) this.refuseStream(stream, ERROR.flowControl, 'stream window exceeded');
    else {
      this.dataStream = stream;
      this.overheadBytes = length;
      return;
    }
    this.giveBack(undefined, length);
  }

  onDataFrameEnd(flags: number): void {
    const stream = this.dataStream;
    this.dataStream = undefined;
    if (stream === undefined) return;
    if (this.overheadBytes > 0) this.giveBack(stream, this.overheadBytes);
    if (stream.closed || (flags & FLAG.endStream) === 0) return;
    this.endRemote(stream, () => {
      stream.onEnd();
      return true;
    });
  }

  /** The peer has said all it has to say on a stream. */
  private endRemote(stream: Http2Stream, tell: () => boolean): void {
    if (stream.expectedBytes >= 0 && stream.bodyBytes !== stream.expectedBytes) {
      this.refuseStream(stream, ERROR.protocol, 'body shorter than content-length');
      return;
    }
    stream.remoteClosed = true;
    if (!tell()) this.refuseStream(stream, ERROR.protocol, 'malformed header block');
    else if (stream.localClosed) this.forget(stream);
  }

  onFrame(type: number, flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
    if (!this.allowsFrame(type, streamId)) return;
    switch (type) {
      case FRAME.headers: return this.onHeaders(flags, streamId, buffer, start, end);
      case FRAME.continuation: return this.onAssembled(this.assembler.continuation(flags, streamId, buffer, start, end));
      case FRAME.rstStream: return this.onResetFrame(streamId, buffer, start, end);
      case FRAME.settings: return this.onSettings(flags, streamId, buffer, start, end);
      case FRAME.ping: return this.onPing(flags, streamId, buffer, start, end);
      case FRAME.goAway:
        if (streamId !== 0) return this.fail(ERROR.protocol, 'GOAWAY on a stream');
        if (end - start < 8) return this.fail(ERROR.frameSize, 'GOAWAY too short');
        return this.onGoAway(buffer.readUInt32BE(start) & MAX_STREAM_ID, buffer.readUInt32BE(start + 4));
      case FRAME.windowUpdate: return this.onWindowUpdate(streamId, buffer, start, end);
      case FRAME.pushPromise: return this.fail(ERROR.protocol, 'PUSH_PROMISE was not allowed');
      case FRAME.priority:
        if (streamId === 0) return this.fail(ERROR.protocol, 'PRIORITY on stream 0');
        if (end - start !== 5) return this.resetKnown(streamId, ERROR.frameSize, 'PRIORITY of another size');
        break;
      default:
        // Extensions are read over. @see RFC 9113 section 5.5
        break;
    }
    if (!this.guard.onNoise(false)) this.calmDown('PRIORITY or unknown frames');
  }

  /** The order of frames that the whole connection obeys. */
  private allowsFrame(type: number, streamId: number): boolean {
    if (this.closed) return false;
    if (!this.settingsSeen && type !== FRAME.settings) this.fail(ERROR.protocol, 'SETTINGS must come first');
    else if (this.assembler.pending && type !== FRAME.continuation) this.fail(ERROR.protocol, `frame ${type} of stream ${streamId} inside a header block`);
    else return true;
    return false;
  }

  onFrameError(code: number, message: string): void {
    this.fail(code, message);
  }

  private onHeaders(flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
    if (streamId === 0) return this.fail(ERROR.protocol, 'HEADERS on stream 0');
    this.onAssembled(this.assembler.headers(flags, streamId, buffer, start, end));
  }

  private onAssembled(outcome: AssembledBlock | ConnectionError | undefined): void {
    if (outcome === undefined) return this.onPartialBlock(true);
    if ('code' in outcome) return this.fail(outcome.code, outcome.message);
    this.onPartialBlock(false);
    const block = this.decoder.decode(outcome.buffer, outcome.start, outcome.end, this.blockLimits);
    if (block === undefined) return this.fail(ERROR.compression, 'header block cannot be decoded');
    const stream = this.streams.get(outcome.streamId);
    if (stream === undefined) {
      if (!this.recentResets.has(outcome.streamId)) this.onUnknownBlock(outcome.streamId, block, outcome.endStream);
      return;
    }
    if (stream.remoteClosed) return this.refuseStream(stream, ERROR.streamClosed, 'HEADERS after the end');
    if (!outcome.endStream) {
      if (!stream.onBlock(block, false)) this.refuseStream(stream, ERROR.protocol, 'malformed header block');
      return;
    }
    this.endRemote(stream, () => stream.onBlock(block, true));
  }

  /** True: a block has begun and is not complete. */
  protected abstract onPartialBlock(waiting: boolean): void;

  private onResetFrame(streamId: number, buffer: Buffer, start: number, end: number): void {
    if (end - start !== 4) return this.fail(ERROR.frameSize, 'RST_STREAM of another size');
    if (streamId === 0 || this.isIdle(streamId)) return this.fail(ERROR.protocol, 'RST_STREAM on an idle stream');
    const stream = this.streams.get(streamId);
    const spent = stream === undefined ? !this.guard.onNoise(false) : !this.guard.onReset(stream.openedAtMs);
    if (spent) return this.calmDown('RST_STREAM');
    if (stream === undefined) return;
    const code = buffer.readUInt32BE(start);
    this.forget(stream);
    stream.onReset('remote', code, '');
  }

  private onSettings(flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
    if (streamId !== 0) return this.fail(ERROR.protocol, 'SETTINGS on a stream');
    if ((flags & FLAG.ack) !== 0) {
      if (end !== start) this.fail(ERROR.frameSize, 'SETTINGS acknowledgement with a payload');
      else if (!this.settingsSeen) this.fail(ERROR.protocol, 'SETTINGS must come first');
      else if (!this.guard.onNoise(false)) this.calmDown('SETTINGS');
      return;
    }
    if ((end - start) % 6 !== 0) return this.fail(ERROR.frameSize, 'SETTINGS of another size');
    this.settingsSeen = true;
    if (!this.guard.onNoise(true)) return this.calmDown('SETTINGS');
    for (let at = start; at < end && !this.closed; at += 6) this.applySetting(buffer.readUInt16BE(at), buffer.readUInt32BE(at + 2));
    if (this.closed) return;
    this.writer.settingsAck();
    this.checkWaiting();
    this.outbound.pump();
  }

  private applySetting(id: number, value: number): void {
    if (id === SETTING.headerTableSize) this.encoder.resize(value);
    else if (id === SETTING.maxFrameSize) {
      // We never send larger frames than everybody must take.
      if (value < DEFAULT_FRAME_BYTES || value > 0xffffff) this.fail(ERROR.protocol, 'SETTINGS_MAX_FRAME_SIZE out of range');
    } else if (id === SETTING.enablePush) {
      if (value > 1) this.fail(ERROR.protocol, 'SETTINGS_ENABLE_PUSH out of range');
    } else if (id === SETTING.initialWindowSize) {
      if (value > MAX_WINDOW_BYTES) return this.fail(ERROR.flowControl, 'SETTINGS_INITIAL_WINDOW_SIZE out of range');
      const change = value - this.outbound.initialWindow;
      this.outbound.initialWindow = value;
      for (const stream of this.streams.values()) {
        stream.sendWindow += change;
        if (stream.sendWindow > MAX_WINDOW_BYTES) return this.fail(ERROR.flowControl, 'window overflow');
      }
    }
    if (!this.closed) this.onSetting(id, value);
  }

  private onPing(flags: number, streamId: number, buffer: Buffer, start: number, end: number): void {
    if (streamId !== 0) return this.fail(ERROR.protocol, 'PING on a stream');
    if (end - start !== 8) return this.fail(ERROR.frameSize, 'PING of another size');
    if (!this.guard.onNoise(false)) return this.calmDown('PING');
    if ((flags & FLAG.ack) !== 0) return this.onPingAck();
    this.writer.ping(buffer, start, true);
    this.checkWaiting();
  }

  private onWindowUpdate(streamId: number, buffer: Buffer, start: number, end: number): void {
    if (end - start !== 4) return this.fail(ERROR.frameSize, 'WINDOW_UPDATE of another size');
    if (streamId !== 0 && this.isIdle(streamId)) return this.fail(ERROR.protocol, 'WINDOW_UPDATE on an idle stream');
    if (!this.guard.onNoise(false)) return this.calmDown('WINDOW_UPDATE');
    const bytes = buffer.readUInt32BE(start) & MAX_WINDOW_BYTES;
    if (streamId === 0) {
      if (bytes === 0) return this.fail(ERROR.protocol, 'WINDOW_UPDATE of 0');
      if (!this.outbound.widen(bytes)) this.fail(ERROR.flowControl, 'window overflow');
      return;
    }
    const stream = this.streams.get(streamId);
    if (stream === undefined) return;
    if (bytes === 0) return this.refuseStream(stream, ERROR.protocol, 'WINDOW_UPDATE of 0');
    if (!this.outbound.widenStream(stream, bytes)) this.refuseStream(stream, ERROR.flowControl, 'window overflow');
  }

  // Flow control of what comes.

  /** Bytes went on (or were dropped): the peer may send as many more. Small debts wait, so that there are few frames. */
  private giveBack(stream: Http2Stream | undefined, bytes: number): void {
    if (this.closed) return;
    this.owedBytes += bytes;
    if (this.owedBytes >= CONNECTION_WINDOW_BYTES / 2) {
      this.writer.windowUpdate(0, this.owedBytes);
      this.receiveWindow += this.owedBytes;
      this.owedBytes = 0;
    }
    if (stream === undefined || stream.closed || stream.remoteClosed) return;
    stream.owedBytes += bytes;
    if (stream.owedBytes < STREAM_WINDOW_BYTES / 2) return;
    this.writer.windowUpdate(stream.id, stream.owedBytes);
    stream.receiveWindow += stream.owedBytes;
    stream.owedBytes = 0;
  }

  pauseStream(stream: Http2Stream): void {
    stream.paused = true;
  }

  resumeStream(stream: Http2Stream): void {
    if (!stream.paused) return;
    stream.paused = false;
    const { heldBytes } = stream;
    stream.heldBytes = 0;
    if (heldBytes > 0) this.giveBack(stream, heldBytes);
  }

  // What goes out.

  protected addStream(stream: Http2Stream): void {
    stream.openedAtMs = this.guard.nowMs();
    this.streams.set(stream.id, stream);
    this.guard.onStream();
  }

  protected get newStreamWindow(): number {
    return this.outbound.initialWindow;
  }

  sendHeaders(stream: Http2Stream, block: TrailingFields, end: boolean): void {
    if (stream.closed || stream.localClosed) return;
    this.writer.headers(stream.id, block.fields, block.neverIndexed, end);
    if (end) this.endLocal(stream);
    else this.checkWaiting();
  }

  /** False: pause the source until {@link Http2Stream.onWritable}. */
  sendData(stream: Http2Stream, buffer: Buffer, start: number, end: number): boolean {
    return this.outbound.data(stream, buffer, start, end);
  }

  sendEnd(stream: Http2Stream, trailing: TrailingFields): void {
    this.outbound.end(stream, trailing);
  }

  /** We have said all we have to say on a stream. */
  private endLocal(stream: Http2Stream): void {
    stream.localClosed = true;
    this.checkWaiting();
    if (stream.remoteClosed) this.forget(stream);
    else this.onLocalEnd(stream);
  }

  /** The stream is half-closed: ours ended before the peer's. */
  protected abstract onLocalEnd(stream: Http2Stream): void;

  onDrain(): void {
    this.writer.waitingBytes = 0;
    this.outbound.pump();
  }

  /** A peer that asks and does not read must not fill our memory. */
  private checkWaiting(): void {
    if (this.writer.waitingBytes > MAX_WAITING_BYTES) this.calmDown('answers are not read');
  }

  // Ends.

  /** RST_STREAM; nothing is told of the stream any more. */
  cancelStream(stream: Http2Stream, code: number): void {
    if (stream.closed) return;
    this.resetStream(stream.id, code);
    this.forget(stream);
  }

  protected resetStream(streamId: number, code: number): void {
    if (this.closed) return;
    this.writer.resetStream(streamId, code);
    this.checkWaiting();
    this.recentResets.add(streamId);
    if (this.recentResets.size > MAX_REMEMBERED_RESETS) for (const oldest of this.recentResets) {
      this.recentResets.delete(oldest);
      break;
    }
  }

  /** The peer broke a rule on one stream. */
  protected refuseStream(stream: Http2Stream, code: number, detail: string): void {
    if (stream.closed) return;
    this.cancelStream(stream, code);
    stream.onReset('malformed', code, detail);
    if (!this.guard.onReset()) this.calmDown('malformed streams');
  }

  /** The peer sent what makes no sense on this stream. */
  refuse(stream: Http2Stream, detail: string): void {
    this.refuseStream(stream, ERROR.protocol, detail);
  }

  private resetKnown(streamId: number, code: number, detail: string): void {
    const stream = this.streams.get(streamId);
    if (stream !== undefined) this.refuseStream(stream, code, detail);
    else if (!this.guard.onReset()) this.calmDown(detail);
    else this.resetStream(streamId, code);
  }

  /** Lets go of a stream. */
  protected forget(stream: Http2Stream): void {
    if (stream.closed) return;
    stream.closed = true;
    this.streams.delete(stream.id);
    this.outbound.forget(stream);
    const { heldBytes } = stream;
    stream.heldBytes = 0;
    if (heldBytes > 0) this.giveBack(undefined, heldBytes);
    if (stream.localClosed && stream.remoteClosed) this.guard.onAnswered();
    this.onStreamGone(stream);
  }

  private calmDown(what: string): void {
    this.fail(ERROR.enhanceYourCalm, `too many: ${what}`);
  }

  /** Ends the connection because the peer broke a rule of it. */
  protected fail(code: number, message: string): void {
    if (this.closed) return;
    log.debug('connection refused', { peer: this.connection.remoteAddress, code, message });
    this.writer.goAway(this.lastPeerStream, code, message);
    this.end();
  }

  /** Everything written leaves, then the connection closes. */
  protected end(): void {
    if (this.closed) return;
    this.writer.handOver();
    this.shut('');
    this.connection.close();
  }

  private shut(detail: string): void {
    if (this.closed) return;
    this.closed = true;
    this.reader.stop();
    const streams = [...this.streams.values()];
    this.streams.clear();
    this.outbound.stop();
    this.onSessionClosed();
    for (const stream of streams) {
      stream.closed = true;
      stream.queue.length = 0;
      stream.onReset('connection', ERROR.none, detail);
    }
  }

  onEnd(): void {
    this.end();
  }

  onClose(cause: CloseCause): void {
    this.shut(cause?.code ?? '');
  }
}
