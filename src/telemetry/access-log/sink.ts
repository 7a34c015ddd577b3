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

/** A sink over any writer; the writer is never called twice at a time. */
export class BufferedSink implements LogSink {
  dropped = 0;
  private waiting: string[] = [];
  private waitingBytes = 0;
  private timer: Timer | undefined;
  private writing: Promise<void> = Promise.resolve();
  private inFlight = 0;
  private closed = false;

  constructor(
    private readonly writer: (chunk: string) => Promise<void>,
    private readonly onClose: () => void,
    private readonly options: LogSinkOptions,
  ) {}

  write(line: string): void {
    const { clock, flushMs = 1000, flushBytes = 65_536, maxBytes = 16 * 1024 * 1024 } = this.options;
    if (this.closed || this.waitingBytes + this.inFlight + line.length > maxBytes) {
      this.dropped++;
      return;
    }
    this.waiting.push(line);
    this.waitingBytes += line.length;
    if (this.waitingBytes >= flushBytes) void this.flush();
    else this.timer ??= clock.after(flushMs, () => void this.flush());
  }

  flush(): Promise<void> {
    this.timer?.cancel();
    this.timer = undefined;
    if (this.waiting.length === 0) return this.writing;
    const lines = this.waiting.length;
    const chunk = this.waiting.join('');
    this.inFlight += this.waitingBytes;
    this.waiting = [];
    this.waitingBytes = 0;
    this.writing = this.writing
      .then(() => this.writer(chunk))
      .catch(() => void (this.dropped += lines))
      .finally(() => void (this.inFlight -= chunk.length));
    return this.writing;
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.flush();
    this.onClose();
  }
}

function writeAll(descriptor: number, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const step = (bytes: Buffer): void =>
      write(descriptor, bytes, (error, written) => {
        if (error && error.code === 'EAGAIN') setTimeout(step, 10, bytes);
        else if (error) reject(error);
        else if (written < bytes.length) step(bytes.subarray(written));
        else resolve();
      });
    step(Buffer.from(text));
  });
}
