// Several services or servers on one port: which connection goes where.
import { describe, expect, it } from 'vitest';
import { simulate, type SimulatedCall } from '../../src/analysis/simulate.ts';
import { parseProxyNode } from '../../src/model/proxy-node.ts';
import { viewOf } from '../../src/model/view.ts';
import type { KubeObject } from '../../src/objects/meta.ts';
import { resolve } from '../../src/resolve/resolve.ts';
import { routeNamesIn, translateListeners } from '../../src/translate/listeners.ts';
import { translateRoutes } from '../../src/translate/routes.ts';

let age = 0;
const at = (kind: string, name: string, spec: object, apiVersion = 'networking.istio.io/v1') =>
  ({ apiVersion, kind, metadata: { name, namespace: 'shop', creationTimestamp: new Date(Date.UTC(2026, 0, 1, 0, age++)).toISOString() }, spec }) as KubeObject;
const entry = (host: string, protocol: string, fields: object = {}) => at('ServiceEntry', host, { hosts: [host], ports: [{ number: 9000, name: 'p', protocol }], resolution: 'DNS', ...fields });
const server = (number: number, protocol: string, hosts: string[], tls?: object) => ({ port: { number, name: `p-${protocol}`.toLowerCase(), protocol }, hosts, ...(tls && { tls }) });
const gateway = (name: string, ...servers: object[]) => at('Gateway', name, { selector: { istio: 'ingressgateway' }, servers });
const to = (host: string) => [{ destination: { host, port: { number: 80 } } }];
const rule = (name: string, host: string, routes: object) => at('VirtualService', name, { hosts: [host], gateways: [name], ...routes });

function ask(type: 'sidecar' | 'router', objects: readonly KubeObject[]) {
  const node = parseProxyNode({ id: `${type}~1.1.1.1~p.shop~shop.svc.cluster.local`, metadata: { NAMESPACE: 'shop', LABELS: { istio: 'ingressgateway' }, INSTANCE_IPS: '1.1.1.1' } })!;
  const view = viewOf(resolve({ objects }).snapshot, node);
  const listeners = translateListeners(view);
  const routes = new Map(translateRoutes(view, routeNamesIn(listeners)).map((table) => [table.name, table]));
  return (call: Partial<SimulatedCall> & { readonly port: number }) => {
    const { error, cluster } = simulate({ listeners, routes }, { address: '9.9.9.9', protocol: 'tcp', ...call } as SimulatedCall);
    return error ?? cluster;
  };
}

describe('services of a sidecar without addresses of their own', () => {
  it.each([['HTTP', 'TCP'], ['TCP', 'HTTP']])('%s, then %s: both are served', (first, second) => {
    const call = ask('sidecar', [entry(`${first}.example`.toLowerCase(), first), entry(`${second}.example`.toLowerCase(), second)]);
    expect([call({ port: 9000 }), call({ port: 9000, protocol: 'http', hostHeader: 'http.example' })]).toEqual(['outbound|9000||tcp.example', 'outbound|9000||http.example']);
  });
  it('shares nothing with protocols in which the server speaks first', () => {
    const call = ask('sidecar', [entry('db.example', 'MySQL'), entry('web.example', 'HTTP')]);
    expect(call({ port: 9000, protocol: 'http', hostHeader: 'web.example' })).toBe('outbound|9000||db.example');
  });
});

describe('what no service of a port asks for', () => {
  it('goes on to where it was sent, also from an address of the mesh', () => {
    const call = ask('sidecar', [entry('s.example', 'TLS', { addresses: ['7.7.7.7'] }), at('VirtualService', 'v', { hosts: ['s.example'], tls: [{ match: [{ sniHosts: ['s.example'] }], route: to('s') }] })]);
    const names = ['s.example', 'other.example'];
    expect(names.map((sni) => call({ port: 9000, address: '7.7.7.7', tls: 'tls', sni }))).toEqual(['outbound|80||s.shop.svc.cluster.local', 'PassthroughCluster']);
  });
  it('has the port for itself while a headless service has no pods', () => {
    const headless = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'db', namespace: 'shop' }, spec: { clusterIP: 'None', selector: { app: 'db' }, ports: [{ name: 'tcp', port: 9000 }] } } as KubeObject;
    expect(ask('sidecar', [headless])({ port: 9000 })).toBe('PassthroughCluster');
    expect(ask('sidecar', [headless, entry('tcp.example', 'TCP')])({ port: 9000 })).toBe('outbound|9000||tcp.example');
  });
});

describe('route tables of a sidecar', () => {
  const service = (name: string, spec: object) => ({ apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'shop' }, spec }) as KubeObject;
  const request = (port: number, hostHeader: string) => ({ port, hostHeader, protocol: 'http' }) as const;
  it('have the other hosts of a VirtualService where it is for a service of the port', () => {
    const objects = [service('web', { clusterIP: '10.96.0.9', ports: [{ name: 'http', port: 8080 }] }), service('other', { clusterIP: '10.96.0.8', ports: [{ name: 'http', port: 8081 }] })];
    const call = ask('sidecar', [...objects, at('VirtualService', 'v', { hosts: ['web.shop.svc.cluster.local', 'nobody.example'], http: [{ route: to('there') }] })]);
    expect([8080, 8081].map((port) => call(request(port, 'nobody.example')))).toEqual(['outbound|80||there.shop.svc.cluster.local', 'PassthroughCluster']);
  });
  it('know the pods of headless services by their short names', () => {
    const call = ask('sidecar', [service('db', { clusterIP: 'None', selector: { app: 'db' }, ports: [{ name: 'http', port: 8080 }] })]);
    expect(['db-0.db.shop.svc.cluster.local', 'db-0.db.shop', 'db-0.db'].map((host) => call(request(8080, host)))).toEqual(Array(3).fill('outbound|8080||db.shop.svc.cluster.local'));
  });
});

describe('L4 routes of a sidecar', () => {
  const net = (port: object) => at('ServiceEntry', 's', { hosts: ['s.example'], addresses: ['10.0.0.0/8'], ports: [port], resolution: 'DNS' });
  const mesh = (name: string, host: string, routes: object) => at('VirtualService', name, { hosts: [host], ...routes });
  const own = 'outbound|9000||s.example';
  it('to some addresses leave the others to the service', () => {
    const call = ask('sidecar', [net({ number: 9000, name: 'tcp', protocol: 'TCP' }), mesh('v', 's.example', { tcp: [{ match: [{ destinationSubnets: ['10.1.0.0/16'] }], route: to('part') }] })]);
    expect(['10.1.0.1', '10.2.0.1', '11.0.0.1'].map((address) => call({ port: 9000, address }))).toEqual(['outbound|80||part.shop.svc.cluster.local', own, 'PassthroughCluster']);
  });
  it('of a wildcard host hold for the services it means; all VirtualServices count', () => {
    const elsewhere = mesh('first', 's.example', { tcp: [{ match: [{ sourceLabels: { app: 'other' } }], route: to('never') }] });
    const call = ask('sidecar', [net({ number: 9000, name: 'tcp', protocol: 'TCP' }), elsewhere, mesh('second', '*.example', { tcp: [{ route: to('all') }] })]);
    expect(call({ port: 9000, address: '10.0.0.1' })).toBe('outbound|80||all.shop.svc.cluster.local');
  });
  it('for TCP do not hold for TLS', () => {
    const call = ask('sidecar', [net({ number: 9000, name: 'tls', protocol: 'TLS' }), mesh('v', 's.example', { tcp: [{ route: to('tcp') }] })]);
    expect(call({ port: 9000, address: '10.0.0.1', tls: 'tls', sni: 's.example' })).toBe(own);
  });
});

describe('servers of a gateway', () => {
  const SIMPLE = { mode: 'SIMPLE', credentialName: 'c' };
  it('the first of two servers of plain TCP has the port', () => {
    const objects = [gateway('a', server(9000, 'TCP', ['*'])), gateway('b', server(9000, 'TCP', ['*']))];
    expect(ask('router', [...objects, rule('a', '*', { tcp: [{ route: to('first') }] })])({ port: 9000 })).toBe('outbound|80||first.shop.svc.cluster.local');
    expect(ask('router', [...objects, rule('b', '*', { tcp: [{ route: to('second') }] })])({ port: 9000 })).toBe('no listener matched');
  });
  it('plain HTTP beside TLS, when TLS was first', () => {
    const objects = [gateway('tls', server(443, 'HTTPS', ['*'], SIMPLE)), gateway('plain', server(443, 'HTTP', ['*'])), rule('tls', '*', { http: [{ route: to('secret') }] }), rule('plain', '*', { http: [{ route: to('open') }] })];
    const call = ask('router', objects);
    const request = { port: 443, protocol: 'http', hostHeader: 'x.example' } as const;
    expect([call({ ...request, tls: 'tls' }), call(request)]).toEqual(['outbound|80||secret.shop.svc.cluster.local', 'outbound|80||open.shop.svc.cluster.local']);
  });
  it('routes decrypted bytes by server name', () => {
    const call = ask('router', [gateway('g', server(443, 'TLS', ['a.example', 'b.example'], SIMPLE)), rule('g', '*', { tls: [{ match: [{ port: 443, sniHosts: ['b.example'] }], route: to('b') }] })]);
    expect([call({ port: 443, tls: 'tls', sni: 'b.example' }), call({ port: 443, tls: 'tls', sni: 'a.example' })]).toEqual(['outbound|80||b.shop.svc.cluster.local', 'no filter chains matched']);
  });
  it('a match for every name means the names of the server', () => {
    const call = ask('router', [gateway('g', server(443, 'TLS', ['a.example'], { mode: 'PASSTHROUGH' })), rule('g', '*', { tls: [{ match: [{ sniHosts: ['*'] }], route: to('a') }] })]);
    expect([call({ port: 443, tls: 'tls', sni: 'a.example' }), call({ port: 443, tls: 'tls', sni: 'b.example' })]).toEqual(['outbound|80||a.shop.svc.cluster.local', 'no filter chains matched']);
  });
  it('passes only mutual TLS of the mesh on by name', () => {
    const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web', namespace: 'shop' }, spec: { clusterIP: '10.96.0.9', ports: [{ name: 'http', port: 80 }] } } as KubeObject;
    const call = ask('router', [gateway('g', server(15_443, 'TLS', ['*.local'], { mode: 'AUTO_PASSTHROUGH' })), service]);
    const sni = 'outbound_.80_._.web.shop.svc.cluster.local';
    expect([call({ port: 15_443, tls: 'mtls', sni }), call({ port: 15_443, tls: 'tls', sni })]).toEqual([sni, 'no filter chains matched']);
  });
});
