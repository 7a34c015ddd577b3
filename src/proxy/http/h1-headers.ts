import { latin1 } from '../io/latin1.ts';
import type { HeadOffsets } from './h1-parser.ts';
import type { HeaderMap } from './message.ts';

// oxlint-disable-next-line no-control-regex
const BREAKS_LINE = /[\0\r\n]/g;

/** The value without the bytes that would end its line. */
export function safeValue(value: string): string {
  BREAKS_LINE.lastIndex = 0;
  return BREAKS_LINE.test(value) ? value.replace(BREAKS_LINE, '') : value;
}

const NO_ROWS = new Int32Array(0);

/**
 * Headers of an HTTP/1 head: the head as one Latin-1 text with an offset table. Untouched lines are never turned into strings of their own; changes are
 * kept beside them. One object per connection, loaded again for every message.
 */
export class H1Headers implements HeaderMap {
  private text = '';
  /** Rows as the parser made them; positions count from {@link base}. */
  private table = NO_ROWS;
  private base = 0;
  private fieldsStart = 0;
  private count = 0;
  private dropped = 0;
  private nameLengths = 0;
  /** Names and values by turns, the first `extras` entries. */
  private readonly extra: string[] = [];
  private extras = 0;
  private extraLengths = 0;

  /** Takes a parsed head from `base` on out of its buffer. */
  load(buffer: Buffer, offsets: HeadOffsets, base: number): void {
    // Without the empty line.
    this.text = latin1(buffer, base, offsets.end - 2);
    this.base = base;
    this.fieldsStart = offsets.fieldsStart - base;
    this.count = offsets.count;
    this.dropped = offsets.dropped;
    this.nameLengths = offsets.nameLengths;
    const cells = offsets.count << 2;
    // No larger than the heads of this connection need: an idle connection keeps it.
    if (this.table.length < cells) this.table = new Int32Array(Math.max(32, cells + 8));
    const { table } = this;
    for (let index = 0; index < cells; index++) table[index] = offsets.table[index]!;
    this.extras = 0;
    this.extraLengths = 0;
  }

  /** A part of the loaded head by its place in the buffer it came from. */
  part(start: number, end: number): string {
    return this.text.substring(start - this.base, end - this.base);
  }

  private row(name: string, from: number): number {
    const { table, base, text, count } = this;
    const { length } = name;
    for (let row = from; row < count; row++) {
      const start = table[row << 2]!;
      if (table[(row << 2) + 1]! - start === length && length > 0 && text.startsWith(name, start - base)) return row;
    }
    return -1;
  }

  private value(row: number): string {
    return this.text.substring(this.table[(row << 2) + 2]! - this.base, this.table[(row << 2) + 3]! - this.base);
  }

  private extraIndex(name: string): number {
    if ((this.extraLengths & (1 << name.length)) === 0) return -1;
    for (let index = 0; index < this.extras; index += 2) if (this.extra[index] === name) return index;
    return -1;
  }

  get(name: string): string | undefined {
    if ((this.nameLengths & (1 << name.length)) !== 0) {
      const row = this.row(name, 0);
      if (row >= 0) return this.value(row);
    }
    const index = this.extraIndex(name);
    return index < 0 ? undefined : this.extra[index + 1];
  }

  has(name: string): boolean {
    return ((this.nameLengths & (1 << name.length)) !== 0 && this.row(name, 0) >= 0) || this.extraIndex(name) >= 0;
  }

  getAll(name: string): readonly string[] {
    const values: string[] = [];
    for (let row = this.row(name, 0); row >= 0; row = this.row(name, row + 1)) values.push(this.value(row));
    for (let index = 0; index < this.extras; index += 2) if (this.extra[index] === name) values.push(this.extra[index + 1]!);
    return values;
  }

  set(name: string, value: string): void {
    this.put(name, safeValue(value));
  }

  put(name: string, value: string): void {
    this.remove(name);
    this.add(name, value);
  }

  append(name: string, value: string): void {
    this.add(name, safeValue(value));
  }

  private add(name: string, value: string): void {
    this.extra[this.extras++] = name;
    this.extra[this.extras++] = value;
    this.extraLengths |= 1 << name.length;
  }

  remove(name: string): void {
    if ((this.nameLengths & (1 << name.length)) !== 0) {
      for (let row = this.row(name, 0); row >= 0; row = this.row(name, row + 1)) {
        this.table[(row << 2) + 1] = this.table[row << 2]!;
        this.dropped++;
      }
    }
    for (let index = this.extraIndex(name); index >= 0; index = this.extraIndex(name)) {
      this.extra.copyWithin(index, index + 2, this.extras);
      this.extras -= 2;
    }
  }

  *entries(): IterableIterator<readonly [string, string]> {
    for (let row = 0; row < this.count; row++) {
      const start = this.table[row << 2]!;
      const end = this.table[(row << 2) + 1]!;
      if (end > start) yield [this.part(start, end), this.value(row)];
    }
    for (let index = 0; index < this.extras; index += 2) yield [this.extra[index]!, this.extra[index + 1]!];
  }

  /** The lines as they go on the wire, each with its CRLF. */
  serialize(): string {
    let out = this.dropped > 0 ? this.keptLines() : this.fieldsStart === 0 ? this.text : this.text.substring(this.fieldsStart);
    for (let index = 0; index < this.extras; index += 2) out += `${this.extra[index]}: ${this.extra[index + 1]}\r\n`;
    return out;
  }

  /** Runs of neighbouring kept lines are copied as one piece. */
  private keptLines(): string {
    let out = '';
    let runStart = -1;
    for (let row = 0; row < this.count; row++) {
      const start = this.table[row << 2]!;
      const kept = this.table[(row << 2) + 1]! > start;
      if (kept && runStart < 0) runStart = start;
      else if (!kept && runStart >= 0) {
        out += this.part(runStart, start);
        runStart = -1;
      }
    }
    return runStart >= 0 ? out + this.text.substring(runStart - this.base) : out;
  }
}
