/** Commands in containers as kubectl runs them, over WebSocket (1.32) and over SPDY: the containers are processes of this machine. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { KubeObject } from '../../../objects/meta.ts';
import { POD } from '../../../objects/resource-types.ts';
import { kubectlMissing, startTestServer, type TestServer } from '../testing.ts';
import type { ExecSession, PodExec } from './exec.ts';

const containers: PodExec = {
  start(request) {
    const child = spawn(request.command[0]!, request.command.slice(1));
    const session: ExecSession = {
      stdin: child.stdin, stdout: child.stdout, stderr: child.stderr, resize: () => {}, kill: () => void child.kill('SIGKILL'),
      exit: new Promise((resolve, reject) => {
        child.on('error', reject);
        child.on('exit', (code) => resolve(code ?? 137));
      }),
    };
    return Promise.resolve(session);
  },
};

const missing = kubectlMissing();
if (missing) process.stderr.write(`skipped: kubectl exec and cp, because ${missing}\n`);

describe.skipIf(missing).each([['WebSocket', {}], ['SPDY', { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: 'false' }]])('over %s', (_name, env) => {
  let server: TestServer;
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kubectl-exec-'));
    server = await startTestServer({ exec: containers });
    await server.client.create(POD, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'default' }, spec: { nodeName: 'one', containers: [{ name: 'c', image: 'i' }] } } as KubeObject);
    await server.client.mergePatch(POD, 'p', 'default', { status: { phase: 'Running', containerStatuses: [{ name: 'c', image: 'i', imageID: '', ready: true, restartCount: 0, state: { running: { startedAt: '2024-01-01T00:00:00Z' } } }] } }, { subresource: 'status' });
  });
  afterAll(async () => {
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const kubectl = (args: readonly string[], input?: string) => server.kubectl(args, input, env);

  test('output, errors and the exit code come back', async () => {
    expect(await kubectl(['exec', 'p', '--', 'sh', '-c', 'echo out; echo err >&2; exit 3'])).toMatchObject({ code: 3, stdout: 'out\n', stderr: 'err\ncommand terminated with exit code 3\n' });
  });

  test('what is typed goes in', async () => {
    expect((await kubectl(['exec', '-i', 'p', '--', 'wc', '-c'], 'x'.repeat(200_000))).stdout.trim()).toBe('200000');
  });

  test('files are copied in and out whole', async () => {
    const bytes = Buffer.from(Array.from({ length: 700_000 }, (_, index) => (index * 7919) % 256));
    writeFileSync(join(folder, 'here'), bytes);
    expect(await kubectl(['cp', join(folder, 'here'), `default/p:${join(folder, 'there')}`])).toMatchObject({ code: 0 });
    expect(readFileSync(join(folder, 'there')).equals(bytes)).toBe(true);
    expect(await kubectl(['cp', `default/p:${join(folder, 'there')}`, join(folder, 'back')])).toMatchObject({ code: 0 });
    expect(readFileSync(join(folder, 'back')).equals(bytes)).toBe(true);
  });
});
