import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../objects/meta.ts';
import { resolve } from '../resolve.ts';
import { asPattern, wholeText } from './route-group.ts';

type Fields = Readonly<Record<string, unknown>>;
const object = (apiVersion: string, kind: string, name: string, rest: Fields): KubeObject => ({ apiVersion, kind, metadata: { name, namespace: 'shop' }, ...rest }) as KubeObject;
const service = (name: string, ...ports: number[]) => object('v1', 'Service', name, { spec: { clusterIP: '10.96.0.1', selector: { app: name }, ports: ports.map((port) => ({ name: `http-${port}`, port })) } });
const SERVICES = [service('web', 80, 81), service('web-v1', 80, 81), service('web-v2', 80)];
const split = (spec: Fields, version = 'v1alpha4') => object(`split.smi-spec.io/${version}`, 'TrafficSplit', 'canary', { spec: { service: 'web', ...spec } });
const HALF = { backends: [{ service: 'web-v1', weight: 90 }, { service: 'web-v2', weight: 10 }] };
const run = (...objects: KubeObject[]) => resolve({ objects: [...SERVICES, ...objects] });
const sharesOf = (...objects: KubeObject[]) => run(...objects).snapshot.virtualServices.flatMap(({ http }) => http.map(({ action }) => (action.kind === 'route' ? action.destinations.map(({ destination: { host, port }, weight }) => [host.split('.')[0], port, weight]) : [])));

describe('TrafficSplit', () => {
  it('splits every port among the backends that have it', () => {
    expect(sharesOf(split(HALF))).toEqual([[['web-v1', 80, 90], ['web-v2', 80, 10]], [['web-v1', 81, 100]]]);
    expect(run(split(HALF)).issues.map(({ code }) => code)).toEqual(expect.arrayContaining(['MLT0013', 'MLT0014']));
    expect(run(split(HALF)).snapshot.virtualServices).toMatchObject([{ hosts: ['web.shop.svc.cluster.local'], gateways: ['mesh'] }]);
  });
  it('reads quantities and full names', () => {
    const old = split({ service: 'web.shop.svc.cluster.local', backends: [{ service: 'web-v1', weight: '900m' }, { service: 'web-v2', weight: '100m' }] }, 'v1alpha1');
    expect(sharesOf(old)[0]).toEqual([['web-v1', 80, 900], ['web-v2', 80, 100]]);
  });
  it.each([
    ['no weights', { backends: [{ service: 'web-v1', weight: 0 }] }], ['another namespace', { ...HALF, service: 'web.other' }], ['a service that does not exist', { ...HALF, service: 'nobody' }], ['a group that does not exist', { ...HALF, matches: [{ kind: 'HTTPRouteGroup', name: 'nobody' }] }],
  ])('changes nothing with %s, and says so', (_, spec) => {
    expect(sharesOf(split(spec))).toEqual([]);
    expect(run(split(spec)).issues.some(({ code }) => code === 'MLT0014')).toBe(true);
  });
  it.each([['v1alpha4', (matches: Fields[]) => ({ spec: { matches } })], ['v1alpha2', (matches: Fields[]) => ({ matches })]] as const)('splits what a group of %s describes, and leaves the rest alone', (version, at) => {
    const group = object(`specs.smi-spec.io/${version}`, 'HTTPRouteGroup', 'testers', at([{ name: 'a', pathRegex: '/cart', methods: ['GET', 'PUT'], headers: { 'X-Tester': '^yes$' } }]));
    const { snapshot } = run(split({ ...HALF, matches: [{ kind: 'HTTPRouteGroup', name: 'testers' }] }), group);
    const [tested, rest] = snapshot.virtualServices[0]!.http;
    expect(tested!.matches).toMatchObject([{ uri: { kind: 'regex', value: '(?:/cart).*' }, method: { value: 'GET|PUT' }, port: 80 }]);
    expect(tested!.matches[0]!.headers).toMatchObject([{ name: 'x-tester', match: { kind: 'regex', value: 'yes' } }]);
    expect(rest!.action).toMatchObject({ destinations: [{ destination: { host: 'web.shop.svc.cluster.local' } }] });
  });
});

const pod = (name: string, serviceAccountName: string, labels: Fields): KubeObject =>
  ({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'shop', labels }, spec: { serviceAccountName, containers: [] }, status: { phase: 'Running', podIP: `10.0.0.${name.length}` } }) as unknown as KubeObject;
const PODS = [pod('a', 'db', { 'app': 'db', 'pod-template-hash': '1' }), pod('bb', 'db', { 'app': 'db', 'pod-template-hash': '2' }), pod('ccc', 'web', { app: 'web' })];
const GROUP = object('specs.smi-spec.io/v1alpha4', 'HTTPRouteGroup', 'reads', { spec: { matches: [{ name: 'rows', pathRegex: '/rows/.*', methods: ['GET'] }, { name: 'odd', pathRegex: '/r[ao]ws' }] } });
const target = (spec: Fields) => object('access.smi-spec.io/v1alpha3', 'TrafficTarget', 'db', { spec: { destination: { kind: 'ServiceAccount', name: 'db', namespace: 'shop' }, sources: [{ kind: 'ServiceAccount', name: 'web', namespace: 'shop' }], ...spec } });

describe('TrafficTarget', () => {
  it('lets its sources in where its rules say, and nobody else', () => {
    const { snapshot } = run(...PODS, GROUP, target({ rules: [{ kind: 'HTTPRouteGroup', name: 'reads', matches: ['rows'] }] }));
    expect(snapshot.authorizationPolicies).toMatchObject([{
      namespace: 'shop', selector: { app: 'db' }, action: 'ALLOW',
      rules: [{ from: [{ principals: { values: ['cluster.local/ns/shop/sa/web'] } }], to: [{ methods: { values: ['GET'] }, paths: { values: ['/rows/*'] } }] }],
    }]);
    expect(snapshot.authorizationPolicies).toHaveLength(1);
  });
  it('does not let in what it cannot say', () => {
    const { snapshot, issues } = run(...PODS, GROUP, target({ rules: [{ kind: 'HTTPRouteGroup', name: 'reads', matches: ['odd'] }] }));
    expect(snapshot.authorizationPolicies).toMatchObject([{ selector: { app: 'db' }, rules: [] }]);
    expect(issues.map(({ message }) => message).join()).toContain('Match odd');
  });
  it('lets TCP in by port', () => {
    const tcp = object('specs.smi-spec.io/v1alpha4', 'TCPRoute', 'rows', { spec: { matches: { ports: [5432] } } });
    expect(run(...PODS, tcp, target({ rules: [{ kind: 'TCPRoute', name: 'rows' }] })).snapshot.authorizationPolicies).toMatchObject([{ rules: [{ to: [{ ports: { values: ['5432'] } }] }] }]);
  });
  it('reads the first version, where nothing stands in a spec', () => {
    const old = object('access.smi-spec.io/v1alpha1', 'TrafficTarget', 'db', { destination: { kind: 'ServiceAccount', name: 'db', namespace: 'shop', port: 8080 }, specs: [{ kind: 'HTTPRouteGroup', name: 'reads', matches: ['rows'] }], sources: [{ kind: 'ServiceAccount', name: 'web', namespace: 'shop' }] });
    expect(run(...PODS, GROUP, old).snapshot.authorizationPolicies).toMatchObject([{ rules: [{ to: [{ ports: { values: ['8080'] }, paths: { values: ['/rows/*'] } }] }] }]);
  });
});

it.each([['', '*'], ['.*', '*'], ['/', '/*'], ['^/a$', '/a'], ['/a/.*', '/a/*'], ['/a\\.b', '/a.b*'], ['/a.b$', '/a.b'], ['/a+', undefined], ['/(a|b)', undefined], ['/a*', undefined], ['/a?b', undefined]])('%s as a pattern is %s', (regex, pattern) => expect(asPattern(regex)).toBe(pattern));
it.each([['/a', '(?:/a).*'], ['^/a$', '/a'], ['a|b', '(?:a|b).*']])('%s for the whole text is %s', (regex, whole) => expect(wholeText(regex)).toBe(whole));
