/** Container logs: one file per run in the format of CRI, bounded, readable while it is written. */
import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

/** A file is set aside at this size; one older file is kept, so a container has at most twice this on disk. */
const MAX_FILE_BYTES = 10 << 20;
/** Longer lines are written in parts, as CRI runtimes do. */
const MAX_LINE_BYTES = 16 << 10;
const READ_BYTES = 64 << 10;

type StreamName = 'stdout' | 'stderr';

/** The log of one run of one container. */
export class ContainerLog {
  private fd: number | undefined;
  private sizeBytes: number;
  private readonly rest: Record<StreamName, Buffer> = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };
  private readonly readers = new Set<() => void>();
  private ended = false;

  constructor(readonly path: string) {
    mkdirSync(dirname(path), { recursive: true });
    this.fd = openSync(path, 'a', 0o640);
    this.sizeBytes = fstatSync(this.fd).size;
  }

  get closed(): boolean {
    return this.ended;
  }

  /** Takes a chunk of a stream; whole lines are written at once, the rest waits for its end. */
  write(stream: StreamName, chunk: Buffer): void {
    const data = this.rest[stream].length > 0 ? Buffer.concat([this.rest[stream], chunk]) : chunk;
    const time = timestamp();
    const out: Buffer[] = [];
    let start = 0;
    for (;;) {
      const newline = data.indexOf(10, start);
      const end = newline < 0 ? data.length : newline;
      if (end - start > MAX_LINE_BYTES) {
        out.push(Buffer.from(`${time} ${stream} P `), data.subarray(start, start + MAX_LINE_BYTES), Buffer.from('\n'));
        start += MAX_LINE_BYTES;
      } else if (newline < 0) break;
      else {
        out.push(Buffer.from(`${time} ${stream} F `), data.subarray(start, newline + 1));
        start = newline + 1;
      }
    }
    this.rest[stream] = Buffer.from(data.subarray(start));
    if (out.length > 0) this.append(Buffer.concat(out));
  }

  /** Ends the log: what waits for the end of its line is written, readers that follow come to their end. */
  close(): void {
    if (this.ended) return;
    for (const stream of ['stdout', 'stderr'] as const) {
      if (this.rest[stream].length > 0) this.append(Buffer.concat([Buffer.from(`${timestamp()} ${stream} P `), this.rest[stream], Buffer.from('\n')]));
    }
    this.ended = true;
    if (this.fd !== undefined) closeSync(this.fd);
    this.fd = undefined;
    this.wake();
  }

  /** Calls back after every append and at the end. */
  onChange(reader: () => void): () => void {
    this.readers.add(reader);
    return () => void this.readers.delete(reader);
  }

  private append(data: Buffer): void {
    if (this.fd === undefined) return;
    try {
      if (this.sizeBytes + data.length > MAX_FILE_BYTES) this.rotate();
      writeSync(this.fd, data);
      this.sizeBytes += data.length;
    } catch {
      // A full disk must not end the kubelet; the line is lost as it would be in any runtime.
    }
    this.wake();
  }

  private rotate(): void {
    closeSync(this.fd!);
    renameSync(this.path, `${this.path}.1`);
    this.fd = openSync(this.path, 'a', 0o640);
    this.sizeBytes = 0;
  }

  private wake(): void {
    for (const reader of this.readers) reader();
  }
}

/** RFC 3339 with nanoseconds, as CRI writes it. */
function timestamp(): string {
  return `${new Date().toISOString().slice(0, -1)}${String(Number(process.hrtime.bigint() % 1_000_000n)).padStart(6, '0')}Z`;
}

export interface LogReadOptions {
  readonly follow?: boolean;
  readonly timestamps?: boolean;
  /** Only the last lines. */
  readonly tailLines?: number;
  /** Only lines at or after this time, milliseconds since the epoch. */
  readonly sinceMs?: number;
  readonly limitBytes?: number;
  readonly signal?: AbortSignal;
}

/** Reads a log file (and the one set aside before it). With `follow` it goes on until `live` is closed or the signal aborts. */
export async function* readLog(path: string, live: ContainerLog | undefined, options: LogReadOptions = {}): AsyncGenerator<Buffer> {
  const old = existsSync(`${path}.1`) ? openSync(`${path}.1`, 'r') : undefined;
  const files = [...(old === undefined ? [] : [old]), ...(existsSync(path) ? [openSync(path, 'r')] : [])];
  const last = files.at(-1);
  let budget = options.limitBytes ?? Number.POSITIVE_INFINITY;
  try {
    let lines = files.flatMap((fd) => [...readLines(fd)]);
    if (options.tailLines !== undefined) lines = options.tailLines > 0 ? lines.slice(-options.tailLines) : [];
    for await (const line of concat(lines, options.follow && live && last !== undefined ? follow(last, path, live, options.signal) : [])) {
      const text = formatLine(line, options);
      if (!text) continue;
      if (text.length >= budget) return void (yield text.subarray(0, budget));
      budget -= text.length;
      yield text;
    }
  } finally {
    for (const fd of files) closeSync(fd);
  }
}

async function* concat(first: Iterable<Buffer>, second: Iterable<Buffer> | AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield* first;
  yield* second;
}

/** Complete lines from the file's current position on, without their newline. */
function* readLines(fd: number, rest: { data: Buffer } = { data: Buffer.alloc(0) }): Generator<Buffer> {
  const buffer = Buffer.alloc(READ_BYTES);
  for (;;) {
    const count = readSync(fd, buffer, 0, buffer.length, null);
    if (count === 0) return;
    const data = Buffer.concat([rest.data, buffer.subarray(0, count)]);
    let start = 0;
    for (let newline = data.indexOf(10); newline >= 0; newline = data.indexOf(10, start)) {
      yield data.subarray(start, newline);
      start = newline + 1;
    }
    rest.data = Buffer.from(data.subarray(start));
  }
}

async function* follow(fd: number, path: string, live: ContainerLog, signal?: AbortSignal): AsyncGenerator<Buffer> {
  let current = fd;
  const rest = { data: Buffer.alloc(0) };
  let wake = () => {};
  const stop = live.onChange(() => wake());
  const aborted = () => wake();
  signal?.addEventListener('abort', aborted);
  try {
    while (!signal?.aborted) {
      const changed = new Promise<void>((resolve) => (wake = resolve));
      const ended = live.closed;
      yield* readLines(current, rest);
      const moved = existsSync(path) ? openSync(path, 'r') : undefined;
      if (moved !== undefined && fstatSync(moved).ino !== fstatSync(current).ino) {
        if (current !== fd) closeSync(current);
        current = moved;
        continue;
      }
      if (moved !== undefined) closeSync(moved);
      if (ended) return;
      if (!signal?.aborted) await changed;
    }
  } finally {
    stop();
    signal?.removeEventListener('abort', aborted);
    if (current !== fd) closeSync(current);
  }
}

/** `<time> <stream> <F|P> <text>` → what kubectl shows. Undefined for a line before `sinceMs`. */
function formatLine(line: Buffer, options: LogReadOptions): Buffer | undefined {
  const timeEnd = line.indexOf(32);
  const streamEnd = line.indexOf(32, timeEnd + 1);
  const tagEnd = line.indexOf(32, streamEnd + 1);
  if (timeEnd < 0 || tagEnd < 0) return undefined;
  const time = line.subarray(0, timeEnd).toString('latin1');
  if (options.sinceMs !== undefined && Date.parse(`${time.slice(0, 23)}Z`) < options.sinceMs) return undefined;
  const partial = line[streamEnd + 1] === 80;
  const text = line.subarray(tagEnd + 1);
  return Buffer.concat([...(options.timestamps ? [Buffer.from(`${time} `)] : []), text, ...(partial ? [] : [Buffer.from('\n')])]);
}
