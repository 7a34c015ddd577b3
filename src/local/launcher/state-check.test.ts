import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { stateDir } from '../state-dir.ts';
import { packageObstacle, stateObstacle, unreadableForProxy } from './state-check.ts';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'check-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('stateObstacle', () => {
  it('makes the folder, and leaves nothing else', () => {
    expect(stateObstacle(stateDir(join(folder, 'a/b')))).toBeUndefined();
    expect(existsSync(join(folder, 'a/b'))).toBe(true);
  });
  it.each([['/proc/mesh', 'procfs'], ['/proc/self/fdinfo/x/y', 'procfs'], ['/sys/kernel/mesh', 'sysfs']])('refuses %s at once', (home, name) => {
    expect(stateObstacle(stateDir(home))).toMatchObject({ what: expect.stringContaining(name) as string, fix: expect.stringContaining('MELTEMI_HOME') as string });
  });
  it('refuses a file', () => {
    writeFileSync(join(folder, 'file'), '');
    expect(stateObstacle(stateDir(join(folder, 'file')))?.what).toContain('is not a folder');
    expect(stateObstacle(stateDir(join(folder, 'file/below')))?.what).toContain('is not a folder');
  });
});

describe('unreadableForProxy', () => {
  const make = (): void => {
    for (const path of ['dist/chunks', 'node_modules/koffi/build', 'node_modules/other', 'src']) mkdirSync(join(folder, path), { recursive: true });
    for (const path of ['dist/agent.js', 'dist/chunks/a.js', 'node_modules/koffi/build/koffi.node', 'node_modules/other/x.js', 'src/secret.ts']) writeFileSync(join(folder, path), '');
    chmodSync(folder, 0o755);
  };
  it('is content with what agents load', () => {
    make();
    chmodSync(join(folder, 'src/secret.ts'), 0o600);
    chmodSync(join(folder, 'node_modules/other'), 0o700);
    expect(unreadableForProxy(folder)).toEqual([]);
  });
  it.each([['dist/agent.js', 0o600], ['dist/chunks', 0o700], ['dist/chunks', 0o744], ['node_modules/koffi/build/koffi.node', 0o640], ['node_modules', 0o700], ['', 0o700]])('finds %j with mode %o', (path, mode) => {
    make();
    chmodSync(join(folder, path), mode);
    expect(unreadableForProxy(folder)).toEqual([join(folder, path)]);
    expect(packageObstacle(folder)).toMatchObject({ what: expect.stringContaining('1337') as string, fix: `chmod -R o+rX ${folder}` });
    chmodSync(join(folder, path), 0o755);
  });
});
