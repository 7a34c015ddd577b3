/** What the API server needs of a database: one ordered key space with revisions, in etcd's sense. */
import type { KubeObject } from '../../../objects/meta.ts';

/** One stored object. Its `metadata.resourceVersion` is `revision`; the object is frozen. */
export interface StoredEntry {
  readonly key: string;
  /** Revision of the last change of this key. */
  readonly revision: number;
  readonly object: KubeObject;
}

/** One change. `previous` is the object before it: absent for the first write of a key. */
export interface StoreEvent {
  readonly type: 'put' | 'delete';
  readonly key: string;
  readonly revision: number;
  /** The object after the change; for a delete the last state, with the revision of the deletion. */
  readonly object: KubeObject;
  readonly previous?: KubeObject;
}

/** The key's current revision is not the expected one (0 stands for "does not exist"). */
export class RevisionConflict extends Error {
  override name = 'RevisionConflict';
  constructor(
    readonly key: string,
    readonly expected: number,
    readonly actual: number,
  ) {
    super(`${key}: expected revision ${expected}, found ${actual}`);
  }
}

/** The history does not reach back to the asked revision any more. */
export class RevisionCompacted extends Error {
  override name = 'RevisionCompacted';
  constructor(
    readonly asked: number,
    readonly compacted: number,
  ) {
    super(`too old resource version: ${asked} (${compacted})`);
  }
}

/**
 * Reads are synchronous and see only what is durable; a write's promise resolves when it is. Revisions grow by at least one per write and never go
 * back, also over restarts. Objects handed in belong to the store afterwards: it stamps `metadata.resourceVersion` on a copy and freezes it.
 */
export interface Store {
  /** The revision of the last write, at least 1. */
  revision(): number;
  get(key: string): StoredEntry | undefined;
  /**
   * Entries whose key starts with the prefix and is greater than `after`, in key order, at most `limit`. With `at` those of an earlier revision;
   * throws {@link RevisionCompacted} when the history does not reach back to it.
   */
  list(prefix: string, options?: { readonly after?: string; readonly limit?: number; readonly at?: number }): StoredEntry[];
  /** How many keys start with the prefix. */
  count(prefix: string): number;
  /** Writes a key that must have revision `expected` (0: must not exist). Rejects with {@link RevisionConflict}. */
  put(key: string, object: KubeObject, expected: number): Promise<StoredEntry>;
  /** Deletes a key that must have revision `expected`; resolves to the last state, stamped with the deletion's revision. */
  delete(key: string, expected: number): Promise<StoredEntry>;
  /**
   * Calls back, synchronously and in order, with every change under the prefix after revision `from`: those of the history at once, later ones when
   * they become durable. Throws {@link RevisionCompacted} when the history does not reach back.
   */
  watch(prefix: string, from: number, listener: (event: StoreEvent) => void): () => void;
  /** Forgets the history up to and including a revision. */
  compact(revision: number): void;
  close(): Promise<void>;
}
