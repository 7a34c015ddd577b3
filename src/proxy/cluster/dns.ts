/** Host names to addresses, again and again. */
import type { Clock, Timer } from '../../base/clock.ts';
import type { ClusterSettings } from './compile.ts';
import type { ResolveName } from './resolve-name.ts';

/** Keeps the addresses of a set of names fresh. The last known addresses stay while resolution fails. */
export class DnsRefresher {
  private readonly known = new Map<string, readonly string[]>();
  private timer: Timer | undefined;
  private closed = false;

  constructor(
    private readonly names: readonly string[],
    private readonly dns: ClusterSettings['dns'],
    private readonly clock: Clock,
    private readonly resolve: ResolveName,
    /** `ready`: every name was tried at least once. `failed` counts names that did not resolve this time. */
    private readonly onRefresh: (addresses: ReadonlyMap<string, readonly string[]>, failed: number) => void,
  ) {
    void this.refresh();
  }

  close(): void {
    this.closed = true;
    this.timer?.cancel();
  }

  private async refresh(): Promise<void> {
    const results = await Promise.allSettled(this.names.map((name) => this.resolve(name, this.dns.family)));
    if (this.closed) return;
    let failed = 0;
    for (const [index, result] of results.entries()) {
      if (result.status === 'fulfilled') this.known.set(this.names[index]!, preferred(result.value, this.dns.prefer));
      else failed++;
    }
    this.onRefresh(this.known, failed);
    this.timer = this.clock.after(this.dns.refreshMs, () => void this.refresh());
  }
}

function preferred(addresses: readonly string[], prefer: 4 | 6 | undefined): readonly string[] {
  if (prefer === undefined) return addresses;
  const wanted = addresses.filter((address) => address.includes(':') === (prefer === 6));
  return wanted.length > 0 ? wanted : addresses;
}
