import { expect, test } from 'vitest';
import { VirtualClock } from '../../base/clock.ts';
import type { DnsCacheSettings } from './dns-cache.ts';
import { DynamicHosts, splitAuthority, type DynamicHostResult } from './dynamic-hosts.ts';

const SETTINGS: DnsCacheSettings = { name: 'cache', family: 4, prefer: undefined, refreshMs: 60_000, hostTtlMs: 300_000, maxHosts: 2, maxPending: 2, queryTimeoutMs: 5000 };

interface World { readonly clock: VirtualClock; readonly hosts: DynamicHosts; readonly asked: string[]; answers: Map<string, readonly string[] | Error | Promise<readonly string[]>> }

function world(): World {
  const clock = new VirtualClock();
  const asked: string[] = [];
  const answers: World['answers'] = new Map();
  const hosts = new DynamicHosts(clock, async (name) => {
    asked.push(name);
    const answer = await answers.get(name);
    if (answer === undefined || answer instanceof Error) throw answer ?? Object.assign(new Error('unknown'), { code: 'ENOTFOUND' });
    return answer;
  });
  return { clock, hosts, asked, answers };
}

const find = ({ hosts }: World, name: string): Promise<DynamicHostResult> => new Promise((resolve) => void hosts.find(SETTINGS, name, resolve));
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a host is looked up once, by everybody who asks meanwhile, and then known at once', async () => {
  const here = world();
  here.answers.set('a.example.com', ['10.0.0.1', '10.0.0.2']);
  expect(await Promise.all([find(here, 'a.example.com'), find(here, 'A.Example.com')])).toEqual([{ kind: 'address', ip: '10.0.0.1' }, { kind: 'address', ip: '10.0.0.1' }]);
  let now: DynamicHostResult | undefined;
  expect(here.hosts.find(SETTINGS, 'a.example.com', (result) => (now = result))).toBeUndefined();
  expect(now).toEqual({ kind: 'address', ip: '10.0.0.1' });
  expect(here.asked).toEqual(['a.example.com']);
});

test('hosts in use are refreshed and keep their last address while nobody answers; unused ones are forgotten', async () => {
  const here = world();
  here.answers.set('a.example.com', ['10.0.0.1']);
  await find(here, 'a.example.com');
  here.answers.set('a.example.com', new Error('down'));
  here.clock.advance(60_000);
  await settle();
  expect(await find(here, 'a.example.com')).toEqual({ kind: 'address', ip: '10.0.0.1' });
  here.answers.set('a.example.com', ['10.0.0.9']);
  here.clock.advance(60_000);
  await settle();
  expect(await find(here, 'a.example.com')).toEqual({ kind: 'address', ip: '10.0.0.9' });
  for (let minute = 0; minute < 6; minute++) {
    here.clock.advance(60_000);
    await settle();
  }
  expect(here.hosts.size('cache')).toBe(0);
});

test('failures are remembered until the next refresh', async () => {
  const here = world();
  expect(await find(here, 'none.example.com')).toEqual({ kind: 'failure', reason: 'ENOTFOUND' });
  expect(await find(here, 'none.example.com')).toEqual({ kind: 'failure', reason: 'ENOTFOUND' });
  expect(here.asked).toHaveLength(1);
  here.answers.set('none.example.com', ['10.0.0.1']);
  here.clock.advance(60_000);
  await settle();
  expect(await find(here, 'none.example.com')).toEqual({ kind: 'address', ip: '10.0.0.1' });
});

test('a resolver that says nothing is a failure after the query timeout', async () => {
  const here = world();
  here.answers.set('slow.example.com', new Promise(() => {}));
  const result = find(here, 'slow.example.com');
  here.clock.advance(5000);
  expect(await result).toEqual({ kind: 'failure', reason: 'timeout' });
});

test('more hosts than max_hosts, and more waiters than the breaker takes, are refused', async () => {
  const here = world();
  here.answers.set('a.example.com', ['10.0.0.1']).set('b.example.com', new Promise(() => {}));
  await find(here, 'a.example.com');
  const giveUp = here.hosts.find(SETTINGS, 'b.example.com', () => {});
  expect(await find(here, 'c.example.com')).toEqual({ kind: 'overflow', limit: 'hosts' });
  here.hosts.find(SETTINGS, 'b.example.com', () => {});
  expect(await find(here, 'b.example.com')).toEqual({ kind: 'overflow', limit: 'pending' });
  giveUp?.();
  giveUp?.();
  expect(here.hosts.find(SETTINGS, 'b.example.com', () => {})).toBeTypeOf('function');
});

test.each(['a b', '../etc', 'x'.repeat(254), '-a.com', 'a..b', 'a/b', ''])('"%s" is never asked for', async (name) => {
  const here = world();
  expect(await find(here, name)).toEqual({ kind: 'failure', reason: 'not_a_host_name' });
  expect(here.asked).toEqual([]);
});

test('addresses need no lookup', async () => {
  const here = world();
  expect(await find(here, '192.0.2.7')).toEqual({ kind: 'address', ip: '192.0.2.7' });
  expect(here.asked).toEqual([]);
});

test.each([
  ['a.com', { host: 'a.com', port: 80 }], ['a.com:8080', { host: 'a.com', port: 8080 }], ['[::1]:443', { host: '::1', port: 443 }], ['[::1]', { host: '::1', port: 80 }],
  ['a.com:0', undefined], ['a.com:70000', undefined], ['a:b:c', undefined], ['', undefined],
])('authority %s', (authority, expected) => {
  expect(splitAuthority(authority, 80)).toEqual(expected);
});
