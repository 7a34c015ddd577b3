/**
 * The server's side of SPDY/3.1, as far as the Kubernetes streaming protocols use it: streams that the client opens, each a Duplex here. Flow control windows are not
 * used by clients of Kubernetes; a slow reader stops the whole connection instead.
 * @see https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/
 */
import { Duplex } from 'node:stream';
import { emptyHeaderBlock, HeaderInflater, MAX_HEADER_BYTES } from './spdy-headers.ts';

const TYPE = { synStream: 1, synReply: 2, rstStream: 3, ping: 6, goAway: 7 } as const;
const FIN = 1;
const MAX_STREAMS = 2000;
/** Clients cut at 32 KiB; what is much longer is no SPDY. */
const MAX_FRAME_BYTES = 4 * 1024 * 1024;
/** Output is cut into frames of this size. */
const MAX_DATA_BYTES = 32 * 1024;

/** One stream of a connection: what the client sends is readable, its end is `end`; ending the writable side sends FIN. */
export class SpdyStream extends Duplex {
  private wake: (() => void) | undefined;

  constructor(
    readonly id: number,
    /** Names are in lower case. */
    readonly headers: ReadonlyMap<string, string>,
    private readonly sendData: (id: number, data: Buffer, fin: boolean, done: (error?: Error | null) => void) => void,
  ) {
    super({ allowHalfOpen: true, readableHighWaterMark: 256 * 1024 });
  }

  override _read(): void {
    this.wake?.();
    this.wake = undefined;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.sendData(this.id, chunk, false, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.sendData(this.id, Buffer.alloc(0), true, done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this._read();
    done(error);
  }

  /** Takes what the client sent; resolves when more is welcome. */
  accept(data: Buffer, fin: boolean): Promise<void> {
    if (this.destroyed || this.readableEnded) return Promise.resolve();
    const roomy = data.length === 0 || this.push(data);
    if (fin) this.push(null);
    return roomy || fin ? Promise.resolve() : new Promise((resolve) => void (this.wake = resolve));
  }
}

/** Serves a connection until it ends. `onStream` gets every stream the client opens, already accepted; a client that breaks the protocol loses the connection. */
export async function serveSpdy(carrier: Duplex, onStream: (stream: SpdyStream) => void): Promise<void> {
  const connection = new Connection(carrier, onStream);
  try {
    await connection.read();
  } catch {
    // A broken connection or broken frames: the end of all streams either way.
  } finally {
    connection.close();
  }
}

class Connection {
  private readonly streams = new Map<number, SpdyStream>();
  private readonly inflater = new HeaderInflater();
  private replied = false;

  constructor(
    private readonly carrier: Duplex,
    private readonly onStream: (stream: SpdyStream) => void,
  ) {
    carrier.on('error', () => {});
  }

  async read(): Promise<void> {
    let pending: Buffer = Buffer.alloc(0);
    for await (const chunk of this.carrier as AsyncIterable<Buffer>) {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      while (pending.length >= 8) {
        const length = pending.readUIntBE(5, 3);
        if (length > MAX_FRAME_BYTES) throw new Error('SPDY frame is too large');
        if (pending.length < 8 + length) break;
        const frame = pending.subarray(0, 8 + length);
        pending = pending.subarray(8 + length);
        await this.onFrame(frame);
      }
    }
  }

  close(): void {
    for (const stream of this.streams.values()) stream.destroy();
    this.streams.clear();
    this.inflater.close();
    this.carrier.destroy();
  }

  private async onFrame(frame: Buffer): Promise<void> {
    const word = frame.readUInt32BE(0);
    const flags = frame[4]!;
    const payload = frame.subarray(8);
    if (word < 0x80000000) {
      await this.streams.get(word)?.accept(payload, (flags & FIN) !== 0);
      return;
    }
    if (((word >>> 16) & 0x7fff) !== 3) throw new Error('not SPDY/3');
    switch (word & 0xffff) {
      case TYPE.synStream: return this.open(payload, (flags & FIN) !== 0);
      case TYPE.rstStream: return this.reset(payload.readUInt32BE(0) & 0x7fffffff);
      case TYPE.ping: return this.send(control(TYPE.ping, 0, payload));
      // Others (settings, windows, headers) say nothing that matters here; a goodbye is followed by the end.
      default: return;
    }
  }

  private async open(payload: Buffer, fin: boolean): Promise<void> {
    if (payload.length < 10 || payload.length > MAX_HEADER_BYTES) throw new Error('broken SYN_STREAM');
    const id = payload.readUInt32BE(0) & 0x7fffffff;
    const headers = await this.inflater.decode(payload.subarray(10));
    if (this.streams.has(id) || this.streams.size >= MAX_STREAMS) throw new Error('stream refused');
    const stream = new SpdyStream(id, headers, (...args) => this.sendData(...args));
    stream.on('error', () => {});
    stream.on('close', () => this.streams.delete(id));
    this.streams.set(id, stream);
    this.send(control(TYPE.synReply, 0, Buffer.concat([uint32(id), emptyHeaderBlock(!this.replied)])));
    this.replied = true;
    this.onStream(stream);
    if (fin) await stream.accept(Buffer.alloc(0), true);
  }

  private reset(id: number): void {
    this.streams.get(id)?.destroy();
  }

  private sendData(id: number, data: Buffer, fin: boolean, done: (error?: Error | null) => void): void {
    const frames: Buffer[] = [];
    for (let offset = 0; offset < data.length || (fin && offset === 0); offset += MAX_DATA_BYTES) {
      const part = data.subarray(offset, offset + MAX_DATA_BYTES);
      const head = Buffer.alloc(8);
      head.writeUInt32BE(id, 0);
      head.writeUInt32BE(part.length, 4);
      head[4] = fin ? FIN : 0;
      frames.push(head, part);
    }
    // The callback comes when the carrier has passed it on, which is how a slow client slows the sender.
    if (this.carrier.writable) this.carrier.write(Buffer.concat(frames), done);
    else done(new Error('the connection has ended'));
  }

  private send(frame: Buffer): void {
    if (this.carrier.writable) this.carrier.write(frame);
  }
}

function control(type: number, flags: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE((0x80030000 | type) >>> 0, 0);
  head.writeUInt32BE(payload.length, 4);
  head[4] = flags;
  return Buffer.concat([head, payload]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
