import type { Host, UpstreamTls } from '../cluster/cluster.ts';
import type { TlsContexts } from '../tls/contexts.ts';
import type { HostTarget } from './connect-host.ts';
import { HostPool } from './host-pool.ts';

/** How often hosts that EDS dropped are looked for. */
const SWEEP_MS = 2000;

interface RecentPool {
  readonly pool: HostPool;
  readonly tls: UpstreamTls | undefined;
  readonly protocol: 'http1' | 'http2';
}

function sameTarget(a: HostTarget, b: HostTarget): boolean {
  return a.cluster === b.cluster && a.alpn === b.alpn && a.serverName === b.serverName;
}

/** All upstream pools of the proxy: per host, transport and protocol. */
export class UpstreamPools {
  private readonly pools = new Map<Host, Map<string, HostPool>>();
  private readonly transports = new WeakMap<UpstreamTls, number>();
  /** What was asked of a host last, which is nearly always what is asked next: found without making a key. */
  private readonly recent = new WeakMap<Host, RecentPool>();
  private nextTransport = 1;
  private readonly sweeper: NodeJS.Timeout;

  constructor(readonly contexts: TlsContexts) {
    this.sweeper = setInterval(() => this.sweep(), SWEEP_MS).unref();
  }

  /** The pool for a target; made when there is none. */
  pool(target: HostTarget, protocol: 'http1' | 'http2'): HostPool {
    const { cluster, host } = target;
    const { tls, proxyProtocol } = cluster.transportFor(host);
    const recent = this.recent.get(host);
    if (recent !== undefined && target.proxied === undefined && recent.tls === tls && recent.protocol === protocol && sameTarget(recent.pool.target, target)) return recent.pool;
    // A connection that names its client serves this client only.
    const client = proxyProtocol && target.proxied ? JSON.stringify(target.proxied) : '';
    const key = `${cluster.name}|${protocol}|${this.transportKey(tls, target)}|${client}`;
    let ofHost = this.pools.get(host);
    if (ofHost === undefined) this.pools.set(host, (ofHost = new Map()));
    let pool = ofHost.get(key);
    // A cluster replaced by CDS brings new breakers, stats and timeouts: connections opened under the old one serve out.
    if (pool !== undefined && pool.target.cluster !== cluster) {
      pool.retire();
      pool = undefined;
    }
    if (pool === undefined) {
      const made = new HostPool(target, protocol, this.contexts, () => this.drop(host, key, made));
      pool = made;
      ofHost.set(key, made);
    }
    if (target.proxied === undefined) this.recent.set(host, { pool, tls, protocol });
    return pool;
  }

  close(): void {
    clearInterval(this.sweeper);
    for (const ofHost of this.pools.values()) for (const pool of ofHost.values()) pool.destroy();
    this.pools.clear();
  }

  private transportKey(tls: UpstreamTls | undefined, target: HostTarget): string {
    if (tls === undefined) return '';
    let id = this.transports.get(tls);
    if (id === undefined) this.transports.set(tls, (id = this.nextTransport++));
    return `${id}|${target.alpn?.join(',') ?? ''}|${tls.autoSni ? (target.serverName ?? '') : ''}`;
  }

  private drop(host: Host, key: string, pool: HostPool): void {
    const ofHost = this.pools.get(host);
    if (this.recent.get(host)?.pool === pool) this.recent.delete(host);
    if (ofHost?.get(key) !== pool) return;
    ofHost.delete(key);
    if (ofHost.size === 0) this.pools.delete(host);
  }

  private sweep(): void {
    for (const [host, ofHost] of this.pools) if (host.removed) for (const pool of ofHost.values()) pool.retire();
  }
}
