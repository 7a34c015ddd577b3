import { DEFAULT_TABLE_BYTES } from './constants.ts';
import { ENTRY_OVERHEAD_BYTES, STATIC_COUNT, STATIC_FIELDS } from './static-table.ts';

/** Values that nearly never repeat would only push out those that do. */
const VOLATILE: ReadonlySet<string> = new Set([
  'content-length', 'traceparent', 'tracestate', 'x-request-id', 'x-b3-traceid', 'x-b3-spanid', 'x-b3-parentspanid', 'b3', 'date', 'etag', 'last-modified', 'if-none-match', 'if-modified-since', 'age', 'location',
  'x-envoy-upstream-service-time', 'x-client-trace-id', 'x-ot-span-context', 'x-cloud-trace-context', 'grpc-timeout', 'grpc-message', 'set-cookie',
]);
/** An entry may take a quarter of the table. */
const MAX_ENTRY_BYTES = 1100;
/** Shorter cookies could be guessed byte by byte from the size of what is sent. @see RFC 7541 section 7.1.3 */
const MIN_INDEXED_COOKIE_BYTES = 20;

const INDEXED = 0x80;
const LITERAL_INDEXING = 0x40;
const LITERAL_NEVER_INDEXED = 0x10;
const TABLE_SIZE_UPDATE = 0x20;
// oxlint-disable-next-line no-control-regex
const BEYOND_LATIN1 = /[^\u0000-\u00ff]/;

const STATIC_NAMES = new Map<string, number>();
const STATIC_PAIRS = new Map<string, ReadonlyMap<string, number>>();
for (let index = STATIC_COUNT; index >= 1; index--) {
  const name = STATIC_FIELDS[(index - 1) << 1]!;
  const value = STATIC_FIELDS[((index - 1) << 1) + 1]!;
  STATIC_NAMES.set(name, index);
  if (value !== '') STATIC_PAIRS.set(name, new Map([...(STATIC_PAIRS.get(name) ?? []), [value, index]]));
}

/** Undocumented `latin1Write`: `write` costs twice as much on short text. */
interface WritingBuffer {
  latin1Write(text: string, offset: number, length: number): number;
}

/** The most bytes a field can take. */
export function maxFieldBytes(name: string, value: string): number {
  return (name.length + value.length) * 3 + 12;
}

/** The encoding side of one connection. Text is not Huffman coded: bytes on a mesh's links cost less than the time. */
export class HpackEncoder {
  private readonly indexes = new Map<string, Map<string, number>>();
  /** Names and values by turns, oldest first; those before `first` are gone. */
  private entries: string[] = [];
  private first = 0;
  /** Entries ever inserted; the newest has this number. */
  private inserted = 0;
  private sizeBytes = 0;
  private maxTableBytes = DEFAULT_TABLE_BYTES;
  /** Smallest size since the last block, when the table was resized. */
  private announce = -1;
  private target: Buffer = Buffer.alloc(0);
  private at = 0;

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. We never use more than 4 KiB. @see RFC 7541 section 4.2 */
  resize(bytes: number): void {
    const max = Math.min(bytes, DEFAULT_TABLE_BYTES);
    if (max === this.maxTableBytes) return;
    this.announce = this.announce < 0 ? max : Math.min(this.announce, max);
    this.maxTableBytes = max;
    this.evict();
  }

  /** Starts a block at `at`; the target must have room for all of it ({@link maxFieldBytes} each, and 12). */
  begin(target: Buffer, at: number): void {
    this.target = target;
    this.at = at;
    if (this.announce < 0) return;
    if (this.announce < this.maxTableBytes) this.writeInteger(this.announce, 5, TABLE_SIZE_UPDATE);
    this.writeInteger(this.maxTableBytes, 5, TABLE_SIZE_UPDATE);
    this.announce = -1;
  }

  /** Where the block ends. */
  finish(): number {
    return this.at;
  }

  /** Appends a field. `secret`: its value may be kept in no table on its whole way. */
  field(name: string, value: string, secret: boolean): void {
    const known = this.indexes.get(name)?.get(value);
    if (known !== undefined && !secret) {
      this.writeInteger(STATIC_COUNT + 1 + this.inserted - known, 7, INDEXED);
      return;
    }
    const pair = STATIC_PAIRS.get(name)?.get(value);
    if (pair !== undefined) {
      this.writeInteger(pair, 7, INDEXED);
      return;
    }
    const bytes = name.length + value.length + ENTRY_OVERHEAD_BYTES;
    const never = secret || name === 'authorization' || name === 'proxy-authorization' || (name === 'cookie' && value.length < MIN_INDEXED_COOKIE_BYTES);
    // Text that leaves as UTF-8 has another length in the peer's table than here.
    const wide = BEYOND_LATIN1.test(value) || BEYOND_LATIN1.test(name);
    const indexing = !never && !wide && bytes <= MAX_ENTRY_BYTES && bytes <= this.maxTableBytes && !VOLATILE.has(name) && !(name === ':path' && (value.length > 100 || value.includes('?')));
    const index = STATIC_NAMES.get(name) ?? 0;
    if (indexing) this.writeInteger(index, 6, LITERAL_INDEXING);
    else this.writeInteger(index, 4, never ? LITERAL_NEVER_INDEXED : 0);
    if (index === 0) this.writeText(name, wide);
    this.writeText(value, wide);
    if (indexing) this.add(name, value, bytes);
  }

  private add(name: string, value: string, bytes: number): void {
    let values = this.indexes.get(name);
    if (values === undefined) this.indexes.set(name, (values = new Map()));
    values.set(value, ++this.inserted);
    this.entries.push(name, value);
    this.sizeBytes += bytes;
    this.evict();
  }

  private evict(): void {
    while (this.sizeBytes > this.maxTableBytes) {
      const name = this.entries[this.first]!;
      const value = this.entries[this.first + 1]!;
      const number = this.inserted - (this.entries.length - this.first) / 2 + 1;
      this.first += 2;
      this.sizeBytes -= name.length + value.length + ENTRY_OVERHEAD_BYTES;
      const values = this.indexes.get(name);
      if (values?.get(value) !== number) continue;
      values.delete(value);
      if (values.size === 0) this.indexes.delete(name);
    }
    if (this.first < 256) return;
    this.entries = this.entries.slice(this.first);
    this.first = 0;
  }

  private writeInteger(value: number, prefixBits: number, pattern: number): void {
    const { target } = this;
    const mask = (1 << prefixBits) - 1;
    if (value < mask) {
      target[this.at++] = pattern | value;
      return;
    }
    target[this.at++] = pattern | mask;
    let rest = value - mask;
    while (rest >= 128) {
      target[this.at++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    target[this.at++] = rest;
  }

  /** Latin-1, as the wire has it; text from configuration with other characters leaves as UTF-8. */
  private writeText(text: string, wide: boolean): void {
    const { target } = this;
    const { length } = text;
    if (wide) {
      const bytes = Buffer.byteLength(text, 'utf8');
      this.writeInteger(bytes, 7, 0);
      target.write(text, this.at, 'utf8');
      this.at += bytes;
      return;
    }
    this.writeInteger(length, 7, 0);
    if (length < 32) for (let index = 0; index < length; index++) target[this.at + index] = text.charCodeAt(index);
    else (target as unknown as WritingBuffer).latin1Write(text, this.at, length);
    this.at += length;
  }
}
