import { describe, expect, it } from 'vitest';
import { parseProxyNode } from './proxy-node.ts';

describe('parseProxyNode', () => {
  it('reads id and metadata', () => {
    const node = parseProxyNode({ id: 'sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local', metadata: { NAMESPACE: 'shop', LABELS: { app: 'web', bad: 7 }, INSTANCE_IPS: '10.0.0.1,fd00::1', INTERCEPTION_MODE: 'TPROXY', DNS_CAPTURE: 'true' } });
    expect(node).toMatchObject({ type: 'sidecar', name: 'web-1', namespace: 'shop', ipAddresses: ['10.0.0.1', 'fd00::1'], interceptionMode: 'TPROXY', dnsCapture: true, istioFilters: true });
    expect({ ...node?.labels }).toEqual({ app: 'web' });
  });
  it.each(['', 'x', 'waypoint~1.2.3.4~a.b~c', 'sidecar~~a.b~c', 'sidecar~1.2.3.4~a.b'])('refuses %j', (id) => expect(parseProxyNode({ id })).toBeUndefined());
  it('knows plain Envoy by its extensions', () => {
    const id = 'router~1.2.3.4~a.b~b.svc.cluster.local';
    expect(parseProxyNode({ id, extensions: ['envoy.filters.http.router'] })?.istioFilters).toBe(false);
    expect(parseProxyNode({ id, extensions: ['envoy.filters.http.router', 'istio.alpn'] })?.istioFilters).toBe(true);
    expect(parseProxyNode({ id, extensions: ['x'], userAgentName: 'meltemi' })?.istioFilters).toBe(true);
  });
  it('is not fooled by inherited names', () => expect({ ...parseProxyNode({ id: 'sidecar~1.2.3.4~a.b~c', metadata: { LABELS: JSON.parse('{"__proto__": "x"}') as Record<string, string> } })?.labels }).toEqual({ ['__proto__']: 'x' }));
});
