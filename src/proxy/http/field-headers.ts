import { H1Headers, safeValue } from './h1-headers.ts';
import type { HeaderMap } from './message.ts';

/** Headers as a flat list: HTTP/2 heads, trailers and replies the proxy makes itself. */
export class FieldHeaders implements HeaderMap {
  /** Names (lower case) and values by turns. */
  private fields: string[];
  /** Names whose values no compression table may keep, as the peer asked. @see RFC 7541 section 7.1.3 */
  neverIndexed: ReadonlySet<string> | undefined;

  constructor(fields: string[] = []) {
    this.fields = fields;
  }

  /** Names and values by turns, for codecs; not to be changed. */
  get flat(): readonly string[] {
    return this.fields;
  }

  static of(pairs: Iterable<readonly [string, string]>): FieldHeaders {
    const headers = new FieldHeaders();
    for (const [name, value] of pairs) headers.append(name, value);
    return headers;
  }

  get(name: string): string | undefined {
    for (let index = 0; index < this.fields.length; index += 2) if (this.fields[index] === name) return this.fields[index + 1];
    return undefined;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  getAll(name: string): readonly string[] {
    const values: string[] = [];
    for (let index = 0; index < this.fields.length; index += 2) if (this.fields[index] === name) values.push(this.fields[index + 1]!);
    return values;
  }

  set(name: string, value: string): void {
    this.put(name, safeValue(value));
  }

  put(name: string, value: string): void {
    for (let index = 0; index < this.fields.length; index += 2) {
      if (this.fields[index] !== name) continue;
      this.fields[index + 1] = value;
      this.removeFrom(name, index + 2);
      return;
    }
    this.fields.push(name, value);
  }

  append(name: string, value: string): void {
    this.fields.push(name, safeValue(value));
  }

  remove(name: string): void {
    this.removeFrom(name, 0);
  }

  private removeFrom(name: string, from: number): void {
    for (let index = from; index < this.fields.length; ) {
      if (this.fields[index] === name) this.fields.splice(index, 2);
      else index += 2;
    }
  }

  *entries(): IterableIterator<readonly [string, string]> {
    for (let index = 0; index < this.fields.length; index += 2) yield [this.fields[index]!, this.fields[index + 1]!];
  }

  serialize(): string {
    let out = '';
    for (let index = 0; index < this.fields.length; index += 2) out += `${this.fields[index]}: ${this.fields[index + 1]}\r\n`;
    return out;
  }
}

/** Header lines as HTTP/1 writes them, each with its CRLF. */
export function headerLines(headers: HeaderMap): string {
  if (headers instanceof H1Headers || headers instanceof FieldHeaders) return headers.serialize();
  return FieldHeaders.of(headers.entries()).serialize();
}
