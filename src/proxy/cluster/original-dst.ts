/** Hosts of ORIGINAL_DST clusters: made when a connection asks for them, dropped when nobody used them for a while. */
import type { Clock, Timer } from '../../base/clock.ts';
import { joinAddress } from './endpoints.ts';
import { ClusterHost } from './host.ts';

const CLEANUP_MS = 5000;

/** One cluster's hosts by `ip:port`. */
export class OriginalDstHosts {
  private readonly hosts = new Map<string, { readonly host: ClusterHost; used: boolean }>();
  private timer: Timer | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly onAdded: (host: ClusterHost) => void,
    private readonly onDropped: (hosts: ReadonlySet<ClusterHost>) => void,
  ) {}

  /** The host of a destination; `port` overrides the destination's. Undefined when the text is no address. */
  of(destination: string, port: number | undefined): ClusterHost | undefined {
    const parsed = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(destination);
    if (!parsed) return undefined;
    const ip = parsed[1] ?? parsed[2]!;
    const address = joinAddress(ip, port ?? Number(parsed[3]));
    const known = this.hosts.get(address);
    if (known) {
      known.used = true;
      return known.host;
    }
    const spec = { address, ip, port: port ?? Number(parsed[3]), hostname: '', weight: 1, priority: 0, locality: '', localityWeight: 0, healthy: true, edsStatus: 'HEALTHY', transportMatch: {}, workload: undefined } as const;
    const host = new ClusterHost(spec, this.clock.now());
    this.hosts.set(address, { host, used: true });
    this.onAdded(host);
    this.timer ??= this.clock.after(CLEANUP_MS, () => this.clean());
    return host;
  }

  close(): void {
    this.timer?.cancel();
    this.hosts.clear();
  }

  private clean(): void {
    const gone = new Set<ClusterHost>();
    for (const [address, entry] of this.hosts) {
      if (!entry.used && entry.host.activeConnections === 0 && entry.host.activeRequests === 0) {
        entry.host.removed = true;
        gone.add(entry.host);
        this.hosts.delete(address);
      }
      entry.used = false;
    }
    if (gone.size > 0) this.onDropped(gone);
    this.timer = this.hosts.size > 0 ? this.clock.after(CLEANUP_MS, () => this.clean()) : undefined;
  }
}
