import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import { tokenSeconds, volumeFiles, volumeKind, writeVolume, type VolumeFile, type VolumeSources } from './volumes.ts';

let folder: string;
beforeEach(() => void (folder = join(mkdtempSync(join(tmpdir(), 'volume-')), 'v')));
afterEach(() => rmSync(join(folder, '..'), { recursive: true, force: true }));
const files = (table: Readonly<Record<string, string>>): ReadonlyMap<string, VolumeFile> => new Map(Object.entries(table).map(([path, text]) => [path, { content: Buffer.from(text), mode: 0o640 }]));

describe('writeVolume', () => {
  it('shows files, swaps them as a whole and removes what is gone', () => {
    expect(writeVolume(folder, files({ a: '1', 'sub/b': '2' }))).toBe(true);
    expect(readFileSync(join(folder, 'sub/b'), 'utf8')).toBe('2');
    expect(statSync(join(folder, 'a')).mode & 0o777).toBe(0o640);
    const before = readFileSync(join(folder, 'a'));
    expect(writeVolume(folder, files({ a: '1', 'sub/b': '2' }))).toBe(false);
    expect(writeVolume(folder, files({ a: '3', c: '4' }))).toBe(true);
    expect(before.toString()).toBe('1');
    expect(readFileSync(join(folder, 'a'), 'utf8')).toBe('3');
    expect(existsSync(join(folder, 'sub'))).toBe(false);
    expect(readdirSync(folder).filter((name) => !name.startsWith('..')).sort()).toEqual(['a', 'c']);
    expect(readdirSync(folder).filter((name) => /^\.\.\d/.test(name))).toHaveLength(1);
  });
});

const pod: Pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'n', labels: { app: 'x' } }, spec: { containers: [] } };
const sources: VolumeSources = {
  pod, podIP: '10.244.0.9', node: { cpuCores: 2, memoryBytes: 1024 },
  configMap: (name) => (name === 'cm' ? { k: Buffer.from('v') } : undefined),
  secret: () => undefined,
  token: (audience, seconds) => Promise.resolve(`${audience}/${seconds}`),
};
const paths = async (volume: Parameters<typeof volumeFiles>[0]) => Object.fromEntries([...(await volumeFiles(volume, sources))].map(([path, file]) => [path, file.content.toString()]));

describe('volumeFiles', () => {
  it('projects tokens, maps and fields', async () => {
    const volume = { name: 'v', projected: { sources: [{ serviceAccountToken: { audience: 'istio-ca', path: 't' } }, { configMap: { name: 'cm', items: [{ key: 'k', path: 'deep/k' }] } }, { downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } }] } };
    expect(await paths(volume)).toEqual({ t: 'istio-ca/3600', 'deep/k': 'v', labels: 'app="x"' });
    expect(tokenSeconds([volume])).toBe(3600);
  });
  it('leaves out what is optional and waits for what is not', async () => {
    expect(await paths({ name: 'v', configMap: { name: 'none', optional: true } })).toEqual({});
    await expect(paths({ name: 'v', configMap: { name: 'none' } })).rejects.toThrow('configmap "none" not found');
    await expect(paths({ name: 'v', configMap: { name: 'cm', items: [{ key: 'x', path: 'x' }] } })).rejects.toThrow('non-existent key: x');
  });
  it.each(['../x', '/x', 'a/../../x'])('refuses the path %s', async (path) => {
    await expect(paths({ name: 'v', configMap: { name: 'cm', items: [{ key: 'k', path }] } })).rejects.toThrow('stay inside');
  });
});

describe('volumeKind', () => {
  it.each([
    [{ name: 'v' }, 'empty'],
    [{ name: 'v', emptyDir: { medium: 'Memory' } }, 'memory'],
    [{ name: 'v', secret: { secretName: 's' } }, 'files'],
  ] as const)('%j', (volume, kind) => expect(volumeKind(volume)).toBe(kind));
  it('refuses the host\'s folders with a reason', () => {
    expect(() => volumeKind({ name: 'v', hostPath: { path: '/etc' } })).toThrow('hostPath is refused');
    expect(() => volumeKind({ name: 'v', nfs: { server: 's', path: '/' } })).toThrow('nfs is not supported');
  });
});
