/** Random valid meshes: objects of every kind that decides where a request goes and whether it may, over the services of `base.yaml`. */
import { createHmac } from 'node:crypto';
import type { KubeObject } from '../../src/objects/meta.ts';
import type { Call } from './case.ts';
import type { Draw } from './draw.ts';
import { randomEnvoyFilter } from './random-patches.ts';

/** A mesh and what may be called in it. */
export interface RandomMesh {
  readonly objects: readonly KubeObject[];
  /** Filters may answer instead of the route: policies, tokens, faults. */
  readonly filtered: boolean;
  /** Filters change headers before the route is taken: only the data planes can tell which one. */
  readonly rerouted: boolean;
  call(): Omit<Call, 'expect'>;
}

const HEADERS = ['x-a', 'x-b'];
const HOSTS = ['a.example.com', '*.example.com', 'b.a.example.com', '*.a.example.com', '*'];
const TLS_HOSTS = ['a.tls.example.com', '*.tls.example.com', 'b.a.tls.example.com'];
const PASS_HOSTS = ['pass.example.com', '*.pass.example.com'];
const OUTSIDE = { name: 'outside.example', address: '10.96.50.1' };

const word = (draw: Draw): string => draw.of('a', 'b', 'ab', 'A', 'a.b');
const path = (draw: Draw): string => draw.list(1, 3, () => draw.of('/a', '/b', '/ab', '/A', '/a.b')).join('');
const stringMatch = (draw: Draw): object => draw.of({ exact: word(draw) }, { prefix: word(draw) }, { regex: draw.of('a', 'a.*', '[ab]+', '.*b', '(?i)a', 'a\\.b', '(a|ab)') });
const uriMatch = (draw: Draw): object => draw.of({ exact: path(draw) }, { prefix: path(draw) }, { prefix: '/' }, { regex: draw.of('/a.*', '/[ab]/.*', '.*', '/a/b|/b/a', '(/a)+') });

const match = (draw: Draw): object => ({
  uri: draw.maybe(() => uriMatch(draw)), ignoreUriCase: draw.maybe(() => true), method: draw.maybe(() => draw.of<object>({ exact: 'GET' }, { regex: 'P.*' }, { prefix: 'DE' })),
  headers: draw.maybe(() => draw.named(HEADERS, () => draw.of(stringMatch(draw), {}))), withoutHeaders: draw.maybe(() => draw.named(HEADERS, () => stringMatch(draw))),
  queryParams: draw.maybe(() => ({ [draw.of('q', 'r')]: stringMatch(draw) })), authority: draw.maybe(() => draw.of<object>({ prefix: 'r' }, { regex: '.*app.*' }, { exact: 'ratings' })), scheme: draw.next() < 0.1 ? { exact: draw.of('http', 'https') } : undefined,
  port: draw.maybe(() => draw.of(80, 8888)), sourceLabels: draw.maybe(() => ({ app: draw.of('client', 'nobody') })),
});

const destination = (draw: Draw): object => draw.of<object>({ host: 'reviews', subset: 'v1' }, { host: 'reviews', subset: 'v2' }, { host: 'reviews' }, { host: 'ratings' }, { host: 'secure' }, { host: 'details.other.svc.cluster.local' }, { host: 'nobody' }, { host: 'reviews', subset: 'gone' }, { host: OUTSIDE.name, port: { number: 80 } });
const headerChange = (draw: Draw): object => ({ set: draw.maybe(() => draw.named(HEADERS, () => word(draw))), add: draw.maybe(() => draw.named(HEADERS, () => word(draw))), remove: draw.maybe(() => [draw.of(...HEADERS)]) });
const headers = (draw: Draw): object => ({ request: draw.maybe(() => headerChange(draw)), response: draw.maybe(() => headerChange(draw)) });

function fault(draw: Draw): object {
  const percentage = { value: draw.of(0, 100) };
  return { abort: draw.maybe(() => ({ httpStatus: draw.of(418, 503), percentage })), delay: draw.maybe(() => ({ fixedDelay: '10ms', percentage: { value: draw.of(0, 100) } })) };
}

function redirect(draw: Draw): object {
  const where = draw.of<object>({ uri: path(draw) }, { authority: 'else.example.com' }, { uri: path(draw), authority: 'else.example.com' }, { scheme: 'https' }, { scheme: 'https', uri: path(draw) }, { port: 8080 }, { authority: 'else.example.com', port: 80 }, { derivePort: draw.of('FROM_PROTOCOL_DEFAULT', 'FROM_REQUEST_PORT') });
  return { ...where, redirectCode: draw.maybe(() => draw.of(302, 303, 307, 308)) };
}

function action(draw: Draw, faults: boolean): object {
  const common = { headers: draw.maybe(() => headers(draw)), fault: faults ? draw.maybe(() => fault(draw)) : undefined };
  const kind = draw.integer(0, 5);
  if (kind === 0) return { directResponse: { status: draw.integer(200, 599), body: draw.maybe(() => ({ string: 'said here' })) } };
  if (kind === 1) return { redirect: redirect(draw) };
  return {
    ...common, route: draw.list(1, draw.of(1, 3), () => ({ destination: destination(draw), weight: draw.integer(1, 50), headers: draw.maybe(() => headers(draw)) })),
    timeout: draw.maybe(() => draw.of('2s', '0s')), retries: draw.maybe(() => ({ attempts: draw.integer(0, 2), retryOn: draw.of('5xx', 'connect-failure,503', 'reset', 'gateway-error,retriable-4xx', 'retriable-status-codes,404'), perTryTimeout: draw.maybe(() => '1s') })),
    rewrite: draw.maybe(() => draw.of<object>({ uri: path(draw) }, { authority: 'rewritten' }, { uri: path(draw), authority: 'rewritten' }, { uriRegexRewrite: { match: '/(a|b)', rewrite: '/\\1\\1' } })),
    mirror: draw.maybe(() => ({ host: 'ratings' })), corsPolicy: draw.maybe(() => ({ allowOrigins: [draw.of<object>({ exact: 'https://a' }, { prefix: 'https://' }, { regex: '.*' })], allowMethods: ['GET', 'POST'], allowCredentials: draw.maybe(() => true), maxAge: draw.maybe(() => '10m') })),
  };
}

function trafficPolicy(draw: Draw): object {
  return {
    loadBalancer: draw.maybe(() => draw.of<object>({ simple: 'ROUND_ROBIN' }, { simple: 'RANDOM' }, { simple: 'LEAST_REQUEST' }, { consistentHash: { httpHeaderName: 'x-a' } }, { consistentHash: { useSourceIp: true } }, { consistentHash: { httpQueryParameterName: 'q', maglev: {} } }, { consistentHash: { httpCookie: { name: 'c', ttl: '0s' } } })),
    connectionPool: draw.maybe(() => ({ tcp: draw.maybe(() => ({ maxConnections: draw.integer(100, 200), connectTimeout: '2s' })), http: { http1MaxPendingRequests: draw.integer(100, 200), maxRequestsPerConnection: draw.maybe(() => draw.integer(1, 5)), h2UpgradePolicy: draw.maybe(() => draw.of('UPGRADE', 'DO_NOT_UPGRADE')) } })),
    outlierDetection: draw.maybe(() => ({ consecutive5xxErrors: 5000 })),
  };
}

function destinationRules(draw: Draw): KubeObject[] {
  const subsets = ['v1', 'v2'].map((name) => ({ name, labels: { version: name }, trafficPolicy: draw.maybe(() => trafficPolicy(draw)) }));
  const portLevelSettings = draw.maybe(() => [{ port: { number: 80 }, loadBalancer: { simple: 'RANDOM' } }]);
  return [
    meta('DestinationRule', 'reviews', { host: 'reviews', trafficPolicy: { ...trafficPolicy(draw), portLevelSettings }, subsets }),
    ...(draw.maybe(() => [meta('DestinationRule', 'secure', { host: 'secure', trafficPolicy: { tls: { mode: draw.of('DISABLE', 'ISTIO_MUTUAL') } } })]) ?? []),
    ...(draw.maybe(() => [meta('DestinationRule', 'all', { host: '*.app.svc.cluster.local', trafficPolicy: trafficPolicy(draw) })]) ?? []),
  ];
}

function gateways(draw: Draw): KubeObject[] {
  const servers = [
    { port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: draw.some(...HOSTS), tls: draw.next() < 0.15 ? { httpsRedirect: true } : undefined },
    { port: { number: 443, name: 'https', protocol: 'HTTPS' }, hosts: draw.some(...TLS_HOSTS), tls: { mode: 'SIMPLE', credentialName: 'web', minProtocolVersion: draw.maybe(() => 'TLSV1_3') } },
    { port: { number: 443, name: 'tls', protocol: 'TLS' }, hosts: draw.some(...PASS_HOSTS), tls: { mode: 'PASSTHROUGH' } },
    { port: { number: 31400, name: 'tcp', protocol: 'TCP' }, hosts: ['*'] },
  ];
  const second = draw.maybe(() => [meta('Gateway', 'web-2', { selector: { istio: 'ingressgateway' }, servers: [{ port: { number: 80, name: 'http-2', protocol: 'HTTP' }, hosts: draw.some(...HOSTS) }, { port: { number: 81, name: 'http-3', protocol: 'HTTP2' }, hosts: ['*'] }] })]) ?? [];
  return [meta('Gateway', 'web', { selector: { istio: 'ingressgateway' }, servers }), ...second];
}

function connectionRoutes(draw: Draw): KubeObject[] {
  const target = (): object => draw.of<object>({ host: 'ratings', port: { number: 9000 } }, { host: 'details.other.svc.cluster.local', port: { number: 9000 } }, { host: 'reviews', port: { number: 9000 }, subset: draw.of('v1', 'v2') });
  const route = (): object[] => [{ destination: target() }];
  return [
    meta('VirtualService', 'tcp-ratings', { hosts: ['ratings-tcp.app.svc.cluster.local'], tcp: [{ match: [{ port: 9000 }], route: route() }] }),
    meta('VirtualService', 'tcp-gateway', { hosts: ['*'], gateways: ['web'], tcp: [{ match: [{ port: 31400 }], route: route() }] }),
    meta('VirtualService', 'pass', { hosts: PASS_HOSTS, gateways: ['web'], tls: draw.some(...PASS_HOSTS).map((host) => ({ match: [{ port: 443, sniHosts: [host] }], route: [{ destination: draw.of<object>({ host: 'ratings', port: { number: 443 } }, { host: 'ratings', port: { number: 9000 } }) }] })) }),
    meta('VirtualService', 'secure-tcp', { hosts: ['secure'], tcp: [{ match: draw.maybe(() => [{ port: 9000, sourceLabels: { app: draw.of('client', 'nobody') } }]), route: route() }] }),
  ];
}

function serviceEntry(draw: Draw): KubeObject {
  const resolution = draw.of('STATIC', 'STATIC', 'NONE', 'DNS');
  const endpoint = { ports: { http: 8000, tcp: 9000, tls: 8444 } };
  const endpoints = resolution === 'STATIC' ? [{ address: '10.99.0.1', ...endpoint }] : resolution === 'DNS' ? [{ address: 'one.dynamic.test', ...endpoint }] : undefined;
  return meta('ServiceEntry', 'outside', {
    hosts: [OUTSIDE.name], addresses: [OUTSIDE.address], location: draw.of('MESH_EXTERNAL', 'MESH_INTERNAL'), resolution, endpoints, exportTo: draw.maybe(() => [draw.of('.', '*')]),
    ports: [{ number: 80, name: 'http', protocol: 'HTTP' }, { number: 9100, name: 'tcp', protocol: 'TCP' }, { number: 443, name: 'tls', protocol: 'TLS' }],
  });
}

function sidecar(draw: Draw): KubeObject {
  return meta('Sidecar', 'default', { egress: [{ hosts: draw.some('./*', 'other/*', '*/reviews.app.svc.cluster.local', './ratings.app.svc.cluster.local', `*/${OUTSIDE.name}`) }], outboundTrafficPolicy: draw.maybe(() => ({ mode: draw.of('REGISTRY_ONLY', 'ALLOW_ANY') })) });
}

function policies(draw: Draw): KubeObject[] {
  const source = (): object => draw.of<object>({ ipBlocks: ['10.244.9.0/24'] }, { notIpBlocks: ['10.244.9.9'] }, { namespaces: ['other'] }, { principals: ['*/sa/peer'] }, { notPrincipals: ['*'] }, { requestPrincipals: ['*'] });
  const operation = (): object => ({ paths: draw.maybe(() => draw.some('/a*', '*/b', '/a/b', '/ab')), methods: draw.maybe(() => draw.some('GET', 'POST')), notPaths: draw.maybe(() => ['/A*']), hosts: draw.maybe(() => draw.some('*.example.com', 'client*')), ports: draw.maybe(() => [draw.of('8000', '8080', '9000')]) });
  const filled = (made: object): object => (Object.values(made).some((value) => value !== undefined) ? made : { paths: ['/a*'] });
  const when = (): object => draw.of<object>({ key: 'request.headers[x-a]', values: ['a', 'b*'] }, { key: 'request.auth.claims[sub]', values: ['alice'] }, { key: 'source.ip', notValues: ['10.244.9.9'] }, { key: 'destination.port', values: ['8000'] });
  return draw.list(1, 2, () => 0).map((_, index) => {
    const atGateway = draw.next() < 0.4;
    const policy = meta('AuthorizationPolicy', `policy-${index}`, {
      selector: atGateway ? { matchLabels: { istio: 'ingressgateway' } } : { matchLabels: { app: 'client' } }, action: draw.of('ALLOW', 'DENY', 'DENY', 'AUDIT'),
      rules: draw.list(1, 2, () => ({ from: draw.maybe(() => [{ source: source() }]), to: [{ operation: filled(operation()) }], when: draw.maybe(() => [when()]) })),
    }, 'security.istio.io/v1');
    return atGateway ? { ...policy, metadata: { ...policy.metadata, namespace: 'istio-system' } } : policy;
  });
}

const KEY = 'a-shared-secret-of-thirty-two-by';
const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
function token(claims: object): string {
  const text = `${encoded({ alg: 'HS256', kid: 'k' })}.${encoded(claims)}`;
  return `${text}.${createHmac('sha256', KEY).update(text).digest('base64url')}`;
}
const TOKENS = [token({ iss: 'soak', sub: 'alice', exp: 4102444800 }), token({ iss: 'soak', sub: 'bob', exp: 4102444800 }), token({ iss: 'soak', sub: 'alice', exp: 1000 }), token({ iss: 'else', sub: 'alice' }), 'not.a.token'];

function authentication(draw: Draw): KubeObject[] {
  const spec = (selector: object): object => ({ selector, jwtRules: [{ issuer: 'soak', jwks: JSON.stringify({ keys: [{ kty: 'oct', alg: 'HS256', kid: 'k', k: Buffer.from(KEY).toString('base64url') }] }), forwardOriginalToken: draw.maybe(() => true), outputClaimToHeaders: draw.maybe(() => [{ header: 'x-sub', claim: 'sub' }]) }] });
  const gateway = meta('RequestAuthentication', 'gateway', spec({ matchLabels: { istio: 'ingressgateway' } }), 'security.istio.io/v1');
  return [meta('RequestAuthentication', 'client', spec({ matchLabels: { app: 'client' } }), 'security.istio.io/v1'), { ...gateway, metadata: { ...gateway.metadata, namespace: 'istio-system' } }];
}

/** Draws a mesh. */
export function randomMesh(draw: Draw): RandomMesh {
  let number = 0;
  const [faults, tokens, guarded] = [draw.next() < 0.3, draw.next() < 0.3, draw.next() < 0.4];
  const routes = (most: number): object[] => draw.list(1, most, () => ({ name: `r${number++}`, match: draw.maybe(() => 0) === 0 ? undefined : draw.list(1, 2, () => match(draw)), ...action(draw, faults) }));
  const connections = draw.next() < 0.4;
  const objects = [
    ...draw.some('reviews', 'ratings').map((host) => meta('VirtualService', host, { hosts: [host], http: routes(5) })),
    ...gateways(draw),
    ...draw.list(1, 3, () => 0).map((_, index) => meta('VirtualService', `web-${index}`, { hosts: draw.some(...HOSTS, ...TLS_HOSTS), gateways: draw.of(['web'], ['web'], ['web', 'web-2']), http: routes(4) })),
    ...destinationRules(draw), serviceEntry(draw),
    ...(connections ? connectionRoutes(draw) : []), ...(draw.next() < 0.25 ? [sidecar(draw)] : []), ...(guarded ? policies(draw) : []), ...(tokens ? authentication(draw) : []), ...(draw.next() < 0.4 ? [randomEnvoyFilter(draw)] : []),
  ];
  return { objects: plain(objects), filtered: faults || tokens || guarded, rerouted: objects.some((object) => object.kind === 'EnvoyFilter' && JSON.stringify(object).includes('HTTP_FILTER')), call: () => plain(randomCall(draw, tokens)) };
}

function randomCall(draw: Draw, tokens: boolean): Omit<Call, 'expect'> {
  const kind = draw.next();
  if (kind < 0.1) return connectionCall(draw);
  const target = draw.of('reviews', 'reviews:8888', 'ratings', 'gateway', 'gateway', 'tls', 'inbound', 'outside', 'gateway-2');
  const asked = { path: path(draw) + draw.of('', '?q=a', '?r=ab&q=b', '?q='), method: draw.of('GET', 'POST', 'DELETE', 'GET'), headers: { ...(draw.next() < 0.3 ? {} : draw.named(HEADERS, () => word(draw))), ...(tokens && draw.next() < 0.6 ? { authorization: `Bearer ${draw.of(...TOKENS)}` } : {}), ...(draw.next() < 0.2 ? { origin: draw.of('https://a', 'http://b') } : {}) } };
  const protocol = draw.next() < 0.2 ? { protocol: 'http2' as const } : {};
  if (target === 'gateway') return { gateway: 8080, host: draw.of('a.example.com', 'b.a.example.com', 'x.b.a.example.com', 'other.test', 'A.Example.com:8080', 'example.com'), ...asked, ...protocol };
  if (target === 'gateway-2') return { gateway: 8081, host: draw.of('a.example.com', 'other.test'), ...asked, ...protocol };
  if (target === 'tls') {
    const host = draw.of('a.tls.example.com', 'x.tls.example.com', 'b.a.tls.example.com', 'other.test');
    return { gateway: 8443, host, tls: { sni: host, ...(protocol.protocol ? {} : { alpn: ['http/1.1'] }) }, ...asked, ...protocol };
  }
  if (target === 'inbound') return { inbound: 8000, ...asked, ...(draw.next() < 0.3 ? { tls: { mesh: true, alpn: ['istio-http/1.1'] } } : {}) };
  if (target === 'outside') return { to: `${OUTSIDE.address}:80`, host: draw.of(OUTSIDE.name, `${OUTSIDE.name}:80`, 'other.test'), ...asked };
  return { to: target, ...asked, ...protocol };
}

function connectionCall(draw: Draw): Omit<Call, 'expect'> {
  const send = { protocol: 'tcp' as const, send: 'hello there' };
  const sni = draw.of('pass.example.com', 'x.pass.example.com', 'y.x.pass.example.com', 'nobody.test');
  return draw.of<Omit<Call, 'expect'>>({ to: 'ratings:9000', ...send }, { to: 'secure:9000', ...send }, { gateway: 31400, ...send }, { inbound: 9000, ...send }, { to: `${OUTSIDE.address}:9100`, ...send }, { gateway: 8443, ...send, tls: { sni } }, { to: `${OUTSIDE.address}:443`, ...send, tls: { sni: OUTSIDE.name } });
}

export const meta = (kind: string, name: string, spec: object, apiVersion = 'networking.istio.io/v1'): KubeObject => ({ apiVersion, kind, metadata: { name, namespace: 'app', creationTimestamp: '2026-01-01T00:00:00Z' }, spec }) as unknown as KubeObject;

/** Undefined fields are not YAML. */
const plain = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;
