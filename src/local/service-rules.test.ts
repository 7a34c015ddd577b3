import { describe, expect, it } from 'vitest';
import type { EndpointSlice } from '../objects/kubernetes/endpoint-slice.ts';
import type { Service } from '../objects/kubernetes/service.ts';
import { renderServiceRules, serviceChains, serviceRules } from './service-rules.ts';

const service = (name: string, clusterIP: string, ports: Service['spec']['ports'], more: Partial<Service['spec']> = {}): Service => ({
  apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'default' }, spec: { clusterIP, ports: ports ?? [], ...more },
});
const slice = (owner: string, addresses: readonly string[], port: number, conditions: { ready?: boolean; serving?: boolean; terminating?: boolean } = { ready: true }, name = 'http'): EndpointSlice => ({
  apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: { name: `${owner}-${addresses.join()}`, namespace: 'default', labels: { 'kubernetes.io/service-name': owner } },
  addressType: 'IPv4', ports: [{ name, protocol: 'TCP', port }], endpoints: addresses.map((address) => ({ addresses: [address], conditions })),
});
const http = [{ name: 'http', port: 80, protocol: 'TCP' as const }];

describe('serviceRules', () => {
  it('joins slices by owner and port name, ready ones first', () => {
    const rules = serviceRules([service('a', '10.96.0.5', http)], [slice('a', ['10.244.0.3', '10.244.0.2'], 9080), slice('a', ['10.244.0.9'], 9080, { ready: false, serving: true, terminating: true }), slice('b', ['10.244.0.4'], 1)]);
    expect(rules[0]?.backends).toEqual([{ ip: '10.244.0.2', port: 9080 }, { ip: '10.244.0.3', port: 9080 }]);
  });
  it.each([
    ['terminating ones when nothing else serves', { ready: false, serving: true, terminating: true }, 1],
    ['not the unready ones', { ready: false, serving: false, terminating: false }, 0],
    ['an absent condition is ready', {}, 1],
  ])('%s', (_, conditions, count) => expect(serviceRules([service('a', '10.96.0.5', http)], [slice('a', ['10.244.0.2'], 1, conditions)])[0]?.backends).toHaveLength(count));
  it('leaves out headless, ExternalName, SCTP and IPv6', () => {
    expect(serviceRules([service('a', 'None', http), service('b', '10.96.0.6', http, { type: 'ExternalName' }), service('c', '10.96.0.7', [{ port: 1, protocol: 'SCTP' }]), service('d', 'fd00::1', http)], [])).toEqual([]);
  });
});

describe('renderServiceRules', () => {
  const render = (...args: Parameters<typeof serviceRules>) => renderServiceRules(serviceRules(...args));
  it('spreads evenly, masquerades hairpins', () => {
    const text = render([service('a', '10.96.0.5', http)], [slice('a', ['10.244.0.2', '10.244.0.3', '10.244.0.4'], 9080)]);
    expect([...text.matchAll(/--probability (\S+)/g)].map((match) => Number(match[1]))).toEqual([1 / 3, 1 / 2].map((value) => Number(value.toFixed(10))));
    expect(text.match(/-j DNAT --to-destination 10\.244\.0\.[234]:9080/g)).toHaveLength(3);
    expect(text).toMatch(/-A MELTEMI-SEP-\w+ -s 10\.244\.0\.3\/32 -j MARK/);
  });
  it('rejects a service without backends and keeps it out of the nat table', () => {
    const text = render([service('a', '10.96.0.5', [...http, { name: 'dns', port: 53, protocol: 'UDP' }])], []);
    expect(text).toContain('-d 10.96.0.5/32 -p tcp -m tcp --dport 80 -j REJECT --reject-with tcp-reset');
    expect(text).toContain('-d 10.96.0.5/32 -p udp -m udp --dport 53 -j REJECT --reject-with icmp-port-unreachable');
    expect(serviceChains(text)).toEqual([]);
  });
  it('removes the chains of what is gone, after emptying them', () => {
    const before = render([service('a', '10.96.0.5', http)], [slice('a', ['10.244.0.2'], 1)]);
    const stale = serviceChains(before);
    expect(stale).toHaveLength(2);
    const after = renderServiceRules([], stale);
    for (const chain of stale) {
      expect(after).toContain(`:${chain} - [0:0]`);
      expect(after).toContain(`-X ${chain}`);
    }
  });
  it('does not depend on order and cannot be injected through names', () => {
    const a = service('a', '10.96.0.5', http);
    const b = service('b\n-F', '10.96.0.6', http);
    const slices = [slice('a', ['10.244.0.2'], 1), slice('b\n-F', ['10.244.0.3'], 1)];
    expect(render([a, b], slices)).toBe(render([b, a], [...slices].reverse()));
    expect(render([a, b], slices)).not.toMatch(/^-F/m);
    expect(render([service('c', '10.96.0.7\n-F', http)], [])).not.toMatch(/^-F/m);
  });
  it('keeps a client with its backend when asked', () => {
    expect(render([service('a', '10.96.0.5', http, { sessionAffinity: 'ClientIP' })], [slice('a', ['10.244.0.2'], 1)])).toMatch(/--rcheck --seconds 10800/);
  });
});
