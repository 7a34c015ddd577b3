import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { KubeObject } from '../../objects/meta.ts';
import { resolve } from '../resolve.ts';
import { isOurIngress } from './settings.ts';

type Fields = Readonly<Record<string, unknown>>;
const object = (apiVersion: string, kind: string, name: string, rest: Fields, namespace = 'shop'): KubeObject => ({ apiVersion, kind, metadata: { name, namespace, ...(rest['metadata'] as Fields | undefined) }, ...withoutMetadata(rest) }) as KubeObject;
const withoutMetadata = ({ metadata: _metadata, ...rest }: Fields): Fields => rest;
const path = (fields: Fields): Fields => ({ backend: { service: { name: 'web', port: { number: 80 } } }, ...fields });
const ingress = (spec: Fields, metadata: Fields = {}) => object('networking.k8s.io/v1', 'Ingress', 'i', { metadata, spec: { ingressClassName: 'istio', ...spec } });
const CLASS = object('networking.k8s.io/v1', 'IngressClass', 'istio', { spec: { controller: 'istio.io/ingress-controller' } }, '');
const WEB = object('v1', 'Service', 'web', { spec: { clusterIP: '10.96.0.9', ports: [{ name: 'http', port: 80 }, { name: 'admin', port: 81 }] } });
const GATEWAY = object('v1', 'Service', 'istio-ingressgateway', { spec: { type: 'LoadBalancer', ports: [{ name: 'http2', port: 80 }] }, status: { loadBalancer: { ingress: [{ ip: '192.0.2.1' }] } } }, 'istio-system');
const run = (...objects: KubeObject[]) => resolve({ objects: [CLASS, WEB, GATEWAY, ...objects] });

describe('classes', () => {
  it.each([
    ['STRICT', 'istio', undefined, true], ['STRICT', 'nginx', undefined, false], ['STRICT', undefined, 'istio.io/ingress-controller', true], ['STRICT', undefined, 'other', false],
    ['STRICT', undefined, undefined, false], ['DEFAULT', undefined, undefined, true], ['DEFAULT', 'nginx', undefined, false], ['OFF', 'istio', undefined, false],
  ] as const)('%s, annotation %s, controller %s: %s', (mode, annotation, controller, expected) => expect(isOurIngress({ mode, className: 'istio' }, annotation, controller)).toBe(expected));
});

describe('Ingress', () => {
  it('becomes routes of the ingress gateway, the most specific first', () => {
    const { snapshot } = run(ingress({ rules: [{ host: 'a.example', http: { paths: [path({ path: '/', pathType: 'Prefix' }), path({ path: '/api/v1', pathType: 'Prefix' }), path({ path: '/api', pathType: 'Exact' })] } }] }));
    const [rule] = snapshot.virtualServices;
    expect(rule?.hosts).toEqual(['a.example']);
    expect(rule?.http.map(({ matches }) => matches[0]?.uri?.kind)).toHaveLength(3);
    expect(snapshot.gateways.map(({ generated, selector }) => [generated, selector])).toEqual([[true, { istio: 'ingressgateway' }]]);
  });
  it('finds ports by name, and reads v1beta1', () => {
    const named = ingress({ rules: [{ http: { paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 'web', port: { name: 'admin' } } } }] } }] });
    const old = ingress({ rules: [{ http: { paths: [{ path: '/', backend: { serviceName: 'web', servicePort: 81 } }] } }] });
    for (const one of [named, old]) expect(run(one).snapshot.virtualServices[0]?.http[0]?.action).toMatchObject({ destinations: [{ destination: { host: 'web.shop.svc.cluster.local', port: 81 } }] });
  });
  it('sends what nothing takes to the default backend, on hosts of its own and on all others', () => {
    const { snapshot } = run(ingress({ defaultBackend: { service: { name: 'web', port: { number: 81 } } }, rules: [{ host: 'a.example', http: { paths: [path({ path: '/api', pathType: 'Prefix' })] } }] }));
    const ports = [...snapshot.virtualServices].sort((a, b) => b.http.length - a.http.length).map(({ hosts, http }) => [hosts, http.map(({ action, matches }) => [matches.length, action.kind === 'route' ? action.destinations[0]?.destination.port : 0])]);
    expect(ports).toEqual([[['a.example'], [[1, 80], [0, 81]]], [['*'], [[0, 81]]]]);
  });
  it('of v1beta1 is shown in v1', () => {
    const old = object('extensions/v1beta1', 'Ingress', 'i', { metadata: { annotations: { 'kubernetes.io/ingress.class': 'istio' } }, spec: { backend: { serviceName: 'web', servicePort: 'admin' } } });
    const { snapshot, issues } = run(old);
    expect(snapshot.virtualServices[0]?.http[0]?.action).toMatchObject({ destinations: [{ destination: { port: 81 } }] });
    expect(parse(issues.find(({ code }) => code === 'MLT0013')!.fix!)).toMatchObject({ apiVersion: 'networking.k8s.io/v1', spec: { defaultBackend: { service: { name: 'web', port: { name: 'admin' } } } } });
  });
  it('gets the address of the gateway', () => {
    expect(run(ingress({ rules: [] })).statuses.map(({ status }) => status)).toEqual([{ loadBalancer: { ingress: [{ ip: '192.0.2.1' }] } }]);
  });
  it('of another class is left alone', () => {
    const { snapshot, statuses } = run(ingress({ ingressClassName: 'nginx', rules: [{ http: { paths: [path({ path: '/' })] } }] }));
    expect([snapshot.virtualServices, statuses]).toEqual([[], []]);
  });
});
