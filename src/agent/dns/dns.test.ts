import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { decode, encode, type Packet } from 'dns-packet';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openDnsServer, type DnsServer } from './dns-server.ts';
import { NameTableIndex, type NameInfo } from './name-table.ts';
import { parseResolvConf } from './resolv-conf.ts';

const k8s = (shortname: string, namespace: string, ...ips: string[]): NameInfo => ({ ips, registry: 'Kubernetes', shortname, namespace, altHosts: [] });
const external = (...ips: string[]): NameInfo => ({ ips, registry: 'External', shortname: '', namespace: 'default', altHosts: [] });
const index = new NameTableIndex(
  new Map([
    ['reviews.default.svc.cluster.local', k8s('reviews', 'default', '10.96.1.1')],
    ['reviews.other.svc.cluster.local', k8s('reviews', 'other', '10.96.2.2', 'fd00::2')],
    ['api.example.com', external('240.240.0.1')],
    ['*.wild.example.com', external('240.240.0.2')],
  ]),
  'default',
  ['default.svc.cluster.local', 'svc.cluster.local', 'cluster.local'],
);

describe('NameTableIndex', () => {
  test.each([
    ['reviews', ['10.96.1.1'], undefined],
    ['Reviews.Default.svc.cluster.local.', ['10.96.1.1'], undefined],
    ['reviews.other', ['10.96.2.2'], undefined],
    ['reviews.other.svc', ['10.96.2.2'], undefined],
    ['api.example.com', ['240.240.0.1'], undefined],
    ['api.example.com.default.svc.cluster.local', ['240.240.0.1'], 'api.example.com'],
    ['a.b.wild.example.com', ['240.240.0.2'], undefined],
  ])('%s', (name, ipv4, canonicalName) => expect(index.lookup(name)).toMatchObject({ ipv4, canonicalName }));
  test.each(['wild.example.com', 'ratings', 'constructor', '__proto__', ''])('%j is not a name of the mesh', (name) => expect(index.lookup(name)).toBeUndefined());
});

test('parseResolvConf', () =>
  expect(parseResolvConf('# c\nsearch a b\nnameserver 1.1.1.1\nnameserver ::1 # x\nsearch c.d\noptions ndots:5\n')).toEqual({ servers: ['1.1.1.1', '::1'], searches: ['c.d'] }));

describe('openDnsServer', () => {
  let server: DnsServer;
  const upstream = createSocket('udp4');
  beforeAll(async () => {
    await new Promise<void>((resolve) => upstream.bind(0, '127.0.0.1', resolve));
    upstream.on('message', (message, from) => {
      const query = decode(message);
      upstream.send(encode({ type: 'response', id: query.id ?? 0, questions: query.questions ?? [], answers: [{ type: 'A', name: query.questions![0]!.name, data: '9.9.9.9', ttl: 1 }] }), from.port, from.address);
    });
    server = await openDnsServer({ address: '127.0.0.1', port: 0, table: () => index, upstream: [{ host: '127.0.0.1', port: upstream.address().port }] });
  });
  afterAll(() => (server.close(), upstream.close()));

  const ask = (name: string, type: 'A' | 'AAAA'): Promise<Packet> =>
    new Promise((resolve) => {
      const socket = createSocket('udp4');
      socket.on('message', (message) => (socket.close(), resolve(decode(message))));
      socket.send(encode({ type: 'query', id: 7, questions: [{ name, type }] }), server.port, '127.0.0.1');
    });

  test.each([
    ['reviews', 'A', ['10.96.1.1']],
    ['reviews', 'AAAA', []],
    ['reviews.other', 'AAAA', ['fd00::2']],
    ['example.org', 'A', ['9.9.9.9']],
    ['api.example.com.svc.cluster.local', 'A', ['api.example.com', '240.240.0.1']],
  ] as const)('%s %s', async (name, type, data) => {
    const answer = await ask(name, type);
    expect(answer.id).toBe(7);
    expect(answer.answers?.map((one) => (one as { data: unknown }).data)).toEqual(data);
  });

  test('over TCP, byte by byte', async () => {
    const query = encode({ type: 'query', id: 8, questions: [{ name: 'reviews', type: 'A' }] });
    const socket = connect(server.port, '127.0.0.1');
    const answer = new Promise<Packet>((resolve) => socket.on('data', (chunk: Buffer) => resolve(decode(chunk.subarray(2)))));
    for (const byte of [query.length >> 8, query.length & 255, ...query]) socket.write(Buffer.from([byte]));
    expect((await answer).answers?.length).toBe(1);
    socket.destroy();
  });

  test('rubbish gets no answer and does no harm', async () => {
    const socket = createSocket('udp4');
    for (const bytes of [[], [1], Array.from({ length: 12 }, () => 255), [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 63]]) socket.send(Buffer.from(bytes), server.port, '127.0.0.1');
    expect((await ask('reviews', 'A')).answers?.length).toBe(1);
    socket.close();
  });
});
