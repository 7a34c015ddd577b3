import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { KubeObject } from '../../objects/meta.ts';
import { resolve } from '../resolve.ts';
import { wantedKeySets } from '../request-authentication.ts';

type Fields = Readonly<Record<string, unknown>>;
const object = (apiVersion: string, kind: string, name: string, spec: unknown, namespace: string | undefined = 'shop'): KubeObject =>
  ({ apiVersion, kind, metadata: { name, ...(namespace && { namespace }) }, spec }) as KubeObject;
const AUTHN = 'authentication.istio.io/v1alpha1';
const RBAC = 'rbac.istio.io/v1alpha1';
const policy = (spec: Fields) => object(AUTHN, 'Policy', 'default', spec);
const role = (...rules: Fields[]) => object(RBAC, 'ServiceRole', 'reader', { rules });
const binding = (subjects: readonly Fields[], more: Fields = {}) => object(RBAC, 'ServiceRoleBinding', 'readers', { subjects, roleRef: { kind: 'ServiceRole', name: 'reader' }, ...more });
const config = (spec: Fields) => object(RBAC, 'ClusterRbacConfig', 'default', spec, '');
const namespace = (name: string) => object('v1', 'Namespace', name, {}, '');
const service = (name: string, labels: Fields, ports: readonly Fields[] = [{ name: 'http', port: 80, targetPort: 8080 }]) => object('v1', 'Service', name, { clusterIP: '10.96.0.1', selector: labels, ports });
const WEB = service('web', { app: 'web' });
const DB = service('db', { app: 'db' });
const run = (...objects: KubeObject[]) => resolve({ objects: [namespace('shop'), WEB, DB, ...objects] });

describe('authentication policies', () => {
  it.each([
    [{ peers: [{ mtls: {} }] }, 'STRICT'], [{ peers: [{ mtls: null }] }, 'STRICT'], [{ peers: [{ mtls: { mode: 'PERMISSIVE' } }] }, 'PERMISSIVE'], [{ peers: [{ mtls: {} }], peerIsOptional: true }, 'PERMISSIVE'], [{}, 'DISABLE'],
  ])('%j is mode %s', (spec, mode) => {
    expect(run(policy(spec)).snapshot.peerAuthentications).toMatchObject([{ namespace: 'shop', mode, selector: undefined }]);
  });
  it('of the mesh hold in the root namespace', () => {
    const { snapshot, issues } = run(object(AUTHN, 'MeshPolicy', 'default', { peers: [{ mtls: {} }] }, ''));
    expect(snapshot.peerAuthentications).toMatchObject([{ namespace: 'istio-system', mode: 'STRICT' }]);
    const [issue] = issues.filter(({ code }) => code === 'MLT0013');
    expect(parseAllDocuments(issue!.fix!).map((document) => document.toJS() as unknown)).toEqual([
      { apiVersion: 'security.istio.io/v1', kind: 'PeerAuthentication', metadata: { name: 'default', namespace: 'istio-system' }, spec: { mtls: { mode: 'STRICT' } } },
    ]);
  });
  it('for some ports of a service hold for the ports of its pods', () => {
    const { snapshot } = run(policy({ targets: [{ name: 'web', ports: [{ number: 80 }] }], peers: [{ mtls: {} }] }));
    expect(snapshot.peerAuthentications).toMatchObject([{ selector: { app: 'web' }, mode: undefined, portLevel: new Map([[8080, 'STRICT']]) }]);
  });
  it('say when a target does not exist', () => {
    const { snapshot, issues } = run(policy({ targets: [{ name: 'nobody' }], peers: [{ mtls: {} }] }));
    expect(snapshot.peerAuthentications).toEqual([]);
    expect(issues.map(({ path }) => path)).toContain('spec.targets[0]');
  });
  it('demand tokens, except where triggers do not', () => {
    const jwt = { issuer: 'i', jwksUri: 'http://keys/', jwtHeaders: ['x-token'], triggerRules: [{ excludedPaths: [{ exact: '/health' }, { prefix: '/open/' }] }] };
    const old = policy({ origins: [{ jwt }] });
    const { snapshot } = run(old);
    expect(snapshot.requestAuthentications).toMatchObject([{ rules: [{ issuer: 'i', fromHeaders: [{ name: 'x-token', prefix: '' }] }] }]);
    expect(snapshot.authorizationPolicies).toMatchObject([{ action: 'DENY', rules: [{ from: [{ requestPrincipals: { notValues: ['*'] } }], to: [{ paths: { notValues: ['/health', '/open/*'] } }] }] }]);
    expect(wantedKeySets([old]).map(({ uri }) => uri)).toEqual(['http://keys/']);
    expect(run(policy({ origins: [{ jwt }], originIsOptional: true })).snapshot.authorizationPolicies).toEqual([]);
  });
  it('ask everywhere for a token when a path cannot be told', () => {
    const { snapshot } = run(policy({ origins: [{ jwt: { issuer: 'i', jwks: '{"keys":[]}', triggerRules: [{ includedPaths: [{ regex: '/a+' }] }] } }] }));
    expect(snapshot.authorizationPolicies[0]!.rules[0]!.to).toEqual([]);
  });
});

describe('roles', () => {
  const get = { services: ['web.shop.svc.cluster.local'], methods: ['GET'], paths: ['/a*'] };
  const everybody = [{ user: '*' }];
  it('become policies of the services they name', () => {
    const { snapshot } = run(role(get), binding([{ user: 'cluster.local/ns/x/sa/y' }]));
    expect(snapshot.authorizationPolicies).toMatchObject([{
      name: 'readers-web', namespace: 'shop', selector: { app: 'web' }, action: 'ALLOW', dryRun: false,
      rules: [{ from: [{ principals: { values: ['cluster.local/ns/x/sa/y'] } }], to: [{ methods: { values: ['GET'] }, paths: { values: ['/a*'] } }], when: [] }],
    }]);
  });
  it('close their namespace when access control is on, and only there', () => {
    const { snapshot } = run(namespace('other'), role(get), binding(everybody), config({ mode: 'ON_WITH_INCLUSION', inclusion: { namespaces: ['shop'] } }));
    expect(snapshot.authorizationPolicies.map(({ name, namespace: where, rules }) => [name, where, rules.length])).toEqual([['rbac-closed', 'shop', 0], ['readers-web', 'shop', 1]]);
  });
  it('leave the root namespace and excluded services open', () => {
    const { snapshot } = run(namespace('istio-system'), config({ mode: 'ON_WITH_EXCLUSION', exclusion: { services: ['db.shop.svc.cluster.local'] } }));
    expect(snapshot.authorizationPolicies.map(({ name, selector, rules }) => [name, selector, rules.length])).toEqual([['rbac-closed', undefined, 0], ['rbac-open-db', { app: 'db' }, 1]]);
  });
  it('are not enforced with mode OFF', () => expect(run(role(get), binding(everybody), config({ mode: 'OFF' })).snapshot.authorizationPolicies).toEqual([]));
  it.each<[string, Fields, Fields]>([
    ['groups are claims', { group: 'g' }, { from: [], when: [{ key: 'request.auth.claims[groups]', values: ['g'] }] }],
    ['namespaces', { properties: { 'source.namespace': 'x' } }, { from: [{ namespaces: { values: ['x'] } }] }],
    ['user and property must both hold', { user: 'a', properties: { 'source.principal': 'b' } }, { from: [{ principals: { values: ['a'] } }], when: [{ key: 'source.principal', values: ['b'] }] }],
    ['headers', { properties: { 'request.headers[x]': '1' } }, { from: [], when: [{ key: 'request.headers[x]', values: ['1'] }] }],
  ])('%s', (_, subject, expected) => expect(run(role(get), binding([subject])).snapshot.authorizationPolicies[0]!.rules).toMatchObject([expected]));
  it.each<[string, Fields]>([['a property nobody knows', { properties: { 'source.moon': 'full' } }], ['nobody at all', {}]])('%s lets nobody in', (_, subject) => {
    const { snapshot, issues } = run(role(get), binding([subject]));
    expect(snapshot.authorizationPolicies).toMatchObject([{ name: 'readers-web', rules: [] }]);
    expect(issues.some(({ code }) => code === 'MLT0014')).toBe(true);
  });
  it('narrow by labels and conditions', () => {
    const { snapshot } = run(role({ services: ['*'], constraints: [{ key: 'destination.labels[version]', values: ['v1', 'v2'] }, { key: 'request.headers[h]', values: ['x'] }] }), binding(everybody));
    expect(snapshot.authorizationPolicies.map(({ selector, rules }) => [selector, rules[0]!.when])).toEqual([
      [{ version: 'v1' }, [{ key: 'request.headers[h]', values: ['x'], notValues: [] }]], [{ version: 'v2' }, [{ key: 'request.headers[h]', values: ['x'], notValues: [] }]],
    ]);
  });
  it('of permissive bindings only log', () => expect(run(role(get), binding(everybody, { mode: 'PERMISSIVE' })).snapshot.authorizationPolicies).toMatchObject([{ dryRun: true }]));
  it('are told when nothing uses them, or when they are missing', () => {
    expect(run(role(get)).issues.map(({ message }) => message).join()).toContain('grants nothing');
    expect(run(binding(everybody)).issues.map(({ path }) => path)).toContain('spec.roleRef.name');
  });
  it('survive names that mean something to JavaScript', () => {
    const nasty = run(role({ services: ['*'], constraints: [{ key: 'destination.labels[__proto__]', values: ['x'] }] }), binding([{ properties: JSON.parse('{"__proto__":"x"}') as Fields }]));
    expect(nasty.snapshot.authorizationPolicies.every(({ rules }) => rules.length === 0)).toBe(true);
  });
});
