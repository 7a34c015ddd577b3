import type { HeaderMap } from '../http/message.ts';

/** Bodies that filters ask for whole may be this long, as Envoy's connection buffer limit says. */
export const MAX_HELD_BYTES = 1_048_576;

/** A body that filters look at before it goes on: kept until it is complete or somebody lets it go. */
export class BodyHold {
  private chunks: Buffer[] = [];
  private bytes = 0;
  private waiting: { readonly maxBytes: number; readonly done: (body: Buffer | undefined) => void } | undefined;
  complete = false;
  trailers: HeaderMap | undefined;

  /** True while somebody waits for the whole body, so that reading must go on. */
  get wanted(): boolean {
    return this.waiting !== undefined;
  }

  /** Nothing was read; a message that has no body and no trailers is complete and empty. */
  get empty(): boolean {
    return this.bytes === 0;
  }

  push(chunk: Buffer): void {
    this.chunks.push(chunk);
    this.bytes += chunk.length;
    const { waiting } = this;
    if (waiting === undefined || this.bytes <= waiting.maxBytes) return;
    this.waiting = undefined;
    waiting.done(undefined);
  }

  end(trailers: HeaderMap | undefined): void {
    this.complete = true;
    this.trailers = trailers;
    const { waiting } = this;
    if (waiting === undefined) return;
    this.waiting = undefined;
    waiting.done(this.whole());
  }

  /** Calls back once the body is complete: at once when it is; with nothing when it is longer than allowed. */
  want(maxBytes: number, done: (body: Buffer | undefined) => void): void {
    if (this.bytes > maxBytes) done(undefined);
    else if (this.complete) done(this.whole());
    else this.waiting = { maxBytes, done };
  }

  /** The first bytes; they stay. */
  prefix(maxBytes: number): Buffer {
    return this.whole().subarray(0, maxBytes);
  }

  replace(body: Buffer): void {
    this.chunks = body.length === 0 ? [] : [body];
    this.bytes = body.length;
  }

  take(): Buffer[] {
    const { chunks } = this;
    this.chunks = [];
    this.bytes = 0;
    return chunks;
  }

  private whole(): Buffer {
    const body = this.chunks.length === 1 ? this.chunks[0]! : Buffer.concat(this.chunks);
    this.chunks = body.length === 0 ? [] : [body];
    return body;
  }
}
