import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { runLoad, type LoadOptions } from './generator.ts';

let server: Server | undefined;
afterEach(() => server?.close());

async function start(handler: Parameters<typeof createServer>[1]): Promise<URL> {
  server = createServer(handler!);
  await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
}

const options = (url: URL, more: Partial<LoadOptions> = {}): LoadOptions => ({ url, requestsPerSecond: 0, connections: 2, durationMs: 5000, maxRequests: 20, method: 'GET', headers: {}, timeoutMs: 1000, ...more });

test('counts every answer by status and stops at the bound', async () => {
  let seen = 0;
  const url = await start((_request, response) => void response.writeHead(++seen % 4 === 0 ? 503 : 200).end());
  const numbers = await runLoad(options(url), () => {}, new AbortController().signal);
  expect(seen).toBe(20);
  expect(numbers).toMatchObject({ requests: 20, errors: 0, statuses: { 200: 15, 503: 5 } });
});

test('an exchange without an answer is an error, not a status', async () => {
  const url = await start((request) => void request.socket.destroy());
  expect(await runLoad(options(url, { maxRequests: 3 }), () => {}, new AbortController().signal)).toMatchObject({ requests: 3, errors: 3, reasons: { 'socket hang up': 3 }, statuses: {} });
});

test('the rate is an upper bound', async () => {
  const url = await start((_request, response) => void response.end());
  const numbers = await runLoad(options(url, { requestsPerSecond: 50, durationMs: 400, maxRequests: 0 }), () => {}, new AbortController().signal);
  // 20 in 400 ms, and one more a connection that was about to start.
  expect(numbers.requests).toBeLessThanOrEqual(22);
  expect(numbers.requests).toBeGreaterThan(0);
});

test('aborting ends it', async () => {
  const url = await start((_request, response) => void response.end());
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 100);
  const numbers = await runLoad(options(url, { maxRequests: 0, durationMs: 60_000, requestsPerSecond: 100 }), () => {}, controller.signal);
  expect(numbers.seconds).toBeLessThan(5);
});
