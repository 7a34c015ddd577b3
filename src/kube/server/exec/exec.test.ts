import { spawn } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { execInPod } from '../../client/exec.ts';
import type { ClusterAccess } from '../../client/kube-config.ts';
import { parseExecRequest, serveExec, type ExecSession, type PodExec } from './exec.ts';

// The kubelet's part, with processes of this machine.
const pods: PodExec = {
  start(request) {
    if (request.pod === 'gone') return Promise.reject(new Error('pod "gone" is not running'));
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

let server: Server;
let access: ClusterAccess;

beforeAll(async () => {
  server = createServer();
  server.on('upgrade', (request, socket, head) => {
    const url = new URL(request.url!, 'http://api');
    const [, namespace, pod] = /\/namespaces\/([^/]+)\/pods\/([^/]+)\/exec$/.exec(url.pathname)!;
    serveExec(request, socket, head, parseExecRequest(namespace!, pod!, url.searchParams)!, pods);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  access = { server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, namespace: 'default', credentials: () => Promise.resolve({}) };
});
afterAll(() => server.close());

const run = (...command: string[]) => execInPod(access, { namespace: 'default', pod: 'p', command, timeoutMs: 5000 });

test('both outputs and success come back', async () => {
  expect(await run('sh', '-c', 'echo out; echo err >&2')).toEqual({ stdout: 'out\n', stderr: 'err\n', exitCode: 0 });
});

test('the exit code comes back', async () => expect(await run('sh', '-c', 'exit 7')).toMatchObject({ exitCode: 7 }));

test('a megabyte arrives whole', async () => {
  const { stdout } = await run('sh', '-c', 'head -c 3000000 /dev/zero | tr "\\0" x');
  expect(stdout.length).toBe(3_000_000);
});

test('a pod that does not run is named', async () => {
  await expect(execInPod(access, { namespace: 'default', pod: 'gone', command: ['true'] })).rejects.toThrow('pod "gone" is not running');
});

test('a command that cannot be started is an error, not a hang', async () => await expect(run('/does/not/exist')).rejects.toThrow('ENOENT'));

test('without a command there is no request', () => expect(parseExecRequest('n', 'p', new URLSearchParams('stdin=true'))).toBeUndefined());
