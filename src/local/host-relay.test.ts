import net from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { Service } from '../objects/kubernetes/service.ts';
import { join, relayTarget } from './host-relay.ts';

const service = (name: string, port: number, more: { type?: 'LoadBalancer' | 'ClusterIP'; istio?: string; created?: string } = {}): Service => ({
  apiVersion: 'v1', kind: 'Service',
  metadata: { name, namespace: 'default', creationTimestamp: more.created ?? '2026-01-01T00:00:00Z', labels: more.istio ? { istio: more.istio } : {} },
  spec: { type: more.type ?? 'LoadBalancer', clusterIP: '10.96.0.5', ports: [{ port }] },
});

describe('relayTarget', () => {
  it.each<[string, Service[], string | undefined]>([
    ['the oldest', [service('b', 80, { created: '2026-01-02T00:00:00Z' }), service('a', 80)], 'a'],
    ['the ingress gateway first', [service('a', 80), service('z', 80, { istio: 'ingressgateway', created: '2027-01-01T00:00:00Z' })], 'z'],
    ['only LoadBalancers', [service('a', 80, { type: 'ClusterIP' })], undefined],
    ['only this port', [service('a', 443)], undefined],
  ])('%s', (_, services, expected) => expect(relayTarget(services, 80)?.metadata.name).toBe(expected));
});

describe('join', () => {
  const servers: net.Server[] = [];
  afterEach(() => servers.splice(0).forEach((server) => server.close()));
  const listen = (onSocket: (socket: net.Socket) => void): Promise<number> => new Promise((resolve) => {
    const server = net.createServer({ allowHalfOpen: true }, onSocket).listen(0, '127.0.0.1', () => resolve((server.address() as net.AddressInfo).port));
    servers.push(server);
  });
  const relayTo = (port: number) => listen((socket) => join(socket, net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })));

  it('passes on an end and still the answer after it', async () => {
    const upstream = await listen((socket) => {
      let text = '';
      socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
      socket.on('end', () => setTimeout(() => socket.end(`got ${text}`), 10));
    });
    const client = net.connect({ port: await relayTo(upstream), host: '127.0.0.1', allowHalfOpen: true });
    client.end('hello');
    let answer = '';
    for await (const chunk of client) answer += String(chunk);
    expect(answer).toBe('got hello');
  });
  it('carries much in both directions', async () => {
    const upstream = await listen((socket) => socket.pipe(socket));
    const client = net.connect({ port: await relayTo(upstream), host: '127.0.0.1', allowHalfOpen: true });
    const block = Buffer.alloc(8 << 20, 7);
    client.end(block);
    let bytes = 0;
    for await (const chunk of client) bytes += (chunk as Buffer).length;
    expect(bytes).toBe(block.length);
  });
  it('resets the client when nothing listens', async () => {
    const client = net.connect({ port: await relayTo(1), host: '127.0.0.1' });
    const error = await new Promise<NodeJS.ErrnoException>((resolve) => client.on('error', resolve));
    expect(error.code).toBe('ECONNRESET');
  });
});
