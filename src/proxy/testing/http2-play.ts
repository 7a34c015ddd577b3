/** Test material: playbooks of HTTP/2 sessions, bytes in, frames out. */
import { FieldHeaders } from '../http/field-headers.ts';
import type { BodyReceiver, ResponseReceiver, ServerStream } from '../http/stream.ts';
import { FLAG, FRAME, PREFACE } from '../http2/constants.ts';
import { H2ServerConnection } from '../http2/server.ts';
import { FakeConnection, frame, serverOptions } from './http2.ts';
import type { WrittenFrame } from './http2.ts';

/** An empty SETTINGS frame. */
export const SETTINGS = frame(FRAME.settings, 0, 0);
/** Fields of a GET of `/`. */
export const GET = [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'a'];
/** Fields of a POST to `/`. */
export const POST = [':method', 'POST', ':scheme', 'http', ':path', '/', ':authority', 'a'];
/** END_STREAM. */
export const END = FLAG.endStream;
/** END_HEADERS. */
export const WHOLE = FLAG.endHeaders;

interface Taken {
  readonly stream: ServerStream;
  readonly events: string[];
}

/** Writes down what it is told. */
export class Receiver implements BodyReceiver, ResponseReceiver {
  readonly events: string[] = [];
  onInformational = (): void => void this.events.push('100');
  onHead = (head: { status: number }, end: boolean): void => void this.events.push(`head ${head.status}${end ? ' end' : ''}`);
  onBody = (_buffer: Buffer, start: number, end: number): void => void this.events.push(`body ${end - start}`);
  onEnd = (trailers: { get(name: string): string | undefined } | undefined): void => void this.events.push(trailers === undefined ? 'end' : `trailers ${trailers.get('x-t')}`);
  onReset = (reason: string): void => void this.events.push(reason);
  onDrain = (): void => void this.events.push('drain');
}

/** A server that is told bytes and gives frames. */
export class ServerPlay {
  readonly wire = new FakeConnection();
  readonly taken: Taken[] = [];
  nowMs = 0;
  readonly server: H2ServerConnection;

  constructor(hello: Buffer = Buffer.concat([PREFACE, SETTINGS])) {
    this.server = new H2ServerConnection(this.wire, { ...serverOptions, nowMs: () => this.nowMs }, {
      onRequest: (stream, end) => {
        const receiver = new Receiver();
        if (end) receiver.events.push('request');
        this.taken.push({ stream, events: receiver.events });
        return receiver;
      },
      onCodecError: (stream, error) => stream.sendHead({ status: error.status, headers: new FieldHeaders() }, true),
    }, () => {});
    this.send(hello);
  }

  send(...bytes: Buffer[]): WrittenFrame[] {
    for (const piece of bytes) this.wire.sink.onData(piece, 0, piece.length);
    return this.flushed();
  }

  flushed(): WrittenFrame[] {
    (this.server as unknown as { writer: { flush(): void } }).writer.flush();
    return this.wire.take();
  }
}

const codeOf = (frames: readonly WrittenFrame[], type: number): number | undefined => {
  const found = frames.find((one) => one.type === type);
  return found?.payload.readUInt32BE(type === FRAME.goAway ? 4 : 0);
};
/** Code of the first RST_STREAM. */
export const resetOf = (frames: readonly WrittenFrame[]): number | undefined => codeOf(frames, FRAME.rstStream);
/** Code of the first GOAWAY. */
export const goAwayOf = (frames: readonly WrittenFrame[]): number | undefined => codeOf(frames, FRAME.goAway);
/** Four bytes. */
export const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
};
/** One entry of a SETTINGS frame. */
export const setting = (id: number, value: number): Buffer => Buffer.concat([Buffer.from([0, id]), uint32(value)]);
