/** A connection whose first bytes have been looked at: reads them again. */
import { Duplex } from 'node:stream';
import type { Socket } from 'node:net';

/** Wraps the socket; `first` is read before everything else. Also hides the handle, so that TLS and HTTP/2 do not read past us. */
export class PeekedStream extends Duplex {
  constructor(readonly socket: Duplex, first: Buffer) {
    super({ allowHalfOpen: true });
    this.push(first);
    socket.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) socket.pause();
    });
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
  }

  override _read(): void {
    this.socket.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.socket.write(chunk, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.socket.end(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.socket.destroy();
    done(error);
  }

  /** What the HTTP server asks of sockets. */
  setTimeout(): this {
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }
}

/** The first bytes of a connection; undefined when it ends, or says nothing for `waitMs`. */
export function firstBytes(socket: Duplex, waitMs: number): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const done = (bytes: Buffer | undefined): void => {
      clearTimeout(timer);
      socket.off('data', onData);
      socket.off('end', onEnd);
      socket.off('close', onEnd);
      socket.pause();
      resolve(bytes);
    };
    const onData = (chunk: Buffer): void => done(chunk);
    const onEnd = (): void => done(undefined);
    const timer = setTimeout(() => done(undefined), waitMs);
    socket.on('data', onData);
    socket.once('end', onEnd);
    socket.once('close', onEnd);
  });
}

/** The TCP socket below any number of layers. */
export function rawSocket(stream: Duplex): Socket | undefined {
  let inner: Duplex = stream;
  while (inner instanceof PeekedStream) inner = inner.socket;
  return 'resetAndDestroy' in inner ? (inner as Socket) : undefined;
}
