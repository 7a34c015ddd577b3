/** What a proxy sees: visibility, destination rules by level, keys that change only when output may. */
import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { parseProxyNode } from '../../src/model/proxy-node.ts';
import { endpointTraits, withEndpoints, type MeshSnapshot } from '../../src/model/snapshot.ts';
import { dependenciesOf, destinationRuleFor, viewOf } from '../../src/model/view.ts';
import { viewKey } from '../../src/model/view-key.ts';
import type { KubeObject } from '../../src/objects/meta.ts';
import { resolve, resolveEndpoints } from '../../src/resolve/resolve.ts';

const objects = (yaml: string) => parseAllDocuments(yaml).map((document) => document.toJS() as KubeObject);
const proxyIn = (namespace: string, labels: Record<string, string> = {}, ip = '10.0.0.9') => parseProxyNode({ id: `sidecar~${ip}~p.${namespace}~${namespace}.svc.cluster.local`, metadata: { NAMESPACE: namespace, LABELS: labels } })!;
const service = (name: string, namespace: string, more = '') => `apiVersion: v1\nkind: Service\nmetadata: { name: ${name}, namespace: ${namespace}${more} }\nspec: { clusterIP: 10.96.0.1, ports: [{ name: http, port: 80 }] }`;
const rule = (name: string, namespace: string, host: string, more = '') => `apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: { name: ${name}, namespace: ${namespace} }\nspec: { host: ${host}, subsets: [{ name: ${name}, labels: {} }]${more} }`;
const snapshotOf = (...yaml: string[]): MeshSnapshot => resolve({ objects: objects(yaml.join('\n---\n')) }).snapshot;
const subsetsSeen = (snapshot: MeshSnapshot, namespace: string) => destinationRuleFor(viewOf(snapshot, proxyIn(namespace)), 'web.shop.svc.cluster.local', 'shop')?.subsets.map((subset) => subset.name);

describe('viewOf', () => {
  it('hides what is not exported', () => {
    const snapshot = snapshotOf(service('a', 'one', ', annotations: { networking.istio.io/exportTo: "." }'), service('b', 'one'), service('c', 'one', ', annotations: { networking.istio.io/exportTo: "~" }'));
    const names = (namespace: string) => viewOf(snapshot, proxyIn(namespace)).services.map((entry) => entry.name);
    expect(names('one')).toEqual(['a', 'b']);
    expect(names('two')).toEqual(['b']);
  });

  it('narrows by the Sidecar of the workload, then of the namespace, then of the mesh', () => {
    const sidecar = (name: string, namespace: string, host: string, selector = '') => `apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: { name: ${name}, namespace: ${namespace} }\nspec: { ${selector}egress: [{ hosts: ["${host}"] }] }`;
    const snapshot = snapshotOf(service('a', 'one'), service('b', 'one'), service('c', 'two'), sidecar('root', 'istio-system', '*/c.two.svc.cluster.local'), sidecar('ns', 'one', './*'), sidecar('w', 'one', './a.one.svc.cluster.local', 'workloadSelector: { labels: { app: x } }, '));
    const names = (namespace: string, labels = {}) => viewOf(snapshot, proxyIn(namespace, labels)).services.map((entry) => entry.name);
    expect(names('three')).toEqual(['c']);
    expect(names('one')).toEqual(['a', 'b']);
    expect(names('one', { app: 'x' })).toEqual(['a']);
  });

  it('chooses destination rules by level: own namespace, service, root', () => {
    const web = service('web', 'shop');
    const host = 'web.shop.svc.cluster.local';
    const all = [web, rule('root', 'istio-system', host), rule('svc', 'shop', 'web'), rule('own', 'client', host)];
    expect(subsetsSeen(snapshotOf(...all), 'client')).toEqual(['own']);
    expect(subsetsSeen(snapshotOf(...all), 'other')).toEqual(['svc']);
    expect(subsetsSeen(snapshotOf(web, all[1]!), 'other')).toEqual(['root']);
    expect(subsetsSeen(snapshotOf(web, rule('private', 'shop', 'web', ', exportTo: ["."]')), 'other')).toBeUndefined();
  });

  it('prefers the specific host and merges equal ones', () => {
    const web = service('web', 'shop');
    expect(subsetsSeen(snapshotOf(web, rule('wild', 'shop', '"*.shop.svc.cluster.local"'), rule('exact', 'shop', 'web')), 'shop')).toEqual(['exact']);
    expect(subsetsSeen(snapshotOf(web, rule('a', 'shop', 'web'), rule('b', 'shop', 'web')), 'shop')).toEqual(['a', 'b']);
  });

  it('names what it depends on', () => {
    const names = dependenciesOf(viewOf(snapshotOf(service('a', 'one')), proxyIn('one')));
    expect([...names]).toEqual(['service/one/a.one.svc.cluster.local']);
  });
});

const POD = (ip: string, account = 'web') => `apiVersion: v1\nkind: Pod\nmetadata: { name: web-${ip}, namespace: shop, labels: { app: web } }\nspec: { serviceAccountName: ${account}, containers: [] }\nstatus: { podIP: ${ip} }`;
const SLICE = (...ips: string[]) => `apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: { name: web-1, namespace: shop, labels: { kubernetes.io/service-name: web } }\nendpoints: [${ips.map((ip) => `{ addresses: [${ip}] }`).join(', ')}]\nports: [{ name: http, port: 80 }]`;

describe('viewKey and the endpoint fast path', () => {
  const web = service('web', 'shop').replace('spec: {', 'spec: { selector: { app: web },');
  const base = [web, POD('10.0.0.1'), POD('10.0.0.2'), POD('10.0.0.3', 'other')];
  const key = (snapshot: MeshSnapshot, proxy = proxyIn('client')) => viewKey(viewOf(snapshot, proxy));

  it('does not change with endpoints of the same account, but does with another account', () => {
    const one = snapshotOf(...base, SLICE('10.0.0.1'));
    const change = (...ips: string[]) => {
      const found = resolveEndpoints(one, 'shop', 'web', [parse(SLICE(...ips)) as KubeObject])!;
      return { snapshot: withEndpoints(one, found.service.key, found.endpoints), service: found.service };
    };
    const more = change('10.0.0.1', '10.0.0.2');
    expect(more.snapshot.endpoints.get('shop/web.shop.svc.cluster.local')).toHaveLength(2);
    expect(key(more.snapshot)).toBe(key(one));
    expect(endpointTraits(more.snapshot, more.service)).toBe(endpointTraits(one, more.service));
    const other = change('10.0.0.1', '10.0.0.3');
    expect(key(other.snapshot)).not.toBe(key(one));
    expect(endpointTraits(other.snapshot, other.service)).not.toBe(endpointTraits(one, other.service));
  });

  it('is the same for two pods of one workload and another for other labels', () => {
    const snapshot = snapshotOf(...base, SLICE('10.0.0.1'));
    expect(key(snapshot, proxyIn('shop', { app: 'web' }, '10.0.0.1'))).toBe(key(snapshot, proxyIn('shop', { app: 'web' }, '10.0.0.2')));
    expect(key(snapshot, proxyIn('shop', { app: 'web' }, '10.0.0.1'))).not.toBe(key(snapshot, proxyIn('shop', { app: 'x' }, '10.0.0.9')));
  });

  it('changes with what the proxy sees and with nothing else', () => {
    const before = key(snapshotOf(web));
    expect(key(snapshotOf(web, rule('v1', 'shop', 'web')))).not.toBe(before);
    expect(key(snapshotOf(web, rule('v1', 'shop', 'web', ', exportTo: ["."]')))).toBe(before);
    expect(key(snapshotOf(web, 'apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: { name: g, namespace: x }\nspec: { servers: [{ port: { number: 80, protocol: HTTP }, hosts: ["*"] }] }'))).toBe(before);
    expect(key(snapshotOf(web, 'apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: { name: d, namespace: shop }\nspec: { mtls: { mode: DISABLE } }'))).not.toBe(before);
  });
});
