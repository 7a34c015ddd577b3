import type { KubeObject } from '../../../objects/meta.ts';
import { CurrentState, stamp } from './current.ts';
import { RevisionConflict, type Store, type StoredEntry } from './store.ts';

/** A store that forgets everything with the process: for tests. `historyLimit` is how many events a watch may start behind. Default 1000. */
export function openMemoryStore(historyLimit = 1000): Store {
  const state = new CurrentState(1, historyLimit);
  const check = (key: string, expected: number): void => {
    const actual = state.get(key)?.revision ?? 0;
    if (actual !== expected) throw new RevisionConflict(key, expected, actual);
  };
  const next = (): number => state.revision + 1;
  return {
    revision: () => state.revision,
    get: (key) => state.get(key),
    list: (prefix, { after, limit, at } = {}) => (at === undefined || at >= state.revision ? state.list(prefix, after, limit) : state.listAt(at, prefix, after, limit)),
    count: (prefix) => state.count(prefix),
    async put(key, object, expected): Promise<StoredEntry> {
      check(key, expected);
      return state.put(key, stamp(object, next()), next());
    },
    async delete(key, expected): Promise<StoredEntry> {
      check(key, expected);
      const last: KubeObject = state.get(key)!.object;
      return state.delete(key, stamp(last, next()), next());
    },
    watch: (prefix, from, listener) => state.watch(prefix, from, listener),
    compact: (revision) => state.compact(revision),
    async close() {
      state.clear();
    },
  };
}
