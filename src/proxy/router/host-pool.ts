import type { Permit } from '../cluster/cluster.ts';
import type { RequestHead } from '../http/message.ts';
import type { ClientStream, ResetReason, ResponseReceiver } from '../http/stream.ts';
import { H1ClientConnection } from '../http/h1-client.ts';
import { H2ClientConnection } from '../http2/client.ts';
import { STREAMS_BEFORE_SETTINGS } from '../http2/constants.ts';
import type { Connection, PeerCertificate } from '../io/connection.ts';
import { IdleTimer } from '../io/idle-timer.ts';
import type { TlsContexts } from '../tls/contexts.ts';
import { connectHost } from './connect-host.ts';
import type { HostTarget } from './connect-host.ts';

/** A connection that can take a request now. */
export interface ReadyConnection {
  readonly localAddress: string;
  readonly peer: PeerCertificate | undefined;
  readonly localUriSan: string;
  /** Hands the connection back without a request. */
  release(): void;
  start(head: RequestHead, upgrade: string | undefined, end: boolean, receiver: ResponseReceiver): ClientStream;
}

/** A request that waits for a connection; one of the callbacks is called, once, unless it is withdrawn. */
export interface PoolWaiter {
  onReady(connection: ReadyConnection): void;
  onFailure(reason: ResetReason, transportFailure: string): void;
}

interface Member {
  readonly permit: Permit | undefined;
  h1: H1ClientConnection | undefined;
  h2: H2ClientConnection | undefined;
  ready: ReadyConnection | undefined;
  readonly idle: IdleTimer;
  gone: boolean;
}

/** Connections to one host that speak one protocol over one transport. Idle ones are used last-in first-out, so that spare ones age and close. */
export class HostPool {
  private readonly idle: Member[] = [];
  private readonly members = new Set<Member>();
  private readonly waiters: { readonly waiter: PoolWaiter; readonly permit: Permit }[] = [];
  private readonly abandons = new Set<() => void>();

  constructor(
    readonly target: HostTarget,
    readonly protocol: 'http1' | 'http2',
    private readonly contexts: TlsContexts,
    private readonly onEmpty: () => void,
  ) {}

  /** Finds or opens a connection. Calls back at once when one is idle. Returns how to withdraw, or undefined when it already called back. */
  acquire(waiter: PoolWaiter): (() => void) | undefined {
    const ready = this.protocol === 'http1' ? this.popIdle() : this.findSession();
    if (ready !== undefined) {
      waiter.onReady(ready);
      return undefined;
    }
    const { cluster } = this.target;
    const permit = cluster.admit('pending');
    if (permit === undefined) {
      cluster.stats.counters.upstream_rq_pending_overflow++;
      waiter.onFailure('overflow', '');
      return undefined;
    }
    cluster.stats.counters.upstream_rq_pending_total++;
    const entry = { waiter, permit };
    this.waiters.push(entry);
    this.openIfNeeded();
    return () => {
      const index = this.waiters.indexOf(entry);
      if (index < 0) return;
      this.waiters.splice(index, 1);
      permit.release();
    };
  }

  /** Closes what is idle now and the rest when it becomes idle; for hosts that are gone. */
  retire(): void {
    for (const member of this.idle.splice(0)) this.closeMember(member);
    for (const member of this.members) if (member.h2 !== undefined) member.h2.close();
  }

  get empty(): boolean {
    return this.members.size === 0 && this.waiters.length === 0 && this.abandons.size === 0;
  }

  destroy(): void {
    for (const abandon of this.abandons) abandon();
    this.abandons.clear();
    for (const member of this.members) this.closeMember(member);
  }

  private popIdle(): ReadyConnection | undefined {
    for (;;) {
      const member = this.idle.pop();
      if (member === undefined) return undefined;
      member.idle.busy();
      if (member.h1?.usable === true) return member.ready;
      this.forget(member);
    }
  }

  private findSession(): ReadyConnection | undefined {
    const limit = this.target.cluster.maxRequestsPerConnection;
    for (const member of this.members) {
      if (member.h2?.usable !== true) continue;
      if (limit > 0 && member.h2.requests >= limit) {
        this.target.cluster.stats.counters.upstream_cx_max_requests++;
        member.h2.close();
        continue;
      }
      member.idle.busy();
      return member.ready;
    }
    return undefined;
  }

  private openIfNeeded(): void {
    const { cluster, host } = this.target;
    const perConnection = this.protocol === 'http2' ? Math.min(STREAMS_BEFORE_SETTINGS, cluster.maxConcurrentStreams || STREAMS_BEFORE_SETTINGS) : 1;
    if (this.abandons.size >= Math.ceil(this.waiters.length / perConnection)) return;
    const permit = cluster.admit('connection');
    if (permit === undefined) cluster.stats.counters.upstream_cx_overflow++;
    // A host without any connection gets one whatever the limit says, or its requests would wait for ever.
    if (permit === undefined && this.members.size + this.abandons.size > 0) return;
    host.activeConnections++;
    cluster.stats.gauges.upstream_cx_active++;
    let abandoned = false;
    const abandon = connectHost(this.target, this.contexts, {
      onConnect: (connection) => {
        if (abandoned) return;
        this.abandons.delete(abandonThis);
        this.adopt(connection, permit);
      },
      onFailure: (reason, transportFailure) => {
        if (abandoned) return;
        this.abandons.delete(abandonThis);
        this.released(permit);
        this.failWaiters(reason, transportFailure);
      },
    });
    const abandonThis = (): void => {
      abandoned = true;
      abandon();
      this.released(permit);
    };
    this.abandons.add(abandonThis);
  }

  private released(permit: Permit | undefined): void {
    const { cluster, host } = this.target;
    permit?.release();
    host.activeConnections--;
    cluster.stats.gauges.upstream_cx_active--;
    cluster.stats.counters.upstream_cx_destroy++;
  }

  /** Fails the requests that no other connection attempt can still serve, oldest first. */
  private failWaiters(reason: ResetReason, transportFailure: string): void {
    const left = this.protocol === 'http2' ? (this.abandons.size > 0 ? this.waiters.length : 0) : this.abandons.size;
    const failing = this.waiters.splice(0, Math.max(0, this.waiters.length - left));
    for (const { waiter, permit } of failing) {
      permit.release();
      waiter.onFailure(reason, transportFailure);
    }
    if (this.empty) this.onEmpty();
  }

  private adopt(connection: Connection, permit: Permit | undefined): void {
    const member: Member = { permit, h1: undefined, h2: undefined, ready: undefined, idle: new IdleTimer(() => this.idleTooLong(member)), gone: false };
    this.members.add(member);
    const { stats } = this.target.cluster;
    const facts = { localAddress: `${connection.localAddress}:${connection.localPort}`, peer: connection.tls?.peer, localUriSan: connection.tls?.localUriSan ?? '' };
    if (this.protocol === 'http1') {
      stats.counters.upstream_cx_http1_total++;
      const h1 = new H1ClientConnection(connection, { onIdle: () => this.becameIdle(member), onClosed: () => this.forget(member) });
      member.h1 = h1;
      member.ready = { ...facts, release: () => this.becameIdle(member), start: (head, upgrade, end, receiver) => h1.start(head, upgrade, end, receiver) };
      this.becameIdle(member);
      return;
    }
    stats.counters.upstream_cx_http2_total++;
    const h2 = new H2ClientConnection(connection, { onCapacity: () => this.hasCapacity(member), onClosed: () => this.forget(member) }, this.target.cluster.maxConcurrentStreams);
    member.h2 = h2;
    member.ready = { ...facts, release: () => {}, start: (head, upgrade, end, receiver) => h2.start(head, end, receiver, upgrade) };
    this.serveWaiters(member);
  }

  /** A stream of an HTTP/2 connection ended, or its host takes more of them. */
  private hasCapacity(member: Member): void {
    if (this.waiters.length > 0) this.serveWaiters(member);
    else if (member.h2?.activeStreams === 0) this.armIdle(member);
  }

  private serveWaiters(member: Member): void {
    while (member.h2?.usable === true) {
      const next = this.waiters.shift();
      if (next === undefined) return;
      next.permit.release();
      next.waiter.onReady(member.ready!);
    }
    this.openForRest();
  }

  private openForRest(): void {
    if (this.waiters.length > 0) this.openIfNeeded();
  }

  private becameIdle(member: Member): void {
    const { cluster, host } = this.target;
    const limit = cluster.maxRequestsPerConnection;
    if (limit > 0 && member.h1!.requests >= limit) {
      cluster.stats.counters.upstream_cx_max_requests++;
      this.closeMember(member);
      this.openForRest();
      return;
    }
    const next = this.waiters.shift();
    if (next !== undefined) {
      next.permit.release();
      next.waiter.onReady(member.ready!);
      return;
    }
    if (host.removed) {
      this.closeMember(member);
      return;
    }
    this.idle.push(member);
    this.armIdle(member);
  }

  private armIdle(member: Member): void {
    if (!member.gone) member.idle.idle(this.target.cluster.idleTimeoutMs);
  }

  private idleTooLong(member: Member): void {
    if (!this.idle.includes(member) && member.h2?.activeStreams !== 0) return;
    this.target.cluster.stats.counters.upstream_cx_idle_timeout++;
    this.closeMember(member);
  }

  private closeMember(member: Member): void {
    member.h1?.close();
    member.h2?.close();
    this.forget(member);
  }

  private forget(member: Member): void {
    if (member.gone) return;
    member.gone = true;
    member.idle.stop();
    this.members.delete(member);
    const index = this.idle.indexOf(member);
    if (index >= 0) this.idle.splice(index, 1);
    this.released(member.permit);
    this.openForRest();
    if (this.empty) this.onEmpty();
  }
}
