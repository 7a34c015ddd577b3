import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../base/clock.ts';
import { KeySets } from './key-sets.ts';

const SET = (k: string): string => JSON.stringify({ keys: [{ kty: 'oct', k }] });
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function keySets(answers: (() => string)[]) {
  const clock = new VirtualClock(Date.parse('2026-01-01T00:00:00Z'));
  const asked: string[] = [];
  let changes = 0;
  const sets = new KeySets({
    clock, onChange: () => void changes++,
    fetchText: (uri) => {
      asked.push(uri);
      const answer = answers.length > 1 ? answers.shift()! : answers[0]!;
      return new Promise((resolve) => resolve(answer()));
    },
  });
  const advance = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await settle();
    await settle();
  };
  return { sets, asked, advance, changes: () => changes };
}
const fail = (message: string) => () => {
  throw new Error(message);
};
const A = { key: 'http://a/', uri: 'http://a/', discover: false, timeoutMs: 5000 };

describe('key sets', () => {
  it('are fetched, refreshed every 20 minutes, and told when they change', async () => {
    const { sets, asked, advance, changes } = keySets([() => SET('YQ'), () => SET('YQ'), () => SET('Yg')]);
    sets.want([A]);
    await settle();
    await settle();
    expect(sets.current.get(A.key)).toEqual({ jwks: SET('YQ'), problem: undefined, fetchedAt: '2026-01-01T00:00:00.000Z' });
    await advance(20 * 60_000);
    expect([asked.length, changes()]).toEqual([2, 1]);
    await advance(20 * 60_000);
    expect([sets.current.get(A.key)?.jwks, changes()]).toEqual([SET('Yg'), 2]);
  });
  it('survive an outage and an answer that is none; the state says so', async () => {
    const { sets, advance } = keySets([() => SET('YQ'), fail('HTTP status 500'), () => '{"keys":[]}', () => SET('Yg')]);
    sets.want([A]);
    await settle();
    await advance(20 * 60_000);
    expect(sets.current.get(A.key)).toEqual({ jwks: SET('YQ'), problem: 'HTTP status 500', fetchedAt: '2026-01-01T00:00:00.000Z' });
    await advance(5000);
    expect(sets.current.get(A.key)).toMatchObject({ jwks: SET('YQ'), problem: 'the answer is no key set with usable keys' });
    await advance(10_000);
    expect(sets.current.get(A.key)).toMatchObject({ jwks: SET('Yg'), problem: undefined });
  });
  it('are never made up, and tried again with pauses', async () => {
    const { sets, asked, advance } = keySets([fail('ECONNREFUSED')]);
    sets.want([A]);
    await settle();
    expect(sets.current.get(A.key)).toMatchObject({ jwks: '', problem: 'ECONNREFUSED', fetchedAt: '' });
    for (let step = 0; step < 60; step++) await advance(10_000);
    expect(asked.length).toBeGreaterThan(8);
    expect(asked.length).toBeLessThan(30);
  });
  it('of an issuer are found by its discovery document', async () => {
    const { sets, asked } = keySets([() => '{"jwks_uri":"http://keys/"}', () => SET('YQ')]);
    sets.want([{ key: 'issuer http://i', uri: 'http://i/.well-known/openid-configuration', discover: true, timeoutMs: 5000 }]);
    await settle();
    await settle();
    expect(asked).toEqual(['http://i/.well-known/openid-configuration', 'http://keys/']);
    expect(sets.current.get('issuer http://i')?.jwks).toBe(SET('YQ'));
  });
  it('that nobody wants are forgotten', async () => {
    const { sets, asked, advance } = keySets([() => SET('YQ')]);
    sets.want([A]);
    await settle();
    sets.want([]);
    await advance(3_600_000);
    expect([asked.length, sets.current.size]).toEqual([1, 0]);
  });
  it('come over HTTP with bounds: redirects, status, size, time, scheme', async () => {
    const server = createServer((request, response) => {
      if (request.url === '/moved') response.writeHead(302, { location: '/ok' }).end();
      else if (request.url === '/loop') response.writeHead(302, { location: '/loop' }).end();
      else if (request.url === '/file') response.writeHead(302, { location: 'file:///etc/passwd' }).end();
      else if (request.url === '/big') response.end('x'.repeat(2 * 1024 * 1024));
      else if (request.url === '/slow') response.writeHead(200).write('{');
      else if (request.url === '/ok') response.end(SET('YQ'));
      else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const read = async (path: string): Promise<string | undefined> => {
      const done = new Promise<void>((resolve) => {
        sets = new KeySets({ clock: new VirtualClock(), onChange: resolve });
      });
      sets!.want([{ key: 'k', uri: path.includes(':') ? path : base + path, discover: false, timeoutMs: 300 }]);
      await done;
      const state = sets!.current.get('k')!;
      return state.problem ?? state.jwks;
    };
    let sets: KeySets | undefined;
    expect(await read('/moved')).toBe(SET('YQ'));
    expect(await read('/loop')).toBe('more than 3 redirects');
    expect(await read('/file')).toBe('file: is not supported');
    expect(await read('/gone')).toBe('HTTP status 404');
    expect(await read('/big')).toContain('longer than');
    expect(await read('/slow')).toContain('no answer within 300 ms');
    expect(await read('ftp://x/')).toBe('ftp: is not supported');
    server.closeAllConnections();
    server.close();
  });
});
