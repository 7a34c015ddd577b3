import { FLAG, ERROR, MAX_BLOCK_BYTES, MAX_CONTINUATIONS } from './constants.ts';

/** A complete header block and the stream it is for. */
export interface AssembledBlock {
  readonly streamId: number;
  readonly endStream: boolean;
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
}

/** What is wrong with a frame, for GOAWAY. */
export interface ConnectionError {
  readonly code: number;
  readonly message: string;
}

/** Puts HEADERS and CONTINUATION frames together. @see RFC 9113 sections 4.3, 6.2, 6.10 */
export class HeaderAssembler {
  private streamId = 0;
  private endStream = false;
  private parts: Buffer[] = [];
  private bytes = 0;

  /** A block has begun and only its CONTINUATION may follow. */
  get pending(): boolean {
    return this.streamId !== 0;
  }

  /** A HEADERS frame. Undefined: more of the block is to come. */
  headers(flags: number, streamId: number, buffer: Buffer, from: number, to: number): AssembledBlock | ConnectionError | undefined {
    let start = from;
    let end = to;
    if ((flags & FLAG.padded) !== 0) {
      if (start >= end) return { code: ERROR.frameSize, message: 'padded HEADERS without a pad length' };
      end -= buffer[start++]!;
    }
    // Priorities are read over. @see RFC 9113 section 5.3.2
    if ((flags & FLAG.priority) !== 0) start += 5;
    if (start > end) return { code: end < to ? ERROR.protocol : ERROR.frameSize, message: 'HEADERS shorter than its padding or priority' };
    const endStream = (flags & FLAG.endStream) !== 0;
    if ((flags & FLAG.endHeaders) !== 0) return { streamId, endStream, buffer, start, end };
    this.streamId = streamId;
    this.endStream = endStream;
    this.bytes = end - start;
    this.parts = [Buffer.from(buffer.subarray(start, end))];
    return undefined;
  }

  /** A CONTINUATION frame. */
  continuation(flags: number, streamId: number, buffer: Buffer, start: number, end: number): AssembledBlock | ConnectionError | undefined {
    if (!this.pending || streamId !== this.streamId) return { code: ERROR.protocol, message: 'CONTINUATION without HEADERS' };
    this.parts.push(Buffer.from(buffer.subarray(start, end)));
    this.bytes += end - start;
    if (this.bytes > MAX_BLOCK_BYTES || this.parts.length > MAX_CONTINUATIONS + 1) return { code: ERROR.enhanceYourCalm, message: 'header block too large' };
    if ((flags & FLAG.endHeaders) === 0) return undefined;
    const whole = Buffer.concat(this.parts);
    const { endStream } = this;
    this.streamId = 0;
    this.parts = [];
    return { streamId, endStream, buffer: whole, start: 0, end: whole.length };
  }
}
