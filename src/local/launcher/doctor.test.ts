import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { stateDir } from '../state-dir.ts';
import { examine } from './doctor.ts';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'doctor-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const examineHome = async (home: string, files: readonly string[] = ['cluster.js', 'control-plane.js', 'agent.js', 'pod-preload.cjs']) => {
  const dist = join(folder, 'dist');
  mkdirSync(dist, { recursive: true });
  for (const file of files) writeFileSync(join(dist, file), '');
  const report = await examine({ dir: stateDir(home), dist, envoyPath: undefined });
  return { ...report, of: (name: string) => report.findings.find((finding) => finding.name === name) };
};

it('names a network, and gives every problem a fix', async () => {
  const report = await examineHome(join(folder, 'home'));
  expect(report.network).toMatch(/^(netns|loopback)$/);
  expect(report.findings.map(({ name }) => name)).toEqual(expect.arrayContaining(['node', 'programs', 'state directory', 'network', 'kubectl', 'memory', 'cluster']));
  for (const finding of report.findings) expect([finding.name, finding.fix !== undefined]).toEqual([finding.name, finding.status !== 'ok']);
});

it('fails where nothing can run', async () => {
  const report = await examineHome('/proc/home', ['cluster.js']);
  expect(report.ok).toBe(false);
  expect(report.of('state directory')).toMatchObject({ status: 'fail', message: expect.stringContaining('procfs') as string });
  expect(report.of('programs')).toMatchObject({ status: 'fail', message: expect.stringContaining('agent.js') as string });
});

it('tells of a killed cluster', async () => {
  mkdirSync(join(folder, 'home/run'), { recursive: true });
  writeFileSync(join(folder, 'home/run/cluster.json'), JSON.stringify({ pid: 2 ** 22 + 1, startTicks: '1', mode: 'root' }));
  expect((await examineHome(join(folder, 'home'))).of('cluster')).toMatchObject({ status: 'warn', message: expect.stringContaining('was killed') as string });
});
