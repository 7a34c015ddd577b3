/** Never two leaders: over clocks that are wrong or jump, calls that hang, and servers that are away. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { VirtualClock, type Clock } from '../../base/clock.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { ApiError, type KubeClient } from './client.ts';
import { electLeader } from './leader-election.ts';

/** One lease, with compare and swap. */
class Leases {
  private lease: KubeObject | undefined;
  private version = 0;
  readonly client = {
    get: async () => this.lease,
    create: async (_type: unknown, object: KubeObject) => {
      if (this.lease) throw new ApiError(409, 'AlreadyExists', 'exists');
      return this.put(object);
    },
    update: async (_type: unknown, object: KubeObject) => {
      if (object.metadata.resourceVersion !== this.lease?.metadata.resourceVersion) throw new ApiError(409, 'Conflict', 'changed');
      return this.put(object);
    },
  } as unknown as KubeClient;

  get holder(): string {
    return (this.lease as unknown as { spec: { holderIdentity: string } }).spec.holderIdentity;
  }

  private put(object: KubeObject): KubeObject {
    return (this.lease = { ...object, metadata: { ...object.metadata, resourceVersion: String(++this.version) } });
  }
}

let clock: VirtualClock;
let leases: Leases;
let leaders: Set<string>;
let most: number;
let ends: AbortController[];

beforeEach(() => {
  clock = new VirtualClock(1_000_000);
  leases = new Leases();
  leaders = new Set();
  most = 0;
  ends = [];
});
afterEach(() => ends.forEach((end) => end.abort()));

function stand(identity: string, client = leases.client, skewed: (nowMs: number) => number = (nowMs) => nowMs): AbortController {
  const end = new AbortController();
  ends.push(end);
  const own: Clock = { now: () => skewed(clock.now()), after: (delayMs, fn) => clock.after(delayMs, fn) };
  electLeader({
    client, name: 'l', namespace: 'n', identity, clock: own, signal: end.signal,
    onChange: (leading) => {
      if (leading) leaders.add(identity);
      else leaders.delete(identity);
      most = Math.max(most, leaders.size);
    },
  });
  return end;
}

const settle = async (): Promise<void> => {
  for (let index = 0; index < 30; index++) await Promise.resolve();
};
async function pass(seconds: number): Promise<void> {
  for (let index = 0; index < seconds * 2; index++) {
    clock.advance(500);
    await settle();
  }
}

test('one leads; when it is gone another does, after the lease is old', async () => {
  const first = stand('a');
  await settle();
  stand('b');
  stand('c');
  await pass(60);
  expect([...leaders]).toEqual(['a']);
  first.abort();
  await pass(10);
  expect(leaders.size).toBe(0);
  await pass(20);
  expect(leaders.size).toBe(1);
  expect(most).toBe(1);
});

test.each([
  ['an hour ahead', (nowMs: number) => nowMs + 3_600_000],
  ['an hour behind', (nowMs: number) => nowMs - 3_600_000],
  ['twice as fast', (nowMs: number) => nowMs * 2],
  ['jumping ahead', (nowMs: number) => nowMs + (nowMs > 1_020_000 ? 3_600_000 : 0)],
  ['jumping back', (nowMs: number) => nowMs - (nowMs > 1_020_000 ? 3_600_000 : 0)],
])('a clock that is %s takes nothing from the leader and gives nothing away', async (_name, skewed) => {
  stand('a');
  await settle();
  stand('b', leases.client, skewed);
  await pass(120);
  expect([...leaders]).toEqual(['a']);
  leases = new Leases();
  ends.forEach((end) => end.abort());
  stand('c', leases.client, skewed);
  await settle();
  stand('d');
  await pass(120);
  expect([...leaders]).toEqual(['c']);
  expect(most).toBe(1);
});

test('a leader whose calls hang or fail stops before another starts', async () => {
  for (const broken of [() => new Promise<never>(() => {}), async () => { throw new Error('away'); }]) {
    leases = new Leases();
    let cut = false;
    stand('a', { ...leases.client, get: (...rest: Parameters<KubeClient['get']>) => (cut ? broken() : leases.client.get(...rest)) });
    await settle();
    stand('b');
    await pass(20);
    expect([...leaders]).toEqual(['a']);
    cut = true;
    await pass(40);
    expect([...leaders]).toEqual(['b']);
    expect(leases.holder).toBe('b');
    ends.forEach((end) => end.abort());
  }
  expect(most).toBe(1);
});

test('an answer that comes much too late does not make a leader', async () => {
  let release = (): void => {};
  let held = false;
  const slow = { ...leases.client, update: async (...rest: Parameters<KubeClient['update']>) => {
    const result = await leases.client.update(...rest);
    if (held) await new Promise<void>((resolve) => (release = resolve));
    return result;
  } } as KubeClient;
  stand('a', slow);
  await settle();
  held = true;
  stand('b');
  await pass(60);
  expect([...leaders]).toEqual(['b']);
  release();
  await settle();
  expect([...leaders]).toEqual(['b']);
  expect(most).toBe(1);
});

test('a restart under the same name goes on at once', async () => {
  stand('a').abort();
  await settle();
  stand('a');
  await settle();
  expect([...leaders]).toEqual(['a']);
});
