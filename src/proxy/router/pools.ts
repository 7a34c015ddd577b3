import type { Host, UpstreamTls } from '../cluster/cluster.ts';
import type { TlsContexts } from '../tls/contexts.ts';
import type { HostTarget } from './connect-host.ts';
import { HostPool } from './host-pool.ts';

/** How often hosts that EDS dropped are looked for. */
const SWEEP_MS = 2000;

/** All upstream pools of the proxy: per host, transport and protocol. */
export class UpstreamPools {
  private readonly pools = new Map<Host, Map<string, HostPool>>();
  private readonly transports = new WeakMap<UpstreamTls, number>();
  private nextTransport = 1;
  private readonly sweeper: NodeJS.Timeout;

  constructor(readonly contexts: TlsContexts) {
    this.sweeper = setInterval(() => this.sweep(), SWEEP_MS).unref();
  }

  /** The pool for a target; made when there is none. */
  pool(target: HostTarget, protocol: 'http1' | 'http2'): HostPool {
    const { cluster, host } = target;
    const { tls, proxyProtocol } = cluster.transportFor(host);
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
    if (ofHost?.get(key) !== pool) return;
    ofHost.delete(key);
    if (ofHost.size === 0) this.pools.delete(host);
  }

  private sweep(): void {
    for (const [host, ofHost] of this.pools) if (host.removed) for (const pool of ofHost.values()) pool.retire();
  }
}
