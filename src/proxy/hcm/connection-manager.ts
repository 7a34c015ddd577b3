import type { HcmRuntime } from '../config/runtime.ts';
import type { ProxyEnvironment } from '../environment.ts';
import { H1ServerConnection } from '../http/h1-server.ts';
import type { BodyReceiver, CodecError, RequestHandler, ServerStream } from '../http/stream.ts';
import { H2ServerConnection } from '../http2/server.ts';
import type { CloseCause, ConnectionSink } from '../io/connection.ts';
import type { SocketConnection } from '../io/socket-connection.ts';
import { ActiveStream } from './active-stream.ts';
import type { HttpConnectionInfo } from './connection-info.ts';
import { FilterChain } from './filter-chain.ts';
import { peerOf } from './request-headers.ts';
import type { HcmEnvironment } from './stream-facts.ts';

/** A connection that can be asked to end orderly. */
export interface DrainableConnection {
  /** Finish what runs, take nothing new. */
  drain(): void;
  destroy(): void;
}

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/** One HttpConnectionManager of a filter chain: chooses the codec of a connection and makes a stream of every request. */
export class ConnectionManager {
  private readonly environment: HcmEnvironment;

  constructor(proxy: ProxyEnvironment, private readonly hcm: HcmRuntime) {
    const timed = hcm.streamIdleTimeoutMs > 0 || hcm.requestTimeoutMs > 0 || hcm.maxStreamDurationMs > 0;
    this.environment = { proxy, hcm, chain: new FilterChain(hcm), stats: proxy.stats.httpManager(hcm.statPrefix), ownIp: proxy.node.id.split('~')[1] ?? '', timed };
  }

  /** Serves a connection; `unread` are bytes that listener filters have read. */
  serve(connection: SocketConnection, info: HttpConnectionInfo, unread: Buffer | undefined, onClosed: () => void): DrainableConnection {
    const { counters, gauges } = this.environment.stats;
    counters.downstream_cx_total++;
    gauges.downstream_cx_active++;
    if (connection.tls !== undefined) counters.downstream_cx_ssl_total++;
    let closed = false;
    const close = (): void => {
      if (closed) return;
      closed = true;
      gauges.downstream_cx_active--;
      counters.downstream_cx_destroy++;
      counters.downstream_cx_rx_bytes_total += connection.bytesRead;
      counters.downstream_cx_tx_bytes_total += connection.bytesWritten;
      onClosed();
    };
    const alpn = connection.tls?.alpn ?? '';
    if (this.hcm.codec === 'http2' || alpn === 'h2' || alpn === 'istio-h2') return this.serveH2(connection, info, unread, close);
    if (this.hcm.codec === 'http1' || alpn !== '') return this.serveH1(connection, info, unread, close);
    return new CodecSniffer(connection, unread, close, (http2, bytes) => (http2 ? this.serveH2(connection, info, bytes, close) : this.serveH1(connection, info, bytes, close)));
  }

  private serveH1(connection: SocketConnection, info: HttpConnectionInfo, unread: Buffer | undefined, close: () => void): DrainableConnection {
    const { hcm } = this;
    this.environment.stats.counters.downstream_cx_http1_total++;
    const server = new H1ServerConnection(
      connection,
      {
        limits: { maxBytes: hcm.maxRequestHeadersBytes, maxHeaders: hcm.maxHeadersCount },
        secure: connection.tls !== undefined,
        acceptHttp10: hcm.acceptHttp10,
        idleTimeoutMs: hcm.idleTimeoutMs,
        headersTimeoutMs: hcm.requestHeadersTimeoutMs,
        maxRequests: hcm.maxRequestsPerConnection,
      },
      this.handler(info),
      close,
    );
    if (unread !== undefined) server.onData(unread, 0, unread.length);
    return { drain: () => server.drain(), destroy: () => connection.destroy() };
  }

  private serveH2(connection: SocketConnection, info: HttpConnectionInfo, unread: Buffer | undefined, close: () => void): DrainableConnection {
    const { hcm } = this;
    this.environment.stats.counters.downstream_cx_http2_total++;
    const server = new H2ServerConnection(
      connection,
      {
        secure: connection.tls !== undefined,
        idleTimeoutMs: hcm.idleTimeoutMs,
        headersTimeoutMs: hcm.requestHeadersTimeoutMs,
        maxHeaders: hcm.maxHeadersCount,
        maxHeaderBytes: hcm.maxRequestHeadersBytes,
        maxRequests: hcm.maxRequestsPerConnection,
        allowConnect: hcm.allowConnect,
      },
      this.handler(info),
      close,
    );
    if (unread !== undefined) server.onData(unread, 0, unread.length);
    return server;
  }

  private handler(info: HttpConnectionInfo): RequestHandler {
    const { environment } = this;
    const peer = peerOf(info.connection);
    return {
      onRequest(stream: ServerStream, end: boolean): BodyReceiver {
        const active = new ActiveStream(environment, info, stream, end, peer);
        active.start();
        return active;
      },
      onCodecError(stream: ServerStream, error: CodecError): void {
        environment.stats.counters.downstream_cx_protocol_error++;
        const active = new ActiveStream(environment, info, stream, true, peer);
        if (error.details.startsWith('http1.') || error.details === 'low_version') active.addFlag('DPE');
        active.onLocalReply({ status: error.status, body: error.body, details: error.details });
      },
    };
  }
}

/** Waits for the bytes that tell HTTP/2 with prior knowledge from HTTP/1. */
class CodecSniffer implements ConnectionSink, DrainableConnection {
  private bytes: Buffer = Buffer.alloc(0);
  private chosen: DrainableConnection | undefined;

  constructor(
    private readonly connection: SocketConnection,
    unread: Buffer | undefined,
    private readonly closed: () => void,
    private readonly choose: (http2: boolean, bytes: Buffer) => DrainableConnection,
  ) {
    connection.sink = this;
    if (unread !== undefined && unread.length > 0) this.onData(unread, 0, unread.length);
  }

  onData(buffer: Buffer, start: number, end: number): void {
    if (this.bytes.length === 0 && buffer[start] !== 80) {
      this.chosen = this.choose(false, Buffer.from(buffer.subarray(start, end)));
      return;
    }
    this.bytes = Buffer.concat([this.bytes, buffer.subarray(start, end)]);
    const length = Math.min(this.bytes.length, PREFACE.length);
    if (this.bytes.compare(PREFACE, 0, length, 0, length) !== 0) this.chosen = this.choose(false, this.bytes);
    else if (length === PREFACE.length) this.chosen = this.choose(true, this.bytes);
  }

  onEnd(): void {
    this.connection.close();
  }

  onDrain(): void {}

  onClose(cause: CloseCause): void {
    void cause;
    this.closed();
  }

  drain(): void {
    if (this.chosen === undefined) this.connection.close();
    else this.chosen.drain();
  }

  destroy(): void {
    if (this.chosen === undefined) this.connection.destroy();
    else this.chosen.destroy();
  }
}
