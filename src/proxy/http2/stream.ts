import type { FieldBlock } from './hpack-decoder.ts';
import { STREAM_WINDOW_BYTES } from './constants.ts';

/** What is sent after everything that waits. */
export interface TrailingFields {
  /** Names and values by turns; empty: the stream ends without trailers. */
  readonly fields: readonly string[];
  readonly neverIndexed: ReadonlySet<string> | undefined;
}

/** Why a stream ended early: `connection`: it went down with its connection, `goaway`: the peer has not looked at it, `malformed`: we refused what came. */
export type StreamEnd = 'remote' | 'connection' | 'goaway' | 'malformed';

/** One stream of a session: windows, what waits to be sent, and who is told of what comes. */
export abstract class Http2Stream {
  /** What the peer lets us send; negative after it made its window smaller. */
  sendWindow: number;
  /** What the peer may still send. */
  receiveWindow = STREAM_WINDOW_BYTES;
  /** Forwarded, but not yet given back with a WINDOW_UPDATE. */
  owedBytes = 0;
  /** Taken while the receiver was paused: given back when it goes on. */
  heldBytes = 0;
  paused = false;
  localClosed = false;
  remoteClosed = false;
  openedAtMs = 0;
  /** Gone from its session. */
  closed = false;
  /** Of the content-length; -1 = not known. */
  expectedBytes = -1;
  bodyBytes = 0;
  /** A write said false: {@link onWritable} follows. */
  wantsDrain = false;
  readonly queue: Buffer[] = [];
  /** Set when the stream is to end after the queue. */
  ending: TrailingFields | undefined;

  constructor(readonly id: number, sendWindow: number) {
    this.sendWindow = sendWindow;
  }

  /** Copies what cannot leave now. */
  enqueue(buffer: Buffer, start: number, end: number): void {
    this.queue.push(Buffer.from(buffer.subarray(start, end)));
  }

  /** A header block on a stream that exists: a response or trailers. False: malformed. */
  abstract onBlock(block: FieldBlock, end: boolean): boolean;
  /** Bytes are valid only during the call. */
  abstract onData(buffer: Buffer, start: number, end: number): void;
  /** END_STREAM on DATA. */
  abstract onEnd(): void;
  /** The stream is over without an end; it is already gone from the session. */
  abstract onReset(end: StreamEnd, code: number, detail: string): void;
  abstract onWritable(): void;
}
