import { fromJson, type JsonObject } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { RBACSchema } from '../../xds/gen/envoy/config/rbac/v3/rbac_pb.ts';
import { typeRegistry } from '../../xds/registry.ts';
import type { DynamicMetadata } from '../filters/dynamic-metadata.ts';
import { head } from '../testing/head.ts';
import { compileEngine, denialDetails } from './engine.ts';
import { ipBytes, type AccessFacts, type ConnectionFacts } from './facts.ts';

const connection: ConnectionFacts = {
  secure: true, peerNames: ['spiffe://cluster.local/ns/foo/sa/a'], directRemoteIp: ipBytes('10.0.0.7'), destinationIp: ipBytes('10.0.0.1'), destinationPort: 8080, serverName: 'outbound_.80_._.a.foo',
};
const facts = (change: { connection?: Partial<ConnectionFacts>; path?: string; remoteIp?: string; metadata?: DynamicMetadata; tcp?: boolean } = {}): AccessFacts => ({
  connection: { ...connection, ...change.connection }, request: change.tcp ? undefined : head({ path: change.path ?? '/', headers: { 'x-a': ['1', '2'] } }), remoteIp: change.remoteIp ?? '10.0.0.7', metadata: change.metadata,
});
const engine = (action: string, policies: JsonObject) => compileEngine(fromJson(RBACSchema, { action, policies }, { registry: typeRegistry }))!;
const ANY = { permissions: [{ any: true }], principals: [{ any: true }] };
const only = (part: JsonObject) => engine('ALLOW', { p: { ...ANY, ...part } });
const allows = (part: JsonObject, asked = facts()) => only(part).decide(asked).allowed;

describe('actions', () => {
  it.each([['ALLOW', true, false], ['DENY', false, true], ['LOG', true, true]])('%s', (action, matched, missed) => {
    expect(engine(action, { p: ANY }).decide(facts())).toEqual({ allowed: matched, policy: 'p' });
    expect(engine(action, {}).decide(facts())).toEqual({ allowed: action === 'ALLOW' ? false : missed, policy: '' });
  });
  it('the first name wins, and is in the details', () => {
    const decision = engine('DENY', { b: ANY, 'a b': ANY }).decide(facts());
    expect(denialDetails(decision)).toBe('rbac_access_denied_matched_policy[a_b]');
    expect(denialDetails(engine('ALLOW', {}).decide(facts()))).toBe('rbac_access_denied_matched_policy[none]');
  });
});

describe('principals', () => {
  const name = (matcher: JsonObject) => ({ principals: [{ authenticated: { principalName: matcher } }] });
  it.each([
    [{ exact: 'spiffe://cluster.local/ns/foo/sa/a' }, true], [{ exact: 'spiffe://cluster.local/ns/foo/sa/b' }, false], [{ safeRegex: { regex: '.*/ns/foo/.*' } }, true],
    [{ safeRegex: { regex: '.*/ns/fo/.*' } }, false], [{ safeRegex: { regex: '.+' } }, true],
  ])('%j', (matcher, expected) => expect(allows(name(matcher))).toBe(expected));
  it('plaintext has none', () => {
    expect(allows(name({ safeRegex: { regex: '.*' } }), facts({ connection: { secure: false, peerNames: [] } }))).toBe(false);
    expect(allows({ principals: [{ authenticated: {} }] }, facts({ connection: { secure: false, peerNames: [] } }))).toBe(false);
  });
  it('tells the peer from the client it speaks for', () => {
    const cidr = { addressPrefix: '1.2.3.0', prefixLen: 24 };
    expect(allows({ principals: [{ remoteIp: cidr }] }, facts({ remoteIp: '1.2.3.4' }))).toBe(true);
    expect(allows({ principals: [{ directRemoteIp: cidr }] }, facts({ remoteIp: '1.2.3.4' }))).toBe(false);
    expect(allows({ principals: [{ directRemoteIp: { addressPrefix: '10.0.0.0', prefixLen: 8 } }] })).toBe(true);
    expect(allows({ principals: [{ remoteIp: { addressPrefix: '::', prefixLen: 0 } }] })).toBe(false);
  });
});

describe('permissions', () => {
  it.each([
    [{ urlPath: { path: { exact: '/a' } } }, '/a?x=/b', true], [{ urlPath: { path: { exact: '/a' } } }, '/a/', false], [{ urlPath: { path: { prefix: '/a' } } }, '/ab', true],
    [{ header: { name: 'X-A', stringMatch: { exact: '2' } } }, '/', true], [{ header: { name: ':authority', stringMatch: { exact: 'HOST', ignoreCase: true } } }, '/', true],
    [{ destinationPort: 8080 }, '/', true], [{ destinationPort: 80 }, '/', false], [{ destinationIp: { addressPrefix: '10.0.0.0', prefixLen: 30 } }, '/', true],
    [{ requestedServerName: { prefix: 'outbound_' } }, '/', true], [{ notRule: { any: true } }, '/', false],
  ])('%j on %s: %s', (rule, path, expected) => expect(allows({ permissions: [rule] }, facts({ path }))).toBe(expected));
  it('of requests never match a connection', () => expect(allows({ permissions: [{ urlPath: { path: { prefix: '/' } } }] }, facts({ tcp: true }))).toBe(false));
});

describe('metadata', () => {
  const value = (matcher: JsonObject, path = ['payload', 'groups']) => ({ principals: [{ metadata: { filter: 'f', path: path.map((key) => ({ key })), value: matcher } }] });
  const metadata: DynamicMetadata = new Map([['f', { payload: { groups: ['admin', 'dev'], sub: 'me', n: 3, ok: true } }]]);
  it.each([
    [{ listMatch: { oneOf: { stringMatch: { exact: 'dev' } } } }, ['payload', 'groups'], true], [{ stringMatch: { exact: 'dev' } }, ['payload', 'groups'], false],
    [{ orMatch: { valueMatchers: [{ boolMatch: false }, { stringMatch: { exact: 'me' } }] } }, ['payload', 'sub'], true], [{ doubleMatch: { exact: 3 } }, ['payload', 'n'], true],
    [{ boolMatch: true }, ['payload', 'ok'], true], [{ presentMatch: true }, ['payload', 'nothing'], false], [{ presentMatch: true }, ['payload', '__proto__'], false], [{ presentMatch: true }, ['constructor'], false],
  ])('%j at %j: %s', (matcher, path, expected) => expect(allows(value(matcher, path), facts({ metadata }))).toBe(expected));
  it('is missing without a token', () => expect(allows(value({ presentMatch: true }))).toBe(false));
});

describe('refused', () => {
  it.each([
    [{ permissions: [{ matcher: { name: 'x' } }] }, 'permission matcher is not supported'], [{ permissions: [{}] }, 'without a rule'], [{ principals: [{ filterState: { key: 'x' } }] }, 'not supported'],
    [{ permissions: [{ destinationIp: { addressPrefix: 'x', prefixLen: 8 } }] }, 'CIDR'], [{ principals: [{ remoteIp: { addressPrefix: '1.1.1.1', prefixLen: 33 } }] }, 'CIDR'],
  ])('%j', (part: JsonObject, message) => expect(() => only(part)).toThrow(message));
});
