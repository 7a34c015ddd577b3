import { parseDurationMs } from '../base/duration.ts';

/** Tells about a field that is wrong: path inside the object and a sentence. */
export type ReportProblem = (path: string, message: string) => void;

type Json = Readonly<Record<string, unknown>>;

/**
 * A place inside an object as a user wrote it, read without trusting its shape. Fields are found by their lower-camel and their snake_case name, as
 * protobuf JSON allows; what has the wrong type is reported and read as absent.
 */
export class Cursor {
  readonly value: unknown;
  readonly path: string;
  private readonly report: ReportProblem;

  constructor(value: unknown, path: string, report: ReportProblem) {
    this.value = value ?? undefined;
    this.path = path;
    this.report = report;
  }

  get exists(): boolean {
    return this.value !== undefined;
  }

  fail(message: string): void {
    this.report(this.path, message);
  }

  at(name: string): Cursor {
    const path = this.path ? `${this.path}.${name}` : name;
    if (!this.exists) return new Cursor(undefined, path, this.report);
    if (typeof this.value !== 'object' || Array.isArray(this.value)) {
      this.fail('must be an object');
      return new Cursor(undefined, path, this.report);
    }
    const record = this.value as Json;
    const snake = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const key = Object.hasOwn(record, name) ? name : Object.hasOwn(record, snake) ? snake : undefined;
    return new Cursor(key === undefined ? undefined : record[key], path, this.report);
  }

  items(): readonly Cursor[] {
    if (!this.exists) return [];
    if (!Array.isArray(this.value)) {
      this.fail('must be a list');
      return [];
    }
    return (this.value as unknown[]).map((item, index) => new Cursor(item, `${this.path}[${index}]`, this.report));
  }

  entries(): readonly (readonly [string, Cursor])[] {
    if (!this.exists) return [];
    if (typeof this.value !== 'object' || Array.isArray(this.value)) {
      this.fail('must be an object');
      return [];
    }
    return Object.entries(this.value as Json).map(([key, value]) => [key, new Cursor(value, `${this.path}.${key}`, this.report)] as const);
  }

  text(): string | undefined {
    if (!this.exists) return undefined;
    if (typeof this.value === 'string') return this.value;
    if (typeof this.value === 'number' || typeof this.value === 'boolean') return String(this.value);
    this.fail('must be a string');
    return undefined;
  }

  string(fallback = ''): string {
    return this.text() ?? fallback;
  }

  number(): number | undefined {
    if (!this.exists) return undefined;
    const number = typeof this.value === 'string' && this.value.trim() !== '' ? Number(this.value) : this.value;
    if (typeof number === 'number' && Number.isFinite(number)) return number;
    this.fail('must be a number');
    return undefined;
  }

  /** A positive integer, or undefined: 0 means "not set" in Istio's API. */
  positive(): number | undefined {
    const number = this.number();
    return number !== undefined && number > 0 ? number : undefined;
  }

  boolean(): boolean | undefined {
    if (!this.exists) return undefined;
    if (typeof this.value === 'boolean') return this.value;
    if (this.value === 'true' || this.value === 'false') return this.value === 'true';
    this.fail('must be true or false');
    return undefined;
  }

  durationMs(): number | undefined {
    const text = this.text();
    if (text === undefined) return undefined;
    const ms = parseDurationMs(text);
    if (ms === undefined) this.fail(`"${text}" is not a duration; write it like 10s, 0.5s or 100ms`);
    return ms;
  }

  strings(): readonly string[] {
    return this.items().flatMap((item) => item.text() ?? []);
  }

  /** A map of strings; keys may be anything, so it has no prototype. */
  stringMap(): Readonly<Record<string, string>> {
    const record = Object.create(null) as Record<string, string>;
    for (const [key, value] of this.entries()) record[key] = value.string();
    return record;
  }

  /** One of the names, or undefined; anything else is reported. */
  oneOf<T extends string>(names: readonly T[]): T | undefined {
    const text = this.text();
    if (text === undefined) return undefined;
    const found = names.find((name) => name === text);
    if (!found) this.fail(`"${text}" is unknown; use one of ${names.join(', ')}`);
    return found;
  }
}
