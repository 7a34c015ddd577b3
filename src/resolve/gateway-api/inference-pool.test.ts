import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../objects/meta.ts';
import { convertGatewayApi } from './convert.ts';
import { DEFAULT_FEATURES } from './features.ts';
import { poolServiceName } from './inference-pool.ts';

const PICKER = { 'istio.io/inferencepool-extension-service': 'picker', 'istio.io/inferencepool-extension-port': '9002' };
const at = (apiVersion: string, kind: string, name: string, rest: object, labels?: object) => ({ apiVersion, kind, metadata: { name, namespace: 'ai', ...(labels && { labels }) }, ...rest }) as KubeObject;
const gateway = at('gateway.networking.k8s.io/v1', 'Gateway', 'gw', { spec: { gatewayClassName: 'istio', listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }] } });
const pool = (spec: object = { endpointPickerRef: { name: 'picker' } }, status?: object) => at('inference.networking.k8s.io/v1', 'InferencePool', 'llama', { spec, ...(status && { status }) });
const shadow = (labels?: object) => at('v1', 'Service', poolServiceName('llama'), { spec: {} }, labels);
const picker = at('v1', 'Service', 'picker', { spec: {} });
const accepted = (status: string, controllerName = 'istio.io/gateway-controller') => ({ parents: [{ parentRef: { name: 'gw' }, controllerName, conditions: [{ type: 'Accepted', status, reason: 'X', message: 'm' }] }] });
const route = (status?: object, name = 'llama') =>
  at('gateway.networking.k8s.io/v1', 'HTTPRoute', 'r', { spec: { parentRefs: [{ name: 'gw' }], rules: [{ backendRefs: [{ group: 'inference.networking.k8s.io', kind: 'InferencePool', name }] }] }, ...(status && { status }) });

interface Conditions {
  readonly parents: readonly { readonly parentRef: { readonly name: string }; readonly conditions: readonly { readonly type: string; readonly status: string; readonly reason: string }[] }[];
}

function run(enabled: boolean, ...objects: KubeObject[]) {
  const groupKindOf = ({ apiVersion, kind }: KubeObject) => `${apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : ''}/${kind}`;
  const converted = convertGatewayApi({
    ofKind: (groupKind) => [gateway, ...objects].filter((object) => groupKindOf(object) === groupKind), domainSuffix: 'cluster.local',
    features: { ...DEFAULT_FEATURES, inferenceExtension: enabled }, services: { find: () => undefined, namespacesOf: () => [] },
  });
  const statusOf = (kind: string) => converted.statuses.find(({ object }) => object.kind === kind)?.status as Conditions | undefined;
  const conditionsOf = (kind: string) => statusOf(kind)?.parents.map(({ parentRef, conditions }) => [parentRef.name, ...conditions.map(({ type, status, reason }) => `${type} ${status} ${reason}`)]);
  const routes = converted.virtualServices.map(({ object }) => (object as unknown as { readonly spec: { readonly http: readonly { readonly route?: unknown }[] } }).spec.http[0]?.route);
  return { routes, routeRefs: conditionsOf('HTTPRoute')?.[0]?.[2], pool: conditionsOf('InferencePool') };
}

describe('the Service of a pool', () => {
  it('has a name that fits', () => {
    const long = poolServiceName('p'.repeat(80));
    expect([poolServiceName('llama'), long.length, long.slice(0, 55)]).toEqual([expect.stringMatching(/^llama-ip-[0-9a-f]{8}$/), 63, `${'p'.repeat(51)}-ip-`]);
  });
});

describe('a route to a pool', () => {
  const host = `${poolServiceName('llama')}.ai.svc.cluster.local`;
  it('goes to its Service', () => expect(run(true, pool(), shadow(PICKER), picker, route())).toMatchObject({ routes: [[{ destination: { host } }]], routeRefs: 'ResolvedRefs True ResolvedRefs' }));
  it.each([
    ['no pool', [shadow(PICKER)], 'ResolvedRefs False BackendNotFound', 1], ['no Service', [pool()], 'ResolvedRefs False BackendNotFound', 1],
    ['a Service of somebody else', [pool(), shadow()], 'ResolvedRefs False InvalidDestination', 0],
  ])('with %s', (_name, objects, expected, count) => {
    const { routeRefs, routes } = run(true, route(), ...objects);
    expect([routeRefs, routes.length]).toEqual([expected, count]);
  });
  it('needs the feature', () => expect(run(false, pool(), shadow(PICKER), picker, route())).toMatchObject({ routes: [], routeRefs: 'ResolvedRefs False InvalidKind', pool: undefined }));
});

describe('status of a pool', () => {
  it('follows the status of its routes', () => {
    expect(run(true, pool(), picker, route()).pool).toEqual([]);
    expect(run(true, pool(), picker, route(accepted('True'))).pool).toEqual([['gw', 'Accepted True Accepted', 'ResolvedRefs True ResolvedRefs']]);
    expect(run(true, pool(), picker, route(accepted('False'))).pool).toEqual([['gw', 'Accepted False HTTPRouteNotAccepted', 'ResolvedRefs True ResolvedRefs']]);
    expect(run(true, pool(), picker, route(accepted('True', 'example.com/else'))).pool).toEqual([]);
    expect(run(true, pool(), picker, route(accepted('True'), 'other')).pool).toEqual([]);
  });
  it.each([[{ endpointPickerRef: { name: 'gone' } }], [{ endpointPickerRef: { name: 'picker', kind: 'Pod' } }], [{ endpointPickerRef: {} }], [{}]])('picker %j', (spec) =>
    expect(run(true, pool(spec), picker, route(accepted('True'))).pool?.[0]?.[2]).toBe('ResolvedRefs False InvalidExtensionRef'));
  it('keeps entries of other controllers, not the default one and none of our Gateways', () => {
    const parents = [{ parentRef: { name: 'theirs' }, conditions: [] }, { parentRef: { kind: 'Status', name: 'default' } }, { parentRef: { name: 'gw' } }, null, { parentRef: 7 }];
    expect(run(true, pool({}, { parents })).pool).toEqual([['theirs']]);
    expect(run(true, pool({}, { parents: 'none' })).pool).toEqual([]);
  });
});
