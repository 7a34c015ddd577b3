/** Test material: our HTTP/2 server and client on real sockets, and a connection that is none. */
import type { HeaderMap, RequestHead, ResponseHead } from '../http/message.ts';
import type { BodyReceiver, ClientStream, CodecError, ResetReason, ServerStream } from '../http/stream.ts';
import { FieldHeaders } from '../http/field-headers.ts';
import { H2ClientConnection } from '../http2/client.ts';
import { FLAG, FRAME } from '../http2/constants.ts';
import { HpackDecoder } from '../http2/hpack-decoder.ts';
import { HpackEncoder } from '../http2/hpack-encoder.ts';
import { H2ServerConnection } from '../http2/server.ts';
import type { H2ServerOptions } from '../http2/server.ts';
import { openConnection } from '../io/client.ts';
import type { CloseCause, Connection, ConnectionSink } from '../io/connection.ts';
import { listenTcp } from '../io/server.ts';

export const serverOptions: H2ServerOptions = { secure: false, idleTimeoutMs: 0, headersTimeoutMs: 0, maxHeaders: 100, maxHeaderBytes: 61_440, maxRequests: 0 };

/** What a test's server does with a request; the whole request was read. */
export type Answer = (stream: ServerStream, body: Buffer, trailers: HeaderMap | undefined) => void;

/** A request that collects its body and then answers. */
export class CollectingReceiver implements BodyReceiver {
  private readonly chunks: Buffer[] = [];
  reset: ResetReason | undefined;

  constructor(private readonly stream: ServerStream, private readonly answer: Answer) {}

  onBody(buffer: Buffer, start: number, end: number): void {
    this.chunks.push(Buffer.from(buffer.subarray(start, end)));
  }

  onEnd(trailers: HeaderMap | undefined): void {
    this.answer(this.stream, Buffer.concat(this.chunks), trailers);
  }

  onReset(reason: ResetReason): void {
    this.reset = reason;
  }

  onDrain(): void {}
}

export interface TestServer {
  readonly port: number;
  readonly connections: Set<H2ServerConnection>;
  readonly close: () => void;
}

/** Serves HTTP/2 with our codec. `receive` instead of `answer` takes the body as it comes. */
export async function serveOurs(answer: Answer, options: Partial<H2ServerOptions> = {}, receive?: (stream: ServerStream) => BodyReceiver): Promise<TestServer> {
  const connections = new Set<H2ServerConnection>();
  const handler = {
    onRequest: (stream: ServerStream, end: boolean): BodyReceiver => {
      const receiver = receive?.(stream) ?? new CollectingReceiver(stream, answer);
      if (end) receiver.onEnd(undefined);
      return receiver;
    },
    onCodecError: (stream: ServerStream, error: CodecError) => stream.sendHead({ status: error.status, headers: new FieldHeaders() }, true),
  };
  const server = await listenTcp('127.0.0.1', 0, (connection) => {
    const served = new H2ServerConnection(connection, { ...serverOptions, ...options }, handler, () => connections.delete(served));
    connections.add(served);
  });
  const close = (): void => {
    for (const connection of connections) connection.destroy();
    void server.close();
  };
  return { port: server.port, connections, close };
}

/** Opens a connection with our client codec. */
export async function openOurs(port: number, onCapacity: () => void = () => {}, onClosed: () => void = () => {}): Promise<H2ClientConnection> {
  return new Promise((resolve, reject) => {
    openConnection({ host: '127.0.0.1', port, path: undefined, sourceAddress: undefined, timeoutMs: 2000, tls: undefined }, {
      onConnect: (connection) => resolve(new H2ClientConnection(connection, { onCapacity, onClosed })),
      onFailure: (failure) => reject(new Error(failure.message)),
    });
  });
}

/** A GET or whatever `more` says, as the codec takes it. */
export function requestHead(more: Partial<RequestHead> = {}): RequestHead {
  return { method: 'GET', path: '/', authority: 'example.com', scheme: 'http', protocol: 'HTTP/2', headers: new FieldHeaders(), ...more };
}

export interface ReceivedResponse {
  informational: number[];
  head: ResponseHead | undefined;
  body: Buffer;
  trailers: HeaderMap | undefined;
  reset: ResetReason | undefined;
}

/** Sends a request with our codec and collects its response. */
export async function ask(client: H2ClientConnection, head: RequestHead, body?: Buffer, trailers?: HeaderMap, begun: (stream: ClientStream) => void = () => {}): Promise<ReceivedResponse> {
  return new Promise((resolve) => {
    const got: ReceivedResponse = { informational: [], head: undefined, body: Buffer.alloc(0), trailers: undefined, reset: undefined };
    const chunks: Buffer[] = [];
    const finish = (): void => resolve({ ...got, body: Buffer.concat(chunks) });
    let rest = body;
    const send = (): void => {
      while (rest !== undefined && rest.length > 0) {
        const chunk = rest.subarray(0, 50_000);
        rest = rest.subarray(chunk.length);
        if (!stream.sendBody(chunk, 0, chunk.length)) return;
      }
      if (rest !== undefined) stream.sendEnd(trailers);
      rest = undefined;
    };
    const stream = client.start(head, body === undefined, {
      onInformational: ({ status }) => void got.informational.push(status),
      onHead(response, end) {
        got.head = response;
        if (end) finish();
      },
      onBody: (buffer, start, end) => void chunks.push(Buffer.from(buffer.subarray(start, end))),
      onEnd(received) {
        got.trailers = received;
        finish();
      },
      onReset(reason) {
        got.reset = reason;
        finish();
      },
      onDrain: () => send(),
    });
    begun(stream);
    send();
  });
}

/** A frame of what was written. */
export interface WrittenFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** A connection without a socket: keeps what is written, is blocked when told to. */
export class FakeConnection implements Connection {
  sink: ConnectionSink = { onData: () => {}, onEnd: () => {}, onDrain: () => {}, onClose: () => {} };
  readonly remoteAddress = '192.0.2.1';
  readonly remotePort = 1;
  readonly localAddress = '192.0.2.2';
  readonly localPort = 2;
  readonly tls = undefined;
  readonly bytesRead = 0;
  bytesWritten = 0;
  destroyed = false;
  blocked = false;
  closed = false;
  private readonly written: Buffer[] = [];
  private readonly decoder = new HpackDecoder();

  writeText(text: string): void {
    this.written.push(Buffer.from(text, 'latin1'));
  }

  writeBytes(buffer: Buffer, start: number, end: number): boolean {
    this.bytesWritten += end - start;
    this.written.push(Buffer.from(buffer.subarray(start, end)));
    return !this.blocked;
  }

  flush(): void {}
  pause(): void {}
  resume(): void {}
  readIntoOwnBuffer(): void {}

  end(): void {
    this.closed = true;
  }

  close(): void {
    this.closed = true;
  }

  destroy(): void {
    this.destroyed = true;
    this.finish(undefined);
  }

  finish(cause: CloseCause): void {
    this.sink.onClose(cause);
  }

  /** Takes the frames that were written since the last call. */
  take(): WrittenFrame[] {
    const bytes = Buffer.concat(this.written.splice(0));
    const frames: WrittenFrame[] = [];
    for (let at = bytes.subarray(0, 3).toString() === 'PRI' ? 24 : 0; at < bytes.length; ) {
      const length = bytes.readUIntBE(at, 3);
      frames.push({ type: bytes[at + 3]!, flags: bytes[at + 4]!, streamId: bytes.readUInt32BE(at + 5), payload: bytes.subarray(at + 9, at + 9 + length) });
      at += 9 + length;
    }
    return frames;
  }

  /** Fields of a HEADERS frame that was written; must be asked for all of them, in order. */
  fieldsOf(frame: WrittenFrame): string[] {
    return this.decoder.decode(frame.payload, 0, frame.payload.length, { maxBytes: 100_000, maxFields: 1000 })!.fields;
  }
}

/** Bytes of a frame. */
export function frame(type: number, flags: number, streamId: number, payload: Buffer | string = ''): Buffer {
  const body = typeof payload === 'string' ? Buffer.from(payload, 'hex') : payload;
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, body]);
}

/** A header block without compression state. */
export function block(fields: readonly string[]): Buffer {
  const encoder = new HpackEncoder();
  const target = Buffer.alloc(200_000);
  encoder.resize(0);
  encoder.begin(target, 0);
  const start = encoder.finish();
  for (let at = 0; at < fields.length; at += 2) encoder.field(fields[at]!, fields[at + 1]!, false);
  return Buffer.from(target.subarray(start, encoder.finish()));
}

/** A complete HEADERS frame. */
export function headersFrame(streamId: number, fields: readonly string[], end: boolean): Buffer {
  return frame(FRAME.headers, FLAG.endHeaders | (end ? FLAG.endStream : 0), streamId, block(fields));
}
