import { createServer, type Server } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { localRequest, type ProxyControl } from './admin-client.ts';
import { parseAppProbers, type AppProber } from './app-probes.ts';
import { AgentMetrics, parseApplicationScrape } from './metrics.ts';
import { createStatusServer } from './status-server.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function listen(server: Server, host = '127.0.0.1'): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return (server.address() as { port: number }).port;
}

const proxy = (over: Partial<ProxyControl> = {}): ProxyControl => ({
  notReady: () => Promise.resolve(undefined), drain: () => Promise.resolve(), activeConnections: () => Promise.resolve(0),
  metrics: () => Promise.resolve({ status: 200, contentType: 'text/plain', body: Buffer.from('envoy_up 1\n') }), ...over,
});

async function start(over: { proxy?: ProxyControl; agentNotReady?: string; probers?: ReadonlyMap<string, AppProber>; appPort?: number } = {}) {
  const calls: string[] = [];
  const metrics = new AgentMetrics();
  metrics.counter('istio_agent_scrapes_total', 'x');
  const port = await listen(createStatusServer({
    proxy: over.proxy ?? proxy(), metrics, appProbers: over.probers ?? new Map(), application: over.appPort === undefined ? undefined : { port: over.appPort, path: '/metrics' }, podIp: '127.0.0.1',
    agentNotReady: () => over.agentNotReady, onQuit: () => calls.push('quit'), onDrain: () => calls.push('drain'),
  }));
  return { port, calls, get: async (path: string, method = 'GET') => localRequest({ port, path, method }) };
}

describe('readiness', () => {
  test.each([
    ['all is well', {}, 200],
    ['no certificate', { agentNotReady: 'no workload certificate yet' }, 503],
    ['no configuration', { proxy: proxy({ notReady: () => Promise.resolve('config not received') }) }, 503],
  ])('%s', async (_name, over, status) => expect((await (await start(over)).get('/healthz/ready')).status).toBe(status));
});

test('metrics of proxy, agent and application come in one answer', async () => {
  const appPort = await listen(createServer((_request, response) => response.end('app_requests 7\n# EOF\n')), 'localhost');
  const { get } = await start({ appPort });
  const text = (await get('/stats/prometheus')).body.toString();
  expect(text).toContain('envoy_up 1\n');
  expect(text).toContain('istio_agent_scrapes_total 1\n');
  expect(text).toContain('app_requests 7\n');
  expect(text).not.toContain('# EOF');
});

test('a silent application does not hide the proxy', async () => {
  const { get } = await start({ appPort: 1 });
  expect((await get('/metrics')).body.toString()).toContain('envoy_up 1');
});

describe('parseApplicationScrape', () => {
  test.each([
    ['{"scrape":"true","port":"9090","path":"/m"}', { port: 9090, path: '/m' }],
    ['{"scrape":"true","port":"","path":""}', { port: 80, path: '/metrics' }],
    ['{"scrape":"true","port":"15020","path":"/stats/prometheus"}', undefined],
    ['{"scrape":"false","port":"9090"}', undefined],
    ['rubbish', undefined],
    [undefined, undefined],
  ])('%s', (text, expected) => expect(parseApplicationScrape(text, 15020)).toEqual(expected));
});

describe('application probes', () => {
  test.each([200, 204, 302, 500])('an application that answers %i', async (status) => {
    const requests: string[] = [];
    const appPort = await listen(createServer((request, response) => {
      requests.push(`${request.url} ${request.headers['x-probe']} ${request.headers.host} ${request.socket.remoteAddress}`);
      response.writeHead(status).end();
    }));
    const probers = new Map([['/app-health/app/readyz', { httpGet: { path: 'health', port: appPort, httpHeaders: [{ name: 'X-Probe', value: 'yes' }] } }]]);
    const { get } = await start({ probers });
    expect((await get('/app-health/app/readyz')).status).toBe(status);
    expect(requests).toEqual([`/health yes 127.0.0.1:${appPort} 127.0.0.6`]);
  });
  test('TCP: a listener and a closed port', async () => {
    const appPort = await listen(createServer());
    const { get } = await start({ probers: new Map([['/app-health/app/livez', { tcpSocket: { port: appPort } }], ['/app-health/app/startupz', { tcpSocket: { port: 1 } }]]) });
    expect((await get('/app-health/app/livez')).status).toBe(200);
    expect((await get('/app-health/app/startupz')).status).toBe(500);
  });
  test('an unknown path is 404', async () => expect((await (await start()).get('/app-health/other/readyz')).status).toBe(404));
  test.each(['{"/etc/passwd":{}}', '[]x', '3'])('%s is not a prober map', (text) => expect(() => parseAppProbers(text)).toThrow());
});

describe('quitquitquit and drain', () => {
  test.each([
    ['/quitquitquit', 'POST', 200, ['quit']],
    ['/quitquitquit', 'GET', 405, []],
    ['/drain', 'POST', 200, ['drain']],
  ])('%s %s', async (path, method, status, expected) => {
    const { get, calls } = await start();
    expect((await get(path, method)).status).toBe(status);
    expect(calls).toEqual(expected);
  });
});
