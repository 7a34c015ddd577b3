/** Merging, for any objects: what several VirtualServices of a gateway, DestinationRules of a host and Sidecars of a namespace come to, asked of the compiled configuration. */
import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/objects/meta.ts';
import { resolve } from '../../src/resolve/resolve.ts';
import { layered } from '../behaviour/control-plane.ts';
import { compileMesh, decide } from '../behaviour/in-process.ts';
import { readObjects } from '../behaviour/load-cases.ts';
import { GATEWAY, SIDECAR } from '../behaviour/topology.ts';

const base = readObjects(readFileSync(join(import.meta.dirname, '../behaviour/base.yaml'), 'utf8'));
const RUNS = { numRuns: 25 };

function object(kind: string, name: string, spec: object, more: { readonly created?: number; readonly namespace?: string } = {}): KubeObject {
  return { apiVersion: 'networking.istio.io/v1', kind, metadata: { name, namespace: more.namespace ?? 'app', creationTimestamp: `202${more.created ?? 0}-01-01T00:00:00Z` }, spec } as unknown as KubeObject;
}

/** Older first, then by name: the order in which objects of one kind count. */
const byAge = (a: { readonly created: number; readonly name: string }, b: { readonly created: number; readonly name: string }): number => a.created - b.created || (a.name < b.name ? -1 : 1);
const aged = <T extends object>(extra: fc.Arbitrary<T>, maxLength: number): fc.Arbitrary<(T & { created: number; name: string })[]> =>
  fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), extra), { minLength: 1, maxLength }).map((list) => list.map(([created, more], index) => ({ ...more, created, name: `o${index}` })));

describe('VirtualServices of one host on a gateway', () => {
  const PATHS = ['/a', '/a/b', '/b', '/ab'];
  const route = fc.record({ kind: fc.constantFrom('exact', 'prefix', 'none'), path: fc.constantFrom(...PATHS, '/') });
  const gateway = object('Gateway', 'web', { selector: { istio: 'ingressgateway' }, servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }] });

  it('are one table: oldest first, what matches everything last', () => {
    fc.assert(fc.property(aged(fc.record({ routes: fc.array(route, { minLength: 1, maxLength: 3 }) }), 4), fc.constantFrom(...PATHS, '/c'), (rules, path) => {
      const named = rules.map((rule) => ({ ...rule, routes: rule.routes.map((each, index) => ({ ...each, name: `${rule.name}-${index}` })) }));
      const objects = named.map(({ name, created, routes }) => object('VirtualService', name, {
        hosts: ['shop.example'], gateways: ['web'],
        http: routes.map((each) => ({ name: each.name, ...(each.kind === 'none' ? {} : { match: [{ uri: { [each.kind]: each.path } }] }), directResponse: { status: 200 } })),
      }, { created }));
      const takesAll = (each: { readonly kind: string; readonly path: string }): boolean => each.kind === 'none' || (each.kind === 'prefix' && each.path === '/');
      // What stands behind a route that takes everything, in the same rule, is never reached and left out.
      const reached = <T extends { readonly kind: string; readonly path: string }>(list: readonly T[]): readonly T[] => (list.some(takesAll) ? list.slice(0, list.findIndex(takesAll) + 1) : list);
      const all = named.toSorted(byAge).flatMap(({ routes }) => reached(routes));
      const ordered = [...all.filter((each) => !takesAll(each)), ...all.filter(takesAll)];
      const wanted = ordered.find((each) => takesAll(each) || (each.kind === 'exact' ? path === each.path : path.startsWith(each.path)));
      const mesh = compileMesh(layered(base, [gateway, ...objects]), GATEWAY);
      expect(mesh.refusals).toEqual([]);
      expect(decide(mesh, { gateway: 8080, host: 'shop.example', path, expect: {} }).route ?? 'none').toBe(wanted?.name ?? 'none');
    }), RUNS);
  });

  it('on sidecars the oldest rule of a host is the only one', () => {
    fc.assert(fc.property(aged(fc.record({ status: fc.integer({ min: 200, max: 299 }) }), 4), (rules) => {
      const objects = rules.map(({ name, created, status }) => object('VirtualService', name, { hosts: ['reviews'], http: [{ name, directResponse: { status } }] }, { created }));
      expect(decide(compileMesh(layered(base, objects), SIDECAR), { to: 'reviews', expect: {} }).route).toBe(rules.toSorted(byAge)[0]!.name);
    }), RUNS);
  });
});

describe('DestinationRules of one host', () => {
  it('give all their subsets; of two with one name the older', () => {
    fc.assert(fc.property(aged(fc.record({ subsets: fc.uniqueArray(fc.constantFrom<string>('v1', 'v2', 'v3'), { maxLength: 3 }) }), 4), (rules) => {
      const objects = rules.map(({ name, created, subsets }) => object('DestinationRule', name, { host: 'reviews', subsets: subsets.map((subset) => ({ name: subset, labels: { from: name } })) }, { created }));
      const { clusters } = compileMesh(layered(base, objects), SIDECAR);
      for (const subset of ['v1', 'v2', 'v3']) expect(clusters.has(`outbound|80|${subset}|reviews.app.svc.cluster.local`)).toBe(rules.some(({ subsets }) => subsets.includes(subset)));
    }), RUNS);
  });
});

describe('Sidecars of a namespace', () => {
  const SERVICES = ['reviews', 'ratings', 'secure'];
  const scope = fc.constantFrom('mine', 'other', 'all', 'root');

  it('the oldest that selects the workload, else the oldest of the namespace, else that of the root namespace', () => {
    fc.assert(fc.property(aged(fc.record({ scope, service: fc.constantFrom(...SERVICES) }), 5), (sidecars) => {
      const objects = sidecars.map(({ name, created, scope: where, service }) => object('Sidecar', name, {
        ...(where === 'mine' || where === 'other' ? { workloadSelector: { labels: { app: where === 'mine' ? 'client' : 'else' } } } : {}), egress: [{ hosts: [`app/${service}.app.svc.cluster.local`] }],
      }, { created, namespace: where === 'root' ? 'istio-system' : 'app' }));
      const sorted = sidecars.toSorted(byAge);
      const wanted = ['mine', 'all', 'root'].map((where) => sorted.find((each) => each.scope === where)).find((found) => found !== undefined);
      const { clusters } = compileMesh(layered(base, objects), SIDECAR);
      const seen = SERVICES.filter((service) => clusters.has(`outbound|80||${service}.app.svc.cluster.local`));
      expect(seen).toEqual(wanted ? [wanted.service] : SERVICES);
    }), RUNS);
  });
});

describe('one bad object among a hundred good ones of a gateway', () => {
  const gateway = object('Gateway', 'web', { selector: { istio: 'ingressgateway' }, servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }] });
  const rule = (index: number, timeout = '3s'): KubeObject => object('VirtualService', `shop-${index}`, { hosts: [`shop-${index}.example`], gateways: ['web'], http: [{ name: `shop-${index}`, timeout, route: [{ destination: { host: 'ratings', port: { number: 80 } } }] }] });
  const rules = Array.from({ length: 101 }, (_, index) => rule(index));

  it('is named, keeps its last good version, and stops nobody', () => {
    for (const bad of [0, 50, 100]) {
      const good = layered(base, [gateway, ...rules]);
      const broken = layered(good, [rule(bad, 'soon')]);
      const options = { domainSuffix: 'cluster.local', clusterId: 'Kubernetes', rootNamespace: 'istio-system' };
      const before = resolve({ objects: good, ...options }).snapshot;
      const { snapshot, issues } = resolve({ objects: broken, ...options, previous: before });
      expect(issues.filter(({ severity }) => severity === 'error').map((issue) => `${issue.object.namespace}/${issue.object.name} ${issue.path}`)).toEqual([`app/shop-${bad} spec.http[0].timeout`]);
      expect(snapshot.virtualServices.find(({ name }) => name === `shop-${bad}`)?.http[0]?.timeoutMs).toBe(3000);
      // Without a last good version it is left out alone.
      const mesh = compileMesh(broken, GATEWAY);
      expect(mesh.refusals).toEqual([]);
      for (const index of rules.keys()) expect(decide(mesh, { gateway: 8080, host: `shop-${index}.example`, expect: {} }).route ?? 'none').toBe(index === bad ? 'none' : `shop-${index}`);
    }
  });
});
