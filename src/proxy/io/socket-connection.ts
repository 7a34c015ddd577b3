import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { createLogger } from '../../base/log.ts';
import { beginBatch, endBatch, markDirty } from './batch.ts';
import { releaseBulkBuffer, takeBulkBuffer } from './bulk-buffer.ts';
import type { ByteMeter, CloseCause, Connection, ConnectionSink, TlsFacts } from './connection.ts';
import { latin1 } from './latin1.ts';
import { readInto } from './read-into.ts';
import type { OnRead } from './read-into.ts';

const log = createLogger('io');
/** One read buffer for all sockets: sinks consume or copy before they return. */
export const sharedReadBuffer = Buffer.allocUnsafeSlow(65_536);
/** Below this size a body travels with the head as one Latin-1 string. */
const TEXT_LIMIT_BYTES = 8192;
/** How long an orderly close waits for the peer. @see Envoy delayed_close_timeout */
const DELAYED_CLOSE_MS = 1000;

const UNCHANGED = undefined as unknown as Buffer;

type Piece = string | Buffer;

const IGNORE: ConnectionSink = { onData: () => {}, onEnd: () => {}, onDrain: () => {}, onClose: () => {} };

/**
 * A connection over a net.Socket or TLSSocket. Writes go through `_write`: its callback runs synchronously when the kernel took everything, which is the
 * exact knowledge that reuse of read buffers needs (`write` and `drain` know only the high-water mark), and it is cheaper on TLS.
 */
export class SocketConnection implements Connection {
  sink: ConnectionSink = IGNORE;
  bytesRead = 0;
  bytesWritten = 0;
  meter: ByteMeter | undefined = undefined;
  destroyed = false;
  tls: TlsFacts | undefined;
  readonly socket: Socket;
  private remote: { address: string; port: number } | undefined;
  private text = '';
  private queue: Piece[] = [];
  private inFlight = false;
  private wantsDrain = false;
  private ending = false;
  private ended = false;
  private closing = false;
  private atOnce = false;
  private peerEnded = false;
  private readCallback = false;
  private own: Buffer | undefined;
  private cause: CloseCause;
  private local: { address: string; port: number } | undefined;
  private wroteSync = false;
  private closeTimer: NodeJS.Timeout | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    if (!socket.connecting) this.noteAddresses();
  }

  /** Remembers the addresses while the socket knows them: after the peer is gone it does not. */
  noteAddresses(): void {
    const { socket } = this;
    this.remote = { address: plainIp(socket.remoteAddress ?? ''), port: socket.remotePort ?? 0 };
    this.local = { address: plainIp(socket.localAddress ?? ''), port: socket.localPort ?? 0 };
  }

  /** Somebody before us (a load balancer that says so in a PROXY header) knows the real client. */
  nameRemote(address: string, port: number): void {
    this.remote = { address, port };
  }

  get remoteAddress(): string {
    return this.remote?.address ?? '';
  }

  get remotePort(): number {
    return this.remote?.port ?? 0;
  }

  /** Makes a connection whose bytes are read into the shared buffer (or its own, see {@link readIntoOwnBuffer}) instead of a fresh one per read. */
  static open(make: (onread: OnRead) => Socket): SocketConnection {
    let connection: SocketConnection | undefined;
    const socket = make(onReadOf(() => connection));
    connection = new SocketConnection(socket);
    connection.attach(true);
    return connection;
  }

  /** A TLSSocket whose handshake is done, likewise. */
  static secured(socket: TLSSocket, facts: TlsFacts): SocketConnection {
    const connection = new SocketConnection(socket);
    connection.tls = facts;
    connection.attach(readInto(socket, onReadOf(() => connection)));
    return connection;
  }

  /** The memory the next read goes to. */
  get readBuffer(): Buffer {
    return this.own ?? sharedReadBuffer;
  }

  /** Attaches to the socket's events. `byReadCallback`: bytes come through {@link SocketConnection.onread}, not 'data'. */
  attach(byReadCallback: boolean): void {
    this.readCallback = byReadCallback;
    this.socket.on('error', this.onSocketError);
    this.socket.on('end', this.onSocketEnd);
    this.socket.on('close', this.onSocketClose);
    if (!byReadCallback) this.socket.on('data', this.onSocketData);
  }

  /** Lets go of the socket for another owner (TLS, HTTP/2); bytes already read are given back to it. */
  detach(unread: Buffer | undefined): Socket {
    this.socket.off('error', this.onSocketError);
    this.socket.off('end', this.onSocketEnd);
    this.socket.off('close', this.onSocketClose);
    this.socket.off('data', this.onSocketData);
    if (!this.readCallback) this.socket.pause();
    if (unread !== undefined && unread.length > 0) this.socket.unshift(unread);
    this.destroyed = true;
    return this.socket;
  }

  get localAddress(): string {
    return this.local?.address ?? '';
  }

  get localPort(): number {
    return this.local?.port ?? 0;
  }

  get blocked(): boolean {
    if (this.inFlight) this.wantsDrain = true;
    return this.inFlight;
  }

  writeText(text: string): void {
    if (this.destroyed || this.ending) return;
    if (this.text === '') markDirty(this);
    this.text += text;
  }

  writeBytes(buffer: Buffer, start: number, end: number): boolean {
    if (this.destroyed || this.ending) return true;
    if (end - start <= TEXT_LIMIT_BYTES) {
      if (this.text === '') markDirty(this);
      this.text += latin1(buffer, start, end);
      if (this.inFlight) this.wantsDrain = true;
      return !this.inFlight;
    }
    // A shared buffer must not be referenced by a write that may outlive this call.
    const shared = buffer === sharedReadBuffer;
    const bytes = shared ? Buffer.from(buffer.subarray(start, end)) : buffer.subarray(start, end);
    const text = this.text;
    this.text = '';
    if (text !== '') this.queue.push(text);
    this.queue.push(bytes);
    if (!this.inFlight) this.drainQueue();
    if (this.inFlight) this.wantsDrain = true;
    return !this.inFlight;
  }

  flush(): void {
    if (this.inFlight || this.destroyed) return;
    this.drainQueue();
  }

  pause(): void {
    if (!this.destroyed) this.socket.pause();
  }

  resume(): void {
    if (this.destroyed) return;
    this.socket.resume();
  }

  readIntoOwnBuffer(own: boolean): void {
    if (!this.readCallback) return;
    if (own && !this.destroyed) this.own ??= takeBulkBuffer();
    else this.dropOwn();
  }

  private dropOwn(): void {
    if (this.own === undefined) return;
    releaseBulkBuffer(this.own);
    this.own = undefined;
  }

  end(): void {
    if (this.ending || this.destroyed) return;
    this.ending = true;
    // What waits leaves with the other writes of this turn, and the FIN behind it.
    this.finishEnd();
  }

  close(peerIsDone = false): void {
    if (this.closing || this.destroyed) return;
    this.closing = true;
    // TLS says goodbye with an alert, which only the long way sends.
    this.atOnce = peerIsDone && this.tls === undefined;
    this.end();
    if (this.destroyed) return;
    if (this.peerEnded && this.ended) this.destroy();
    // The peer may still be sending; what it sends is dropped, so that it can read our last bytes instead of a reset.
    if (!this.atOnce) this.resume();
    this.delayClose(-1);
  }

  /** `leftBefore`: bytes that the kernel had not taken a while ago. A peer that reads slowly is given time, one that does not read is not. */
  private delayClose(leftBefore: number): void {
    this.closeTimer = setTimeout(() => {
      const left = this.ended ? 0 : (this.socket as unknown as { _handle?: { writeQueueSize?: number } })._handle?.writeQueueSize ?? 0;
      if (left > 0 && left !== leftBefore) this.delayClose(left);
      else this.destroy();
    }, DELAYED_CLOSE_MS).unref();
  }

  destroy(reset = false): void {
    if (this.destroyed) return;
    // Whoever ended before wanted its last bytes to leave.
    if (this.ending && !reset) this.flush();
    if (this.destroyed) return;
    this.destroyed = true;
    if (reset && typeof this.socket.resetAndDestroy === 'function' && this.tls === undefined) this.socket.resetAndDestroy();
    else this.socket.destroy();
  }

  /** Bytes arrived. */
  received(buffer: Buffer, bytes: number): void {
    this.bytesRead += bytes;
    this.meter?.read(bytes);
    if (this.closing || this.destroyed) return;
    beginBatch();
    try {
      this.sink.onData(buffer, 0, bytes);
    } catch (thrown) {
      log.error('connection failed', { error: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown) });
      this.destroy();
    } finally {
      endBatch();
    }
  }

  private drainQueue(): void {
    if (this.text !== '') {
      const { text } = this;
      this.text = '';
      if (this.queue.length === 0) this.submitOne(text);
      else this.queue.push(text);
    }
    while (!this.inFlight && this.queue.length > 0 && !this.destroyed) {
      const pieces = this.queue;
      this.queue = [];
      this.submit(pieces);
    }
    if (!this.inFlight && this.ending) this.finishEnd();
  }

  private submit(pieces: Piece[]): void {
    if (pieces.length === 1) {
      this.submitOne(pieces[0]!);
      return;
    }
    let bytes = 0;
    for (const piece of pieces) bytes += piece.length;
    this.noteSubmitted(bytes);
    this.socket._writev!(pieces.map((chunk) => ({ chunk, encoding: encodingOf(chunk) })), this.onWritten);
    this.wroteSync = false;
  }

  private submitOne(piece: Piece): void {
    this.noteSubmitted(piece.length);
    this.socket._write(piece, encodingOf(piece), this.onWritten);
    this.wroteSync = false;
  }

  private noteSubmitted(bytes: number): void {
    this.bytesWritten += bytes;
    this.meter?.written(bytes);
    this.inFlight = true;
    this.wroteSync = true;
  }

  private readonly onWritten = (error?: Error | null): void => {
    this.inFlight = false;
    if (error) {
      this.fail(error);
      return;
    }
    if (this.wroteSync) return;
    beginBatch();
    try {
      this.drainQueue();
      if (!this.inFlight && this.wantsDrain && !this.destroyed) {
        this.wantsDrain = false;
        this.sink.onDrain();
      }
    } finally {
      endBatch();
    }
  };

  private finishEnd(): void {
    if (this.ended || this.inFlight || this.queue.length > 0 || this.text !== '') return;
    this.ended = true;
    if (this.atOnce) {
      this.destroy();
      return;
    }
    this.socket.end();
    if (this.closing && this.peerEnded) this.destroy();
  }

  private fail(error: Error): void {
    this.cause ??= { code: (error as NodeJS.ErrnoException).code ?? 'EIO', message: error.message };
    if (!this.destroyed) {
      this.destroyed = true;
      this.socket.destroy();
    }
  }

  private readonly onSocketData = (chunk: Buffer): void => this.received(chunk, chunk.length);

  private readonly onSocketError = (error: Error): void => this.fail(error);

  private readonly onSocketEnd = (): void => {
    this.peerEnded = true;
    if (this.destroyed) return;
    if (this.closing) {
      this.destroy();
      return;
    }
    this.inBatch(() => this.sink.onEnd());
  };

  private readonly onSocketClose = (): void => {
    this.destroyed = true;
    // A timer that ran on would keep every closed connection in memory for its second.
    clearTimeout(this.closeTimer);
    const { sink } = this;
    this.sink = IGNORE;
    this.dropOwn();
    this.inBatch(() => sink.onClose(this.cause));
  };

  private inBatch(run: () => void): void {
    beginBatch();
    try {
      run();
    } catch (thrown) {
      log.error('connection failed', { error: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown) });
      this.destroy();
    } finally {
      endBatch();
    }
  }
}

function encodingOf(piece: Piece): BufferEncoding {
  return typeof piece === 'string' ? 'latin1' : ('buffer' as BufferEncoding);
}

/** IPv4 addresses of dual-stack sockets without their `::ffff:` prefix. */
export function plainIp(address: string): string {
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}

function onReadOf(connectionNow: () => SocketConnection | undefined): OnRead {
  let current: Buffer | undefined;
  return {
    buffer: () => {
      const wanted = connectionNow()?.readBuffer ?? sharedReadBuffer;
      if (wanted === current) return UNCHANGED;
      current = wanted;
      return wanted;
    },
    callback: (bytes, buffer) => {
      connectionNow()!.received(buffer as Buffer, bytes);
      return true;
    },
  };
}
