import { mkdirSync } from 'node:fs';
import { open } from 'lmdb';
import type { KubeObject } from '../../../objects/meta.ts';
import { CurrentState, stamp } from './current.ts';
import { encode } from './encoded.ts';
import { RevisionConflict, type Store, type StoredEntry } from './store.ts';

/** Written with every change, so that revisions do not go back when the newest object was deleted before a restart. */
const REVISION_KEY = '\u0001revision';

/**
 * A store on disk. Objects are read from memory (loaded at the start); a write is first committed and synced to lmdb and only then becomes visible,
 * so a reader never sees what a crash could take back. Writes of one turn of the event loop share a commit. The history starts empty: a watch from
 * before the restart is told that its version is too old, as after an etcd compaction.
 * @param directory created when missing
 * @param historyLimit how many events a watch may start behind; default 1000
 */
export function openLmdbStore(directory: string, historyLimit = 1000): Store {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  // overlappingSync would resolve a write before it is on the disk.
  const database = open<Buffer, string>({ path: directory, encoding: 'binary', overlappingSync: false, cache: false, maxReaders: 16 });
  let assigned = Number(database.get(REVISION_KEY)?.toString('utf8') ?? '1');
  const state = new CurrentState(assigned, historyLimit);
  for (const { key, value } of database.getRange({ start: '/' })) {
    const object = JSON.parse(value.toString('utf8')) as KubeObject;
    state.load({ key, revision: Number(object.metadata.resourceVersion), object }, Buffer.from(value));
  }

  /** Writes on their way to the disk, oldest first; applied in this order. */
  const pending: { readonly revision: number; readonly apply: () => void }[] = [];
  const pendingOfKey = new Map<string, Promise<unknown>>();

  const commit = async (key: string, expected: number, build: (revision: number) => { object: KubeObject; gone: boolean }): Promise<StoredEntry> => {
    while (pendingOfKey.has(key)) await pendingOfKey.get(key);
    const actual = state.get(key)?.revision ?? 0;
    if (actual !== expected) throw new RevisionConflict(key, expected, actual);
    const revision = ++assigned;
    const { object, gone } = build(revision);
    const bytes = encode(object);
    let entry: StoredEntry | undefined;
    pending.push({ revision, apply: () => void (entry = gone ? state.delete(key, object, revision) : state.put(key, object, revision, bytes)) });
    const written = database.batch(() => {
      void (gone ? database.remove(key) : database.put(key, bytes));
      void database.put(REVISION_KEY, Buffer.from(String(revision)));
    });
    const settled = written.then(
      () => {
        // Commits are in order: everything assigned up to this revision is on the disk.
        while (pending.length > 0 && pending[0]!.revision <= revision) pending.shift()!.apply();
      },
      (thrown: unknown) => {
        pending.splice(pending.findIndex((write) => write.revision === revision), 1);
        throw thrown;
      },
    );
    const released = settled.catch(() => {}).finally(() => pendingOfKey.delete(key));
    pendingOfKey.set(key, released);
    await settled;
    return entry!;
  };

  return {
    revision: () => state.revision,
    get: (key) => state.get(key),
    list: (prefix, { after, limit, at } = {}) => (at === undefined || at >= state.revision ? state.list(prefix, after, limit) : state.listAt(at, prefix, after, limit)),
    count: (prefix) => state.count(prefix),
    put: (key, object, expected) => commit(key, expected, (revision) => ({ object: stamp(object, revision), gone: false })),
    delete: (key, expected) => commit(key, expected, (revision) => ({ object: stamp(state.get(key)!.object, revision), gone: true })),
    watch: (prefix, from, listener) => state.watch(prefix, from, listener),
    compact: (revision) => state.compact(revision),
    async close() {
      state.clear();
      await Promise.all(pendingOfKey.values());
      await database.close();
    },
  };
}
