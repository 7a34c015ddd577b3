import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../objects/meta.ts';
import { resolve } from './resolve.ts';

const object = (kind: string, spec: unknown, name = 'x', apiVersion = 'networking.istio.io/v1'): KubeObject => ({ apiVersion, kind, metadata: { name, namespace: 'ns' }, spec }) as KubeObject;
const http = (route: Record<string, unknown>) => object('VirtualService', { hosts: ['a'], http: [{ route: [{ destination: { host: 'a' } }], ...route }] });
const routeOf = (route: Record<string, unknown>) => resolve({ objects: [http(route)] }).snapshot.virtualServices[0]?.http[0];
const problemsOf = (...objects: KubeObject[]) => resolve({ objects }).issues.filter((issue) => issue.code === 'IST0106').map((issue) => `${issue.path}: ${issue.message}`);

describe('virtual services', () => {
  it('expands short names in the namespace of the rule', () => {
    const [rule] = resolve({ objects: [http({ route: [{ destination: { host: 'b.other' } }] })] }).snapshot.virtualServices;
    expect(rule?.hosts).toEqual(['a.ns.svc.cluster.local']);
    expect(rule?.http[0]?.action).toMatchObject({ destinations: [{ destination: { host: 'b.other', subset: '', port: 0 }, weight: 100 }] });
    expect(rule?.gateways).toEqual(['mesh']);
  });
  it.each([
    ['percentage', { delay: { percentage: { value: 50 }, fixedDelay: '5s' } }, { delay: { percent: 50, fixedDelayMs: 5000 } }],
    ['legacy delay.percent', { delay: { percent: 10, fixedDelay: '1s' } }, { delay: { percent: 10, fixedDelayMs: 1000 } }],
    ['legacy abort.percent', { abort: { percent: 10, httpStatus: 400 } }, { abort: { percent: 10, httpStatus: 400 } }],
    ['grpc status by name', { abort: { percentage: { value: 1 }, grpcStatus: 'UNAVAILABLE' } }, { abort: { percent: 1, grpcStatus: 14 } }],
    ['no percentage means never', { abort: { httpStatus: 500 } }, { abort: { percent: 0 } }],
  ])('reads faults: %s', (_, fault, expected) => expect(routeOf({ fault })?.fault).toMatchObject(expected));
  it.each([
    [{ mirror: { host: 'b' } }, 100], [{ mirror: { host: 'b' }, mirrorPercentage: { value: 5 } }, 5], [{ mirror: { host: 'b' }, mirror_percent: 7 }, 7], [{ mirrors: [{ destination: { host: 'b' }, percentage: { value: 3 } }] }, 3],
  ])('reads the mirror of %j', (route, percent) => expect(routeOf(route)?.mirrors).toMatchObject([{ destination: { host: 'b.ns.svc.cluster.local' }, percent }]));
  it('reads numbers in retryOn as status codes', () =>
    expect(routeOf({ retries: { attempts: 2, retryOn: '5xx,503' } })?.retries).toMatchObject({ retryOn: '5xx,retriable-status-codes', retriableStatusCodes: [503] }));
  it('reads a timeout of 0 as none and the regex * as present', () => {
    expect(routeOf({ timeout: '0s' })?.timeoutMs).toBeUndefined();
    expect(routeOf({ match: [{ headers: { x: { regex: '*' }, y: {} } }] })?.matches[0]?.headers.map((header) => header.match.kind)).toEqual(['present', 'present']);
  });
  it('drops destinations of weight 0', () =>
    expect(routeOf({ route: [{ destination: { host: 'a' }, weight: 0 }, { destination: { host: 'b' }, weight: 5 }] })?.action).toMatchObject({ destinations: [{ weight: 5 }] }));
});

describe('quarantine', () => {
  it.each([
    ['no action', http({ route: undefined }), 'spec.http[0]: spec.http[0]: needs a route, a redirect or a directResponse.'],
    ['all weights 0', http({ route: [{ destination: { host: 'a' }, weight: 0 }, { destination: { host: 'b' } }] }), 'spec.http[0].route: spec.http[0].route: every destination has weight 0, so the route would send nowhere.'],
    ['negative weight', http({ route: [{ destination: { host: 'a' }, weight: -1 }, { destination: { host: 'b' }, weight: 2 }] }), 'spec.http[0].route[0].weight: spec.http[0].route[0].weight: must not be negative.'],
    ['no destination host', http({ route: [{}] }), 'spec.http[0].route[0].destination.host: spec.http[0].route[0].destination.host: is required.'],
    ['redirect code', http({ redirect: { redirectCode: 200 } }), 'spec.http[0].redirect.redirectCode: spec.http[0].redirect.redirectCode: 200 is no redirect status; use 301, 302, 303, 307 or 308.'],
    ['abort status', http({ fault: { abort: { httpStatus: 9 } } }), 'spec.http[0].fault.abort.httpStatus: spec.http[0].fault.abort.httpStatus: 9 is not between 200 and 599.'],
    ['gateway protocol', object('Gateway', { servers: [{ port: { number: 1, protocol: 'SMTP' }, hosts: ['*'] }] }), 'spec.servers[0].port.protocol: spec.servers[0].port.protocol: "SMTP" is unknown; use HTTP, HTTPS, GRPC, GRPC-WEB, HTTP2, MONGO, TCP or TLS.'],
    ['mTLS mode', object('PeerAuthentication', { mtls: { mode: 'MAYBE' } }, 'x', 'security.istio.io/v1'), 'spec.mtls.mode: spec.mtls.mode: "MAYBE" is unknown; use one of UNSET, DISABLE, PERMISSIVE, STRICT.'],
    ['ejection percent', object('DestinationRule', { host: 'a', trafficPolicy: { outlierDetection: { maxEjectionPercent: 101 } } }), 'spec.trafficPolicy.outlierDetection.maxEjectionPercent: spec.trafficPolicy.outlierDetection.maxEjectionPercent: 101 is not between 0 and 100.'],
  ])('%s', (_, broken, problem) => expect(problemsOf(broken)).toEqual([problem]));

  it('leaves out the broken object only', () => {
    const { snapshot } = resolve({ objects: [http({ timeout: 'soon' }), object('VirtualService', { hosts: ['b'], http: [{ route: [{ destination: { host: 'b' } }] }] }, 'good')] });
    expect(snapshot.virtualServices.map((rule) => rule.name)).toEqual(['good']);
  });
  it('keeps the last good version of an object that breaks, and lets go of one that is deleted', () => {
    const good = resolve({ objects: [http({ timeout: '3s' })] }).snapshot;
    const broken = resolve({ objects: [http({ timeout: 'soon' })], previous: good });
    expect(broken.snapshot.virtualServices.map((rule) => rule.http[0]?.timeoutMs)).toEqual([3000]);
    expect(broken.issues.filter((issue) => issue.code === 'IST0106')).toHaveLength(1);
    expect(resolve({ objects: [http({ timeout: '4s' })], previous: broken.snapshot }).snapshot.virtualServices[0]?.http[0]?.timeoutMs).toBe(4000);
    expect(resolve({ objects: [], previous: good }).snapshot.virtualServices).toEqual([]);
  });
  it.each([[null], [7], ['x'], [[]], [{ hosts: 7, http: {}, gateways: 'x' }], [{ http: [null, 7] }], [{ hosts: [{}], http: [{ match: 5, route: [null] }] }]])('survives the spec %j in every kind', (spec) => {
    const kinds = ['VirtualService', 'DestinationRule', 'Gateway', 'Sidecar', 'ServiceEntry', 'WorkloadEntry'].map((kind) => object(kind, spec));
    const core = ['Service', 'Pod', 'Node', 'Secret', 'Namespace'].map((kind) => object(kind, spec, 'x', 'v1'));
    expect(() => resolve({ objects: [...kinds, ...core, object('EndpointSlice', spec, 'x', 'discovery.k8s.io/v1'), object('HTTPRoute', spec, 'x', 'gateway.networking.k8s.io/v1')], meshConfig: spec })).not.toThrow();
  });
});

describe('order and references', () => {
  it('sorts oldest first, then by name', () => {
    const at = (name: string, creationTimestamp?: string) => ({ ...object('Gateway', { servers: [{ port: { number: 1, protocol: 'HTTP' }, hosts: ['*'] }] }, name), metadata: { name, namespace: 'ns', ...(creationTimestamp !== undefined && { creationTimestamp }) } });
    const { snapshot } = resolve({ objects: [at('c', '2021-01-01T00:00:00Z'), at('b', '2020-01-01T00:00:00Z'), at('a', '2021-01-01T00:00:00Z')] });
    expect(snapshot.gateways.map((gateway) => gateway.name)).toEqual(['b', 'a', 'c']);
  });
  it('reports what leads nowhere and keeps the object', () => {
    const { snapshot, issues } = resolve({ objects: [object('VirtualService', { hosts: ['a'], gateways: ['g'], http: [{ route: [{ destination: { host: 'a', subset: 'v1' } }] }] })] });
    expect(issues.map((issue) => issue.message)).toEqual(['Referenced gateway not found: "ns/g"', 'Referenced host not found: "a.ns.svc.cluster.local"']);
    expect(snapshot.virtualServices).toHaveLength(1);
  });
});

describe('delegates', () => {
  const root = (route: Record<string, unknown>) => object('VirtualService', { hosts: ['a'], http: [{ name: 'root', delegate: { name: 'd' }, ...route }] }, 'root');
  const delegate = (route: Record<string, unknown>, more: Record<string, unknown> = {}) => object('VirtualService', { http: [{ name: 'inner', route: [{ destination: { host: 'b' } }], ...route }], ...more }, 'd');
  const prefix = (value: string) => ({ match: [{ uri: { prefix: value } }] });
  const merged = (...objects: KubeObject[]) => resolve({ objects }).snapshot.virtualServices.flatMap((rule) => rule.http);

  it('narrows the match and keeps both names', () =>
    expect(merged(root({ ...prefix('/a'), timeout: '5s' }), delegate(prefix('/a/b')))).toMatchObject([{ name: 'root-inner', timeoutMs: 5000, matches: [{ uri: { kind: 'prefix', value: '/a/b' } }] }]));
  it.each([
    ['the root has none', root({}), delegate(prefix('/x')), '/x'], ['the delegate has none', root(prefix('/x')), delegate({}), '/x'],
  ])('takes the other match when %s', (_, first, second, value) => expect(merged(first, second)[0]?.matches).toMatchObject([{ uri: { value } }]));
  it.each([
    ['another path', delegate(prefix('/b'))], ['another header', delegate({ match: [{ uri: { prefix: '/a' }, headers: { x: { exact: '2' } } }] })], ['a regex', delegate({ match: [{ uri: { regex: '/a.*' } }] })], ['not exported', delegate({}, { exportTo: ['~'] })], ['a delegate of its own', delegate({ route: undefined, delegate: { name: 'e' } })],
  ])('leaves out %s and says so', (_, inner) => {
    const { snapshot, issues } = resolve({ objects: [root({ match: [{ uri: { prefix: '/a' }, headers: { x: { exact: '1' } } }] }), inner] });
    expect(snapshot.virtualServices[0]?.http).toEqual([]);
    expect(issues.filter((issue) => issue.path === 'spec.http[0].delegate')).toHaveLength(1);
  });
});

describe('what is not supported', () => {
  it.each([
    [object('WasmPlugin', {}, 'x', 'extensions.istio.io/v1alpha1'), 'WasmPlugin is not supported yet: its filter does not run.'],
  ])('is said by name', (written, message) => expect(resolve({ objects: [written] }).issues.filter((issue) => issue.code === 'MLT0005').map((issue) => issue.message)).toEqual([message]));
});
