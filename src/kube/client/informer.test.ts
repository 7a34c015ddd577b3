import { describe, expect, test } from 'vitest';
import { Backoff } from '../../base/backoff.ts';
import { VirtualClock } from '../../base/clock.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { POD } from '../../objects/resource-types.ts';
import { ApiError, type KubeClient, type ListResult, type WatchEvent } from './client.ts';
import { createInformer, type InformerEvent } from './informer.ts';

const pod = (name: string, version: number, uid = `uid-${name}`): KubeObject => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'ns', uid, resourceVersion: String(version) } });

/** A server side that does exactly what a test tells it. */
class Script {
  lists: (ListResult<KubeObject> | Error)[] = [];
  /** One entry a watch that was opened. */
  readonly watches: { readonly from: string; push(event: WatchEvent<KubeObject>): void; end(error?: Error): void; readonly aborted: () => boolean }[] = [];
  refuseWatch: Error | undefined;
  listCalls = 0;

  readonly client = {
    list: async () => {
      this.listCalls++;
      const next = this.lists.shift() ?? new Error('no list scripted');
      if (next instanceof Error) throw next;
      return next;
    },
    watch: (_type: unknown, options: { readonly resourceVersion: string; readonly signal: AbortSignal }) => this.watch(options.resourceVersion, options.signal),
  } as unknown as KubeClient;

  private async *watch(from: string, signal: AbortSignal): AsyncIterable<WatchEvent<KubeObject>> {
    if (this.refuseWatch) throw this.refuseWatch;
    const queue: (WatchEvent<KubeObject> | Error | 'end')[] = [];
    let wake = (): void => {};
    const put = (item: WatchEvent<KubeObject> | Error | 'end'): void => (queue.push(item), wake());
    this.watches.push({ from, push: put, end: (error) => put(error ?? 'end'), aborted: () => signal.aborted });
    for (;;) {
      const item = queue.shift();
      if (item === undefined) await new Promise<void>((resolve) => (wake = resolve));
      else if (item === 'end') return;
      else if (item instanceof Error) throw item;
      else yield item;
    }
  }
}

const settle = async (): Promise<void> => {
  for (let i = 0; i < 50; i++) await Promise.resolve();
};

function start(script: Script, known: { readonly idleTimeoutMs?: number } = {}) {
  const clock = new VirtualClock();
  const abort = new AbortController();
  const informer = createInformer(script.client, POD, { signal: abort.signal, clock, backoff: new Backoff({ baseMs: 100, maxMs: 1000, jitter: 0 }), ...known });
  const log: string[] = [];
  const text = (event: InformerEvent<KubeObject>): string =>
    `${event.type} ${event.object.metadata.name}@${event.object.metadata.resourceVersion}${event.type === 'updated' ? ` was @${event.old.metadata.resourceVersion}` : ''}`;
  informer.onEvent((event) => log.push(text(event)));
  return { clock, abort, informer, log, take: () => log.splice(0) };
}

describe('informer', () => {
  test('lists, then follows the watch', async () => {
    const script = new Script();
    script.lists = [{ items: [pod('a', 1), pod('b', 2)], resourceVersion: '5' }];
    const { informer, take } = start(script);
    await informer.synced;
    await settle();
    expect(take()).toEqual(['added a@1', 'added b@2']);
    expect(script.watches.map((watch) => watch.from)).toEqual(['5']);
    script.watches[0]!.push({ type: 'ADDED', object: pod('c', 6) });
    script.watches[0]!.push({ type: 'MODIFIED', object: pod('a', 7) });
    script.watches[0]!.push({ type: 'DELETED', object: pod('b', 8) });
    await settle();
    expect(take()).toEqual(['added c@6', 'updated a@7 was @1', 'deleted b@8']);
    expect([...informer.items().keys()]).toEqual(['ns/a', 'ns/c']);
  });

  test('a watch that ends goes on from its last version, bookmarks included', async () => {
    const script = new Script();
    script.lists = [{ items: [], resourceVersion: '5' }];
    const { informer, clock, take } = start(script);
    await informer.synced;
    await settle();
    script.watches[0]!.push({ type: 'BOOKMARK', object: pod('', 40) });
    script.watches[0]!.end();
    await settle();
    expect(script.watches.map((watch) => watch.from)).toEqual(['5', '40']);
    expect(take()).toEqual([]);
    // Ending at once without news waits instead of spinning.
    script.watches[1]!.end();
    await settle();
    expect(script.watches).toHaveLength(2);
    clock.advance(100);
    await settle();
    expect(script.watches.map((watch) => watch.from)).toEqual(['5', '40', '40']);
    expect(script.listCalls).toBe(1);
  });

  test('a broken watch backs off and goes on without listing', async () => {
    const script = new Script();
    script.lists = [{ items: [pod('a', 1)], resourceVersion: '5' }];
    const { informer, clock } = start(script);
    await informer.synced;
    await settle();
    script.refuseWatch = new Error('connection refused');
    script.watches[0]!.push({ type: 'MODIFIED', object: pod('a', 9) });
    script.watches[0]!.end(new Error('connection reset'));
    await settle();
    clock.advance(100); // refused
    await settle();
    script.refuseWatch = undefined;
    clock.advance(199);
    await settle();
    expect(script.watches).toHaveLength(1);
    clock.advance(1);
    await settle();
    expect(script.watches.map((watch) => watch.from)).toEqual(['5', '9']);
    expect(script.listCalls).toBe(1);
  });

  test.each([
    ['as an error event', new ApiError(410, 'Expired', 'too old resource version')],
    ['by its reason', new ApiError(500, 'Expired', 'too old')],
  ])('410 lists again and tells the differences: %s', async (_, error) => {
    const script = new Script();
    script.lists = [
      { items: [pod('stays', 1), pod('goes', 2), pod('changes', 3), pod('reborn', 4, 'old')], resourceVersion: '5' },
      { items: [pod('stays', 1), pod('changes', 30), pod('reborn', 31, 'new'), pod('comes', 32)], resourceVersion: '50' },
    ];
    const { informer, clock, take } = start(script);
    await informer.synced;
    await settle();
    take();
    script.watches[0]!.end(error);
    await settle();
    clock.advance(100);
    await settle();
    expect(take()).toEqual(['deleted goes@2', 'updated changes@30 was @3', 'deleted reborn@4', 'added reborn@31', 'added comes@32']);
    expect(script.watches.map((watch) => watch.from)).toEqual(['5', '50']);
  });

  test('a watch that fails again and again without an event ends in a new list', async () => {
    const script = new Script();
    script.lists = [{ items: [pod('a', 1)], resourceVersion: '5' }, { items: [pod('a', 2)], resourceVersion: '6' }];
    script.refuseWatch = new Error('unknown watch event');
    const { informer, clock, take } = start(script);
    await informer.synced;
    for (let i = 0; i < 4; i++) {
      await settle();
      clock.advance(1000);
    }
    await settle();
    expect([script.listCalls, take()]).toEqual([1, ['added a@1']]);
    clock.advance(1000);
    await settle();
    expect([script.listCalls, take()]).toEqual([2, ['updated a@2 was @1']]);
  });

  test('a failing first list is tried until it works', async () => {
    const script = new Script();
    script.lists = [new Error('down'), new ApiError(403, 'Forbidden', 'no'), { items: [pod('a', 1)], resourceVersion: '5' }];
    const { informer, clock, take } = start(script);
    await settle();
    expect(script.listCalls).toBe(1);
    clock.advance(100);
    await settle();
    expect(script.listCalls).toBe(2);
    clock.advance(200);
    await settle();
    await informer.synced;
    expect(take()).toEqual(['added a@1']);
  });

  test('a silent watch is opened anew', async () => {
    const script = new Script();
    script.lists = [{ items: [], resourceVersion: '5' }];
    const { informer, clock, take } = start(script, { idleTimeoutMs: 60_000 });
    await informer.synced;
    await settle();
    clock.advance(59_999);
    script.watches[0]!.push({ type: 'ADDED', object: pod('a', 6) });
    await settle();
    clock.advance(59_999);
    await settle();
    expect(script.watches).toHaveLength(1);
    clock.advance(1);
    await settle();
    expect(script.watches.map((watch) => [watch.from, watch.aborted()])).toEqual([['5', true], ['6', false]]);
    expect(take()).toEqual(['added a@6']);
  });

  test('abort ends everything', async () => {
    const script = new Script();
    script.lists = [{ items: [], resourceVersion: '5' }];
    const { informer, clock, abort, take } = start(script);
    await informer.synced;
    await settle();
    abort.abort();
    await settle();
    expect(script.watches[0]!.aborted()).toBe(true);
    script.watches[0]!.push({ type: 'ADDED', object: pod('late', 6) });
    clock.advance(1_000_000);
    await settle();
    expect([script.listCalls, script.watches.length, take()]).toEqual([1, 1, []]);
  });

  test('a listener that throws keeps neither the others nor later events from being told', async () => {
    const script = new Script();
    script.lists = [{ items: [pod('a', 1)], resourceVersion: '5' }];
    const { informer, take } = start(script);
    informer.onEvent(() => {
      throw new Error('broken listener');
    });
    const late: string[] = [];
    await informer.synced;
    informer.onEvent((event) => late.push(event.object.metadata.name));
    await settle();
    script.watches[0]!.push({ type: 'ADDED', object: pod('b', 6) });
    await settle();
    expect(take()).toEqual(['added a@1', 'added b@6']);
    expect(late).toEqual(['a', 'b']);
  });

  test('transform shrinks what is kept', async () => {
    const script = new Script();
    script.lists = [{ items: [{ ...pod('a', 1), spec: { large: true } } as KubeObject], resourceVersion: '5' }];
    const informer = createInformer(script.client, POD, { transform: ({ apiVersion, kind, metadata }) => ({ apiVersion, kind, metadata }) });
    await informer.synced;
    expect(informer.items().get('ns/a')).toEqual(pod('a', 1));
  });
});
