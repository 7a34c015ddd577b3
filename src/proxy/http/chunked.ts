import { CR, FIELD_BYTE, LF } from './h1-syntax.ts';
import { HeadOffsets, PARSE, parseFields } from './h1-parser.ts';

const SIZE = 0;
const EXTENSION = 1;
const SIZE_LF = 2;
const DATA = 3;
const DATA_CR = 4;
const DATA_LF = 5;
const TRAILERS = 6;
const DONE = 7;

/** Sizes beyond 2^52 cannot be counted. */
const MAX_SIZE_DIGITS = 13;
/** All chunk extensions of a message together; they mean nothing and cost nothing to drop, but must not be endless. */
const MAX_EXTENSION_BYTES = 16_384;
const MAX_TRAILER_BYTES = 61_440;

/** Decodes the chunked coding step by step; extensions and trailers are checked and dropped. @see RFC 9112 section 7.1 */
export class ChunkDecoder {
  private state = SIZE;
  private left = 0;
  private digits = 0;
  private extensionBytes = 0;
  private trailer: Buffer | undefined;
  /** The data found by the last {@link step}; equal = none. */
  dataStart = 0;
  dataEnd = 0;

  reset(): void {
    this.state = SIZE;
    this.left = this.digits = this.extensionBytes = 0;
    this.trailer = undefined;
  }

  get done(): boolean {
    return this.state === DONE;
  }

  /** Data bytes still to come in the current chunk. */
  get remaining(): number {
    return this.left;
  }

  /** Reads on from `at`: up to one piece of data. Returns the next position, or -1 when the coding is broken. */
  step(buffer: Buffer, at: number, end: number): number {
    this.dataStart = this.dataEnd = 0;
    while (at < end && this.state !== DONE) {
      switch (this.state) {
        case SIZE:
        case EXTENSION:
        case SIZE_LF:
          at = this.stepSize(buffer, at, end);
          if (at < 0) return -1;
          break;
        case DATA: {
          const stop = Math.min(end, at + this.left);
          this.dataStart = at;
          this.dataEnd = stop;
          this.left -= stop - at;
          if (this.left === 0) this.state = DATA_CR;
          return stop;
        }
        case DATA_CR:
          if (buffer[at++] !== CR) return -1;
          this.state = DATA_LF;
          break;
        case DATA_LF:
          if (buffer[at++] !== LF) return -1;
          this.state = SIZE;
          this.digits = 0;
          break;
        default:
          return this.stepTrailers(buffer, at, end);
      }
    }
    return at;
  }

  private stepSize(buffer: Buffer, at: number, end: number): number {
    while (at < end) {
      const byte = buffer[at++]!;
      if (this.state === SIZE_LF) {
        if (byte !== LF) return -1;
        this.state = this.left === 0 ? TRAILERS : DATA;
        return at;
      }
      if (this.state === EXTENSION) {
        if (byte === CR) this.state = SIZE_LF;
        else if (FIELD_BYTE[byte] === 0 || ++this.extensionBytes > MAX_EXTENSION_BYTES) return -1;
        continue;
      }
      const digit = hexDigit(byte);
      if (digit >= 0) {
        this.left = this.digits === 0 ? digit : this.left * 16 + digit;
        if (++this.digits > MAX_SIZE_DIGITS) return -1;
      } else if (this.digits === 0) return -1;
      else if (byte === CR) this.state = SIZE_LF;
      else if (byte === 59) this.state = EXTENSION;
      else return -1;
    }
    return at;
  }

  private stepTrailers(buffer: Buffer, at: number, end: number): number {
    // Nearly always there are none.
    if (this.trailer === undefined && end - at >= 2 && buffer[at] === CR && buffer[at + 1] === LF) {
      this.state = DONE;
      return at + 2;
    }
    const before = this.trailer?.length ?? 0;
    const all = this.trailer === undefined ? Buffer.from(buffer.subarray(at, end)) : Buffer.concat([this.trailer, buffer.subarray(at, end)]);
    const offsets = new HeadOffsets();
    const outcome = parseFields(all, 0, all.length, offsets, { maxBytes: MAX_TRAILER_BYTES, maxHeaders: 100 }, false);
    if (outcome === PARSE.partial) {
      if (all.length > MAX_TRAILER_BYTES) return -1;
      this.trailer = all;
      return end;
    }
    if (outcome !== PARSE.complete) return -1;
    this.state = DONE;
    this.trailer = undefined;
    return at + offsets.end - before;
  }
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}
