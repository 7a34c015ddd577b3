import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { openLmdbStore } from './lmdb.ts';
import { openMemoryStore } from './memory.ts';
import { RevisionCompacted, RevisionConflict, type Store, type StoreEvent } from './store.ts';

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});
function temporary(): string {
  const directory = mkdtempSync(join(tmpdir(), 'store-'));
  directories.push(directory);
  return directory;
}
const object = (name: string, data = '') => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { data } });

const stores: readonly (readonly [string, (limit?: number) => Store])[] = [
  ['memory', (limit) => openMemoryStore(limit)],
  ['lmdb', (limit) => openLmdbStore(temporary(), limit)],
];

describe.each(stores)('%s store', (_name, open) => {
  test('puts, gets, lists in key order, counts and deletes', async () => {
    const store = open();
    await store.put('/cm/b', object('b'), 0);
    await store.put('/cm/a', object('a'), 0);
    await store.put('/cmx/z', object('z'), 0);
    expect(store.list('/cm/').map((entry) => entry.key)).toEqual(['/cm/a', '/cm/b']);
    expect(store.list('/cm/', { limit: 1 }).map((entry) => entry.key)).toEqual(['/cm/a']);
    expect(store.list('/cm/', { after: '/cm/a' }).map((entry) => entry.key)).toEqual(['/cm/b']);
    expect(store.count('/cm/')).toBe(2);
    const entry = store.get('/cm/a')!;
    expect(entry.object.metadata.resourceVersion).toBe(String(entry.revision));
    const gone = await store.delete('/cm/a', entry.revision);
    expect(gone.revision).toBeGreaterThan(entry.revision);
    expect(store.get('/cm/a')).toBeUndefined();
    await store.close();
  });

  test('refuses a write whose expected revision is not the current one', async () => {
    const store = open();
    const first = await store.put('/cm/a', object('a'), 0);
    await expect(store.put('/cm/a', object('a'), 0)).rejects.toBeInstanceOf(RevisionConflict);
    await store.put('/cm/a', object('a', '2'), first.revision);
    await expect(store.put('/cm/a', object('a', '3'), first.revision)).rejects.toBeInstanceOf(RevisionConflict);
    await expect(store.delete('/cm/a', first.revision)).rejects.toBeInstanceOf(RevisionConflict);
    await expect(store.delete('/cm/none', 1)).rejects.toBeInstanceOf(RevisionConflict);
    await store.close();
  });

  test('lets exactly one of concurrent writers of a revision win', async () => {
    const store = open();
    const first = await store.put('/cm/a', object('a'), 0);
    const results = await Promise.allSettled(Array.from({ length: 8 }, (_, index) => store.put('/cm/a', object('a', String(index)), first.revision)));
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
    await store.close();
  });

  test('tells watchers every change after a revision, in order, with the previous object', async () => {
    const store = open();
    const first = await store.put('/cm/a', object('a', '1'), 0);
    const second = await store.put('/cm/a', object('a', '2'), first.revision);
    const events: StoreEvent[] = [];
    const stop = store.watch('/cm/', first.revision, (event) => events.push(event));
    await Promise.all([store.put('/cm/b', object('b'), 0), store.put('/cm/c', object('c'), 0), store.put('/other/c', object('c'), 0)]);
    await store.delete('/cm/a', second.revision);
    stop();
    await store.put('/cm/d', object('d'), 0);
    expect(events.map((event) => `${event.type} ${event.key}`)).toEqual(['put /cm/a', 'put /cm/b', 'put /cm/c', 'delete /cm/a']);
    expect(events.map((event) => event.revision)).toEqual(events.map((event) => event.revision).sort((a, b) => a - b));
    expect(events[0]!.previous).toEqual(first.object);
    expect(events[3]!.object.metadata.resourceVersion).toBe(String(events[3]!.revision));
    await store.close();
  });

  test('forgets old events and says so', async () => {
    const store = open(4);
    const start = store.revision();
    for (let index = 0; index < 20; index++) await store.put(`/cm/${index}`, object(String(index)), 0);
    expect(() => store.watch('/cm/', start, () => {})).toThrow(RevisionCompacted);
    const seen: string[] = [];
    store.watch('/cm/', store.revision() - 2, (event) => seen.push(event.key))();
    expect(seen).toEqual(['/cm/18', '/cm/19']);
    store.compact(store.revision());
    expect(() => store.watch('/cm/', store.revision() - 1, () => {})).toThrow(RevisionCompacted);
    await store.close();
  });

  test('lets versions of an object share what did not change', async () => {
    const store = open();
    const pod = (phase: string) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: { containers: [{ name: 'a' }] }, status: { phase } });
    const first = await store.put('/pods/p', pod('Pending'), 0);
    const second = await store.put('/pods/p', pod('Running'), first.revision);
    expect(second.object).toMatchObject({ metadata: { resourceVersion: String(second.revision) }, status: { phase: 'Running' } });
    expect((second.object as ReturnType<typeof pod>).spec).toBe((first.object as ReturnType<typeof pod>).spec);
    await store.close();
  });

  test('keeps stored objects from being changed', async () => {
    const store = open();
    const { object: stored } = await store.put('/cm/a', object('a'), 0);
    expect(() => {
      (stored.metadata as { name: string }).name = 'other';
    }).toThrow(TypeError);
    await store.close();
  });
});

test('lmdb keeps objects and revisions over a restart', async () => {
  const directory = temporary();
  const before = openLmdbStore(directory);
  await before.put('/cm/a', object('a'), 0);
  const b = await before.put('/cm/b', object('b'), 0);
  const deleted = await before.delete('/cm/b', b.revision);
  await before.close();
  const after = openLmdbStore(directory);
  expect(after.revision()).toBe(deleted.revision);
  expect(after.list('/cm/').map((entry) => entry.object)).toEqual([before.get('/cm/a')!.object]);
  expect(() => after.watch('/cm/', b.revision, () => {})).toThrow(RevisionCompacted);
  expect((await after.put('/cm/c', object('c'), 0)).revision).toBeGreaterThan(deleted.revision);
  await after.close();
});
