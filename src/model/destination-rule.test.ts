import { describe, expect, it } from 'vitest';
import { policyForPort, type TrafficPolicy } from './destination-rule.ts';

const balancer = (simple: 'RANDOM' | 'ROUND_ROBIN') => ({ simple, consistentHash: undefined, locality: undefined, warmup: undefined });
const policy = (parts: Partial<TrafficPolicy>): TrafficPolicy => ({ loadBalancer: undefined, connectionPool: undefined, outlierDetection: undefined, tls: undefined, proxyProtocol: undefined, tunnel: undefined, retryBudget: undefined, portLevel: new Map(), ...parts });
const tls = { mode: 'DISABLE' as const, clientCertificate: '', privateKey: '', caCertificates: '', credentialName: '', subjectAltNames: [], sni: '', insecureSkipVerify: false, caCrl: '' };

describe('policyForPort', () => {
  const rule = policy({ loadBalancer: balancer('ROUND_ROBIN'), tls, portLevel: new Map([[81, policy({ loadBalancer: balancer('RANDOM') })]]) });
  it('takes the rule', () => expect(policyForPort(rule, undefined, 80).loadBalancer?.simple).toBe('ROUND_ROBIN'));
  it('lets a port-level entry replace all blocks', () => {
    expect(policyForPort(rule, undefined, 81).loadBalancer?.simple).toBe('RANDOM');
    expect(policyForPort(rule, undefined, 81).tls).toBeUndefined();
  });
  it('lets a subset override block by block', () => {
    const merged = policyForPort(rule, policy({ loadBalancer: balancer('RANDOM') }), 80);
    expect([merged.loadBalancer?.simple, merged.tls?.mode]).toEqual(['RANDOM', 'DISABLE']);
  });
  it("lets a subset's port-level entry replace everything", () => {
    const merged = policyForPort(rule, policy({ portLevel: new Map([[80, policy({})]]) }), 80);
    expect([merged.loadBalancer, merged.tls]).toEqual([undefined, undefined]);
  });
});
