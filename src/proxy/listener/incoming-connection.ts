import type { DownstreamTlsRuntime, FilterChainRuntime, ListenerRuntime } from '../config/runtime.ts';
import type { ProxyEnvironment } from '../environment.ts';
import type { ConnectionManager, DrainableConnection } from '../hcm/connection-manager.ts';
import type { GuardedManager } from '../hcm/guarded-manager.ts';
import type { CloseCause, Connection, ConnectionSink } from '../io/connection.ts';
import { originalDestination } from '../io/native.ts';
import type { SocketConnection } from '../io/socket-connection.ts';
import type { ListenerStats } from '../stats.ts';
import type { TcpProxy } from '../tcp/tcp-proxy.ts';
import { isPinned } from '../tls/pins.ts';
import { matchesSan } from '../tls/san-match.ts';
import type { ChainInput, ChainMatcher } from './chain-match.ts';
import { parseClientHello } from './client-hello.ts';
import type { ClientHello } from './client-hello.ts';
import { inspectHttp } from './http-inspector.ts';
import { missRecord } from './miss-record.ts';
import { readProxyHeader } from '../router/proxy-header.ts';

/** What a connection asks of the listeners it came through. */
export interface ListenerDirectory {
  readonly environment: ProxyEnvironment;
  /** The listener of a restored destination, if there is one. */
  listenerFor(address: string, port: number): ListenerRuntime | undefined;
  matcherOf(listener: ListenerRuntime): ChainMatcher;
  networkFilter(network: FilterChainRuntime['network']): ConnectionManager | GuardedManager | TcpProxy;
  statsOf(listener: ListenerRuntime): ListenerStats;
  /** The connection is gone. */
  forget(connection: IncomingConnection): void;
}

/** True in a loopback pod (docs/local-loopback.md): captured connections begin with a PROXY header that names their destination. Read once. */
const DESTINATION_BY_HEADER = process.env['MELTEMI_POD_NETWORK'] !== undefined;
/** The header is written with the connection; who takes longer is no program of this pod. */
const DESTINATION_TIMEOUT_MS = 10_000;
/** Nothing is waited for beyond this many bytes. */
const MAX_PEEKED_BYTES = 131_072;

/**
 * An accepted connection on its way to a filter chain: original destination → listener → TLS inspector → HTTP inspector → chain → TLS handshake →
 * network filter. One object per connection, gone from the path once the network filter has it.
 */
export class IncomingConnection implements ConnectionSink, DrainableConnection {
  private listener: ListenerRuntime;
  private stats: ListenerStats;
  private destination: { readonly address: string; readonly port: number };
  private restored = false;
  private peeked: Buffer | undefined;
  private timer: NodeJS.Timeout | undefined;
  private served: DrainableConnection | undefined;
  private closed = false;
  private headerRead = false;
  private awaitsDestination = false;
  private counted = false;
  chain: FilterChainRuntime | undefined;

  constructor(
    private readonly set: ListenerDirectory,
    readonly accepting: ListenerRuntime,
    private readonly connection: SocketConnection,
    readonly id: number,
  ) {
    this.listener = accepting;
    this.stats = set.statsOf(accepting);
    this.destination = { address: connection.localAddress, port: connection.localPort };
  }

  /** The listener that serves it: its own, or the one it was handed over to. */
  get servingListener(): ListenerRuntime {
    return this.listener;
  }

  start(): void {
    const { connection } = this;
    connection.sink = this;
    if (this.accepting.useOriginalDst && DESTINATION_BY_HEADER) {
      // What came in at the pod's own address and port was going there; what came to our port says first where it was going.
      this.restored = connection.localPort !== this.accepting.port;
      if (!this.restored) this.awaitsDestination = true;
    } else if (this.accepting.useOriginalDst) {
      const original = originalDestination(connection.socket);
      if (original !== undefined) {
        this.destination = original;
        this.restored = original.port !== connection.localPort || original.address !== connection.localAddress;
      }
    }
    if (this.awaitsDestination) this.timer = setTimeout(() => this.connection.destroy(), DESTINATION_TIMEOUT_MS).unref();
    else this.begin();
  }

  /** The destination is known. */
  private begin(): void {
    if (this.restored && this.accepting.handOffRestoredDestination) {
      this.listener = this.set.listenerFor(this.destination.address, this.destination.port) ?? this.accepting;
      this.stats = this.set.statsOf(this.listener);
    }
    this.counted = true;
    this.stats.counters.downstream_cx_total++;
    this.stats.gauges.downstream_cx_active++;
    if (this.inspects()) {
      const { listenerFiltersTimeoutMs } = this.listener;
      if (listenerFiltersTimeoutMs > 0) this.timer = setTimeout(() => this.inspectionTimedOut(), listenerFiltersTimeoutMs).unref();
    } else this.choose('', { serverName: '', alpn: [] });
  }

  private inspects(): boolean {
    const { port } = this.destination;
    return this.listener.proxyProtocol !== undefined || this.listener.tlsInspector?.(port) === true || this.listener.httpInspector?.(port) === true;
  }

  onData(buffer: Buffer, start: number, end: number): void {
    const bytes = buffer.subarray(start, end);
    this.peeked = this.peeked === undefined ? Buffer.from(bytes) : Buffer.concat([this.peeked, bytes]);
    if (this.chain !== undefined) return;
    if (this.awaitsDestination && !this.readDestination()) return;
    this.inspect(false);
  }

  /** False: there is no more to look at yet, or the connection was refused. */
  private readDestination(): boolean {
    const bytes = this.peeked ?? Buffer.alloc(0);
    const header = readProxyHeader(bytes);
    if (header.kind === 'partial') return false;
    if (header.kind !== 'header' || header.addresses === undefined) {
      this.connection.destroy();
      return false;
    }
    clearTimeout(this.timer);
    this.awaitsDestination = false;
    this.destination = { address: header.addresses.destinationAddress, port: header.addresses.destinationPort };
    this.restored = true;
    this.peeked = bytes.length > header.bytes ? bytes.subarray(header.bytes) : undefined;
    this.begin();
    return this.peeked !== undefined && this.chain === undefined && !this.closed;
  }

  /** `last`: no more bytes will be waited for. */
  private inspect(last: boolean): void {
    if (this.listener.proxyProtocol !== undefined && !this.headerRead && !this.readHeader(last)) return;
    const { port } = this.destination;
    const bytes = this.peeked ?? Buffer.alloc(0);
    if (this.listener.tlsInspector?.(port) === true) {
      const hello = parseClientHello(bytes);
      if (hello === 'partial' && !last && bytes.length < MAX_PEEKED_BYTES) return;
      if (typeof hello === 'object') {
        this.choose('tls', hello);
        return;
      }
    }
    if (this.listener.httpInspector?.(port) === true) {
      const protocol = inspectHttp(bytes);
      if (protocol === 'partial' && !last && bytes.length < MAX_PEEKED_BYTES) return;
      if (protocol !== 'partial' && protocol !== 'none') {
        this.choose('raw_buffer', { serverName: '', alpn: [protocol] });
        return;
      }
    }
    this.choose('raw_buffer', { serverName: '', alpn: [] });
  }

  /** False: the header is not whole yet, or the connection was refused for it. */
  private readHeader(last: boolean): boolean {
    const bytes = this.peeked ?? Buffer.alloc(0);
    const header = readProxyHeader(bytes);
    if (header.kind === 'partial' && !last) return false;
    if (header.kind === 'header') {
      if (header.addresses !== undefined) {
        const { sourceAddress, sourcePort, destinationAddress, destinationPort } = header.addresses;
        this.connection.nameRemote(sourceAddress, sourcePort);
        this.destination = { address: destinationAddress, port: destinationPort };
      }
      this.peeked = bytes.length > header.bytes ? bytes.subarray(header.bytes) : undefined;
    } else if (this.listener.proxyProtocol === 'required' || header.kind === 'broken') {
      this.stats.counters.downstream_cx_proxy_proto_error++;
      this.connection.destroy();
      return false;
    }
    this.headerRead = true;
    const { port } = this.destination;
    if (this.listener.tlsInspector?.(port) === true || this.listener.httpInspector?.(port) === true) return last || this.peeked !== undefined;
    this.choose('', { serverName: '', alpn: [] });
    return false;
  }

  private inspectionTimedOut(): void {
    if (this.chain !== undefined || this.closed) return;
    this.stats.counters.downstream_pre_cx_timeout++;
    if (this.listener.continueOnListenerFiltersTimeout) this.inspect(true);
    else this.connection.destroy();
  }

  private choose(transportProtocol: ChainInput['transportProtocol'], hello: ClientHello): void {
    clearTimeout(this.timer);
    const { connection, destination } = this;
    const chain = this.set.matcherOf(this.listener).match({
      destinationIp: destination.address,
      destinationPort: destination.port,
      serverName: hello.serverName,
      transportProtocol: transportProtocol === '' ? 'raw_buffer' : transportProtocol,
      alpn: hello.alpn,
      sourceIp: connection.remoteAddress,
      sourcePort: connection.remotePort,
    });
    if (chain === undefined) {
      this.stats.counters.no_filter_chain_match++;
      this.listener.record(missRecord(this.listener, connection, addressText(destination), hello.serverName, this.id));
      // What the client sent was never taken: a reset, as from Envoy.
      connection.destroy(true);
      return;
    }
    this.chain = chain;
    if (chain.tls === undefined) this.serve(connection, chain, hello.serverName);
    else this.secure(chain, chain.tls, hello);
  }

  private secure(chain: FilterChainRuntime, tls: DownstreamTlsRuntime, hello: ClientHello): void {
    const context = this.set.environment.contexts.downstream(tls);
    if (context === undefined) {
      this.stats.counters['ssl.connection_error']++;
      this.connection.destroy();
      return;
    }
    const unread = this.peeked ?? Buffer.alloc(0);
    this.peeked = undefined;
    context.acceptor.accept(
      this.connection,
      unread,
      { offeredAlpn: hello.alpn, serverName: hello.serverName, localUriSan: context.localUriSan, timeoutMs: chain.transportSocketConnectTimeoutMs },
      (secured) => this.secured(secured, chain, tls, hello),
      () => {
        this.stats.counters['ssl.connection_error']++;
        this.onClose(undefined);
      },
    );
  }

  private secured(secured: Connection, chain: FilterChainRuntime, tls: DownstreamTlsRuntime, hello: ClientHello): void {
    const { peer } = secured.tls!;
    if (tls.requireClientCertificate && peer === undefined) {
      this.stats.counters['ssl.fail_verify_no_cert']++;
      secured.destroy();
      this.onClose(undefined);
      return;
    }
    if (peer !== undefined && !matchesSan(tls.subjectAltNames, [...peer.uriSans, ...peer.dnsSans])) {
      this.stats.counters['ssl.fail_verify_san']++;
      secured.destroy();
      this.onClose(undefined);
      return;
    }
    if (peer !== undefined && !isPinned(tls.pins, peer)) {
      this.stats.counters['ssl.fail_verify_cert_hash']++;
      secured.destroy();
      this.onClose(undefined);
      return;
    }
    this.stats.counters['ssl.handshake']++;
    (secured as SocketConnection).nameRemote(this.connection.remoteAddress, this.connection.remotePort);
    this.serve(secured as SocketConnection, chain, hello.serverName);
  }

  private serve(connection: SocketConnection, chain: FilterChainRuntime, serverName: string): void {
    const { destination } = this;
    const unread = this.peeked;
    this.peeked = undefined;
    const info = {
      connection,
      id: this.id,
      originalDestination: this.restored ? addressText(destination) : undefined,
      localAddress: addressText(destination),
      remoteAddress: addressText({ address: this.connection.remoteAddress, port: this.connection.remotePort }),
      serverName,
    };
    this.served = this.set.networkFilter(chain.network).serve(connection, info, unread, () => this.onClose(undefined));
  }

  onEnd(): void {
    this.connection.destroy();
  }

  onDrain(): void {}

  onClose(cause: CloseCause): void {
    void cause;
    if (this.closed) return;
    this.closed = true;
    clearTimeout(this.timer);
    if (!this.counted) return this.set.forget(this);
    this.stats.gauges.downstream_cx_active--;
    this.stats.counters.downstream_cx_destroy++;
    this.set.forget(this);
  }

  drain(): void {
    this.served?.drain();
  }

  destroy(): void {
    if (this.served === undefined) this.connection.destroy();
    else this.served.destroy();
  }
}

function addressText({ address, port }: { readonly address: string; readonly port: number }): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
