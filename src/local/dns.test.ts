import { describe, expect, it } from 'vitest';
import dnsPacket from 'dns-packet';
import type { EndpointSlice } from '../objects/kubernetes/endpoint-slice.ts';
import type { Service } from '../objects/kubernetes/service.ts';
import { answerQuestion, type ZoneSource } from './dns-zone.ts';
import { respond } from './dns.ts';

const services: Service[] = [
  { apiVersion: 'v1', kind: 'Service', metadata: { name: 'kubernetes', namespace: 'default' }, spec: { clusterIP: '10.96.0.1', ports: [{ name: 'https', port: 443 }] } },
  { apiVersion: 'v1', kind: 'Service', metadata: { name: 'db', namespace: 'default' }, spec: { clusterIP: 'None', ports: [{ name: 'sql', port: 3306 }] } },
  { apiVersion: 'v1', kind: 'Service', metadata: { name: 'empty', namespace: 'default' }, spec: { clusterIP: 'None' } },
  { apiVersion: 'v1', kind: 'Service', metadata: { name: 'out', namespace: 'default' }, spec: { type: 'ExternalName', externalName: 'example.com.' } },
];
const slices: EndpointSlice[] = [
  {
    apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: { name: 'db-1', namespace: 'default', labels: { 'kubernetes.io/service-name': 'db' } }, addressType: 'IPv4', ports: [{ name: 'sql', port: 3306, protocol: 'TCP' }],
    endpoints: [{ addresses: ['10.244.0.5'], hostname: 'db-0', conditions: { ready: true } }, { addresses: ['10.244.0.6'], conditions: { ready: true } }, { addresses: ['10.244.0.7'], conditions: { ready: false } }],
  },
];
const source: ZoneSource = {
  service: (namespace, name) => services.find((service) => service.metadata.namespace === namespace && service.metadata.name === name),
  services: () => services,
  hasNamespace: (name) => name === 'default',
  slices: (namespace, service) => slices.filter((slice) => slice.metadata.namespace === namespace && slice.metadata.labels?.['kubernetes.io/service-name'] === service),
};
const ask = (name: string, type = 'A') => {
  const answer = answerQuestion(source, name, type);
  return answer.kind === 'found' ? answer.records.map((record) => (typeof record.data === 'string' ? record.data : `${record.data.target}:${record.data.port}`)) : answer.kind;
};

describe('answerQuestion', () => {
  it.each<[string, string, string[] | string]>([
    ['kubernetes.default.svc.cluster.local', 'A', ['10.96.0.1']],
    ['KUBERNETES.default.svc.Cluster.local.', 'A', ['10.96.0.1']],
    ['kubernetes.default.svc.cluster.local', 'AAAA', []],
    ['_https._tcp.kubernetes.default.svc.cluster.local', 'SRV', ['kubernetes.default.svc.cluster.local:443']],
    ['_https._udp.kubernetes.default.svc.cluster.local', 'SRV', 'no-such-name'],
    ['x.kubernetes.default.svc.cluster.local', 'A', 'no-such-name'],
    ['nope.default.svc.cluster.local', 'A', 'no-such-name'],
    ['default.svc.cluster.local', 'A', []],
    ['other.svc.cluster.local', 'A', 'no-such-name'],
    ['svc.cluster.local', 'A', []],
    ['example.com.default.svc.cluster.local', 'A', 'no-such-name'],
    ['db.default.svc.cluster.local', 'A', ['10.244.0.5', '10.244.0.6']],
    ['db-0.db.default.svc.cluster.local', 'A', ['10.244.0.5']],
    ['10-244-0-6.db.default.svc.cluster.local', 'A', ['10.244.0.6']],
    ['10-244-0-7.db.default.svc.cluster.local', 'A', 'no-such-name'],
    ['_sql._tcp.db.default.svc.cluster.local', 'SRV', ['db-0.db.default.svc.cluster.local:3306', '10-244-0-6.db.default.svc.cluster.local:3306']],
    ['empty.default.svc.cluster.local', 'A', 'no-such-name'],
    ['out.default.svc.cluster.local', 'A', ['example.com']],
    ['10-244-0-9.default.pod.cluster.local', 'A', ['10.244.0.9']],
    ['1.0.96.10.in-addr.arpa', 'PTR', ['kubernetes.default.svc.cluster.local']],
    ['5.0.244.10.in-addr.arpa', 'PTR', ['db-0.db.default.svc.cluster.local']],
    ['9.0.244.10.in-addr.arpa', 'PTR', 'no-such-name'],
    ['example.com', 'A', 'outside'],
    ['notcluster.local', 'A', 'outside'],
    ['__proto__.default.svc.cluster.local', 'A', 'no-such-name'],
  ])('%s %s', (name, type, expected) => expect(ask(name, type)).toEqual(expected));
});

describe('respond', () => {
  const query = (name: string, type: 'A' | 'AAAA' = 'A') => dnsPacket.encode({ type: 'query', id: 7, flags: dnsPacket.RECURSION_DESIRED, questions: [{ name, type }] });
  const rcode = (buffer: Buffer | undefined) => (buffer ? buffer.readUInt16BE(2) & 15 : undefined);
  it.each([
    ['kubernetes.default.svc.cluster.local', 0],
    ['nope.default.svc.cluster.local', 3],
    ['example.com', 2],
  ])('%s has rcode %d', (name, expected) => expect(rcode(respond(source, query(name), 512))).toBe(expected));
  it('keeps the id and the spelling of the question', () => {
    const answer = dnsPacket.decode(respond(source, query('Kubernetes.default.svc.cluster.local'), 512)!);
    expect(answer.id).toBe(7);
    expect(answer.answers?.[0]?.name).toBe('Kubernetes.default.svc.cluster.local');
  });
  it('drops rubbish and responses', () => {
    expect(respond(source, Buffer.from('rubbish'), 512)).toBeUndefined();
    expect(respond(source, respond(source, query('example.com'), 512)!, 512)).toBeUndefined();
  });
  it('truncates what does not fit into UDP', () => {
    const many: ZoneSource = { ...source, slices: () => [{ ...slices[0]!, endpoints: Array.from({ length: 60 }, (_, index) => ({ addresses: [`10.244.1.${index}`] })) }] };
    const answer = respond(many, query('db.default.svc.cluster.local'), 512)!;
    expect(answer.readUInt16BE(2) & 0x200).toBe(0x200);
    expect(dnsPacket.decode(respond(many, query('db.default.svc.cluster.local'), 0xffff)!).answers).toHaveLength(60);
  });
});
