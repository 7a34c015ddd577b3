import type { HeaderMap, ResponseHead } from '../http/message.ts';
import type { ClientStream, ResetReason, ResponseReceiver } from '../http/stream.ts';
import type { ByteMeter, CloseCause, Connection, ConnectionSink, TlsFacts } from '../io/connection.ts';

/** The bodies of one request and its response as a connection: a tunnel by POST, or by HTTP/2. The connection below carries nothing else. */
export class TunnelConnection implements Connection, ResponseReceiver {
  /** Set right after the request was started. */
  stream!: ClientStream;
  sink: ConnectionSink = { onData: () => {}, onEnd: () => {}, onDrain: () => {}, onClose: () => {} };
  private settled = false;
  private closed = false;

  /** `answered` is called once: with nothing when the other side agreed, else with the reason. */
  constructor(
    private readonly below: Connection,
    private readonly answered: (refusal: string | undefined) => void,
  ) {}

  get remoteAddress(): string {
    return this.below.remoteAddress;
  }

  get remotePort(): number {
    return this.below.remotePort;
  }

  get localAddress(): string {
    return this.below.localAddress;
  }

  get localPort(): number {
    return this.below.localPort;
  }

  get tls(): TlsFacts | undefined {
    return this.below.tls;
  }

  get bytesRead(): number {
    return this.below.bytesRead;
  }

  get bytesWritten(): number {
    return this.below.bytesWritten;
  }

  get meter(): ByteMeter | undefined {
    return this.below.meter;
  }

  set meter(meter: ByteMeter | undefined) {
    this.below.meter = meter;
  }

  get destroyed(): boolean {
    return this.closed || this.below.destroyed;
  }

  get blocked(): boolean {
    return this.below.blocked;
  }

  writeText(text: string): void {
    const bytes = Buffer.from(text, 'latin1');
    this.writeBytes(bytes, 0, bytes.length);
  }

  writeBytes(buffer: Buffer, start: number, end: number): boolean {
    return this.stream.sendBody(buffer, start, end);
  }

  flush(): void {
    this.below.flush();
  }

  pause(): void {
    this.stream.pauseBody();
  }

  resume(): void {
    this.stream.resumeBody();
  }

  readIntoOwnBuffer(): void {
    // The codec below decides.
  }

  end(): void {
    this.stream.sendEnd(undefined);
    this.below.flush();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.stream.sendEnd(undefined);
    this.below.close();
  }

  destroy(reset?: boolean): void {
    this.closed = true;
    this.below.destroy(reset);
  }

  // What comes back.

  onInformational(): void {
    // 100: the body is sent anyway.
  }

  onHead(head: ResponseHead, end: boolean): void {
    if (head.status < 200 || head.status > 299) this.settle(`the tunnel was answered with ${head.status}`);
    else {
      this.settle(undefined);
      if (end) this.sink.onEnd();
    }
  }

  onBody(buffer: Buffer, start: number, end: number): void {
    this.sink.onData(buffer, start, end);
  }

  onEnd(trailers: HeaderMap | undefined): void {
    void trailers;
    this.sink.onEnd();
  }

  onReset(reason: ResetReason, detail: string): void {
    if (!this.settled) this.settle('closed before the tunnel was answered');
    else if (!this.closed) {
      this.closed = true;
      const cause: CloseCause = { code: detail === '' ? 'ECONNRESET' : detail, message: reason };
      this.sink.onClose(cause);
    }
  }

  onDrain(): void {
    this.sink.onDrain();
  }

  private settle(refusal: string | undefined): void {
    if (this.settled) return;
    this.settled = true;
    this.answered(refusal);
  }
}
