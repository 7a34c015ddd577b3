import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findEnvoy } from '../../src/agent/envoy/find-envoy.ts';
import type { ProxyNode } from '../../src/proxy/config/runtime.ts';
import { startProxy, type Proxy } from '../../src/proxy/start.ts';
import { encodeResource } from '../../src/xds/codec.ts';
import { ClusterSchema } from '../../src/xds/gen/envoy/config/cluster/v3/cluster_pb.ts';
import { ListenerSchema } from '../../src/xds/gen/envoy/config/listener/v3/listener_pb.ts';
import { fromEnvoyJson } from '../../src/xds/registry.ts';

// One route table, two proxies: every request gets the same answer and the same access log line from ours and from Envoy, the oracle.

const envoyPath = findEnvoy();

const T = 'type.googleapis.com/';
const node: ProxyNode = { id: 'sidecar~127.0.0.1~a.b~c', cluster: 'a.b', type: 'sidecar', metadata: {}, workload: { workload: 'a', namespace: 'b', app: '', version: '', canonicalService: 'a', canonicalRevision: '', cluster: '' } };

interface Case {
  readonly host?: string;
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
}

let count = 0;
/** A route that answers with its own name, unless `more` says what it does. */
function route(match: JsonObject, more: JsonObject = {}): JsonObject {
  const name = `r${count++}`;
  const acts = ['redirect', 'direct_response', 'route'].some((action) => action in more);
  return { name, match, ...(acts ? {} : { direct_response: { status: 200, body: { inline_string: name } } }), ...more };
}

const host = (name: string, domains: string[], routes: JsonObject[], more: JsonObject = {}): JsonObject => ({ name, domains, routes, ...more });
const onHeader = (name: string, matcher: JsonObject): JsonObject => ({ prefix: '/h', headers: [{ name, ...matcher }] });
const added = (key: string, value: string, append_action?: string): JsonObject => ({ header: { key, value }, ...(append_action && { append_action }) });

const MATCHERS: readonly JsonObject[] = [
  { string_match: { exact: 'v' } }, { string_match: { exact: 'v,w' } }, { string_match: { exact: 'v' }, invert_match: true }, { string_match: { exact: 'z' }, invert_match: true }, { string_match: { prefix: 'w' } }, { string_match: { suffix: 'V', ignore_case: true } },
  { string_match: { contains: ',' } }, { string_match: { safe_regex: { regex: 'v+' } } }, { string_match: { safe_regex: { regex: 'v,w' } } }, { string_match: { contains: 'w' }, invert_match: true }, { string_match: { exact: '' }, treat_missing_header_as_empty: true },
  { string_match: { exact: '' } }, { string_match: { exact: 'v' }, invert_match: true, treat_missing_header_as_empty: true }, { present_match: true }, { present_match: false }, { present_match: true, invert_match: true }, { range_match: { start: '5', end: '10' } },
];

const TABLE: JsonObject = {
  name: 'table',
  ignore_port_in_host_matching: true,
  request_headers_to_add: [added('x-a', 'table')],
  response_headers_to_add: [added('x-resp', 'table')],
  virtual_hosts: [
    host('exact', ['a.example.com'], [route({ prefix: '/' })]), host('suffix', ['*.example.com'], [route({ prefix: '/' })]), host('suffix2', ['*.b.example.com', '*-x.com'], [route({ prefix: '/' })]), host('prefix', ['a.*'], [route({ prefix: '/' })]),
    host('prefix2', ['a.b.*'], [route({ prefix: '/' })]), host('tls', ['tls.only'], [route({ prefix: '/' })], { require_tls: 'ALL' }), host('noroute', ['noroute'], [route({ path: '/x' })]),
    ...MATCHERS.map((matcher, index) => host(`m${index}`, [`m${index}`], [route({ prefix: '/', headers: [{ name: 'x', ...matcher }] })])),
    host('all', ['*'], [
      route({ path: '/exact' }), route({ path: '/exacti', case_sensitive: false }), route({ path_separated_prefix: '/sep' }), route({ safe_regex: { regex: '/re/[a-z]+' } }), route({ safe_regex: { regex: '/lit\\.x.*' } }), route({ safe_regex: { regex: '.*tail' } }),
      route(onHeader('x-pre', { string_match: { prefix: 'v', ignore_case: true } })), route({ prefix: '/m', headers: [{ name: ':method', string_match: { exact: 'POST' } }] }), route({ prefix: '/auth', headers: [{ name: ':authority', string_match: { suffix: '.org' } }] }),
      route({ prefix: '/q', query_parameters: [{ name: 'a', string_match: { exact: '1' } }] }), route({ prefix: '/q', query_parameters: [{ name: 'p', present_match: true }] }), route({ prefix: '/q', query_parameters: [{ name: 'e', string_match: { exact: '' } }] }), route({ prefix: '/grpc', grpc: {} }),
      route({ prefix: '/red1' }, { redirect: { https_redirect: true } }), route({ prefix: '/red2' }, { redirect: { host_redirect: 'n.com', path_redirect: '/p', response_code: 'FOUND' } }), route({ prefix: '/red3' }, { redirect: { port_redirect: 8443, prefix_rewrite: '/n', response_code: 'SEE_OTHER' } }),
      route({ prefix: '/red4' }, { redirect: { path_redirect: '/p?z=1', strip_query: true, response_code: 'PERMANENT_REDIRECT' } }), route({ prefix: '/red5' }, { redirect: { strip_query: true, scheme_redirect: 'ftp', response_code: 'TEMPORARY_REDIRECT' } }),
      route({ prefix: '/red6' }, { redirect: { regex_rewrite: { pattern: { regex: '^/red6/(.*)$' }, substitution: '/x/\\1' } } }), route({ prefix: '/red7' }, { redirect: { path_redirect: '/only' } }),
      route({ prefix: '/rw1/' }, { route: { cluster: 'web', prefix_rewrite: '/' } }), route({ prefix: '/rw2' }, { route: { cluster: 'web', prefix_rewrite: '/zz' } }), route({ path: '/rw3' }, { route: { cluster: 'web', prefix_rewrite: '/exact3' } }),
      route({ prefix: '/rw4' }, { route: { cluster: 'web', regex_rewrite: { pattern: { regex: '^/rw4/([^/]+)(/.*)?$' }, substitution: '\\2/i/\\1' } } }), route({ prefix: '/rw5' }, { route: { cluster: 'web', regex_rewrite: { pattern: { regex: 'o' }, substitution: '0' } } }),
      route({ prefix: '/rw6' }, { route: { cluster: 'web', host_rewrite_literal: 'other.host' } }), route({ safe_regex: { regex: '/rw7.*' } }, { route: { cluster: 'web', prefix_rewrite: '/seven' } }), route({ path_separated_prefix: '/rw8' }, { route: { cluster: 'web', prefix_rewrite: '/eight' } }),
      route({ prefix: '/mut' }, {
        route: { cluster: 'web' },
        request_headers_to_add: [added('x-a', 'route'), added('x-b', '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% 100%%'), added('x-c', 'over', 'OVERWRITE_IF_EXISTS_OR_ADD'), added('x-d', 'absent', 'ADD_IF_ABSENT'), added('x-e', 'only', 'OVERWRITE_IF_EXISTS'), added('x-f', '%REQ(x-none)%')],
        request_headers_to_remove: ['x-drop', 'x-bye'], response_headers_to_add: [added('x-keep', 'new', 'OVERWRITE_IF_EXISTS_OR_ADD'), added('x-code', '%RESPONSE_CODE%')], response_headers_to_remove: ['x-up'],
      }),
      route({ prefix: '/ch' }, { route: { cluster_header: 'x-cluster' } }), route({ prefix: '/empty' }, { route: { cluster: 'empty' } }), route({ prefix: '/direct' }, { direct_response: { status: 418, body: { inline_string: 'tea' } } }), route({ prefix: '/fwd' }, { route: { cluster: 'web' } }),
    ]),
  ],
};

const CASES: readonly Case[] = [
  ...['a.example.com', 'A.EXAMPLE.com:80', 'b.example.com', 'c.b.example.com', 'b.example.com.', '.example.com', 'a.foo', 'a.b.c', 'foo-x.com', '-x.com', 'a.', 'zzz', 'tls.only', 'noroute'].map((name) => ({ host: name })),
  ...['/exact', '/exact?x', '/exact/', '/EXACTI', '/sep', '/sep/', '/sepx', '/sep?q', '/re/abc', '/re/abc?q', '/re/ABC', '/re/abc/d', '/lit.x', '/litax', '/lit.xyz', '/some/tail', '/tail?x', '/nothing', '/m', '/grpc'].map((path) => ({ path })),
  ...['a=1', 'a=2', 'b=1&a=1', 'a=2&a=1', 'p', 'p=5', 'e', 'e=', 'e=1', 'a=1%20', '', '__proto__'].map((query) => ({ path: `/q?${query}` })),
  ...MATCHERS.flatMap((_, index) => [['v', 'w'], ['', 'v'], 'v,w', 'v', '', '7', undefined].map((x): Case => ({ host: `m${index}`, ...(x !== undefined && { headers: { x } }) }))),
  { path: '/h', headers: { 'x-pre': 'VAL' } }, { path: '/m', method: 'POST' }, { path: '/auth', host: 'x.org' }, { path: '/auth', host: 'x.org:80' }, ...['application/grpc', 'application/grpc+proto', 'application/grpcx'].map((type) => ({ path: '/grpc', headers: { 'content-type': type } })),
  { path: '/red1/x?y=1', host: 'h:80' }, { path: '/red1', host: 'h:443' }, { path: '/red1', host: 'h:8080' }, { path: '/red2/x?y=1' }, { path: '/red3/x?y=1', host: 'h:80' }, { path: '/red4/x?y=1' }, { path: '/red5/x?y=1' }, { path: '/red6/a/b?c=d' }, { path: '/red7?x=1' },
  ...['/rw1/a?b=/rw1/', '/rw2', '/rw2x?q', '/rw3?q=1', '/rw4/foo/bar?x=/rw4', '/rw4/foo', '/rw5/foo?foo', '/rw6', '/rw7/abc?d', '/rw8', '/rw8/x?y'].map((path) => ({ path })),
  { path: '/mut', headers: { 'x-a': 'mine', 'x-c': 'mine', 'x-d': 'mine', 'x-e': 'mine', 'x-drop': '1' } }, { path: '/mut' }, { path: '/ch', headers: { 'x-cluster': 'web' } }, { path: '/ch', headers: { 'x-cluster': 'nope' } }, { path: '/ch' }, { path: '/empty' },
  { path: '/empty', headers: { 'content-type': 'application/grpc' } }, { path: '/direct' }, { path: '/direct', method: 'HEAD' }, { path: '/fwd?status=503' }, { path: '/fwd?status=404' }, { path: '/fwd', method: 'HEAD' }, { path: '/x', headers: { 'content-type': 'application/grpc' } },
];

const LINE = '%REQ(X-N)% %REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_FLAGS_LONG% %RESPONSE_CODE_DETAILS% %BYTES_RECEIVED% %BYTES_SENT% %UPSTREAM_CLUSTER% %ROUTE_NAME% %REQ(:AUTHORITY)% %REQ(:SCHEME)% ' +
  '%REQ(USER-AGENT):3% %RESP(CONTENT-TYPE)% %UPSTREAM_REQUEST_ATTEMPT_COUNT% %GRPC_STATUS% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %REQUESTED_SERVER_NAME% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %LOCAL_REPLY_BODY% %CONNECTION_TERMINATION_DETAILS% %START_TIME(%Y)%\n';

const folder = mkdtempSync(join(tmpdir(), 'same-'));
let upstream: Server;
let proxy: Proxy;
let envoy: ChildProcess;
const ports = { ours: 0, envoy: 0 };

const listen = (server: Server) => new Promise<number>((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)));

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function listener(port: number, log: string): JsonObject {
  const hcm = {
    '@type': `${T}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`, stat_prefix: 'outbound', route_config: TABLE,
    http_filters: [{ name: 'envoy.filters.http.router', typed_config: { '@type': `${T}envoy.extensions.filters.http.router.v3.Router` } }],
    access_log: [{ name: 'f', typed_config: { '@type': `${T}envoy.extensions.access_loggers.file.v3.FileAccessLog`, path: log, log_format: { text_format_source: { inline_string: LINE } } } }],
  };
  return { name: 'l', address: { socket_address: { address: '127.0.0.1', port_value: port } }, traffic_direction: 'OUTBOUND', filter_chains: [{ filters: [{ name: 'hcm', typed_config: hcm }] }] };
}

function send(port: number, asked: Case, number: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, path: asked.path ?? '/', method: asked.method ?? 'GET', headers: { host: asked.host ?? 'h', 'x-n': String(number), 'user-agent': 'cmp/1', ...(asked.headers as Record<string, string>) }, agent: false }, (response) => {
      let body = '';
      response.on('data', (chunk) => (body += chunk)).on('end', () => {
        const { date: _date, 'x-envoy-upstream-service-time': _time, ...headers } = response.headers;
        resolve({ status: response.statusCode, headers, body: body.startsWith('{') ? (JSON.parse(body) as unknown) : body });
      });
    });
    outgoing.on('error', reject).end();
  });
}

describe.skipIf(envoyPath === undefined)('ours answers as Envoy does', () => {
  if (envoyPath === undefined) process.stderr.write(`skipped: ${CASES.length + 1} cases with real Envoy, because there is no Envoy (set ENVOY_BIN)\n`);

  beforeAll(async () => {
    upstream = createServer((incoming, response) => {
      const kept = Object.entries(incoming.headers).filter(([name]) => /^x-(?:[a-f]$|envoy-original|envoy-expected)/.test(name));
      response.writeHead(Number(/status=(\d+)/.exec(incoming.url!)?.[1] ?? 200), { 'content-type': 'text/plain', 'x-up': '1', 'x-keep': 'old' }).end(JSON.stringify({ path: incoming.url, host: incoming.headers.host, headers: Object.fromEntries(kept) }));
    });
    const webPort = await listen(upstream);
    const clusters: JsonObject[] = [{ name: 'web', type: 'STATIC', connect_timeout: '1s', load_assignment: { cluster_name: 'web', endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: webPort } } } }] }] } }, { name: 'empty', type: 'STATIC' }];
    ports.envoy = await freePort();
    const admin = await freePort();
    writeFileSync(join(folder, 'envoy.json'), JSON.stringify({ node: { id: node.id, cluster: node.cluster }, admin: { address: { socket_address: { address: '127.0.0.1', port_value: admin } } }, static_resources: { clusters, listeners: [listener(ports.envoy, join(folder, 'envoy.log'))] } }));
    envoy = spawn(envoyPath!, ['-c', join(folder, 'envoy.json'), '--use-dynamic-base-id', '-l', 'error', '--concurrency', '1', '--file-flush-interval-msec', '50'], { stdio: ['ignore', 'ignore', 'inherit'] });
    proxy = startProxy({ node, ads: undefined, secrets: { watch: () => () => {} }, staticResources: { clusters: clusters.map((cluster) => encodeResource(fromEnvoyJson(ClusterSchema, cluster))), listeners: [encodeResource(fromEnvoyJson(ListenerSchema, listener(0, join(folder, 'ours.log'))))] } });
    await proxy.ready;
    ports.ours = proxy.listeners.boundPort('l')!;
    for (let tries = 0; tries < 200; tries++) {
      const ready = await fetch(`http://127.0.0.1:${admin}/ready`).then((answer) => answer.ok, () => false);
      if (ready) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  });

  afterAll(async () => {
    envoy?.kill();
    upstream?.close();
    await proxy?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it.each(CASES.map((asked, number) => [JSON.stringify(asked), asked, number] as const))('%s', async (_, asked, number) => {
    expect(await send(ports.ours, asked, number)).toEqual(await send(ports.envoy, asked, number));
  });

  it('and writes the same access log', async () => {
    await proxy.config.flush();
    const lines = (name: string): readonly string[] => readFileSync(join(folder, name), 'utf8').trimEnd().split('\n');
    for (let tries = 0; tries < 100 && (!existsSync(join(folder, 'envoy.log')) || lines('envoy.log').length < CASES.length); tries++) await new Promise((resolve) => setTimeout(resolve, 50));
    expect(lines('ours.log')).toEqual(lines('envoy.log'));
    expect(lines('ours.log')).toHaveLength(CASES.length);
  });
});
