import { NO_REQUEST, type PeerMetadata, type ResponseFlag, type TrafficRecord } from '../../telemetry/traffic-record.ts';
import type { Cluster, Host, Permit } from '../cluster/cluster.ts';
import type { TcpProxyRuntime } from '../config/runtime.ts';
import type { ProxyEnvironment } from '../environment.ts';
import type { DynamicMetadata } from '../filters/dynamic-metadata.ts';
import type { NetworkContext, NetworkVerdict } from '../filters/network-filter.ts';
import type { HttpConnectionInfo } from '../hcm/connection-info.ts';
import { flagOf } from '../router/reset-reply.ts';
import type { CloseCause, Connection, ConnectionSink } from '../io/connection.ts';
import { connectHost } from '../router/connect-host.ts';
import { sideCalls } from '../router/side-call.ts';
import { proxiedAddresses } from '../router/proxy-header.ts';
import type { TcpStats } from '../stats.ts';
import { openTunnel } from './tunnel.ts';
import { EXCHANGE_ALPN, ExchangeReader, exchangeMessage } from './metadata-exchange.ts';

/** How often counters of a living connection are reported. */
const REPORT_MS = 5000;
/** Above this many bytes in one direction the source reads into memory of its own, and nothing is copied any more. */
const OWN_BUFFER_BYTES = 65_536;

/** One proxied TCP connection: choose, connect, splice, record. */
export class TcpSession {
  private readonly startMs = Date.now();
  private readonly startedAt = performance.now();
  private readonly flags: ResponseFlag[] = [];
  private cluster: Cluster | undefined;
  private clusterName = '';
  private host: Host | undefined;
  private upstream: Connection | undefined;
  private permit: Permit | undefined;
  private abandon: (() => void) | undefined;
  private attempts = 0;
  private terminationDetails = '';
  private readonly metadata: DynamicMetadata = new Map();
  private transportFailure = '';
  private received = 0;
  private sent = 0;
  private reportedReceived = 0;
  private reportedSent = 0;
  private downstreamEnded = false;
  private upstreamEnded = false;
  private over = false;
  /** Filters that want to know of the end. */
  private readonly closers: (() => void)[] = [];
  private early: Buffer[] = [];
  /** Set while a side's metadata is still to come. */
  private downstreamExchange: ExchangeReader | undefined;
  private upstreamExchange: ExchangeReader | undefined;
  private peer: PeerMetadata | undefined;
  private greeted = false;
  private opened = false;
  /** Where a cluster whose hosts come by name is to go. */
  private destination: string | undefined;
  private idle: NodeJS.Timeout | undefined;
  private reporter: NodeJS.Timeout | undefined;
  private readonly stats: TcpStats;

  constructor(
    private readonly environment: ProxyEnvironment,
    private readonly config: TcpProxyRuntime,
    private readonly downstream: Connection,
    private readonly info: HttpConnectionInfo,
    private readonly onClosed: () => void,
  ) {
    this.stats = environment.stats.tcpProxy(config.statPrefix);
    this.stats.counters.downstream_cx_total++;
    this.stats.gauges.downstream_cx_active++;
  }

  start(unread: Buffer | undefined): void {
    this.downstream.sink = this.downstreamSink;
    if (this.downstream.tls?.alpn === EXCHANGE_ALPN) this.downstreamExchange = new ExchangeReader();
    else this.downstream.pause();
    if (unread !== undefined && unread.length > 0) this.downstreamSink.onData(unread, 0, unread.length);
    this.ask(0);
  }

  private get filterContext(): NetworkContext {
    const { managers } = this.environment.stats;
    return { info: this.info, metadata: this.metadata, sideCall: sideCalls(this.environment), dynamicHosts: this.environment.dynamicHosts, useDestination: (address) => void (this.destination = address), onClose: (done) => void this.closers.push(done), count: (name) => void (managers[name] = (managers[name] ?? 0) + 1) };
  }

  /** The filters in front, one after the other. */
  private ask(from: number): void {
    const { filters } = this.config;
    if (filters === undefined || from >= filters.length) this.proceed();
    else this.obey(filters[from]!.onConnection(this.filterContext), from);
  }

  private obey(verdict: NetworkVerdict, index: number): void {
    if (verdict.kind === 'continue') this.ask(index + 1);
    else if (verdict.kind === 'close') {
      this.terminationDetails = verdict.details;
      this.refuse(verdict.flag);
    } else
      this.abandon = verdict.start((later) => {
        this.abandon = undefined;
        if (!this.over) this.obey(later, index);
      });
  }

  private proceed(): void {
    this.clusterName = this.chooseCluster();
    this.cluster = this.environment.clusters().get(this.clusterName);
    if (this.cluster === undefined) {
      this.stats.counters.downstream_cx_no_route++;
      this.refuse('NC');
    } else this.connect(this.cluster);
  }

  private chooseCluster(): string {
    const { clusters, totalWeight } = this.config;
    if (clusters.length <= 1) return clusters[0]?.name ?? '';
    let rest = this.environment.random() * totalWeight;
    for (const { name, weight } of clusters) {
      rest -= weight;
      if (rest < 0) return name;
    }
    return clusters.at(-1)!.name;
  }

  private connect(cluster: Cluster): void {
    const hashKey = this.config.hashSourceIp ? this.downstream.remoteAddress : undefined;
    const host = cluster.pick({ hashKey, previous: [], originalDestination: cluster.dynamicPort === undefined ? this.info.originalDestination : this.destination, random: this.environment.random });
    if (host === undefined) {
      cluster.stats.counters.upstream_cx_none_healthy++;
      this.refuse('UH');
      return;
    }
    this.host = host;
    const permit = cluster.admit('connection');
    if (permit === undefined) {
      cluster.stats.counters.upstream_cx_overflow++;
      this.refuse('UO');
      return;
    }
    this.permit = permit;
    this.attempts++;
    host.activeConnections++;
    cluster.stats.gauges.upstream_cx_active++;
    this.abandon = connectHost({ cluster, host, alpn: undefined, serverName: this.info.serverName, proxied: proxiedAddresses(this.info) }, this.environment.contexts, {
      onConnect: (connection) => this.connected(connection),
      onFailure: (reason, transportFailure) => {
        this.abandon = undefined;
        this.releaseUpstream();
        this.connectFailed(cluster, host, flagOf(reason), transportFailure);
      },
    });
  }

  private connectFailed(cluster: Cluster, host: Host, flag: ResponseFlag, reason: string): void {
    this.transportFailure = reason;
    cluster.report(host, { kind: 'connect-failure' });
    if (this.attempts < this.config.maxConnectAttempts) {
      this.connect(cluster);
      return;
    }
    cluster.stats.counters.upstream_cx_connect_attempts_exceeded++;
    this.flags.push(flag);
    this.refuse('URX');
  }

  private connected(upstream: Connection): void {
    const { tunnel } = this.config;
    if (tunnel === undefined) {
      this.splice(upstream);
      return;
    }
    // Given up meanwhile, the connection goes with it.
    this.abandon = () => upstream.destroy();
    openTunnel(upstream, tunnel, this.cluster!.protocol === 'http2', {
      onOpen: (connection, rest) => {
        this.splice(connection);
        if (rest.length > 0) this.upstreamSink.onData(rest, 0, rest.length);
      },
      onRefused: (reason) => {
        this.abandon = undefined;
        upstream.destroy();
        this.releaseUpstream();
        this.connectFailed(this.cluster!, this.host!, 'UF', reason);
      },
    });
  }

  private splice(upstream: Connection): void {
    this.abandon = undefined;
    this.upstream = upstream;
    this.cluster!.report(this.host!, { kind: 'connected', final: true });
    upstream.sink = this.upstreamSink;
    if (upstream.tls?.alpn === EXCHANGE_ALPN) {
      const message = exchangeMessage(this.environment.node);
      upstream.writeBytes(message, 0, message.length);
      this.upstreamExchange = new ExchangeReader();
    }
    for (const chunk of this.early.splice(0)) upstream.writeBytes(chunk, 0, chunk.length);
    if (this.downstreamEnded) upstream.end();
    this.armIdle();
    if (this.config.progress !== undefined) this.reporter = setInterval(() => this.report('interval'), REPORT_MS).unref();
    this.reportOpen(false);
    this.downstream.resume();
  }

  private readonly downstreamSink: ConnectionSink = {
    onData: (buffer, start, end) => {
      if (this.downstreamExchange !== undefined) {
        this.exchangeDownstream(this.downstreamExchange, buffer, start, end);
        return;
      }
      this.received += end - start;
      this.idle?.refresh();
      const { upstream } = this;
      if (upstream === undefined) {
        this.early.push(Buffer.from(buffer.subarray(start, end)));
        return;
      }
      if (this.received > OWN_BUFFER_BYTES) this.downstream.readIntoOwnBuffer(true);
      if (!upstream.writeBytes(buffer, start, end)) this.downstream.pause();
    },
    onEnd: () => {
      this.downstreamEnded = true;
      this.upstream?.end();
      this.closeWhenBothEnded();
    },
    onDrain: () => this.upstream?.resume(),
    onClose: (cause) => this.closed(this.upstream, cause),
  };

  private readonly upstreamSink: ConnectionSink = {
    onData: (buffer, start, end) => {
      if (this.upstreamExchange !== undefined) {
        const rest = this.upstreamExchange.feed(buffer, start, end);
        if (rest === undefined) return;
        this.peer = this.upstreamExchange.peer;
        this.upstreamExchange = undefined;
        this.reportOpen(false);
        if (rest.length > 0) this.upstreamSink.onData(rest, 0, rest.length);
        return;
      }
      if (this.downstreamExchange !== undefined) this.greetDownstream();
      this.sent += end - start;
      this.idle?.refresh();
      if (this.sent > OWN_BUFFER_BYTES) this.upstream!.readIntoOwnBuffer(true);
      if (!this.downstream.writeBytes(buffer, start, end)) this.upstream!.pause();
    },
    onEnd: () => {
      this.upstreamEnded = true;
      this.downstream.end();
      this.closeWhenBothEnded();
    },
    onDrain: () => this.downstream.resume(),
    onClose: (cause) => this.closed(this.downstream, cause),
  };

  /** The client's proxy speaks first; ours answers with its own metadata. */
  private exchangeDownstream(reader: ExchangeReader, buffer: Buffer, start: number, end: number): void {
    const rest = reader.feed(buffer, start, end);
    if (rest === undefined) return;
    this.downstreamExchange = undefined;
    this.peer = reader.peer;
    this.greetDownstream();
    this.reportOpen(false);
    if (this.upstream === undefined) this.downstream.pause();
    if (rest.length > 0) this.downstreamSink.onData(rest, 0, rest.length);
  }

  /** Our metadata, before anything else that goes to the client. */
  private greetDownstream(): void {
    if (this.greeted) return;
    this.greeted = true;
    const message = exchangeMessage(this.environment.node);
    this.downstream.writeBytes(message, 0, message.length);
  }

  private closeWhenBothEnded(): void {
    if (!this.downstreamEnded || !this.upstreamEnded) return;
    this.downstream.close();
    this.upstream?.close();
  }

  /** One side is gone: the other follows, with a reset when the first was reset. */
  private closed(other: Connection | undefined, cause: CloseCause): void {
    if (other !== undefined && !other.destroyed) {
      if (cause === undefined) other.close();
      else other.destroy(true);
    }
    this.finish();
  }

  private refuse(flag: ResponseFlag | undefined): void {
    if (flag !== undefined) this.flags.push(flag);
    this.downstream.close();
    this.finish();
  }

  private armIdle(): void {
    if (this.config.idleTimeoutMs <= 0) return;
    this.idle = setTimeout(() => {
      this.stats.counters.idle_timeout++;
      this.downstream.close();
      this.upstream?.close();
    }, this.config.idleTimeoutMs).unref();
  }

  private releaseUpstream(): void {
    if (this.permit === undefined) return;
    this.permit.release();
    this.permit = undefined;
    this.host!.activeConnections--;
    this.cluster!.stats.gauges.upstream_cx_active--;
  }

  /** Once, as soon as the peer is known: what is counted at the open must have the labels of the close. */
  private reportOpen(last: boolean): void {
    if (this.opened || this.upstream === undefined) return;
    if (!last && (this.upstreamExchange !== undefined || this.downstreamExchange !== undefined)) return;
    this.opened = true;
    this.report('open');
  }

  private report(phase: 'open' | 'interval'): void {
    if (!this.opened) return;
    const receivedBytes = this.received - this.reportedReceived;
    const sentBytes = this.sent - this.reportedSent;
    if (phase === 'interval') {
      this.reportedReceived = this.received;
      this.reportedSent = this.sent;
    }
    this.config.progress?.({ phase, receivedBytes, sentBytes, record: () => this.record() });
  }

  private finish(): void {
    if (this.over) return;
    this.over = true;
    clearTimeout(this.idle);
    clearInterval(this.reporter);
    this.abandon?.();
    this.releaseUpstream();
    if (this.upstream !== undefined) {
      this.reportOpen(true);
      this.report('interval');
    }
    this.stats.gauges.downstream_cx_active--;
    this.stats.counters.downstream_cx_rx_bytes_total += this.received;
    this.stats.counters.downstream_cx_tx_bytes_total += this.sent;
    this.config.record(this.record());
    for (const done of this.closers) done();
    this.onClosed();
  }

  private record(): TrafficRecord {
    const { config, info, upstream, host } = this;
    const tls = config.direction === 'inbound' ? info.connection.tls : upstream?.tls;
    return {
      direction: config.direction,
      protocol: 'tcp',
      startMs: this.startMs,
      durationMs: performance.now() - this.startedAt,
      responseCode: 0,
      responseCodeDetails: '',
      responseFlags: this.flags,
      connectionTerminationDetails: this.terminationDetails,
      upstreamTransportFailureReason: this.transportFailure,
      bytesReceived: this.received,
      bytesSent: this.sent,
      wireBytesReceived: this.received,
      wireBytesSent: this.sent,
      ...NO_REQUEST,
      upstreamCluster: this.clusterName,
      upstreamHost: host?.address ?? '',
      upstreamLocalAddress: upstream === undefined ? '' : `${upstream.localAddress}:${upstream.localPort}`,
      downstreamLocalAddress: info.localAddress,
      downstreamRemoteAddress: info.remoteAddress,
      requestedServerName: info.serverName,
      attempts: this.attempts,
      peerPrincipal: tls?.peer?.uriSans[0] ?? '',
      localPrincipal: tls?.localUriSan ?? '',
      peer: this.peer ?? (config.direction === 'inbound' ? undefined : host?.workload),
      destinationService: this.cluster?.service,
      connectionId: info.id,
    };
  }
}
