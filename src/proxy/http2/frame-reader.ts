import { DEFAULT_FRAME_BYTES, ERROR, FLAG, FRAME, FRAME_HEADER_BYTES } from './constants.ts';

/** Takes frames. Bytes are valid only during the call. */
export interface FrameSink {
  /** Any frame but DATA, complete. */
  onFrame(type: number, flags: number, streamId: number, buffer: Buffer, start: number, end: number): void;
  /** A DATA frame begins; `length`: its payload with padding, what flow control counts. */
  onDataFrame(flags: number, streamId: number, length: number): void;
  /** A piece of the DATA frame that began last, without padding. */
  onDataBytes(buffer: Buffer, start: number, end: number): void;
  /** The DATA frame is complete. */
  onDataFrameEnd(flags: number): void;
  /** The bytes are no frames; nothing follows. */
  onFrameError(code: number, message: string): void;
}

/** Cuts a byte stream into frames. DATA passes as it comes; other frames are put together when they come in pieces. */
export class FrameReader {
  private readonly header = new Uint8Array(FRAME_HEADER_BYTES);
  private headerBytes = 0;
  private type = 0;
  private flags = 0;
  private streamId = 0;
  /** Payload bytes that are still to come, without padding. */
  private left = 0;
  private padding = 0;
  private state: 'header' | 'pad-length' | 'data' | 'padding' | 'frame' | 'stopped' = 'header';
  private parts: Buffer[] = [];

  constructor(private readonly sink: FrameSink) {}

  /** Bytes kept of a frame that is not complete. */
  get keptBytes(): number {
    return this.parts.reduce((sum, part) => sum + part.length, 0);
  }

  /** Nothing is read any more. */
  stop(): void {
    this.state = 'stopped';
    this.parts = [];
  }

  push(buffer: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end && this.state !== 'stopped') {
      if (this.state === 'header') at = this.readHeader(buffer, at, end);
      else if (this.state === 'frame') at = this.readFrame(buffer, at, end);
      else at = this.readData(buffer, at, end);
    }
  }

  private readHeader(buffer: Buffer, from: number, end: number): number {
    let at = from;
    let bytes: Uint8Array = buffer;
    let base = at;
    if (this.headerBytes === 0 && end - at >= FRAME_HEADER_BYTES) at += FRAME_HEADER_BYTES;
    else {
      while (at < end && this.headerBytes < FRAME_HEADER_BYTES) this.header[this.headerBytes++] = buffer[at++]!;
      if (this.headerBytes < FRAME_HEADER_BYTES) return at;
      this.headerBytes = 0;
      bytes = this.header;
      base = 0;
    }
    const length = (bytes[base]! << 16) | (bytes[base + 1]! << 8) | bytes[base + 2]!;
    this.type = bytes[base + 3]!;
    this.flags = bytes[base + 4]!;
    this.streamId = ((bytes[base + 5]! & 127) << 24) | (bytes[base + 6]! << 16) | (bytes[base + 7]! << 8) | bytes[base + 8]!;
    if (length > DEFAULT_FRAME_BYTES) {
      this.fail(ERROR.frameSize, `frame of ${length} bytes`);
      return end;
    }
    this.begin(buffer, at, length);
    return at;
  }

  private begin(buffer: Buffer, at: number, length: number): void {
    this.left = length;
    this.padding = 0;
    if (this.type !== FRAME.data) {
      this.state = 'frame';
      // Nothing more will come to call us with.
      if (length === 0) this.deliver(buffer, at, at);
      return;
    }
    if ((this.flags & FLAG.padded) !== 0 && length === 0) {
      this.fail(ERROR.frameSize, 'padded DATA without a pad length');
      return;
    }
    this.state = (this.flags & FLAG.padded) === 0 ? 'data' : 'pad-length';
    this.sink.onDataFrame(this.flags, this.streamId, length);
    if (length === 0) this.endData();
  }

  private readFrame(buffer: Buffer, at: number, end: number): number {
    const stop = Math.min(end, at + this.left);
    if (stop - at < this.left) {
      this.parts.push(Buffer.from(buffer.subarray(at, stop)));
      this.left -= stop - at;
      // A frame that trickles in is not kept as a thousand pieces.
      if (this.parts.length > 16) this.parts = [Buffer.concat(this.parts)];
      return stop;
    }
    if (this.parts.length === 0) this.deliver(buffer, at, stop);
    else {
      this.parts.push(buffer.subarray(at, stop));
      const whole = Buffer.concat(this.parts);
      this.parts = [];
      this.deliver(whole, 0, whole.length);
    }
    return stop;
  }

  private deliver(buffer: Buffer, start: number, end: number): void {
    this.state = 'header';
    this.sink.onFrame(this.type, this.flags, this.streamId, buffer, start, end);
  }

  private readData(buffer: Buffer, from: number, end: number): number {
    let at = from;
    if (this.state === 'pad-length') {
      this.padding = buffer[at++]!;
      this.left -= 1 + this.padding;
      if (this.left < 0) {
        this.fail(ERROR.protocol, 'padding longer than its frame');
        return end;
      }
      this.state = 'data';
    }
    if (this.state === 'data') {
      const stop = Math.min(end, at + this.left);
      this.left -= stop - at;
      if (stop > at) this.sink.onDataBytes(buffer, at, stop);
      at = stop;
      if (this.left > 0 || this.isStopped()) return at;
      this.state = 'padding';
    }
    const stop = Math.min(end, at + this.padding);
    this.padding -= stop - at;
    if (this.padding === 0) this.endData();
    return stop;
  }

  /** The sink may stop the reader while it takes bytes. */
  private isStopped(): boolean {
    return this.state === 'stopped';
  }

  private endData(): void {
    if (this.isStopped()) return;
    this.state = 'header';
    this.sink.onDataFrameEnd(this.flags);
  }

  private fail(code: number, message: string): void {
    this.stop();
    this.sink.onFrameError(code, message);
  }
}
