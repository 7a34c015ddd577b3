/** The part both stores share: the current objects in key order, the window of past events, and the watchers. */
import type { KubeObject } from '../../../objects/meta.ts';
import { deepFreeze, shareUnchanged } from '../json.ts';
import { keepEncoded } from './encoded.ts';
import { RevisionCompacted, type StoredEntry, type StoreEvent } from './store.ts';

interface Watcher {
  readonly prefix: string;
  /** Events up to this revision were delivered from the history. */
  readonly since: number;
  readonly listener: (event: StoreEvent) => void;
}

/** Objects and history in memory. Everything applied here is already durable. */
export class CurrentState {
  private readonly entries = new Map<string, StoredEntry>();
  /** Every key of `entries`, sorted. */
  private readonly keys: string[] = [];
  private history: StoreEvent[] = [];
  private readonly watchers = new Set<Watcher>();
  private compacted: number;

  /** @param revision the last revision written so far @param historyLimit how many events a watch may start behind */
  constructor(
    public revision: number,
    private readonly historyLimit: number,
  ) {
    this.compacted = revision;
  }

  get(key: string): StoredEntry | undefined {
    return this.entries.get(key);
  }

  list(prefix: string, after = '', limit = Infinity): StoredEntry[] {
    const found: StoredEntry[] = [];
    let index = after > prefix ? this.lowerBound(after) : this.lowerBound(prefix);
    if (this.keys[index] === after) index++;
    for (; index < this.keys.length && found.length < limit; index++) {
      const key = this.keys[index]!;
      if (!key.startsWith(prefix)) break;
      found.push(this.entries.get(key)!);
    }
    return found;
  }

  /** {@link list} as it was at a revision: today's entries with the events since then taken back. */
  listAt(revision: number, prefix: string, after = '', limit = Infinity): StoredEntry[] {
    if (revision < this.compacted) throw new RevisionCompacted(revision, this.compacted);
    const before = new Map<string, KubeObject | undefined>();
    for (let index = this.history.length - 1; index >= 0 && this.history[index]!.revision > revision; index--) {
      const event = this.history[index]!;
      if (event.key.startsWith(prefix) && event.key > after) before.set(event.key, event.previous);
    }
    const entries = this.list(prefix, after).filter((entry) => !before.has(entry.key));
    for (const [key, object] of before) if (object) entries.push({ key, revision: Number(object.metadata.resourceVersion), object });
    entries.sort((a, b) => (a.key < b.key ? -1 : 1));
    return limit < entries.length ? entries.slice(0, limit) : entries;
  }

  count(prefix: string): number {
    return this.lowerBound(`${prefix}\uffff`) - this.lowerBound(prefix);
  }

  /** Takes in an object of an earlier run, without an event. */
  load(entry: StoredEntry, bytes: Buffer): void {
    keepEncoded(entry.object, bytes);
    if (!this.entries.has(entry.key)) this.keys.splice(this.lowerBound(entry.key), 0, entry.key);
    this.entries.set(entry.key, { ...entry, object: deepFreeze(entry.object) });
  }

  /** `bytes`: the object's JSON, when it is known already. */
  put(key: string, object: KubeObject, revision: number, bytes?: Buffer): StoredEntry {
    const previous = this.entries.get(key);
    // The history holds many versions of one object; they differ in little.
    const shared = previous ? (shareUnchanged(previous.object, object) as KubeObject) : object;
    const entry = { key, revision, object: deepFreeze(shared) };
    if (bytes) keepEncoded(entry.object, bytes);
    if (!previous) this.keys.splice(this.lowerBound(key), 0, key);
    this.entries.set(key, entry);
    this.emit({ type: 'put', key, revision, object: entry.object, ...(previous ? { previous: previous.object } : {}) });
    return entry;
  }

  delete(key: string, object: KubeObject, revision: number): StoredEntry {
    const previous = this.entries.get(key)!;
    this.entries.delete(key);
    this.keys.splice(this.lowerBound(key), 1);
    const entry = { key, revision, object: deepFreeze(object) };
    this.emit({ type: 'delete', key, revision, object: entry.object, previous: previous.object });
    return entry;
  }

  watch(prefix: string, from: number, listener: (event: StoreEvent) => void): () => void {
    if (from < this.compacted) throw new RevisionCompacted(from, this.compacted);
    const watcher = { prefix, since: this.revision, listener };
    for (const event of this.history) if (event.revision > from && event.key.startsWith(prefix)) listener(event);
    this.watchers.add(watcher);
    return () => void this.watchers.delete(watcher);
  }

  compact(revision: number): void {
    this.compacted = Math.max(this.compacted, Math.min(revision, this.revision));
    this.history = this.history.filter((event) => event.revision > this.compacted);
  }

  clear(): void {
    this.watchers.clear();
  }

  private emit(event: StoreEvent): void {
    this.revision = event.revision;
    this.history.push(event);
    // Trimmed in steps, so that a write costs no array move.
    if (this.history.length > this.historyLimit * 1.25) this.compact(this.history[this.history.length - this.historyLimit - 1]!.revision);
    for (const watcher of this.watchers) if (event.revision > watcher.since && event.key.startsWith(watcher.prefix)) watcher.listener(event);
  }

  private lowerBound(key: string): number {
    let low = 0;
    let high = this.keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.keys[middle]! < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** A copy with `metadata.resourceVersion` set. */
export function stamp(object: KubeObject, revision: number): KubeObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } };
}
