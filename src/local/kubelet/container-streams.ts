/** The standard streams of a running program, and who else listens to them. */
import { PassThrough, type Readable, type Writable } from 'node:stream';

/** One `kubectl attach`. */
export interface JoinedStreams {
  /** Null: the container has no input. */
  readonly stdin: Writable | null;
  readonly stdinOnce: boolean;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Resolves when the program has ended and everything it wrote was handed on. */
  readonly ended: Promise<void>;
  leave(): void;
}

/** A listener that does not read is left behind at this much. */
const MAX_WAITING_BYTES = 4 << 20;

/** Hands a program's output on to those that attached while it runs. */
export class ContainerStreams {
  private readonly listeners = new Set<{ readonly stdout: PassThrough; readonly stderr: PassThrough }>();
  private end: () => void = () => {};
  private readonly ended = new Promise<void>((resolve) => void (this.end = resolve));

  constructor(
    private readonly stdin: Writable | null,
    private readonly stdinOnce: boolean,
  ) {
    // A program that closes its input is none of our problems.
    stdin?.on('error', () => {});
  }

  write(stream: 'stdout' | 'stderr', chunk: Buffer): void {
    for (const listener of this.listeners) {
      if (listener[stream].writableLength < MAX_WAITING_BYTES) listener[stream].write(chunk);
      else this.drop(listener);
    }
  }

  /** The program has ended. */
  close(): void {
    for (const listener of this.listeners) this.drop(listener);
    this.stdin?.destroy();
    this.end();
  }

  join(): JoinedStreams {
    const listener = { stdout: new PassThrough(), stderr: new PassThrough() };
    this.listeners.add(listener);
    return { stdin: this.stdin, stdinOnce: this.stdinOnce, ...listener, ended: this.ended, leave: () => this.drop(listener) };
  }

  private drop(listener: { readonly stdout: PassThrough; readonly stderr: PassThrough }): void {
    this.listeners.delete(listener);
    listener.stdout.end();
    listener.stderr.end();
  }
}
