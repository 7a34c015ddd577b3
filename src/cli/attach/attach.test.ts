import { describe, expect, it } from 'vitest';
import type { VirtualService, VirtualServiceSpec } from '../../objects/istio/virtual-service.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import type { Service, ServicePort } from '../../objects/kubernetes/service.ts';
import { attachedPod, attachedService, choosePort, speaksHttp } from './attach-objects.ts';
import { newSpec, withAttachment, withoutAttachment, type Attachment } from './attach-routes.ts';

const attachment: Attachment = { namespace: 'default', service: 'reviews', version: 'dev', port: 9080, headers: { 'x-dev-user': 'me' } };
const vs = (spec: VirtualServiceSpec, namespace = 'default'): VirtualService => ({ apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: { name: 'a', namespace }, spec });
const service = (ports: readonly Partial<ServicePort>[], selector: Readonly<Record<string, string>> = { app: 'reviews' }): Service => ({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'reviews', namespace: 'default' }, spec: { selector, ports: ports.map((port) => ({ port: 9080, ...port })) } });
const OURS = { name: 'meltemi-attach-reviews-dev', match: [{ headers: { 'x-dev-user': { exact: 'me' } }, port: 9080 }], route: [{ destination: { host: 'reviews-dev.default.svc.cluster.local', port: { number: 9080 } } }] };
const V1 = { route: [{ destination: { host: 'reviews', subset: 'v1' } }] };

describe('routes of an attachment', () => {
  it.each([['reviews', 'default'], ['reviews.default', 'other'], ['reviews.default.svc.cluster.local', 'other']])('come first in a VirtualService for %s in namespace %s', (host, namespace) => {
    expect(withAttachment(vs({ hosts: [host], http: [V1] }, namespace), attachment)?.http).toEqual([OURS, V1]);
  });
  it.each<[string, VirtualService]>([
    ['another service', vs({ hosts: ['ratings'], http: [{ route: [{ destination: { host: 'ratings' } }] }] })],
    ['the same name elsewhere', vs({ hosts: ['reviews'], http: [V1] }, 'other')],
    ['TCP routes', vs({ hosts: ['reviews'], tcp: [{ route: [{ destination: { host: 'reviews' } }] }] })],
    ['a wildcard that leads elsewhere', vs({ hosts: ['*'], gateways: ['gw'], http: [{ route: [{ destination: { host: 'productpage' } }] }] })],
  ])('do not come into one for %s', (_, one) => expect(withAttachment(one, attachment)).toBeUndefined());
  it('stand before every route of a gateway that leads to the service, with its conditions and without its faults', () => {
    const first = { match: [{ uri: { prefix: '/a' }, headers: { cookie: { exact: 'c' } } }, { uri: { exact: '/b' } }], rewrite: { uri: '/' }, fault: { abort: { httpStatus: 500 } }, route: [{ destination: { host: 'reviews' } }] };
    const other = { route: [{ destination: { host: 'productpage' } }] };
    const { http } = withAttachment(vs({ hosts: ['*'], gateways: ['gw'], http: [first, other] }), attachment)!;
    const mine = { 'x-dev-user': { exact: 'me' } };
    expect(http).toEqual([
      { name: OURS.name, match: [{ uri: { prefix: '/a' }, headers: { cookie: { exact: 'c' }, ...mine } }, { uri: { exact: '/b' }, headers: mine }], rewrite: { uri: '/' }, route: OURS.route }, first, other,
    ]);
  });
  it('are put in once, and taken out without a trace', () => {
    const before: VirtualServiceSpec = { hosts: ['reviews'], http: [{ match: [{ headers: { 'end-user': { exact: 'jason' } } }], ...V1 }, V1] };
    const once = withAttachment(vs(before), attachment)!;
    expect(withAttachment(vs(once), attachment)).toEqual(once);
    expect(withoutAttachment(once, attachment)).toEqual(before);
    expect(withoutAttachment(before, attachment)).toBeUndefined();
  });
  it('leave routes of another attachment alone', () => {
    const other = { ...attachment, version: 'anna', headers: { 'x-dev-user': 'anna' } };
    const both = withAttachment(vs(withAttachment(vs({ hosts: ['reviews'], http: [V1] }), attachment)!), other)!;
    expect(both.http?.map(({ name }) => name)).toEqual(['meltemi-attach-reviews-anna', 'meltemi-attach-reviews-dev', undefined]);
    expect(withoutAttachment(both, other)?.http).toEqual([OURS, V1]);
  });
  it('are a VirtualService of their own where there is none', () => {
    expect(newSpec(attachment)).toEqual({ hosts: ['reviews.default.svc.cluster.local'], http: [OURS, { route: [{ destination: { host: 'reviews.default.svc.cluster.local' } }] }] });
  });
});

describe('the attached pod', () => {
  const like = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'reviews-v1-x', labels: { app: 'reviews', tier: 'back', version: 'v1', 'pod-template-hash': 'x', 'security.istio.io/tlsMode': 'istio', 'service.istio.io/canonical-name': 'reviews' } }, spec: { serviceAccountName: 'bookinfo-reviews', containers: [] } } as Pod;
  const pod = attachedPod(attachment, service([{}]), like, '/s');
  it('has account and labels of the service\'s pods, with its own version', () => {
    expect(pod.spec.serviceAccountName).toBe('bookinfo-reviews');
    expect(pod.metadata.labels).toEqual({ tier: 'back', version: 'dev', 'service.istio.io/canonical-name': 'reviews', 'service.istio.io/canonical-revision': 'dev', 'meltemi.io/attach': 'reviews-dev' });
  });
  it('is no endpoint of the service, and the only one of its own', () => {
    const selects = (selector: Readonly<Record<string, string>> | undefined) => Object.entries(selector ?? {}).every(([key, value]) => pod.metadata.labels?.[key] === value);
    expect(selects(service([{}]).spec.selector)).toBe(false);
    const own = attachedService(attachment, { name: 'http-web', port: 9080, targetPort: 'web' });
    expect(selects(own.spec.selector)).toBe(true);
    expect(own.spec.ports).toEqual([{ name: 'http-web', port: 9080, targetPort: 9080 }]);
  });
});

describe('ports', () => {
  it.each<[string, readonly Partial<ServicePort>[], number, number | undefined, number | string]>([
    ['the only one', [{ port: 80 }], 7070, undefined, 80],
    ['the same number', [{ port: 80 }, { port: 9080 }], 9080, undefined, 9080],
    ['the one that is asked for', [{ port: 80 }, { port: 9080 }], 9080, 80, 80],
    ['nobody knows', [{ port: 80, name: 'a' }, { port: 81 }], 7070, undefined, 'service reviews has the ports 80 (a), 81: say which one with --service-port'],
    ['a wrong one', [{ port: 80 }], 7070, 8080, 'service reviews has no TCP port 8080, only 80'],
  ])('%s', (_, ports, host, asked, expected) => {
    const chosen = choosePort(service(ports), host, asked);
    expect(typeof chosen === 'string' ? chosen : chosen.port).toBe(expected);
  });
  it.each<[Partial<ServicePort>, boolean]>([[{ name: 'http' }, true], [{ name: 'grpc-api' }, true], [{}, true], [{ name: 'web' }, true], [{ name: 'tcp-db' }, false], [{ name: 'https' }, false], [{ appProtocol: 'kubernetes.io/h2c', name: 'tcp' }, true], [{ port: 3306 }, false]])('%o speaks HTTP: %s', (port, expected) => expect(speaksHttp({ port: 80, ...port })).toBe(expected));
});
