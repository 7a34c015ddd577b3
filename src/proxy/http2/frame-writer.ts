import { markDirty } from '../io/batch.ts';
import type { Flushable } from '../io/batch.ts';
import type { Connection } from '../io/connection.ts';
import { DEFAULT_FRAME_BYTES, FLAG, FRAME, FRAME_HEADER_BYTES, PREFACE } from './constants.ts';
import { maxFieldBytes } from './hpack-encoder.ts';
import type { HpackEncoder } from './hpack-encoder.ts';

/** Holds some frames of the largest size; the frames of a batch leave in one write. */
const BUFFER_BYTES = 65_536;
/** Free buffers that all connections share: an idle connection has none. */
const MAX_FREE_BUFFERS = 4;
const free: Buffer[] = [];

/** Puts the frames of one connection together and hands them to it at the end of the batch. */
export class FrameWriter implements Flushable {
  private buffer: Buffer | undefined;
  private length = 0;
  private marked = false;
  /** Where the last frame begins, when it may still get END_STREAM. */
  private openFrame = -1;
  /** Bytes handed over since the connection was blocked. */
  waitingBytes = 0;

  constructor(
    private readonly connection: Connection,
    private readonly encoder: HpackEncoder,
  ) {}

  flush(): void {
    this.marked = false;
    this.handOver();
  }

  /** Gives what was written to the connection now, so that its being blocked is known. */
  handOver(): void {
    const { buffer, length } = this;
    if (buffer === undefined) return;
    this.buffer = undefined;
    this.length = 0;
    this.openFrame = -1;
    if (this.connection.blocked) this.waitingBytes += length;
    // True: the kernel or the connection has its own copy.
    if (length === 0 || this.connection.writeBytes(buffer, 0, length)) {
      if (buffer.length === BUFFER_BYTES && free.length < MAX_FREE_BUFFERS) free.push(buffer);
    }
  }

  /** Makes room and returns the buffer; writing goes on at `this.length`. */
  private room(bytes: number): Buffer {
    if (this.buffer !== undefined && this.length + bytes > this.buffer.length) this.handOver();
    this.openFrame = -1;
    if (!this.marked) {
      this.marked = true;
      markDirty(this);
    }
    return (this.buffer ??= bytes > BUFFER_BYTES ? Buffer.allocUnsafeSlow(bytes) : (free.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES)));
  }

  private header(buffer: Buffer, payload: number, type: number, flags: number, streamId: number): number {
    const at = writeHeader(buffer, this.length, payload, type, flags, streamId);
    this.length = at + payload;
    return at;
  }

  preface(): void {
    const buffer = this.room(PREFACE.length);
    PREFACE.copy(buffer, this.length);
    this.length += PREFACE.length;
  }

  settings(entries: readonly (readonly [id: number, value: number])[]): void {
    const buffer = this.room(FRAME_HEADER_BYTES + entries.length * 6);
    let at = this.header(buffer, entries.length * 6, FRAME.settings, 0, 0);
    for (const [id, value] of entries) {
      buffer[at] = id >> 8;
      buffer[at + 1] = id;
      writeUint32(buffer, at + 2, value);
      at += 6;
    }
  }

  settingsAck(): void {
    this.header(this.room(FRAME_HEADER_BYTES), 0, FRAME.settings, FLAG.ack, 0);
  }

  /** Eight bytes of `source` from `start`. */
  ping(source: Buffer, start: number, ack: boolean): void {
    const buffer = this.room(FRAME_HEADER_BYTES + 8);
    const at = this.header(buffer, 8, FRAME.ping, ack ? FLAG.ack : 0, 0);
    source.copy(buffer, at, start, start + 8);
  }

  goAway(lastStreamId: number, code: number, debug: string): void {
    const buffer = this.room(FRAME_HEADER_BYTES + 8 + debug.length);
    const at = this.header(buffer, 8 + debug.length, FRAME.goAway, 0, 0);
    writeUint32(buffer, at, lastStreamId);
    writeUint32(buffer, at + 4, code);
    buffer.write(debug, at + 8, 'latin1');
  }

  resetStream(streamId: number, code: number): void {
    const buffer = this.room(FRAME_HEADER_BYTES + 4);
    writeUint32(buffer, this.header(buffer, 4, FRAME.rstStream, 0, streamId), code);
  }

  windowUpdate(streamId: number, bytes: number): void {
    const buffer = this.room(FRAME_HEADER_BYTES + 4);
    writeUint32(buffer, this.header(buffer, 4, FRAME.windowUpdate, 0, streamId), bytes);
  }

  data(streamId: number, source: Buffer, start: number, end: number): void {
    const bytes = end - start;
    const buffer = this.room(FRAME_HEADER_BYTES + bytes);
    const frame = this.length;
    const at = this.header(buffer, bytes, FRAME.data, 0, streamId);
    if (bytes < 64) for (let index = 0; index < bytes; index++) buffer[at + index] = source[start + index]!;
    else source.copy(buffer, at, start, end);
    this.openFrame = frame;
  }

  /** Ends a stream: with a flag on its last frame when that has not left yet, else with an empty DATA frame. */
  endStream(streamId: number): void {
    const { buffer, openFrame } = this;
    if (buffer !== undefined && openFrame >= 0 && buffer.readUInt32BE(openFrame + 5) === streamId) {
      buffer[openFrame + 4]! |= FLAG.endStream;
      this.openFrame = -1;
    } else this.header(this.room(FRAME_HEADER_BYTES), 0, FRAME.data, FLAG.endStream, streamId);
  }

  /** A header block of `fields` (names and values by turns), in as many frames as it needs. */
  headers(streamId: number, fields: readonly string[], neverIndexed: ReadonlySet<string> | undefined, endStream: boolean): void {
    let most = FRAME_HEADER_BYTES + 12;
    for (let index = 0; index < fields.length; index += 2) most += maxFieldBytes(fields[index]!, fields[index + 1]!);
    const buffer = this.room(most);
    const frame = this.length;
    const start = frame + FRAME_HEADER_BYTES;
    const { encoder } = this;
    encoder.begin(buffer, start);
    for (let index = 0; index < fields.length; index += 2) encoder.field(fields[index]!, fields[index + 1]!, neverIndexed?.has(fields[index]!) === true);
    const bytes = encoder.finish() - start;
    const flags = endStream ? FLAG.endStream : 0;
    if (bytes <= DEFAULT_FRAME_BYTES) {
      this.header(buffer, bytes, FRAME.headers, flags | FLAG.endHeaders, streamId);
      this.openFrame = endStream ? -1 : frame;
    } else this.splitHeaders(streamId, Buffer.from(buffer.subarray(start, start + bytes)), flags);
  }

  private splitHeaders(streamId: number, block: Buffer, flags: number): void {
    for (let from = 0; from < block.length; from += DEFAULT_FRAME_BYTES) {
      const to = Math.min(block.length, from + DEFAULT_FRAME_BYTES);
      const buffer = this.room(FRAME_HEADER_BYTES + to - from);
      const last = to === block.length ? FLAG.endHeaders : 0;
      const at = this.header(buffer, to - from, from === 0 ? FRAME.headers : FRAME.continuation, from === 0 ? flags | last : last, streamId);
      block.copy(buffer, at, from, to);
    }
  }
}

function writeHeader(buffer: Buffer, from: number, payload: number, type: number, flags: number, streamId: number): number {
  buffer[from] = payload >> 16;
  buffer[from + 1] = payload >> 8;
  buffer[from + 2] = payload;
  buffer[from + 3] = type;
  buffer[from + 4] = flags;
  writeUint32(buffer, from + 5, streamId);
  return from + FRAME_HEADER_BYTES;
}

function writeUint32(buffer: Buffer, at: number, value: number): void {
  buffer[at] = value >>> 24;
  buffer[at + 1] = value >> 16;
  buffer[at + 2] = value >> 8;
  buffer[at + 3] = value;
}
