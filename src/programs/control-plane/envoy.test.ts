import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { findEnvoy } from '../../agent/envoy/find-envoy.ts';
import { openSdsServer } from '../../agent/envoy/sds-server.ts';
import { CertificateAuthority, createSelfSignedCa } from '../../identity/ca.ts';
import { createKeyAndCsr } from '../../identity/csr.ts';
import { formatSpiffeId } from '../../identity/spiffe.ts';
import { parseOptions, type ControlPlaneOptions } from './options.ts';
import { runControlPlane, type ControlPlane } from './run.ts';

const envoy = findEnvoy();
if (!envoy) process.stderr.write('skipped: 5 cases with real Envoy, because there is no Envoy (set ENVOY_BIN)\n');

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function until<T>(read: () => Promise<T | undefined | false>, what: string): Promise<T> {
  for (const deadline = Date.now() + 15_000; Date.now() < deadline; await new Promise((resolve) => setTimeout(resolve, 20))) {
    const value = await read().catch(() => undefined);
    if (value) return value;
  }
  throw new Error(`timed out: ${what}`);
}

interface Proxy {
  readonly type: 'sidecar' | 'router';
  readonly name: string;
  readonly namespace: string;
  readonly ip: string;
  readonly mode: 'GRPC' | 'DELTA_GRPC';
  readonly labels: Readonly<Record<string, string>>;
}

describe.skipIf(!envoy)('real Envoy on this control plane', () => {
  const directory = mkdtempSync(join(tmpdir(), 'meltemi-envoy-'));
  const mesh = join(directory, 'mesh');
  const children: ChildProcess[] = [];
  let plane: ControlPlane;
  let sds: { close(): void };
  let gatewayPort: number;

  const write = (name: string, ...objects: object[]) => writeFileSync(join(mesh, `${name}.yaml`), objects.map((object) => stringify(object)).join('---\n'));
  const service = (name: string, namespace: string, ip: string, selector: object, port: number, targetPort: number) => ({ apiVersion: 'v1', kind: 'Service', metadata: { name, namespace }, spec: { clusterIP: ip, selector, ports: [{ name: 'http', port, targetPort }] } });
  const pod = (name: string, namespace: string, ip: string, labels: object) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace, labels: { ...labels, 'security.istio.io/tlsMode': 'istio' } }, spec: { serviceAccountName: name, containers: [] }, status: { phase: 'Running', podIP: ip } });
  const slice = (name: string, ...addresses: string[]) => ({ apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: { name: `${name}-1`, namespace: 'default', labels: { 'kubernetes.io/service-name': name } }, ports: [{ name: 'http', port: 9080 }], endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })) });

  beforeAll(async () => {
    mkdirSync(mesh);
    const [outbound, inbound] = [await freePort(), await freePort()];
    gatewayPort = await freePort();
    write('mesh', { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'istio', namespace: 'istio-system' }, data: { mesh: stringify({ accessLogFile: '/dev/stdout', proxyListenPort: outbound, proxyInboundListenPort: inbound }) } });
    write('web', service('web', 'default', '10.96.0.20', { app: 'web' }, 9080, 9080), pod('web', 'default', '10.244.0.20', { app: 'web' }), slice('web', '10.244.0.20'));
    write('reviews', service('reviews', 'default', '10.96.0.21', { app: 'reviews' }, 9080, 9080), pod('v1', 'default', '10.244.0.21', { app: 'reviews', version: 'v1' }), pod('v2', 'default', '10.244.0.22', { app: 'reviews', version: 'v2' }));
    write('reviews-slice', slice('reviews', '10.244.0.21'));
    write('gateway', service('gateway', 'istio-system', '10.96.0.22', { istio: 'ingressgateway' }, 80, gatewayPort), pod('gateway', 'istio-system', '10.244.0.23', { istio: 'ingressgateway' }),
      { apiVersion: 'networking.istio.io/v1', kind: 'Gateway', metadata: { name: 'gateway', namespace: 'default' }, spec: { selector: { istio: 'ingressgateway' }, servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }] } },
      { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: { name: 'entry', namespace: 'default' }, spec: { hosts: ['*'], gateways: ['gateway'], http: [{ match: [{ uri: { prefix: '/reviews' } }], route: [{ destination: { host: 'reviews' } }] }] } });
    const address = '127.0.0.1:0';
    plane = await runControlPlane(parseOptions(['--files', mesh, '--grpcAddr', address, '--httpAddr', address, '--insecure'], {}) as ControlPlaneOptions, 'test');
    const nowMs = Date.now();
    const ca = new CertificateAuthority(createSelfSignedCa({ organization: 'cluster.local', nowMs }), nowMs);
    const spiffeId = formatSpiffeId({ trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'web' });
    const { csrPem, privateKeyPem } = createKeyAndCsr({ uri: spiffeId });
    const chain = ca.signCsr(csrPem, { spiffeId, nowMs }).join('');
    sds = await openSdsServer(join(directory, 'sds'), {
      watch(name, onSecret) {
        onSecret(name === 'ROOTCA' ? { name, kind: 'validation', trustedCaPem: ca.rootCertPem } : { name, kind: 'certificate', certificateChainPem: chain, privateKeyPem });
        return () => {};
      },
    });
  }, 30_000);

  afterAll(() => {
    for (const child of children) child.kill('SIGKILL');
    plane.close();
    sds.close();
    rmSync(directory, { recursive: true, force: true });
  });

  async function start(proxy: Proxy): Promise<(path: string) => Promise<string>> {
    const admin = await freePort();
    const http2 = { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': { '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions', explicit_http_config: { http2_protocol_options: {} } } };
    const cluster = (name: string, address: object) => ({ name, type: 'STATIC', connect_timeout: '1s', typed_extension_protocol_options: http2, load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] } });
    const bootstrap = {
      node: { id: `${proxy.type}~${proxy.ip}~${proxy.name}.${proxy.namespace}~${proxy.namespace}.svc.cluster.local`, cluster: proxy.name, metadata: { NAMESPACE: proxy.namespace, LABELS: proxy.labels } },
      admin: { address: { socket_address: { address: '127.0.0.1', port_value: admin } } },
      dynamic_resources: {
        lds_config: { ads: {}, resource_api_version: 'V3', initial_fetch_timeout: '0s' }, cds_config: { ads: {}, resource_api_version: 'V3', initial_fetch_timeout: '0s' },
        ads_config: { api_type: proxy.mode, transport_api_version: 'V3', set_node_on_first_message_only: true, grpc_services: [{ envoy_grpc: { cluster_name: 'xds-grpc' } }] },
      },
      static_resources: { clusters: [cluster('xds-grpc', { socket_address: { address: '127.0.0.1', port_value: plane.grpcPort } }), cluster('sds-grpc', { pipe: { path: join(directory, 'sds') } })] },
    };
    const path = join(directory, `${proxy.name}-${proxy.mode}.json`);
    writeFileSync(path, JSON.stringify(bootstrap));
    children.push(spawn(envoy!, ['-c', path, '--use-dynamic-base-id', '--concurrency', '1', '-l', 'error'], { stdio: 'ignore' }));
    const ask = async (what: string) => (await fetch(`http://127.0.0.1:${admin}${what}`)).text();
    await until(async () => (await ask('/ready')).startsWith('LIVE'), `${proxy.name} is live`);
    return ask;
  }

  const statuses = async () => ((await (await fetch(`http://127.0.0.1:${plane.debugPort!}/debug/syncz`)).json()) as { clients: { status: Record<string, string> }[] }).clients.map((client) => client.status);
  const rejected = async (ask: (path: string) => Promise<string>) => (await ask('/stats?filter=update_rejected')).split('\n').filter((line) => /: [1-9]/.test(line));
  const sidecar = { type: 'sidecar', name: 'web', namespace: 'default', ip: '10.244.0.20', labels: { app: 'web' } } as const;
  const router = { type: 'router', name: 'gateway', namespace: 'istio-system', ip: '10.244.0.23', labels: { istio: 'ingressgateway' } } as const;

  it.each([{ ...sidecar, mode: 'DELTA_GRPC' }, { ...router, mode: 'GRPC' }, { ...router, mode: 'DELTA_GRPC', name: 'gateway-2' }] as Proxy[])('$type over $mode accepts all, and every change', async (proxy) => {
    const ask = await start(proxy);
    const clusters = () => ask('/clusters?format=json');
    expect(await clusters()).toContain('outbound|9080||reviews.default.svc.cluster.local');
    write('rules',
      { apiVersion: 'networking.istio.io/v1', kind: 'DestinationRule', metadata: { name: 'reviews', namespace: 'default' }, spec: { host: 'reviews', trafficPolicy: { connectionPool: { http: { http1MaxPendingRequests: 7 } }, outlierDetection: { consecutive5xxErrors: 3 } }, subsets: [{ name: 'v1', labels: { version: 'v1' } }, { name: 'v2', labels: { version: 'v2' } }] } },
      { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: { name: 'reviews', namespace: 'default' }, spec: { hosts: ['reviews', '*.example.com'], gateways: ['mesh', 'gateway'], http: [
        { match: [{ headers: { 'end-user': { exact: 'jason' } } }], fault: { delay: { percentage: { value: 50 }, fixedDelay: '2s' }, abort: { percentage: { value: 1 }, httpStatus: 418 } }, route: [{ destination: { host: 'reviews', subset: 'v2' } }] },
        { match: [{ uri: { regex: '/a.*' } }], rewrite: { uri: '/b' }, mirror: { host: 'reviews', subset: 'v1' }, retries: { attempts: 2, perTryTimeout: '1s', retryOn: '5xx' }, timeout: '3s', route: [{ destination: { host: 'reviews', subset: 'v1' }, weight: 90 }, { destination: { host: 'reviews', subset: 'v2' }, weight: 10, headers: { response: { set: { x: 'y' } } } }] },
        { route: [{ destination: { host: 'reviews', subset: 'v1' } }] },
      ] } });
    await until(async () => (await clusters()).includes('outbound|9080|v2|reviews.default.svc.cluster.local'), 'the subset');
    write('reviews-slice', slice('reviews', '10.244.0.21', '10.244.0.22'));
    await until(async () => (await clusters()).includes('10.244.0.22'), 'the endpoint');
    rmSync(join(mesh, 'rules.yaml'));
    write('reviews-slice', slice('reviews', '10.244.0.21'));
    await until(async () => !/\|v2\||10\.244\.0\.22/.test(await clusters()), 'the way back');
    await until(async () => (await statuses()).every((status) => Object.values(status).every((value) => value === 'SYNCED')), 'ACKs of everything');
    expect(await rejected(ask)).toEqual([]);
    expect(await ask('/stats?filter=warming_clusters')).toContain('warming_clusters: 0');
    children.pop()!.kill('SIGKILL');
  });

  it('patches a gateway, and takes a patch back that Envoy refuses', async () => {
    const ask = await start({ ...router, mode: 'DELTA_GRPC', name: 'gateway-3' });
    const lua = (name: string, inline_string: string) => ({
      apiVersion: 'networking.istio.io/v1alpha3', kind: 'EnvoyFilter', metadata: { name, namespace: 'istio-system' },
      spec: { configPatches: [{
        applyTo: 'HTTP_FILTER', match: { context: 'GATEWAY', listener: { filterChain: { filter: { name: 'envoy.filters.network.http_connection_manager' } } } },
        patch: { operation: 'INSERT_FIRST', value: { name: `lua.${name}`, typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua', default_source_code: { inline_string } } } },
      }] },
    });
    const listeners = () => ask('/config_dump?resource=dynamic_listeners');
    write('good', lua('good', 'function envoy_on_request(handle) handle:headers():add("x-lua", "yes") end'));
    await until(async () => (await listeners()).includes('lua.good'), 'the good patch');
    write('bad', lua('bad', 'function envoy_on_request(handle) this is not lua'));
    const report = async () => (await (await fetch(`http://127.0.0.1:${plane.debugPort!}/debug/envoyfilterz`)).json()) as { quarantined: { filter: string; reason: string }[] };
    const [put] = (await until(async () => ((await report()).quarantined.length > 0 ? report() : undefined), 'the quarantine')).quarantined;
    expect(put).toMatchObject({ filter: 'istio-system/bad', reason: expect.stringContaining('script load error') as string });
    await until(async () => (await statuses()).every((status) => Object.values(status).every((value) => value === 'SYNCED')), 'ACKs of everything');
    expect(await listeners()).toContain('lua.good');
    write('bad', lua('bad', 'function envoy_on_request(handle) end'));
    await until(async () => (await listeners()).includes('lua.bad'), 'the corrected patch');
    children.pop()!.kill('SIGKILL');
    rmSync(join(mesh, 'good.yaml'));
    rmSync(join(mesh, 'bad.yaml'));
  }, 40_000);

  it('a sidecar over SotW keeps its configuration over a restart of the control plane', async () => {
    const ask = await start({ ...sidecar, mode: 'GRPC' });
    const port = plane.grpcPort!;
    plane.close();
    plane = await until(() => runControlPlane(parseOptions(['--files', mesh, '--grpcAddr', `127.0.0.1:${port}`, '--httpAddr', '127.0.0.1:0', '--insecure'], {}) as ControlPlaneOptions, 'test'), 'the port');
    await until(async () => (await statuses()).length === 1, 'the reconnect');
    await until(async () => (await statuses()).every((status) => Object.values(status).every((value) => value === 'SYNCED')), 'ACKs of everything');
    expect(await rejected(ask)).toEqual([]);
    expect(await ask('/clusters')).toContain('outbound|9080||reviews.default.svc.cluster.local');
  }, 40_000);
});
