import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../objects/meta.ts';
import { resolve } from '../resolve.ts';

type Fields = Readonly<Record<string, unknown>>;
interface Status {
  readonly conditions?: readonly Condition[];
  readonly listeners?: readonly { readonly name: string; readonly attachedRoutes: number; readonly conditions: readonly Condition[]; readonly supportedKinds: readonly { readonly kind: string }[] }[];
  readonly parents?: readonly { readonly parentRef: Fields; readonly conditions: readonly Condition[] }[];
}
interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

const object = (kind: string, name: string, spec: unknown, namespace = 'shop'): KubeObject =>
  ({ apiVersion: 'gateway.networking.k8s.io/v1', kind, metadata: { name, namespace, generation: 3, creationTimestamp: '2026-01-01T00:00:00Z' }, spec }) as KubeObject;
const core = (kind: string, name: string, rest: Fields, namespace = 'shop', apiVersion = 'v1'): KubeObject => ({ apiVersion, kind, metadata: { name, namespace, labels: rest['labels'] }, ...rest }) as KubeObject;
const listener = (fields: Fields = {}): Fields => ({ name: 'http', port: 80, protocol: 'HTTP', ...fields });
const gateway = (...listeners: Fields[]) => object('Gateway', 'gw', { gatewayClassName: 'istio', listeners: listeners.length > 0 ? listeners : [listener()] });
const service = (name: string, namespace = 'shop') => core('Service', name, { spec: { clusterIP: '10.96.0.9', selector: { app: name }, ports: [{ name: 'http', port: 8000 }] } }, namespace);
const backend = (name: string, fields: Fields = {}): Fields => ({ name, port: 8000, ...fields });
const route = (spec: Fields = {}, name = 'r', namespace = 'shop') => object('HTTPRoute', name, { parentRefs: [{ name: 'gw', namespace: 'shop' }], rules: [{ backendRefs: [backend('web')] }], ...spec }, namespace);
const WORLD = [core('Namespace', 'shop', { labels: { team: 'a' } }, ''), core('Namespace', 'other', { labels: { team: 'b' } }, ''), service('web'), service('far', 'other')];

function run(...objects: KubeObject[]) {
  const { snapshot, statuses, issues } = resolve({ objects: [...WORLD, ...objects] });
  const statusOf = (kind: string, name: string) => statuses.find((update) => update.object.kind === kind && update.object.metadata.name === name)?.status as Status | undefined;
  const conditionOf = (conditions: readonly Condition[] | undefined, type: string) => {
    const found = conditions?.find((condition) => condition.type === type);
    return found && `${found.status} ${found.reason}`;
  };
  return {
    issues, rules: snapshot.virtualServices, gateways: snapshot.gateways,
    routeCondition: (type: string, name = 'r') => conditionOf(statusOf('HTTPRoute', name)?.parents?.[0]?.conditions, type),
    gatewayCondition: (type: string) => conditionOf(statusOf('Gateway', 'gw')?.conditions, type),
    listener: (name = 'http') => {
      const found = statusOf('Gateway', 'gw')?.listeners?.find((one) => one.name === name);
      return { attached: found?.attachedRoutes, kinds: found?.supportedKinds.map(({ kind }) => kind), condition: (type: string) => conditionOf(found?.conditions, type) };
    },
  };
}

describe('attachment', () => {
  it('puts the hosts of a route on its listener', () => {
    const { rules, gateways, routeCondition, listener: status } = run(gateway(), route({ hostnames: ['a.example'] }));
    expect(gateways.map(({ generated, servers }) => [generated, servers[0]?.port.number])).toEqual([[true, 80]]);
    expect(rules.map(({ hosts }) => hosts)).toEqual([['a.example']]);
    expect([routeCondition('Accepted'), routeCondition('ResolvedRefs'), status().attached]).toEqual(['True Accepted', 'True ResolvedRefs', 1]);
  });
  it.each([
    ['*.example', ['a.example'], 'True Accepted'], ['a.example', ['*.example'], 'True Accepted'], [undefined, ['a.example'], 'True Accepted'], ['a.example', undefined, 'True Accepted'],
    ['*.example', ['example'], 'False NoMatchingListenerHostname'], ['a.example', ['b.example'], 'False NoMatchingListenerHostname'], ['*.example', ['a.b.example'], 'True Accepted'],
  ])('listener %s and route %j: %s', (hostname, hostnames, expected) => {
    expect(run(gateway(listener(hostname === undefined ? {} : { hostname })), route(hostnames ? { hostnames } : {})).routeCondition('Accepted')).toBe(expected);
  });
  it.each([
    ['Same', {}, 'False NotAllowedByListeners'], ['All', {}, 'True Accepted'],
    ['Selector', { selector: { matchLabels: { team: 'b' } } }, 'True Accepted'], ['Selector', { selector: { matchLabels: { team: 'c' } } }, 'False NotAllowedByListeners'],
  ])('routes of another namespace, from %s %j: %s', (from, rest, expected) => {
    expect(run(gateway(listener({ allowedRoutes: { namespaces: { from, ...rest } } })), route({ rules: [{ backendRefs: [backend('far')] }] }, 'r', 'other')).routeCondition('Accepted')).toBe(expected);
  });
  it.each([
    [{ sectionName: 'http' }, 'True Accepted'], [{ sectionName: 'nope' }, 'False NoMatchingParent'], [{ port: 80 }, 'True Accepted'], [{ port: 81 }, 'False NoMatchingParent'],
  ])('parent with %j: %s', (reference, expected) => {
    expect(run(gateway(), route({ parentRefs: [{ name: 'gw', ...reference }] })).routeCondition('Accepted')).toBe(expected);
  });
  it('allows only the kinds a listener names', () => {
    const { routeCondition, listener: status } = run(gateway(listener({ allowedRoutes: { kinds: [{ kind: 'GRPCRoute' }] } })), route());
    expect([routeCondition('Accepted'), status().kinds]).toEqual(['False NotAllowedByListeners', ['GRPCRoute']]);
  });
  it('says which kinds of a listener do not exist', () => {
    const { listener: status } = run(gateway(listener({ allowedRoutes: { kinds: [{ kind: 'TCPRoute' }, { kind: 'HTTPRoute' }] } })));
    expect([status().condition('ResolvedRefs'), status().kinds]).toEqual(['False InvalidRouteKinds', ['HTTPRoute']]);
  });
});

describe('listeners', () => {
  it('the first of two equal ones wins', () => {
    const { listener: status } = run(gateway(listener(), listener({ name: 'again' }), listener({ name: 'other', hostname: 'x.example' })));
    expect(['http', 'again', 'other'].map((name) => status(name).condition('Conflicted'))).toEqual(['False NoConflicts', 'True HostnameConflict', 'False NoConflicts']);
  });
  it('two protocols on one port conflict', () => {
    expect(run(gateway(listener(), listener({ name: 'tcp', protocol: 'TCP' }))).listener('tcp').condition('Conflicted')).toBe('True ProtocolConflict');
  });
  it('TLS without its secret refuses, and does not break the other listener', () => {
    const tls = listener({ name: 'https', port: 443, protocol: 'HTTPS', tls: { certificateRefs: [{ name: 'gone' }] } });
    const { listener: status, gateways } = run(gateway(listener(), tls));
    expect([status('https').condition('ResolvedRefs'), status('http').condition('ResolvedRefs')]).toEqual(['False InvalidCertificateRef', 'True ResolvedRefs']);
    expect(gateways.map(({ servers }) => servers[0]?.port.number)).toContain(80);
  });
  it('a secret of another namespace needs a grant', () => {
    const pem = (label: string) => Buffer.from(`-----BEGIN ${label}-----\nMIIA\n-----END ${label}-----\n`).toString('base64');
    const secret = core('Secret', 'cert', { type: 'kubernetes.io/tls', data: { 'tls.crt': pem('CERTIFICATE'), 'tls.key': pem('PRIVATE KEY') } }, 'other');
    const tls = gateway(listener({ protocol: 'HTTPS', port: 443, tls: { certificateRefs: [{ name: 'cert', namespace: 'other' }] } }));
    const grant = object('ReferenceGrant', 'g', { from: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', namespace: 'shop' }], to: [{ group: '', kind: 'Secret' }] }, 'other');
    expect(run(tls, secret).listener().condition('ResolvedRefs')).toBe('False RefNotPermitted');
    expect(run(tls, secret, grant).listener().condition('ResolvedRefs')).toBe('True ResolvedRefs');
  });
  it('a class of somebody else is left alone', () => {
    const foreign = object('Gateway', 'gw', { gatewayClassName: 'nginx', listeners: [listener()] });
    const { gatewayCondition, gateways, rules } = run(foreign, route());
    expect([gatewayCondition('Accepted'), gateways, rules]).toEqual([undefined, [], []]);
  });
  it('is not programmed before its Service is there', () => {
    const { gatewayCondition } = run(gateway());
    expect([gatewayCondition('Accepted'), gatewayCondition('Programmed')]).toEqual(['True Accepted', expect.stringMatching(/^False /)]);
  });
});

describe('backends', () => {
  it.each([
    ['a Service that is missing', backend('gone'), 'False BackendNotFound'], ['a kind that is unknown', { name: 'web', kind: 'Bucket', group: 'x.example' }, 'False InvalidKind'],
    ['another namespace without a grant', backend('far', { namespace: 'other' }), 'False RefNotPermitted'],
  ])('%s answers 500', (_, reference, expected) => {
    const { rules, routeCondition } = run(gateway(), route({ rules: [{ backendRefs: [reference] }] }));
    expect(routeCondition('ResolvedRefs')).toBe(expected);
    expect(routeCondition('Accepted')).toBe('True Accepted');
    const [http] = rules[0]!.http;
    expect(http?.missingDestinationStatus ?? (http?.action as { readonly status?: number } | undefined)?.status).toBe(500);
  });
  it('another namespace with a grant is resolved', () => {
    const grant = object('ReferenceGrant', 'g', { from: [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: 'shop' }], to: [{ group: '', kind: 'Service', name: 'far' }] }, 'other');
    const { rules, routeCondition } = run(gateway(), route({ rules: [{ backendRefs: [backend('far', { namespace: 'other' })] }] }), grant);
    expect(routeCondition('ResolvedRefs')).toBe('True ResolvedRefs');
    expect(rules[0]!.http[0]?.action).toMatchObject({ destinations: [{ destination: { host: 'far.other.svc.cluster.local', port: 8000 } }] });
  });
  it('weights are shares, 0 gets nothing', () => {
    const { rules } = run(gateway(), service('b'), service('c'), route({ rules: [{ backendRefs: [backend('web', { weight: 9 }), backend('b', { weight: 1 }), backend('c', { weight: 0 })] }] }));
    expect((rules[0]!.http[0]!.action as unknown as { readonly destinations: readonly { readonly weight: number }[] }).destinations.map(({ weight }) => weight)).toEqual([9, 1]);
  });
});

describe('rules', () => {
  it('the most specific match comes first, whatever the order', () => {
    const path = (type: string, value: string) => ({ matches: [{ path: { type, value } }], backendRefs: [backend('web')] });
    const { rules } = run(gateway(), route({ rules: [path('PathPrefix', '/'), path('RegularExpression', '/a.*'), path('PathPrefix', '/abc'), path('Exact', '/a'), path('PathPrefix', '/ab')] }));
    expect(rules.flatMap(({ http }) => http.map(({ matches }) => matches[0]?.uri && Object.values(matches[0].uri).at(-1)))).toEqual(['/a', '/abc', '/ab', '/', '/a.*']);
  });
  it.each([
    ['ReplaceFullPath', { type: 'ReplaceFullPath', replaceFullPath: '/b' }], ['ReplacePrefixMatch', { type: 'ReplacePrefixMatch', replacePrefixMatch: '/b' }],
  ])('rewrites with %s', (_, path) => {
    const { rules, routeCondition } = run(gateway(), route({ rules: [{ matches: [{ path: { type: 'PathPrefix', value: '/a' } }], filters: [{ type: 'URLRewrite', urlRewrite: { hostname: 'h.example', path } }], backendRefs: [backend('web')] }] }));
    expect(routeCondition('Accepted')).toBe('True Accepted');
    expect(rules[0]!.http[0]).toMatchObject({ rewrite: { authority: 'h.example' } });
  });
  it('redirects, and reads timeouts and retries', () => {
    const { rules } = run(gateway(), route({ rules: [
      { matches: [{ path: { type: 'Exact', value: '/old' } }], filters: [{ type: 'RequestRedirect', requestRedirect: { scheme: 'https', statusCode: 301 } }] },
      { timeouts: { request: '2s' }, backendRefs: [backend('web')] },
    ] }));
    expect(rules[0]!.http.map(({ action, timeoutMs }) => [action.kind, timeoutMs])).toEqual([['redirect', undefined], ['route', 2000]]);
  });
  it('a filter nobody knows is refused by name', () => {
    const { routeCondition } = run(gateway(), route({ rules: [{ filters: [{ type: 'ExtensionRef', extensionRef: { group: 'x', kind: 'Y', name: 'z' } }], backendRefs: [backend('web')] }] }));
    expect(routeCondition('ResolvedRefs')).toBe('False InvalidFilter');
  });
});

describe('routes of Services', () => {
  const mesh = (spec: Fields, namespace: string) => route({ parentRefs: [{ group: '', kind: 'Service', name: 'web', namespace: 'shop' }], ...spec }, 'r', namespace);
  it('hold for everybody in the Service\'s namespace, else for their own', () => {
    expect(run(mesh({}, 'shop')).rules.map(({ hosts, visibility }) => [hosts, visibility.public])).toEqual([[['web.shop.svc.cluster.local'], true]]);
    const consumer = run(mesh({ rules: [{ backendRefs: [backend('far')] }] }, 'other'));
    expect(consumer.rules[0]!.visibility).toEqual({ public: false, namespaces: ['other'] });
  });
  it('say so when the Service is missing', () => {
    expect(run(route({ parentRefs: [{ group: '', kind: 'Service', name: 'gone' }] })).routeCondition('Accepted')).toMatch(/^False /);
  });
});
