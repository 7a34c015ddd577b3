import type { Connection } from '../io/connection.ts';
import { DEFAULT_FRAME_BYTES, DEFAULT_WINDOW_BYTES, MAX_WINDOW_BYTES } from './constants.ts';
import type { FloodGuard } from './flood-guard.ts';
import type { FrameWriter } from './frame-writer.ts';
import type { Http2Stream, TrailingFields } from './stream.ts';

/** What one stream may send before the next one gets its turn. */
const TURN_BYTES = 65_536;

/** Sends bodies as far as the peer's windows and the socket let it; the rest waits at its stream. @see RFC 9113 section 5.2 */
export class Outbound {
  private window = DEFAULT_WINDOW_BYTES;
  /** The peer's SETTINGS_INITIAL_WINDOW_SIZE. */
  initialWindow = DEFAULT_WINDOW_BYTES;
  /** Streams that have something to send or want to know when they can. */
  private readonly pending = new Set<Http2Stream>();
  private stopped = false;

  constructor(
    private readonly connection: Connection,
    private readonly writer: FrameWriter,
    private readonly guard: FloodGuard,
    private readonly onLocalEnd: (stream: Http2Stream) => void,
  ) {}

  /** False: pause the source until {@link Http2Stream.onWritable}. */
  data(stream: Http2Stream, buffer: Buffer, start: number, end: number): boolean {
    if (stream.closed || stream.localClosed || stream.ending !== undefined) return true;
    const at = stream.queue.length === 0 ? this.write(stream, buffer, start, end) : start;
    if (at < end) stream.enqueue(buffer, at, end);
    if (at === end && !this.connection.blocked) return true;
    stream.wantsDrain = true;
    this.pending.add(stream);
    return false;
  }

  /** Ends the stream after what waits. */
  end(stream: Http2Stream, trailing: TrailingFields): void {
    if (stream.closed || stream.localClosed || stream.ending !== undefined) return;
    stream.ending = trailing;
    if (stream.queue.length === 0) this.writeEnd(stream, trailing);
  }

  /** The peer's WINDOW_UPDATE for the connection. False: more than a window can be. */
  widen(bytes: number): boolean {
    this.window += bytes;
    if (this.window > MAX_WINDOW_BYTES) return false;
    this.pump();
    return true;
  }

  /** The peer's WINDOW_UPDATE for a stream. False: more than a window can be. */
  widenStream(stream: Http2Stream, bytes: number): boolean {
    stream.sendWindow += bytes;
    if (stream.sendWindow > MAX_WINDOW_BYTES) return false;
    if (this.pending.has(stream)) while (this.turn(stream));
    return true;
  }

  forget(stream: Http2Stream): void {
    this.pending.delete(stream);
    stream.queue.length = 0;
  }

  stop(): void {
    this.stopped = true;
    this.pending.clear();
  }

  private write(stream: Http2Stream, buffer: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end && !this.connection.blocked) {
      const bytes = Math.min(end - at, DEFAULT_FRAME_BYTES, this.window, stream.sendWindow);
      if (bytes <= 0) break;
      this.window -= bytes;
      stream.sendWindow -= bytes;
      this.writer.data(stream.id, buffer, at, at + bytes);
      this.guard.onBody(bytes);
      at += bytes;
    }
    return at;
  }

  private writeEnd(stream: Http2Stream, trailing: TrailingFields): void {
    this.pending.delete(stream);
    if (trailing.fields.length > 0) this.writer.headers(stream.id, trailing.fields, trailing.neverIndexed, true);
    else this.writer.endStream(stream.id);
    this.onLocalEnd(stream);
  }

  /** Sends what waits, in turns, until windows or the socket are full. */
  pump(): void {
    let progress = true;
    while (progress && this.pending.size > 0) {
      progress = false;
      for (const stream of Array.from(this.pending)) {
        if (this.connection.blocked || this.stopped) return;
        if (this.turn(stream)) progress = true;
      }
    }
  }

  /** One turn of a stream. True: something left and more waits. */
  private turn(stream: Http2Stream): boolean {
    const { queue } = stream;
    let sent = 0;
    while (queue.length > 0 && sent < TURN_BYTES) {
      const first = queue[0]!;
      const wanted = Math.min(first.length, TURN_BYTES - sent);
      const bytes = this.write(stream, first, 0, wanted);
      sent += bytes;
      if (bytes < first.length) queue[0] = first.subarray(bytes);
      else queue.shift();
      // A window or the socket is full.
      if (bytes < wanted) return false;
    }
    if (queue.length > 0) return true;
    if (stream.ending !== undefined) this.writeEnd(stream, stream.ending);
    else if (!this.connection.blocked && stream.sendWindow > 0 && this.window > 0) {
      this.pending.delete(stream);
      if (stream.wantsDrain) {
        stream.wantsDrain = false;
        stream.onWritable();
      }
    }
    return false;
  }
}
