/** Hosts that requests name: looked up when they are first asked for, kept fresh while they are used. */
import type { Clock, Timer } from '../../base/clock.ts';
import type { DnsCacheSettings } from './dns-cache.ts';
import { isIpAddress } from './endpoints.ts';
import type { ResolveName } from './resolve-name.ts';

export type DynamicHostResult =
  | { readonly kind: 'address'; readonly ip: string }
  /** The name does not resolve. */
  | { readonly kind: 'failure'; readonly reason: string }
  /** The cache is full, or too many wait for it. */
  | { readonly kind: 'overflow'; readonly limit: 'hosts' | 'pending' };

interface Entry {
  /** Undefined: nothing resolved yet, or nothing ever did. */
  ip: string | undefined;
  failure: string;
  usedMs: number;
  /** Told once, at the first answer; undefined afterwards. */
  waiters: Set<(result: DynamicHostResult) => void> | undefined;
  timer: Timer | undefined;
}

/** All caches of a proxy by their name. */
export class DynamicHosts {
  private readonly caches = new Map<string, Map<string, Entry>>();
  private readonly pending = new Map<string, number>();
  private closed = false;

  constructor(private readonly clock: Clock, private readonly resolve: ResolveName) {}

  /** The address of a host. At once when it is known (then nothing is returned), else later; what is returned gives up waiting. */
  find(settings: DnsCacheSettings, host: string, done: (result: DynamicHostResult) => void): (() => void) | undefined {
    if (isIpAddress(host)) return here(done, { kind: 'address', ip: host });
    const name = host.toLowerCase();
    if (!isHostName(name)) return here(done, { kind: 'failure', reason: 'not_a_host_name' });
    const cache = this.cacheOf(settings.name);
    const known = cache.get(name);
    if (known !== undefined && known.waiters === undefined) {
      known.usedMs = this.clock.now();
      return here(done, resultOf(known));
    }
    if ((this.pending.get(settings.name) ?? 0) >= settings.maxPending) return here(done, { kind: 'overflow', limit: 'pending' });
    if (known === undefined && cache.size >= settings.maxHosts) return here(done, { kind: 'overflow', limit: 'hosts' });
    const entry: Entry = known ?? { ip: undefined, failure: '', usedMs: this.clock.now(), waiters: new Set(), timer: undefined };
    const waiters = entry.waiters!;
    waiters.add(done);
    this.count(settings, 1);
    if (known === undefined) {
      cache.set(name, entry);
      void this.look(settings, name, entry);
    }
    return () => {
      if (waiters.delete(done)) this.count(settings, -1);
    };
  }

  /** How many hosts a cache knows. */
  size(cache: string): number {
    return this.caches.get(cache)?.size ?? 0;
  }

  close(): void {
    this.closed = true;
    for (const cache of this.caches.values()) for (const entry of cache.values()) entry.timer?.cancel();
    this.caches.clear();
  }

  private cacheOf(name: string): Map<string, Entry> {
    let cache = this.caches.get(name);
    if (cache === undefined) this.caches.set(name, (cache = new Map<string, Entry>()));
    return cache;
  }

  private count(settings: DnsCacheSettings, by: number): void {
    this.pending.set(settings.name, (this.pending.get(settings.name) ?? 0) + by);
  }

  private async look(settings: DnsCacheSettings, name: string, entry: Entry): Promise<void> {
    try {
      const addresses = await this.inTime(settings, name);
      const wanted = settings.prefer === undefined ? addresses : addresses.filter((address) => address.includes(':') === (settings.prefer === 6));
      const ip = wanted[0] ?? addresses[0];
      if (ip !== undefined) entry.ip = ip;
      else entry.failure = 'no_addresses';
    } catch (error) {
      // An address that was good stays until a better one is known.
      entry.failure = error instanceof Error && 'code' in error ? String(error.code) : 'failed';
    }
    if (this.closed) return;
    const { waiters } = entry;
    entry.waiters = undefined;
    for (const waiter of waiters ?? []) {
      this.count(settings, -1);
      waiter(resultOf(entry));
    }
    entry.timer = this.clock.after(settings.refreshMs, () => this.refresh(settings, name, entry));
  }

  private inTime(settings: DnsCacheSettings, name: string): Promise<readonly string[]> {
    return new Promise((resolve, reject) => {
      const timer = this.clock.after(settings.queryTimeoutMs, () => reject(Object.assign(new Error(`no answer for ${name}`), { code: 'timeout' })));
      this.resolve(name, settings.family).then(resolve, reject).finally(() => timer.cancel());
    });
  }

  private refresh(settings: DnsCacheSettings, name: string, entry: Entry): void {
    if (this.clock.now() - entry.usedMs >= settings.hostTtlMs) this.caches.get(settings.name)?.delete(name);
    else void this.look(settings, name, entry);
  }
}

/** Answers at once. */
function here(done: (result: DynamicHostResult) => void, result: DynamicHostResult): undefined {
  done(result);
}

function resultOf(entry: Entry): DynamicHostResult {
  return entry.ip === undefined ? { kind: 'failure', reason: entry.failure } : { kind: 'address', ip: entry.ip };
}

/** What a resolver may be asked: letters, digits, `-`, `_` and dots, at most 253. Requests are written by strangers. */
function isHostName(name: string): boolean {
  return name.length <= 253 && /^[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*\.?$/.test(name);
}

/** Splits an authority into host and port; `port` where it names none. Undefined when it is malformed. */
export function splitAuthority(authority: string, port: number): { readonly host: string; readonly port: number } | undefined {
  const parts = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(authority);
  if (parts === null) return undefined;
  const number = parts[3] === undefined ? port : Number(parts[3]);
  return number < 1 || number > 65_535 ? undefined : { host: parts[1] ?? parts[2]!, port: number };
}
