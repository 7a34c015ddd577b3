import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../objects/meta.ts';
import { resolve } from './resolve.ts';

const policy = (spec: unknown, annotations: Record<string, string> = {}): KubeObject =>
  ({ apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata: { name: 'p', namespace: 'foo', annotations }, spec }) as KubeObject;
const policies = (spec: unknown, annotations?: Record<string, string>) => resolve({ objects: [policy(spec, annotations)] });

describe('authorization policies', () => {
  it('are read with both spellings and all negations', () => {
    const { snapshot } = policies({ action: 'DENY', rules: [{ from: [{ source: { not_principals: ['a'], remoteIpBlocks: ['1.2.3.4'] } }], to: [{ operation: { notPaths: ['/x'] } }], when: [{ key: 'source.ip', notValues: ['1.1.1.1'] }] }] });
    const [read] = snapshot.authorizationPolicies;
    expect(read).toMatchObject({ action: 'DENY', dryRun: false, selector: undefined, rules: [{ when: [{ key: 'source.ip', values: [], notValues: ['1.1.1.1'] }] }] });
    expect(read!.rules[0]!.from[0]!.principals.notValues).toEqual(['a']);
    expect(read!.rules[0]!.from[0]!.remoteIpBlocks.values).toEqual(['1.2.3.4']);
    expect(read!.rules[0]!.to[0]!.paths.notValues).toEqual(['/x']);
  });
  it.each([['true', true], ['T', true], ['false', false], ['maybe', false]])('dry-run %s', (text, dryRun) => {
    const { snapshot, issues } = policies({}, { 'istio.io/dry-run': text });
    expect(snapshot.authorizationPolicies[0]!.dryRun).toBe(dryRun);
    expect(issues.some((issue) => issue.code === 'MLT0010')).toBe(text === 'maybe');
  });
  it.each([{ rules: 'x' }, { action: 'PERMIT' }, { action: 'CUSTOM' }, { rules: [{ from: 7 }] }])('deny everything when nobody can read them: %j', (spec) => {
    const { snapshot, issues } = policies(spec);
    expect(snapshot.authorizationPolicies).toMatchObject([{ action: 'DENY', rules: [{ from: [], to: [], when: [] }] }]);
    expect(issues.map((issue) => issue.code)).toContain('MLT0011');
  });
  it('keep their last good version while they are broken', () => {
    const good = policies({ rules: [{}] }).snapshot;
    expect(resolve({ objects: [policy({ rules: 'x' })], previous: good }).snapshot.authorizationPolicies[0]!.action).toBe('ALLOW');
  });
});

const INLINE = '{"keys":[{"kty":"oct","k":"YWJj"}]}';

describe('key sets', () => {
  const jwt = (rule: Record<string, unknown>): KubeObject =>
    ({ apiVersion: 'security.istio.io/v1', kind: 'RequestAuthentication', metadata: { name: 'r', namespace: 'foo' }, spec: { jwtRules: [{ issuer: 'i', ...rule }] } }) as KubeObject;
  const uri = 'http://keys/';
  const read = (rule: Record<string, unknown>, fetched?: { jwks: string; problem: string | undefined }) => {
    const { snapshot, issues } = resolve({ objects: [jwt(rule)], ...(fetched && { keySets: new Map([[uri, { ...fetched, fetchedAt: '2026-01-01T00:00:00Z' }]]) }) });
    return [snapshot.requestAuthentications[0]!.rules[0]!.jwks, issues.find((issue) => issue.code === 'MLT0012')?.message] as const;
  };
  it('written in the policy win', () => expect(read({ jwks: INLINE, jwksUri: uri }, { jwks: 'x', problem: undefined })).toEqual([INLINE, undefined]));
  it('come from the control plane', () => expect(read({ jwksUri: uri }, { jwks: 'x', problem: undefined })).toEqual(['x', undefined]));
  it('stay when they are stale, and the status says so', () => {
    const [jwks, message] = read({ jwksUri: uri }, { jwks: 'x', problem: 'HTTP status 500' });
    expect(jwks).toBe('x');
    expect(message).toBe('The key set is stale: it was last fetched at 2026-01-01T00:00:00Z and stays in use (HTTP status 500).');
  });
  it.each(['{}', 'x', '{"keys":[]}', '{"keys":[{"kty":"RSA"}]}', '{"keys":[{"kty":"oct","alg":"RS256","k":"YWJj"}]}', '{"keys":[{"kty":"EC","crv":"P-256","alg":"ES384","x":"YQ","y":"YQ"}]}'])('without a usable key are said: %s', (jwks) => {
    const [used, message] = read({ jwks });
    expect(used).toBe('');
    expect(message).toContain('no key that can be used');
  });
  it('are never made up', () => {
    const [jwks, message] = read({ jwksUri: uri }, { jwks: '', problem: 'connect ECONNREFUSED' });
    expect(jwks).toBe('');
    expect(message).toContain('no token of this issuer is accepted until it can');
  });
});
