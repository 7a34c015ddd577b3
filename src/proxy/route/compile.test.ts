import type { JsonObject } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RouteConfigurationSchema } from '../../xds/gen/envoy/config/route/v3/route_pb.ts';
import { fromEnvoyJson } from '../../xds/registry.ts';
import { head, headers } from '../testing/head.ts';
import { chooseCluster } from './choose-cluster.ts';
import { compileRouteConfiguration } from './compile.ts';
import { DomainIndex, withoutPort } from './domain-index.ts';
import { applyHeaderMutations } from './header-mutations.ts';
import type { RouteAction, RouteEntry } from './route-table.ts';

const to = (cluster: string) => ({ cluster });
const compile = (json: JsonObject) => compileRouteConfiguration(fromEnvoyJson(RouteConfigurationSchema, { name: 't', ...json }), { parseFilterConfig: (typeUrl, bytes) => ({ typeUrl, size: bytes.length }) });
const oneHost = (routes: JsonObject[], host: JsonObject = {}) => compile({ virtualHosts: [{ name: 'v', domains: ['*'], routes, ...host }] });

function find(table: ReturnType<typeof compile>, request: Parameters<typeof head>[0] = {}, random = 0): RouteEntry | undefined {
  const found = table.lookup(head(request), { secure: false, random });
  return found.kind === 'found' ? found.route : undefined;
}

function forward(entry: RouteEntry | undefined): Extract<RouteAction, { kind: 'forward' }> {
  if (entry?.action.kind !== 'forward') throw new Error('not a forward route');
  return entry.action;
}

describe('virtual hosts', () => {
  const domains = ['a.example.com', '*.example.com', '*.com', 'a.example.*', 'a.*', '*'];
  const table = (ignorePort: boolean) =>
    compile({ ignorePortInHostMatching: ignorePort, virtualHosts: domains.map((domain) => ({ name: domain, domains: [domain], routes: [{ name: domain, match: { prefix: '/' }, route: to('c') }] })) });

  it.each([
    ['a.example.com', 'a.example.com'],
    ['A.Example.COM', 'a.example.com'],
    ['b.example.com', '*.example.com'],
    ['x.b.example.com', '*.example.com'],
    ['.example.com', '*.com'],
    ['other.com', '*.com'],
    ['a.example.net', 'a.example.*'],
    ['a.foo.net', 'a.*'],
    ['localhost', '*'],
    ['a.example.com:8080', 'a.example.*'],
    ['', '*'],
  ])('%s → %s', (authority, expected) => expect(find(table(false), { authority })?.name).toBe(expected));

  it('ignores ports when told, also of IPv6 hosts', () => {
    expect(find(table(true), { authority: 'a.example.com:8080' })?.name).toBe('a.example.com');
    expect([withoutPort('[::1]:80'), withoutPort('[::1]'), withoutPort('::1'), withoutPort('h:1')]).toEqual(['[::1]', '[::1]', '::1', 'h']);
  });

  it('finds nothing without a catch-all, and says so', () => {
    const reasons: string[] = [];
    const lookup = compile({ virtualHosts: [{ name: 'v', domains: ['only'], routes: [] }] }).lookup(head({ authority: 'x' }), { secure: true, random: 0, trace: (reason) => reasons.push(reason) });
    expect(lookup).toEqual({ kind: 'none' });
    expect(reasons).toEqual(['no virtual host has a domain for "x"']);
  });

  it('redirects plaintext where TLS is required', () => {
    const strict = oneHost([{ match: { prefix: '/' }, route: to('c') }], { requireTls: 'ALL' });
    expect(strict.lookup(head({}), { secure: false, random: 0 }).kind).toBe('tls-redirect');
    expect(strict.lookup(head({}), { secure: true, random: 0 }).kind).toBe('found');
  });

  it('has Envoy’s precedence for any set of domains', () => {
    const label = fc.constantFrom('a', 'b', 'c');
    const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'));
    const domain = fc.oneof(name, name.map((n) => `*.${n}`), name.map((n) => `${n}.*`), fc.constant('*'));
    fc.assert(
      fc.property(fc.uniqueArray(domain, { maxLength: 12 }), name, (set, host) => {
        const index = new DomainIndex<string>();
        for (const entry of set) index.add(entry, entry);
        const fits = (d: string): boolean => d === host || (d === '*') || (d.startsWith('*') && host.endsWith(d.slice(1)) && host.length > d.length - 1) || (d.endsWith('*') && host.startsWith(d.slice(0, -1)) && host.length > d.length - 1);
        const rank = (d: string): number => (d === host ? 3000 : d === '*' ? 0 : (d.startsWith('*') ? 2000 : 1000) + d.length);
        const best = set.filter(fits).sort((x, y) => rank(y) - rank(x))[0];
        expect(index.find(host)?.value).toBe(best);
      }),
    );
  });
});

describe('matching', () => {
  it.each<[string, JsonObject, Parameters<typeof head>[0], boolean]>([
    ['prefix', { prefix: '/foo' }, { path: '/foobar?x' }, true],
    ['prefix misses', { prefix: '/foo' }, { path: '/fo' }, false],
    ['prefix ignoring case', { prefix: '/Foo', caseSensitive: false }, { path: '/fOObar' }, true],
    ['path without query', { path: '/foo' }, { path: '/foo?x=/foo' }, true],
    ['path is exact', { path: '/foo' }, { path: '/foo/' }, false],
    ['separated prefix whole', { pathSeparatedPrefix: '/foo' }, { path: '/foo?x' }, true],
    ['separated prefix deeper', { pathSeparatedPrefix: '/foo' }, { path: '/foo/bar' }, true],
    ['separated prefix string', { pathSeparatedPrefix: '/foo' }, { path: '/foobar' }, false],
    ['regex full', { safeRegex: { regex: '/v[0-9]+/.*' } }, { path: '/v12/x?y' }, true],
    ['regex not partial', { safeRegex: { regex: '/v[0-9]+' } }, { path: '/v12/x' }, false],
    ['regex as prefix', { safeRegex: { regex: '/a\\.b.*' } }, { path: '/a.bcd' }, true],
    ['regex as prefix keeps the dot', { safeRegex: { regex: '/a\\.b.*' } }, { path: '/axbcd' }, false],
    ['exact header', { prefix: '/', headers: [{ name: 'End-User', stringMatch: { exact: 'jason' } }] }, { headers: { 'end-user': 'jason' } }, true],
    ['missing header', { prefix: '/', headers: [{ name: 'end-user', stringMatch: { exact: 'jason' } }] }, {}, false],
    ['inverted and missing does not match', { prefix: '/', headers: [{ name: 'end-user', stringMatch: { exact: 'jason' }, invertMatch: true }] }, {}, false],
    ['inverted, missing as empty', { prefix: '/', headers: [{ name: 'end-user', stringMatch: { exact: 'jason' }, invertMatch: true, treatMissingHeaderAsEmpty: true }] }, {}, true],
    ['present', { prefix: '/', headers: [{ name: 'x', presentMatch: true }] }, { headers: { x: '' } }, true],
    ['present inverted', { prefix: '/', headers: [{ name: 'x', presentMatch: true, invertMatch: true }] }, {}, true],
    ['absent asked', { prefix: '/', headers: [{ name: 'x', presentMatch: false }] }, { headers: { x: '1' } }, false],
    ['one line of several is enough', { prefix: '/', headers: [{ name: 'x', stringMatch: { exact: 'b' } }] }, { headers: { x: ['a', 'b'] } }, true],
    ['lines are not joined', { prefix: '/', headers: [{ name: 'x', stringMatch: { exact: 'a,b' } }] }, { headers: { x: ['a', 'b'] } }, false],
    ['inverted: no line may match', { prefix: '/', headers: [{ name: 'x', stringMatch: { exact: 'b' }, invertMatch: true }] }, { headers: { x: ['a', 'b'] } }, false],
    ['method', { prefix: '/', headers: [{ name: ':method', stringMatch: { exact: 'POST' } }] }, { method: 'POST' }, true],
    ['authority regex', { prefix: '/', headers: [{ name: ':authority', stringMatch: { safeRegex: { regex: '.*\\.org' } } }] }, { authority: 'a.org' }, true],
    ['string ignoring case', { prefix: '/', headers: [{ name: 'x', stringMatch: { suffix: 'ZZ', ignoreCase: true } }] }, { headers: { x: 'azz' } }, true],
    ['range', { prefix: '/', headers: [{ name: 'x', rangeMatch: { start: '-1', end: '5' } }] }, { headers: { x: '5' } }, false],
    ['query exact', { prefix: '/', queryParameters: [{ name: 'a', stringMatch: { exact: '1' } }] }, { path: '/?b=2&a=1' }, true],
    ['query without value', { prefix: '/', queryParameters: [{ name: 'a', stringMatch: { exact: '' } }] }, { path: '/?a' }, true],
    ['query present', { prefix: '/', queryParameters: [{ name: 'a', presentMatch: true }] }, { path: '/?ab' }, false],
    ['grpc', { prefix: '/', grpc: {} }, { headers: { 'content-type': 'application/grpc+proto' } }, true],
    ['not grpc', { prefix: '/', grpc: {} }, { headers: { 'content-type': 'application/grpcx' } }, false],
    ['prototype names are names', { prefix: '/', queryParameters: [{ name: '__proto__', presentMatch: true }] }, { path: '/?x' }, false],
  ])('%s', (_, match, request, expected) => expect(find(oneHost([{ match, route: to('c') }]), request) !== undefined).toBe(expected));

  it('draws runtime fractions and falls through to the next route', () => {
    const table = oneHost([{ name: 'some', match: { prefix: '/', runtimeFraction: { defaultValue: { numerator: 25 } } }, route: to('a') }, { name: 'rest', match: { prefix: '/' }, route: to('b') }]);
    expect(find(table, {}, 0.2499)?.name).toBe('some');
    expect(find(table, {}, 0.25)?.name).toBe('rest');
  });
});

describe('actions', () => {
  it.each<[string, JsonObject, JsonObject, string, string]>([
    ['prefix rewrite keeps the rest and the query', { prefix: '/api/' }, { prefixRewrite: '/' }, '/api/x?q=1', '/x?q=1'],
    ['exact path rewrite', { path: '/old' }, { prefixRewrite: '/new' }, '/old?q', '/new?q'],
    ['separated prefix', { pathSeparatedPrefix: '/a' }, { prefixRewrite: '/b' }, '/a/c', '/b/c'],
    ['prefix rewrite of a regex match replaces the path', { safeRegex: { regex: '/x/.*' } }, { prefixRewrite: '/y' }, '/x/1?q', '/y?q'],
    ['regex rewrite', { prefix: '/' }, { regexRewrite: { pattern: { regex: '^/service/([^/]+)(/.*)$' }, substitution: '\\2/instance/\\1' } }, '/service/foo/v1/api?a=/service/', '/v1/api/instance/foo?a=/service/'],
    ['regex rewrite replaces all', { prefix: '/' }, { regexRewrite: { pattern: { regex: 'o' }, substitution: '\\0\\\\' } }, '/foo', '/fo\\o\\'],
    ['regex rewrite with empty matches', { prefix: '/' }, { regexRewrite: { pattern: { regex: '.*' }, substitution: '/z' } }, '/foo', '/z'],
  ])('%s', (_, match, route, path, expected) => {
    const action = forward(find(oneHost([{ match, route: { cluster: 'c', ...route } }]), { path }));
    expect(action.rewritePath?.(path)).toBe(expected);
  });

  it.each<[string, JsonObject, Parameters<typeof head>[0], string, number]>([
    ['https', { httpsRedirect: true }, { authority: 'a.com:80', path: '/x?y' }, 'https://a.com/x?y', 301],
    ['other port stays', { httpsRedirect: true }, { authority: 'a.com:8080' }, 'https://a.com:8080/', 301],
    ['port', { portRedirect: 8443 }, { authority: 'a.com:80' }, 'http://a.com:8443/', 301],
    ['host and code', { hostRedirect: 'b.com', responseCode: 'PERMANENT_REDIRECT' }, { path: '/p' }, 'http://b.com/p', 308],
    ['path keeps query', { pathRedirect: '/new', responseCode: 'FOUND' }, { path: '/old?q=1' }, 'http://host/new?q=1', 302],
    ['path with query wins', { pathRedirect: '/new?z=2', stripQuery: true }, { path: '/old?q=1' }, 'http://host/new?z=2', 301],
    ['strip query', { stripQuery: true, responseCode: 'SEE_OTHER' }, { path: '/old?q=1' }, 'http://host/old', 303],
    ['prefix', { prefixRewrite: '/b', responseCode: 'TEMPORARY_REDIRECT' }, { path: '/a/c?q' }, 'http://host/b/c?q', 307],
  ])('redirects: %s', (_, redirect, request, location, status) => {
    const action = find(oneHost([{ match: { prefix: '/a' }, redirect }, { match: { prefix: '/' }, redirect }]), request)?.action;
    expect(action).toMatchObject({ kind: 'redirect', status });
    expect(action?.kind === 'redirect' && action.location(head(request))).toBe(location);
  });

  it('reads timeouts, retries, mirrors and upgrades with Envoy’s defaults', () => {
    expect(forward(find(oneHost([{ match: { prefix: '/' }, route: to('c') }])))).toMatchObject({ timeoutMs: 15_000, maxStreamDurationMs: 0, maxGrpcTimeoutMs: undefined, retry: undefined, clusterNotFoundStatus: 503 });
    const action = forward(find(oneHost([{ match: { prefix: '/' }, route: {
      cluster: 'c', timeout: '0s', maxStreamDuration: { maxStreamDuration: '0s', grpcTimeoutHeaderMax: '0s' }, clusterNotFoundResponseCode: 'INTERNAL_SERVER_ERROR',
      retryPolicy: { retryOn: 'connect-failure, refused-stream,unavailable,nonsense', numRetries: 2, retriableStatusCodes: [503], hostSelectionRetryMaxAttempts: '5', retryHostPredicate: [{ name: 'envoy.retry_host_predicates.previous_hosts' }] },
      requestMirrorPolicies: [{ cluster: 'm', runtimeFraction: { defaultValue: { numerator: 505000, denominator: 'MILLION' } } }], upgradeConfigs: [{ upgradeType: 'WebSocket' }, { upgradeType: 'x', enabled: false }],
    } }])));
    expect(action).toMatchObject({ timeoutMs: 0, maxGrpcTimeoutMs: 0, clusterNotFoundStatus: 500, mirrors: [{ cluster: 'm', fraction: 0.505 }], retry: { numRetries: 2, perTryTimeoutMs: 0, backoffBaseMs: 25, backoffMaxMs: 250, avoidPreviousHosts: true, hostSelectionMaxAttempts: 5, retriableStatusCodes: [503] } });
    expect([...action.retry!.retryOn]).toEqual(['connect-failure', 'refused-stream', 'unavailable']);
    expect([...action.upgrades]).toEqual([['websocket', true], ['x', false]]);
  });

  it('draws weighted clusters in proportion for every weight and draw', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(100), { minLength: 1, maxLength: 6 }).filter((w) => w.some((x) => x > 0)), (weights) => {
        const action = forward(find(oneHost([{ match: { prefix: '/' }, route: { weightedClusters: { clusters: weights.map((weight, i) => ({ name: `c${i}`, weight })) } } }])));
        const drawn = weights.map(() => 0);
        const total = weights.reduce((a, b) => a + b, 0);
        for (let i = 0; i < total; i++) drawn[Number(chooseCluster(action, head({}), (i + 0.5) / total).cluster.slice(1))]!++;
        if (weights.length > 1) expect(drawn).toEqual(weights);
      }),
    );
  });

  it('reads the cluster from a header', () => {
    const action = forward(find(oneHost([{ match: { prefix: '/' }, route: { clusterHeader: 'X-Cluster' } }])));
    expect(chooseCluster(action, head({ headers: { 'x-cluster': 'q' } }), 0).cluster).toBe('q');
    expect(chooseCluster(action, head({}), 0).cluster).toBe('');
  });

  it('hashes headers, cookies, queries and the source', () => {
    const hash = (policy: JsonObject[], request: Parameters<typeof head>[0]) => forward(find(oneHost([{ match: { prefix: '/' }, route: { cluster: 'c', hashPolicy: policy } }]))).hash!(head(request), '10.0.0.1');
    expect(hash([{ header: { headerName: 'X-User' } }], { headers: { 'x-user': 'u' } })).toEqual({ key: 'u' });
    expect(hash([{ cookie: { name: 'sid', ttl: '0s' } }], { headers: { cookie: 'a=b; sid=7' } })).toEqual({ key: '7' });
    expect(hash([{ cookie: { name: 'sid' } }], {})).toEqual({ key: undefined });
    const made = hash([{ cookie: { name: 'sid', ttl: '10s', path: '/p' } }], { headers: { 'x-request-id': 'r' } });
    expect(made.setCookie).toBe(`sid="${made.key}"; Max-Age=10; Path=/p; HttpOnly`);
    expect(hash([{ queryParameter: { name: 'k' }, terminal: true }, { connectionProperties: { sourceIp: true } }], { path: '/?k=v' })).toEqual({ key: 'v' });
    expect(hash([{ queryParameter: { name: 'k' }, terminal: true }, { connectionProperties: { sourceIp: true } }], {})).toEqual({ key: '10.0.0.1' });
  });
});

describe('levels', () => {
  const table = compile({
    requestHeadersToAdd: [{ header: { key: 'x', value: 'table' }, appendAction: 'OVERWRITE_IF_EXISTS_OR_ADD' }],
    virtualHosts: [{
      name: 'v', domains: ['*'], includeRequestAttemptCount: true, requestHeadersToAdd: [{ header: { key: 'x', value: 'host' }, appendAction: 'OVERWRITE_IF_EXISTS_OR_ADD' }],
      typedPerFilterConfig: { f: { '@type': 'type.googleapis.com/google.protobuf.Duration', value: '1s' }, g: { '@type': 'type.googleapis.com/google.protobuf.Duration', value: '1s' } },
      routes: [{
        name: 'r', match: { prefix: '/' }, route: to('c'), decorator: { operation: 'op' }, metadata: { filterMetadata: { istio: { config: '/apis/x' } } },
        typedPerFilterConfig: { f: { '@type': 'type.googleapis.com/google.protobuf.Duration', value: '70s' } },
        requestHeadersToAdd: [
          { header: { key: 'X', value: 'route' } }, { header: { key: 'absent', value: '%REQ(nope)%' } }, { header: { key: 'from', value: '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% 100%%' } },
          { header: { key: 'kept', value: 'new' }, appendAction: 'ADD_IF_ABSENT' }, { header: { key: 'not-there', value: 'n' }, appendAction: 'OVERWRITE_IF_EXISTS' },
        ],
        requestHeadersToRemove: ['Gone'],
      }],
    }],
  } as JsonObject);

  it('applies mutations route, virtual host, table', () => {
    const request = head({ headers: { gone: '1', kept: 'old' } });
    const entry = find(table, {})!;
    for (const level of entry.request) applyHeaderMutations({ headers: request.headers }, level, { downstreamRemoteAddress: '10.0.0.3:99' });
    expect([...request.headers.entries()]).toEqual([['kept', 'old'], ['from', '10.0.0.3 100%'], ['x', 'table']]);
    expect(entry).toMatchObject({ decorator: 'op', origin: '/apis/x', virtualHost: 'v', attemptCount: { request: true, response: false } });
  });

  it('takes the most specific filter config', () => {
    expect([...find(table, {})!.typedPerFilterConfig].map(([name, config]) => [name, (config as { size: number }).size])).toEqual([['f', 2], ['g', 2]]);
  });

  it('sets before it adds', () => {
    const target = headers({ a: '1' });
    applyHeaderMutations({ headers: target }, { set: [['a', '2']], add: [['a', '3']], addIfAbsent: [], setIfPresent: [], remove: [] }, {});
    expect([...target.entries()]).toEqual([['a', '2'], ['a', '3']]);
  });
});

describe('refusals name the field', () => {
  it.each<[string, JsonObject, RegExp]>([
    ['regex', { virtualHosts: [{ name: 'v', domains: ['*'], routes: [{ match: { safeRegex: { regex: '(' } }, route: to('c') }] }] }, /^virtual_hosts\["v"\]\.routes\[0\]\.match: invalid regex "\("/],
    ['backreference', { virtualHosts: [{ name: 'v', domains: ['*'], routes: [{ match: { safeRegex: { regex: '(a)\\1' } }, route: to('c') }] }] }, /invalid regex/],
    ['domain twice', { virtualHosts: [{ name: 'v', domains: ['a', 'A'], routes: [] }] }, /^virtual_hosts\["v"\]: only unique values for domains/],
    ['two catch-alls', { virtualHosts: [{ name: 'v', domains: ['*'], routes: [] }, { name: 'w', domains: ['*'], routes: [] }] }, /^virtual_hosts\["w"\]: only a single wildcard/],
    ['zero weights', { virtualHosts: [{ name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { weightedClusters: { clusters: [{ name: 'a' }] } } }] }] }, /routes\[0\]\.route: the sum of weights/],
    ['no action', { virtualHosts: [{ name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' } }] }] }, /routes\[0\]: a route needs an action/],
    ['bad format', { requestHeadersToAdd: [{ header: { key: 'a', value: '%NOPE%' } }] }, /unknown access log operator %NOPE%/],
    ['host', { requestHeadersToAdd: [{ header: { key: 'Host', value: 'x' } }] }, /host headers may not be modified/],
    ['pseudo', { requestHeadersToRemove: [':path'] }, /may not be removed/],
    ['bad group', { virtualHosts: [{ name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'c', regexRewrite: { pattern: { regex: 'a' }, substitution: '\\1' } } }] }] }, /names group 1, the regex has 0/],
    ['direct body', { virtualHosts: [{ name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, directResponse: { status: 200, body: { inlineString: 'x'.repeat(4097) } } }] }] }, /direct_response: the body is 4097 bytes/],
  ])('%s', (_, json, message) => expect(() => compile(json)).toThrow(message));
});
