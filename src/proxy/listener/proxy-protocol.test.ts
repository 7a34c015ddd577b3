import { createServer, connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { JsonObject } from '@bufbuild/protobuf';
import { afterEach, describe, expect, it } from 'vitest';
import { hcmFilter, listenerOf, startStatic, staticCluster } from '../testing/proxy-harness.ts';

const T = 'type.googleapis.com/';
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Answers every connection with 200 and what it read. */
async function echo(): Promise<number> {
  const server = createServer((socket) => void socket.once('data', (data) => {
    const body = data.toString('latin1');
    socket.end(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`);
  }).on('error', () => {}));
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => server.close());
  return (server.address() as AddressInfo).port;
}

function talk(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text, 'latin1'));
    let read = '';
    socket.on('data', (data) => void (read += data.toString('latin1'))).on('close', () => resolve(read)).on('error', () => {});
  });
}

const filter = (more: JsonObject = {}): JsonObject => ({ listenerFilters: [{ name: 'envoy.filters.listener.proxy_protocol', typedConfig: { '@type': `${T}envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol`, ...more } }] });
const upstream = (version: string): JsonObject => ({ transportSocket: { name: 'envoy.transport_sockets.upstream_proxy_protocol', typedConfig: { '@type': `${T}envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport`, config: { version }, transportSocket: { name: 'envoy.transport_sockets.raw_buffer', typedConfig: { '@type': `${T}envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer` } } } } });
const request = 'GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n';

async function proxied(cluster: JsonObject, listener: JsonObject): Promise<number> {
  const harness = await startStatic({
    clusters: [staticCluster('a', [await echo()], cluster)],
    listeners: [listenerOf('in', [{ filters: [hcmFilter([{ match: { prefix: '/' }, route: { cluster: 'a' } }], { useRemoteAddress: true })] }], listener)],
  });
  cleanups.push(() => harness.close());
  return harness.port('in');
}

describe('PROXY protocol', () => {
  it('reads who the client is', async () => expect(await talk(await proxied({}, filter()), `PROXY TCP4 203.0.113.7 10.0.0.9 4444 80\r\n${request}`)).toContain('x-forwarded-for: 203.0.113.7'));
  it('refuses connections without a header', async () => expect(await talk(await proxied({}, filter()), request)).toBe(''));
  it('takes them where they are allowed', async () => expect(await talk(await proxied({}, filter({ allowRequestsWithoutProxyProtocol: true })), request)).toContain('200 OK'));
  it('tells servers who the client is', async () => {
    const answer = await talk(await proxied(upstream('V1'), {}), request);
    expect(answer).toMatch(/PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+/);
  });
  it('passes the client on', async () => expect(await talk(await proxied(upstream('V1'), filter()), `PROXY TCP4 203.0.113.7 10.0.0.9 4444 80\r\n${request}`)).toContain('PROXY TCP4 203.0.113.7 10.0.0.9 4444 80'));
});

describe('TCP through an HTTP proxy', () => {
  const tunnel = (cluster: number): Promise<number> => startStatic({
    clusters: [staticCluster('a', [cluster])],
    listeners: [listenerOf('in', [{ filters: [{ name: 'envoy.filters.network.tcp_proxy', typedConfig: { '@type': `${T}envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy`, statPrefix: 't', cluster: 'a', tunnelingConfig: { hostname: 'db.example:5432' } } }] }])],
  }).then((harness) => {
    cleanups.push(() => harness.close());
    return harness.port('in');
  });
  const forwardProxy = async (status: string): Promise<number> => {
    const server = createServer((socket) => void socket.once('data', (data) => {
      socket.write(`HTTP/1.1 ${status}\r\n\r\n${data.toString().split('\r\n')[0]};`);
      socket.on('data', (more) => socket.end(more));
    }).on('error', () => {}));
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => server.close());
    return (server.address() as AddressInfo).port;
  };
  it('asks for the host and passes bytes', async () => expect(await talk(await tunnel(await forwardProxy('200 OK')), 'ping')).toBe('CONNECT db.example:5432 HTTP/1.1;ping'));
  it('closes when it is refused', async () => expect(await talk(await tunnel(await forwardProxy('403 Forbidden')), 'ping')).toBe(''));
});
