import { spawn } from 'node:child_process';
import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { POD } from '../../../objects/resource-types.ts';
import { kubectlMissing, startTestServer, type TestServer } from '../testing.ts';
import { deflateSync } from 'node:zlib';
import { HeaderInflater, SPDY_DICTIONARY, parseHeaderBlock } from './spdy-headers.ts';

const missing = kubectlMissing();
if (missing) process.stderr.write(`skipped: kubectl port-forward, because ${missing}\n`);

const pair = (text: string): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length);
  return Buffer.concat([length, Buffer.from(text)]);
};

test('the dictionary is the one of SPDY/3.1, and header blocks of one connection share a stream', async () => {
  const packed = deflateSync(Buffer.concat([Buffer.of(0, 0, 0, 2), pair('port'), pair('80'), pair('streamType'), pair('data')]), { dictionary: SPDY_DICTIONARY });
  // The checksum of the dictionary, as every SPDY/3.1 connection starts.
  expect(packed.subarray(2, 6).toString('hex')).toBe('e3c6a7c2');
  expect([...(await new HeaderInflater().decode(packed))]).toEqual([['port', '80'], ['streamtype', 'data']]);
  expect(() => parseHeaderBlock(Buffer.of(0, 0, 0, 1, 0, 0, 0, 9))).toThrow(RangeError);
  await expect(new HeaderInflater().decode(Buffer.from('no zlib at all'))).rejects.toThrow();
});

describe.skipIf(missing)('kubectl', () => {
  let echo: Server;
  let server: TestServer;
  beforeAll(async () => {
    // Answers when the client has said everything: half-closed connections must work.
    echo = createServer({ allowHalfOpen: true }, (socket) => {
      const chunks: Buffer[] = [];
      socket.on('data', (chunk: Buffer) => chunks.push(chunk));
      socket.on('error', () => {});
      socket.on('end', () => socket.end(Buffer.concat([Buffer.from('echo:'), ...chunks])));
    });
    await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
    const { port } = echo.address() as AddressInfo;
    const dial = async (_namespace: string, _pod: string, wanted: number) => {
      if (wanted !== 8080) throw new Error(`dial tcp4 127.0.0.1:${wanted}: connect: connection refused`);
      return connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    };
    const exec = {
      start: async ({ command }: { readonly command: readonly string[] }) => {
        const child = spawn(command[0]!, command.slice(1));
        return { stdin: child.stdin, stdout: child.stdout, stderr: child.stderr, resize: () => {}, kill: () => void child.kill('SIGKILL'), exit: new Promise<number>((resolve) => child.on('exit', (code) => resolve(code ?? 137))) };
      },
    };
    const logs = {
      async *open() {
        yield Buffer.from('a line\n');
      },
    };
    server = await startTestServer({ portForward: dial, exec, logs });
    await server.client.create(POD, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'default' }, spec: { containers: [{ name: 'c', image: 'i' }] } } as never);
    await server.client.create(POD, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'waiting', namespace: 'default' }, spec: { containers: [{ name: 'c', image: 'i' }] } } as never);
    await server.client.mergePatch(POD, 'p', 'default', { status: { phase: 'Running' } }, { subresource: 'status' });
  });
  afterAll(async () => {
    await server.close();
    echo.close();
  });

  async function withForward(env: Record<string, string>, use: (port: number, stderr: () => string) => Promise<void>, remote = 8080): Promise<void> {
    const child = spawn('kubectl', ['port-forward', 'pod/p', `:${remote}`], { env: { PATH: process.env['PATH'], ...server.environment, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    let err = '';
    child.stderr.on('data', (text: Buffer) => (err += text.toString()));
    try {
      const port = await new Promise<number>((resolve, reject) => {
        let out = '';
        child.stdout.on('data', (text: Buffer) => {
          const found = /127\.0\.0\.1:(\d+) ->/.exec((out += text.toString()));
          if (found) resolve(Number(found[1]));
        });
        child.on('exit', () => reject(new Error(err)));
      });
      await use(port, () => err);
    } finally {
      child.kill('SIGKILL');
    }
  }
  const ask = (port: number, text: Buffer): Promise<Buffer> => new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('end', () => resolve(Buffer.concat(chunks)));
    socket.on('error', reject);
    socket.end(text);
  });

  test.each([['WebSocket tunnel', {}], ['SPDY', { KUBECTL_PORT_FORWARD_WEBSOCKETS: 'false' }]])('port-forward over %s: many connections, megabytes, half-closed', async (_name, env) => {
    await withForward(env, async (port) => {
      expect((await ask(port, Buffer.from('hello'))).toString()).toBe('echo:hello');
      const answers = await Promise.all([1, 2, 3, 4, 5].map((one) => ask(port, Buffer.from(`n${one}`))));
      expect(answers.map(String)).toEqual(['echo:n1', 'echo:n2', 'echo:n3', 'echo:n4', 'echo:n5']);
      const large = Buffer.alloc(3_000_000, 'x');
      expect((await ask(port, large)).length).toBe(large.length + 5);
    });
  }, 30_000);

  test('a port nobody listens on is told, in the words of a kubelet', async () => {
    await withForward({}, async (port, stderr) => {
      await ask(port, Buffer.from('x')).catch(() => {});
      await expect.poll(stderr, { timeout: 5000 }).toContain('error forwarding port 9 to pod p: dial tcp4 127.0.0.1:9: connect: connection refused');
    }, 9);
  }, 30_000);

  test('a pod that does not run is refused', async () => {
    expect((await server.kubectl(['port-forward', 'pod/waiting', ':80'])).stderr).toContain('pod is not running. Current status=Pending');
  });

  test.each([['WebSocket', 'true'], ['SPDY', 'false']])('exec and attach over %s', async (_name, webSockets) => {
    const run = (args: readonly string[], input?: string) => server.kubectl(args, input, { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: webSockets });
    expect(await run(['exec', 'p', '--', 'sh', '-c', 'echo out; echo err >&2; exit 3'])).toMatchObject({ code: 3, stdout: 'out\n', stderr: expect.stringContaining('err\n') });
    expect(await run(['exec', '-i', 'p', '--', 'cat'], 'typed')).toMatchObject({ code: 0, stdout: 'typed' });
    expect(await run(['attach', 'p'])).toMatchObject({ code: 0, stdout: 'a line\n' });
  }, 30_000);
});
