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

/**
 * Headers of an HTTP/1 head: the lines as one Latin-1 text with an offset table. Untouched lines are never turned into strings of their own; changes are
 * kept beside them. One object per connection, loaded again for every message.
 */
export class H1Headers implements HeaderMap {
  private text = '';
  private table = new Int32Array(4 * 32);
  private count = 0;
  private dropped = 0;
  /** Names and values by turns. */
  private extra: string[] = [];

  /** Takes the lines of a parsed head out of its buffer. */
  load(buffer: Buffer, offsets: HeadOffsets): void {
    const base = offsets.fieldsStart;
    // Without the empty line.
    this.text = latin1(buffer, base, offsets.end - 2);
    this.count = offsets.count;
    this.dropped = offsets.dropped;
    if (this.table.length < offsets.count << 2) this.table = new Int32Array(offsets.table.length);
    for (let index = 0; index < offsets.count << 2; index++) this.table[index] = offsets.table[index]! - base;
    if (this.extra.length > 0) this.extra = [];
  }

  private matches(row: number, name: string): boolean {
    const offset = row << 2;
    const start = this.table[offset]!;
    return this.table[offset + 1]! - start === name.length && name.length > 0 && this.text.startsWith(name, start);
  }

  private value(row: number): string {
    return this.text.substring(this.table[(row << 2) + 2]!, this.table[(row << 2) + 3]);
  }

  get(name: string): string | undefined {
    for (let row = 0; row < this.count; row++) if (this.matches(row, name)) return this.value(row);
    for (let index = 0; index < this.extra.length; index += 2) if (this.extra[index] === name) return this.extra[index + 1];
    return undefined;
  }

  has(name: string): boolean {
    for (let row = 0; row < this.count; row++) if (this.matches(row, name)) return true;
    for (let index = 0; index < this.extra.length; index += 2) if (this.extra[index] === name) return true;
    return false;
  }

  getAll(name: string): readonly string[] {
    const values: string[] = [];
    for (let row = 0; row < this.count; row++) if (this.matches(row, name)) values.push(this.value(row));
    for (let index = 0; index < this.extra.length; index += 2) if (this.extra[index] === name) values.push(this.extra[index + 1]!);
    return values;
  }

  set(name: string, value: string): void {
    this.remove(name);
    this.extra.push(name, safeValue(value));
  }

  append(name: string, value: string): void {
    this.extra.push(name, safeValue(value));
  }

  remove(name: string): void {
    for (let row = 0; row < this.count; row++) {
      if (!this.matches(row, name)) continue;
      this.table[(row << 2) + 1] = this.table[row << 2]!;
      this.dropped++;
    }
    for (let index = 0; index < this.extra.length; ) {
      if (this.extra[index] === name) this.extra.splice(index, 2);
      else index += 2;
    }
  }

  *entries(): IterableIterator<readonly [string, string]> {
    for (let row = 0; row < this.count; row++) {
      const start = this.table[row << 2]!;
      const end = this.table[(row << 2) + 1]!;
      if (end > start) yield [this.text.substring(start, end), this.value(row)];
    }
    for (let index = 0; index < this.extra.length; index += 2) yield [this.extra[index]!, this.extra[index + 1]!];
  }

  /** The lines as they go on the wire, each with its CRLF. */
  serialize(): string {
    let out = this.dropped === 0 ? this.text : this.keptLines();
    for (let index = 0; index < this.extra.length; index += 2) out += `${this.extra[index]}: ${this.extra[index + 1]}\r\n`;
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
        out += this.text.substring(runStart, start);
        runStart = -1;
      }
    }
    return runStart >= 0 ? out + this.text.substring(runStart) : out;
  }
}
