import { latin1 } from '../io/latin1.ts';
import { DEFAULT_TABLE_BYTES } from './constants.ts';
import { isFieldName, isFieldValue } from './field-syntax.ts';
import { decodeHuffman } from './huffman.ts';
import { ENTRY_OVERHEAD_BYTES, STATIC_COUNT, STATIC_FIELDS } from './static-table.ts';

/** How large a decoded block may be before it is only read on for the table's sake. */
export interface BlockLimits {
  /** Names and values, without overhead. */
  readonly maxBytes: number;
  readonly maxFields: number;
}

/** A decoded block. */
export interface FieldBlock {
  /** Names and values by turns, in order. */
  readonly fields: string[];
  /** A name or value breaks RFC 9113 section 8.2.1. */
  readonly malformed: boolean;
  /** Over the limits; `fields` has only what came before. */
  readonly tooLarge: boolean;
  /** Names whose values no compression table may keep. @see RFC 7541 section 7.1.3 */
  readonly neverIndexed: ReadonlySet<string> | undefined;
}

/** The bytes are no HPACK: the connection cannot go on. @see RFC 9113 section 4.3 */
class HpackError extends Error {}

const NONE = Buffer.alloc(0);
let scratch: Buffer | undefined;

/** The decoding side of one connection. */
export class HpackDecoder {
  // The dynamic table is a ring; `next` is where the next entry goes.
  private names: string[] = [];
  private values: string[] = [];
  private wellFormed: boolean[] = [];
  private first = 0;
  private sizeBytes = 0;
  private maxTableBytes = DEFAULT_TABLE_BYTES;
  private at = 0;
  private end = 0;
  private buffer: Buffer = NONE;

  /** `tableBytes`: what we told the peer it may use. */
  constructor(private readonly tableBytes: number = DEFAULT_TABLE_BYTES) {}

  /** Entries and bytes in the dynamic table. */
  get table(): { readonly entries: number; readonly bytes: number } {
    return { entries: this.names.length - this.first, bytes: this.sizeBytes };
  }

  /** Decodes a whole header block; undefined when the bytes are wrong, after which the decoder is of no use. */
  decode(buffer: Buffer, start: number, end: number, limits: BlockLimits): FieldBlock | undefined {
    this.buffer = buffer;
    this.at = start;
    this.end = end;
    try {
      return this.readBlock(limits);
    } catch (thrown) {
      if (thrown instanceof HpackError) return undefined;
      throw thrown;
    } finally {
      this.buffer = NONE;
    }
  }

  private readBlock(limits: BlockLimits): FieldBlock {
    const fields: string[] = [];
    let malformed = false;
    let tooLarge = false;
    let bytes = 0;
    let neverIndexed: Set<string> | undefined;
    while (this.at < this.end) {
      const byte = this.buffer[this.at]!;
      if ((byte & 0xe0) === 0x20) {
        // @see RFC 7541 section 4.2: only at the beginning of a block.
        if (fields.length > 0 || tooLarge) throw new HpackError('late table size');
        this.resize(this.readInteger(5));
        continue;
      }
      let name: string;
      let value: string;
      let valid: boolean;
      if ((byte & 0x80) !== 0) {
        const index = this.readInteger(7);
        name = this.nameAt(index);
        value = this.valueAt(index);
        valid = index <= STATIC_COUNT || this.wellFormed[this.rowOf(index)]!;
      } else {
        const indexing = (byte & 0x40) !== 0;
        const index = this.readInteger(indexing ? 6 : 4);
        name = index === 0 ? this.readText() : this.nameAt(index);
        value = this.readText();
        valid = (index !== 0 ? index <= STATIC_COUNT || this.wellFormed[this.rowOf(index)]! : isFieldName(name)) && isFieldValue(value);
        if (indexing) this.add(name, value, valid);
        else if ((byte & 0x10) !== 0) (neverIndexed ??= new Set()).add(name);
      }
      bytes += name.length + value.length;
      if (!valid) malformed = true;
      if (bytes > limits.maxBytes || fields.length >= limits.maxFields * 2) tooLarge = true;
      if (!tooLarge) fields.push(name, value);
    }
    return { fields, malformed, tooLarge, neverIndexed };
  }

  private rowOf(index: number): number {
    const row = this.names.length - (index - STATIC_COUNT);
    if (row < this.first) throw new HpackError('no such entry');
    return row;
  }

  private nameAt(index: number): string {
    if (index === 0) throw new HpackError('index 0');
    return index <= STATIC_COUNT ? STATIC_FIELDS[(index - 1) << 1]! : this.names[this.rowOf(index)]!;
  }

  private valueAt(index: number): string {
    return index <= STATIC_COUNT ? STATIC_FIELDS[((index - 1) << 1) + 1]! : this.values[this.rowOf(index)]!;
  }

  private add(name: string, value: string, valid: boolean): void {
    this.names.push(name);
    this.values.push(value);
    this.wellFormed.push(valid);
    this.sizeBytes += name.length + value.length + ENTRY_OVERHEAD_BYTES;
    this.evict();
  }

  private resize(bytes: number): void {
    if (bytes > this.tableBytes) throw new HpackError('table larger than allowed');
    this.maxTableBytes = bytes;
    this.evict();
  }

  private evict(): void {
    while (this.sizeBytes > this.maxTableBytes) {
      this.sizeBytes -= this.names[this.first]!.length + this.values[this.first]!.length + ENTRY_OVERHEAD_BYTES;
      this.names[this.first] = '';
      this.values[this.first] = '';
      this.first++;
    }
    if (this.first < 128 || this.first * 2 < this.names.length) return;
    this.names = this.names.slice(this.first);
    this.values = this.values.slice(this.first);
    this.wellFormed = this.wellFormed.slice(this.first);
    this.first = 0;
  }

  /** @see RFC 7541 section 5.1 */
  private readInteger(prefixBits: number): number {
    const mask = (1 << prefixBits) - 1;
    let value = this.buffer[this.at++]! & mask;
    if (value < mask) return value;
    // Four more bytes: larger numbers mean nothing here.
    for (let shift = 0; shift < 28; shift += 7) {
      if (this.at >= this.end) throw new HpackError('integer cut off');
      const byte = this.buffer[this.at++]!;
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    throw new HpackError('integer too large');
  }

  /** @see RFC 7541 section 5.2 */
  private readText(): string {
    if (this.at >= this.end) throw new HpackError('string cut off');
    const huffman = (this.buffer[this.at]! & 0x80) !== 0;
    const length = this.readInteger(7);
    const start = this.at;
    if (length > this.end - start) throw new HpackError('string cut off');
    this.at = start + length;
    if (!huffman) return latin1(this.buffer, start, this.at);
    if (scratch === undefined || scratch.length < length * 2) scratch = Buffer.allocUnsafeSlow(Math.max(4096, length * 2));
    const decoded = decodeHuffman(this.buffer, start, this.at, scratch);
    if (decoded < 0) throw new HpackError('wrong Huffman code');
    const text = latin1(scratch, 0, decoded);
    if (scratch.length > 65_536) scratch = undefined;
    return text;
  }
}
