import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { stateDir, type StateDir } from '../state-dir.ts';
import { unshareFlags } from './checks.ts';
import { LockedError, takeLock } from './lock.ts';
import { openPorts, type OpenPort, type PortRequest } from './ports.ts';
import { cleanState, readRuntime, startTicksOf, writeRuntime, type RuntimeInfo } from './runtime.ts';

let dir: StateDir;
beforeEach(() => void (dir = stateDir(mkdtempSync(join(tmpdir(), 'state-')))));
afterEach(() => rmSync(dir.home, { recursive: true, force: true }));

describe('takeLock', () => {
  it('is held once and can be taken again after its release', () => {
    const release = takeLock(dir);
    expect(() => takeLock(dir)).toThrow(LockedError);
    release();
    takeLock(dir)();
  });
  it.each([
    ['a process that is gone', JSON.stringify({ pid: 2 ** 22 + 1, startTicks: '1' })],
    ['another process with the same pid', JSON.stringify({ pid: process.pid, startTicks: '1' })],
    ['nobody', 'rubbish'],
  ])('takes over the lock of %s', (_, content) => {
    mkdirSync(dir.run, { recursive: true });
    writeFileSync(join(dir.run, 'lock'), content);
    takeLock(dir)();
  });
});

describe('runtime', () => {
  const info = (startTicks: string): RuntimeInfo => ({ pid: process.pid, startTicks, mode: 'root', dataPlane: 'proxy', kubeconfig: 'k', urls: {}, startedAt: '' });
  it('is there only while its process is', () => {
    expect(readRuntime(dir)).toBeUndefined();
    writeRuntime(dir, info(startTicksOf(process.pid)!));
    expect(readRuntime(dir)?.pid).toBe(process.pid);
    writeRuntime(dir, info('1'));
    expect(readRuntime(dir)).toBeUndefined();
    writeFileSync(dir.runtimeFile, 'rubbish');
    expect(readRuntime(dir)).toBeUndefined();
  });
  it('cleanState keeps or removes the store', () => {
    for (const folder of [dir.data, dir.pods, dir.pki, dir.volumes]) mkdirSync(folder);
    cleanState(dir, { data: false });
    expect([dir.data, dir.pods, dir.pki, dir.volumes].map((path) => existsSync(path))).toEqual([true, false, true, true]);
    cleanState(dir, { data: true });
    expect([dir.data, dir.volumes].some((path) => existsSync(path))).toBe(false);
  });
});

describe('openPorts', () => {
  const open: OpenPort[] = [];
  afterEach(() => open.splice(0).forEach((port) => port.server.close()));
  const ask = async (...requests: PortRequest[]) => {
    const ports = await openPorts(dir, requests);
    open.push(...ports);
    return ports;
  };
  const free = (): Promise<number> => new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => resolve(port));
    });
  });
  it('remembers its ports', async () => {
    const [first] = await ask({ name: 'api', hostPort: 0 });
    open.splice(0).forEach((port) => port.server.close());
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect((await ask({ name: 'api', hostPort: 0 }))[0]).toMatchObject({ hostPort: first!.hostPort });
  });
  it('takes the next free one and says so', async () => {
    const wanted = await free();
    const [first] = await ask({ name: 'a', hostPort: wanted });
    expect(first).toMatchObject({ hostPort: wanted });
    const [second] = await ask({ name: 'b', hostPort: wanted });
    expect(second!.hostPort).not.toBe(wanted);
    expect(second!.moved).toBe(wanted);
    expect(second!.fd).toBeGreaterThan(2);
  });
});

it('makes a user namespace only when not root', () => {
  expect(unshareFlags('root')).not.toContain('--user');
  expect(unshareFlags('user-namespace')).toEqual(expect.arrayContaining(['--user', '--map-root-user', '--pid', '--mount', '--net', '--kill-child']));
});
