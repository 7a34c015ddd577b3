import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addressPlan } from '../loopback/address-plan.ts';
import { API_PORT } from '../settings.ts';
import { stateDir, type StateDir } from '../state-dir.ts';
import type { CheckResult } from './checks.ts';
import { chooseNetwork, openLoopback, type NetworkChoice } from './network-choice.ts';

let dir: StateDir;
beforeEach(() => void (dir = stateDir(mkdtempSync(join(tmpdir(), 'choice-')))));
afterEach(() => rmSync(dir.home, { recursive: true, force: true }));

const can = (): Promise<CheckResult> => Promise.resolve({ ok: true, mode: 'user-namespace', why: 'it works' });
const cannot = (): Promise<CheckResult> => Promise.resolve({ ok: false, obstacles: [{ what: 'no namespaces', fix: 'be root' }] });
const choose = async (choice: NetworkChoice, check: () => Promise<CheckResult>) => {
  const result = await chooseNetwork(choice, dir, check);
  return result.ok ? `${result.network.mode}: ${result.network.why}` : result.obstacles.map(({ what }) => what).join('|');
};

describe('chooseNetwork', () => {
  it('prefers namespaces', async () => expect(await choose('auto', can)).toBe('user-namespace: it works'));
  it('falls back to loopback addresses and says why', async () => expect(await choose('auto', cannot)).toBe('unprivileged: no namespaces here: no namespaces; "meltemi doctor" says how to get them'));
  it('does what it is asked for', async () => {
    expect(await choose('loopback', can)).toBe('unprivileged: asked for');
    expect(await choose('netns', cannot)).toBe('no namespaces');
  });
  it('keeps kept objects on the network they were made with', async () => {
    await choose('loopback', can);
    mkdirSync(dir.data);
    expect(await choose('auto', can)).toBe('unprivileged: as the kept objects were made with');
    expect(await choose('netns', can)).toContain('have addresses of the loopback network');
  });
  it('does not fall back under objects of the other network', async () => {
    await choose('auto', can);
    mkdirSync(dir.data);
    expect(await choose('auto', cannot)).toBe('no namespaces');
    expect(await choose('loopback', cannot)).toContain('have addresses of the netns network');
  });
  it('gives a second cluster other addresses, and kept objects their own', async () => {
    const first = await openLoopback();
    if ('what' in first) throw new Error(first.what);
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen(API_PORT, addressPlan(String(first.base)).nodeIP, resolve));
    const second = await openLoopback();
    expect('base' in second && second.base !== first.base).toBe(true);
    expect(await openLoopback(first.base)).toMatchObject({ fix: expect.stringContaining('meltemi down') as string });
    server.close();
  });
});
