/** Filters that people patch in, on a whole proxy. */
import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { JsonObject } from '@bufbuild/protobuf';
import { afterEach, describe, expect, it } from 'vitest';
import { hcmFilter, listenerOf, startStatic, staticCluster } from '../testing/proxy-harness.ts';

const T = 'type.googleapis.com/';
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Answers with what it was sent. */
async function echo(): Promise<number> {
  const server = createServer((request: IncomingMessage, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => response.writeHead(200, { 'x-server': 'yes' }).end(JSON.stringify({ headers: request.headers, url: request.url, body: Buffer.concat(chunks).toString() })));
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => (server.closeAllConnections(), server.close()));
  return (server.address() as AddressInfo).port;
}

async function proxyWith(name: string, config: JsonObject, route: JsonObject = {}): Promise<string> {
  const port = await echo();
  const harness = await startStatic({
    clusters: [staticCluster('a', [port]), staticCluster('b', [port])],
    listeners: [listenerOf('in', [{ filters: [hcmFilter([{ match: { prefix: '/' }, route: { cluster: 'a' }, ...route }], {
      httpFilters: [{ name, typedConfig: config }, { name: 'envoy.filters.http.router', typedConfig: { '@type': `${T}envoy.extensions.filters.http.router.v3.Router` } }],
    })] }])],
  });
  cleanups.push(() => harness.close());
  return `http://127.0.0.1:${harness.port('in')}`;
}

interface Echo {
  readonly headers: Record<string, string>;
  readonly url: string;
  readonly body: string;
}

describe('envoy.filters.http.local_ratelimit', () => {
  const always = { defaultValue: { numerator: 100 } };
  const config = (more: JsonObject): JsonObject => ({ '@type': `${T}envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit`, statPrefix: 'x', tokenBucket: { maxTokens: 2, tokensPerFill: 2, fillInterval: '60s' }, filterEnabled: always, filterEnforced: always, ...more });
  const statuses = async (url: string, count = 4) => {
    const seen: number[] = [];
    for (let i = 0; i < count; i++) seen.push((await fetch(url)).status);
    return seen;
  };
  it.each([
    ['limits', {}, [200, 200, 429, 429]],
    ['is off without filter_enabled', { filterEnabled: { defaultValue: { numerator: 0 } } }, [200, 200, 200, 200]],
    ['only watches when it is not enforced', { filterEnforced: { defaultValue: { numerator: 0 } } }, [200, 200, 200, 200]],
    ['answers as told', { status: { code: 'ServiceUnavailable' } }, [200, 200, 503, 503]],
  ])('%s', async (_, more, expected) => expect(await statuses(await proxyWith('limit', config(more as JsonObject)))).toEqual(expected));
  it('says so as Envoy does', async () => {
    const url = await proxyWith('limit', config({ tokenBucket: { maxTokens: 1, fillInterval: '60s' }, responseHeadersToAdd: [{ header: { key: 'x-limited', value: 'yes' } }] }));
    await fetch(url);
    const answer = await fetch(url);
    expect([answer.status, answer.headers.get('x-limited'), await answer.text()]).toEqual([429, 'yes', 'local_rate_limited']);
  });
  it('takes the route\'s limit', async () => expect(await statuses(await proxyWith('limit', { '@type': `${T}envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit`, statPrefix: 'x' }, { typedPerFilterConfig: { limit: config({}) } }))).toEqual([200, 200, 429, 429]));
  it('refills', async () => {
    const url = await proxyWith('limit', config({ tokenBucket: { maxTokens: 1, fillInterval: '0.1s' } }));
    expect(await statuses(url, 2)).toEqual([200, 429]);
    await new Promise((resolve) => setTimeout(resolve, 120));
    expect(await statuses(url, 1)).toEqual([200]);
  });
});

describe('envoy.filters.http.header_mutation', () => {
  const mutations = (value: string) => ({ requestMutations: [{ append: { header: { key: 'x-a', value }, appendAction: 'OVERWRITE_IF_EXISTS_OR_ADD' } }, { remove: 'x-gone' }], responseMutations: [{ append: { header: { key: 'x-status', value: '%RESPONSE_CODE%' } } }, { remove: 'x-server' }] });
  it('changes both ways, the route after the filter', async () => {
    const url = await proxyWith('mutate', { '@type': `${T}envoy.extensions.filters.http.header_mutation.v3.HeaderMutation`, mutations: mutations('filter') }, { typedPerFilterConfig: { mutate: { '@type': `${T}envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute`, mutations: { requestMutations: mutations('route').requestMutations } } } });
    const answer = await fetch(url, { headers: { 'x-gone': '1' } });
    const { headers } = (await answer.json()) as Echo;
    expect([headers['x-a'], headers['x-gone'], answer.headers.get('x-status'), answer.headers.get('x-server')]).toEqual(['route', undefined, '200', null]);
  });
});

describe('envoy.filters.http.buffer', () => {
  const buffer = (maxRequestBytes: number): JsonObject => ({ '@type': `${T}envoy.extensions.filters.http.buffer.v3.Buffer`, maxRequestBytes });
  const chunked = (text: string) => ({ method: 'POST', duplex: 'half', body: new ReadableStream({ start(controller) { for (const part of text.match(/.{1,3}/g) ?? []) controller.enqueue(Buffer.from(part)); controller.close(); } }) }) as RequestInit;
  it('collects and says how long', async () => {
    const { headers, body } = (await (await fetch(await proxyWith('buffer', buffer(100)), chunked('0123456789'))).json()) as Echo;
    expect([headers['content-length'], headers['transfer-encoding'], body]).toEqual(['10', undefined, '0123456789']);
  });
  it('refuses what is longer', async () => {
    const answer = await fetch(await proxyWith('buffer', buffer(5)), chunked('0123456789'));
    expect([answer.status, await answer.text()]).toEqual([413, 'Payload Too Large']);
  });
  it('leaves requests without a body', async () => expect((await fetch(await proxyWith('buffer', buffer(5)))).status).toBe(200));
});
