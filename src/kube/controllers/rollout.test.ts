import { expect, test } from 'vitest';
import { canonicalJson, nextReplicas, resolveIntOrPercent, templateHash } from './rollout.ts';

test.each([
  { value: '25%', total: 4, round: 'up', want: 1 },
  { value: '25%', total: 5, round: 'up', want: 2 },
  { value: '25%', total: 5, round: 'down', want: 1 },
  { value: 3, total: 5, round: 'up', want: 3 },
  { value: undefined, total: 1, round: 'up', want: 1 },
  { value: undefined, total: 1, round: 'down', want: 0 },
] as const)('$value of $total rounded $round is $want', ({ value, total, round, want }) => {
  expect(resolveIntOrPercent(value, total, round, '25%')).toBe(want);
});

const limits = { wanted: 3, maxSurge: 1, maxUnavailable: 0 };

test('a fresh set takes only the surge while no new pod is ready', () => {
  expect([...nextReplicas({ name: 'new', replicas: 0, ready: 0 }, [{ name: 'old', replicas: 3, ready: 3 }], limits)]).toEqual([['new', 1]]);
});

test('an old pod goes for every new one that is ready', () => {
  expect([...nextReplicas({ name: 'new', replicas: 1, ready: 1 }, [{ name: 'old', replicas: 3, ready: 3 }], limits)]).toEqual([['old', 2]]);
});

test('old pods that are not ready go at once', () => {
  expect(nextReplicas({ name: 'new', replicas: 1, ready: 0 }, [{ name: 'old', replicas: 3, ready: 1 }], limits).get('old')).toBe(1);
});

test('scaling to zero needs no surge', () => {
  expect([...nextReplicas({ name: 'new', replicas: 3, ready: 3 }, [], { wanted: 0, maxSurge: 0, maxUnavailable: 0 })]).toEqual([['new', 0]]);
});

test('a rollout reaches its end from any start, never under the floor nor over the ceiling', () => {
  let fresh = { name: 'new', replicas: 0, ready: 0 };
  let old = { name: 'old', replicas: 5, ready: 5 };
  const bounds = { wanted: 5, maxSurge: 2, maxUnavailable: 1 };
  for (let step = 0; step < 20 && (fresh.replicas !== 5 || old.replicas !== 0); step++) {
    const next = nextReplicas(fresh, [old], bounds);
    const replicas = next.get('new') ?? fresh.replicas;
    const left = next.get('old') ?? old.replicas;
    expect(replicas + left).toBeLessThanOrEqual(7);
    fresh = { name: 'new', replicas, ready: replicas };
    old = { name: 'old', replicas: left, ready: left };
    expect(fresh.ready + old.ready).toBeGreaterThanOrEqual(4);
  }
  expect([fresh.replicas, old.replicas]).toEqual([5, 0]);
});

test('the template hash does not depend on the order of keys', () => {
  expect(templateHash({ a: 1, b: { c: 2, d: 3 } })).toBe(templateHash({ b: { d: 3, c: 2 }, a: 1 }));
  expect(templateHash({ a: 1 })).not.toBe(templateHash({ a: 2 }));
  expect(templateHash({})).toMatch(/^[bcdfghjklmnpqrstvwxz2456789]{10}$/);
});

test('canonical JSON keeps the order of lists', () => {
  expect(canonicalJson({ b: [2, 1], a: null })).toBe('{"a":null,"b":[2,1]}');
});
