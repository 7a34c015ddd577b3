import type { SecretSource, TlsSecret } from '../../xds/secret-source.ts';

interface Entry {
  secret: TlsSecret | undefined;
  readonly watchers: Set<() => void>;
  stop: () => void;
}

/** Current secrets by SDS name; a name is watched from its first use on. */
export class SecretCache {
  private readonly entries = new Map<string, Entry>();

  constructor(private readonly source: SecretSource) {}

  /** The secret, or undefined while it has not come. */
  get(name: string): TlsSecret | undefined {
    return this.entry(name).secret;
  }

  /** Calls back on every change, not now. */
  onChange(name: string, changed: () => void): () => void {
    const { watchers } = this.entry(name);
    watchers.add(changed);
    return () => void watchers.delete(changed);
  }

  /** Resolves when the secret is there, or after the time. */
  arrived(name: string, waitMs: number): Promise<void> {
    if (this.get(name) !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        stop();
        resolve();
      };
      const timer = setTimeout(done, waitMs);
      const stop = this.onChange(name, done);
    });
  }

  /** Every known secret, for the admin page. */
  *known(): IterableIterator<TlsSecret> {
    for (const { secret } of this.entries.values()) if (secret !== undefined) yield secret;
  }

  close(): void {
    for (const entry of this.entries.values()) entry.stop();
    this.entries.clear();
  }

  private entry(name: string): Entry {
    let entry = this.entries.get(name);
    if (entry !== undefined) return entry;
    const made: Entry = { secret: undefined, watchers: new Set(), stop: () => {} };
    entry = made;
    this.entries.set(name, made);
    made.stop = this.source.watch(name, (secret) => {
      made.secret = secret;
      for (const watcher of made.watchers) watcher();
    });
    return made;
  }
}
