/** Where log lines go: buffered, flushed every second or at 64 KiB, as Envoy's access log manager does. */
import { closeSync, openSync, write } from 'node:fs';
import type { Clock, Timer } from '../../base/clock.ts';

export interface LogSink {
  /** Never blocks and never throws; lines that cannot be kept are counted in `dropped`. */
  write(line: string): void;
  /** Writes what is buffered; resolves when it is handed to the system. */
  flush(): Promise<void>;
  close(): Promise<void>;
  readonly dropped: number;
}

export interface LogSinkOptions {
  readonly clock: Clock;
  /** Default 1000. */
  readonly flushMs?: number;
  /** Flush as soon as this much is waiting. Default 64 KiB. */
  readonly flushBytes?: number;
  /** Lines beyond this are dropped while the file is slow. Default 16 MiB. */
  readonly maxBytes?: number;
}

/** Opens a file (or `/dev/stdout`, `/dev/stderr`) for appending. Throws when it cannot be opened. */
export function openLogSink(path: string, options: LogSinkOptions): LogSink {
  const standard = path === '/dev/stdout' ? 1 : path === '/dev/stderr' ? 2 : undefined;
  const descriptor = standard ?? openSync(path, 'a', 0o644);
  return new BufferedSink((chunk) => writeAll(descriptor, chunk), () => { if (standard === undefined) closeSync(descriptor); }, options);
}

/** Room behind the flush limit, so that a line of usual length that crosses it still fits. */
const SLACK_BYTES = 16_384;

/**
 * A sink over any writer; the writer is never called twice at a time and owns its chunk until it is done. Lines become bytes at once: kept as strings they
 * would survive collections of the young generation, in many pieces each, and cost more than writing them.
 */
export class BufferedSink implements LogSink {
  dropped = 0;
  private buffer: Buffer | undefined;
  private spare: Buffer | undefined;
  private used = 0;
  private lines = 0;
  private timer: Timer | undefined;
  private writing: Promise<void> = Promise.resolve();
  private inFlight = 0;
  private closed = false;
  private readonly flushBytes: number;
  private readonly maxBytes: number;

  constructor(
    private readonly writer: (chunk: Buffer) => Promise<void>,
    private readonly onClose: () => void,
    private readonly options: LogSinkOptions,
  ) {
    this.flushBytes = options.flushBytes ?? 65_536;
    this.maxBytes = options.maxBytes ?? 16 * 1024 * 1024;
  }

  write(line: string): void {
    if (this.closed || this.used + this.inFlight + line.length > this.maxBytes) {
      this.dropped++;
      return;
    }
    // No UTF-16 unit becomes more than three bytes.
    this.reserve(line.length * 3);
    this.used += this.buffer!.write(line, this.used, 'utf8');
    this.lines++;
    if (this.used >= this.flushBytes) void this.flush();
    else this.timer ??= this.options.clock.after(this.options.flushMs ?? 1000, () => void this.flush());
  }

  /** Makes sure that so many bytes fit behind what waits. */
  private reserve(bytes: number): void {
    if (this.buffer !== undefined && this.used + bytes <= this.buffer.length) return;
    if (this.used > 0) void this.flush();
    const size = Math.max(this.flushBytes + SLACK_BYTES, bytes);
    this.buffer = this.spare !== undefined && this.spare.length >= size ? this.spare : Buffer.allocUnsafeSlow(size);
    this.spare = undefined;
  }

  flush(): Promise<void> {
    this.timer?.cancel();
    this.timer = undefined;
    const { buffer, used, lines } = this;
    if (buffer === undefined || used === 0) return this.writing;
    this.buffer = undefined;
    this.used = this.lines = 0;
    this.inFlight += used;
    this.writing = this.writing
      .then(() => this.writer(buffer.subarray(0, used)))
      .catch(() => void (this.dropped += lines))
      .finally(() => {
        this.inFlight -= used;
        // Kept for the next lines only where they come fast: a quiet proxy holds no memory for its log.
        this.spare = used >= this.flushBytes && buffer.length === this.flushBytes + SLACK_BYTES ? buffer : undefined;
      });
    return this.writing;
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.flush();
    this.onClose();
  }
}

function writeAll(descriptor: number, chunk: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const step = (bytes: Buffer): void =>
      write(descriptor, bytes, (error, written) => {
        if (error && error.code === 'EAGAIN') setTimeout(step, 10, bytes);
        else if (error) reject(error);
        else if (written < bytes.length) step(bytes.subarray(written));
        else resolve();
      });
    step(chunk);
  });
}
