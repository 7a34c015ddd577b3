import http from 'node:http';
import http2 from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { runHandler, runProber, type ProbeTarget } from './probe.ts';

const servers: { close(): unknown }[] = [];
afterEach(() => servers.splice(0).forEach((server) => server.close()));
async function listen<S extends Server>(server: S): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}
const target = (port = 0, exec: ProbeTarget['exec'] = () => Promise.resolve({ code: 0, output: '', timedOut: false })): ProbeTarget => ({ container: { name: 'c', ports: [{ name: 'web', containerPort: port }] }, podIP: '127.0.0.1', exec });

describe('httpGet', () => {
  it.each([[200, true], [302, true], [399, true], [400, false], [503, false]])('%d → %s', async (status, ok) => {
    const port = await listen(http.createServer((request, response) => response.writeHead(request.headers['x-test'] === '1' && request.url === '/p?q' ? status : 599).end('x')));
    const result = await runHandler({ httpGet: { port: 'web', path: '/p?q', httpHeaders: [{ name: 'X-Test', value: '1' }] } }, target(port), 1000);
    expect(result.ok).toBe(ok);
    if (!result.ok) expect(result.message).toBe(`HTTP probe failed with statuscode: ${status}`);
  });
  it('says why there is no answer', async () => {
    const silent = await listen(http.createServer(() => {}));
    expect(await runHandler({ httpGet: { port: silent } }, target(), 50)).toMatchObject({ ok: false, message: expect.stringContaining('context deadline exceeded') as string });
    expect(await runHandler({ httpGet: { port: 1 } }, target(), 500)).toMatchObject({ ok: false, message: 'Get "http://127.0.0.1:1/": dial tcp 127.0.0.1:1: connect: connection refused' });
    expect(await runHandler({ httpGet: { port: 'none' } }, target(), 500)).toMatchObject({ ok: false, message: "couldn't find port: none" });
    servers.forEach((server) => (server as http.Server).closeAllConnections());
  });
});

it('tcpSocket and exec', async () => {
  const port = await listen(http.createServer());
  expect(await runHandler({ tcpSocket: { port } }, target(), 500)).toMatchObject({ ok: true });
  expect(await runHandler({ tcpSocket: { port: 1 } }, target(), 500)).toMatchObject({ ok: false });
  expect(await runHandler({ exec: { command: ['x'] } }, target(0, () => Promise.resolve({ code: 2, output: 'no', timedOut: false })), 500)).toEqual({ ok: false, message: 'no' });
});

describe('grpc', () => {
  it.each([['ready', { ok: true }], ['asleep', { ok: false, message: 'service unhealthy (responded with "NOT_SERVING")' }], ['', { ok: false, message: 'this server does not implement the grpc health protocol (grpc.health.v1.Health)' }]])('service "%s"', async (service, expected) => {
    const server = http2.createServer();
    server.on('stream', (stream) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const name = Buffer.concat(chunks).subarray(7).toString();
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': name ? '0' : '12' }));
        stream.end(name ? Buffer.of(0, 0, 0, 0, 2, 8, name === 'ready' ? 1 : 2) : undefined);
      });
    });
    const port = await listen(server);
    expect(await runHandler({ grpc: { port, service } }, target(), 1000)).toEqual(expected);
  });
});

describe('runProber', () => {
  const run = async (outcomes: readonly boolean[], probe: Parameters<typeof runProber>[0]) => {
    const abort = new AbortController();
    const log: string[] = [];
    let index = 0;
    const exec = () => {
      const ok = outcomes[index++] ?? false;
      if (index >= outcomes.length) setImmediate(() => abort.abort());
      return Promise.resolve({ code: ok ? 0 : 1, output: 'bad', timedOut: false });
    };
    await runProber({ exec: { command: ['x'] }, periodSeconds: 1, ...probe }, target(0, exec), { passed: () => log.push('passed'), failed: () => log.push('failed'), unhealthy: () => log.push('unhealthy') }, abort.signal);
    return log;
  };
  it('fails after the threshold in a row', async () => {
    expect(await run([true, false, false], { failureThreshold: 2 })).toEqual(['passed', 'unhealthy', 'unhealthy', 'failed']);
  }, 10_000);
  it('passes after the threshold in a row', async () => {
    expect(await run([true, true], { successThreshold: 2 })).toEqual(['passed']);
  });
});

it('asks a network probe early and often until it passes once', async () => {
  let ready = false;
  const port = await listen(http.createServer((_, response) => response.writeHead(ready ? 200 : 503).end()));
  setTimeout(() => (ready = true), 300);
  const abort = new AbortController();
  const from = Date.now();
  let failures = 0;
  await runProber({ httpGet: { port }, periodSeconds: 30, failureThreshold: 1 }, target(), { passed: () => abort.abort(), failed: () => failures++, unhealthy: () => {} }, abort.signal);
  expect(Date.now() - from).toBeLessThan(2000);
  // Only the checks at the period count as failures.
  expect(failures).toBe(1);
});
