import { join } from 'node:path';
import { connect as connectTcp, createServer } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { create } from '@bufbuild/protobuf';
import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { TYPE_URL, type EncodedResource } from '../../xds/ads.ts';
import { createAdsClient } from '../../xds/client/ads-client.ts';
import { GrpcChannel } from '../../xds/client/grpc-channel.ts';
import { decodeResource, encodeResource } from '../../xds/codec.ts';
import { fromEnvoyJson } from '../../xds/registry.ts';
import { ListenerSchema } from '../../xds/gen/envoy/config/listener/v3/listener_pb.ts';
import { NameTableSchema, type NameTable } from '../../xds/gen/istio/nds/nds_pb.ts';
import { decodeResponse, encodeRequest } from '../../xds/wire.ts';
import { buildBootstrap } from '../bootstrap/bootstrap.ts';
import { openCaClient } from '../certificates/ca-client.ts';
import { AgentSecretSource, toTlsSecret } from '../certificates/secret-source.ts';
import { WorkloadCertificateManager } from '../certificates/workload-certificate.ts';
import { resolveSettings } from '../settings.ts';
import { adminControl, localRequest } from '../status/admin-client.ts';
import { startEnvoy } from './envoy-process.ts';
import { findEnvoy } from './find-envoy.ts';
import { openSdsServer } from './sds-server.ts';
import { startTestControlPlane, type TestControlPlane } from './test-control-plane.ts';
import { openXdsProxy } from './xds-proxy.ts';

const opened: (() => void)[] = [];
afterEach(() => {
  for (const close of opened.splice(0).reverse()) close();
});

const nameTable = encodeResource(create(NameTableSchema, { table: { 'reviews.default.svc.cluster.local': { ips: ['10.96.1.1'], registry: 'Kubernetes', shortname: 'reviews', namespace: 'default' } } }));

async function start(resources: readonly EncodedResource[]): Promise<{ plane: TestControlPlane; secrets: AgentSecretSource; workload: WorkloadCertificateManager }> {
  const plane = await startTestControlPlane(() => resources);
  opened.push(() => plane.close());
  const workload = new WorkloadCertificateManager({ ca: openCaClient(plane.connection), clock: systemClock, uri: 'spiffe://cluster.local/ns/default/sa/web' });
  opened.push(() => workload.close());
  await workload.start();
  return { plane, workload, secrets: new AgentSecretSource(workload, plane.connection.rootPath!) };
}

const until = async (condition: () => boolean | Promise<boolean>, what: string): Promise<void> => {
  for (const deadline = Date.now() + 10_000; !(await condition()); await new Promise((resolve) => setTimeout(resolve, 20))) if (Date.now() > deadline) throw new Error(`timeout: ${what}`);
};

describe('openSdsServer', () => {
  test.each(['sotw', 'delta'] as const)('serves the workload certificate and the roots (%s)', async (mode) => {
    const { plane, secrets } = await start([]);
    const path = join(plane.directory, 'sds', 'socket');
    const sds = await openSdsServer(path, secrets);
    opened.push(() => sds.close());
    const channel = new GrpcChannel({ target: { path } });
    opened.push(() => channel.close());
    const received = new Map<string, ReturnType<typeof toTlsSecret>>();
    const call = channel.call(`/envoy.service.secret.v3.SecretDiscoveryService/${mode === 'sotw' ? 'StreamSecrets' : 'DeltaSecrets'}`, {}, {
      onMessage: (message) => {
        for (const resource of decodeResponse(mode, message, (one) => (decodeResource(one) as { name: string }).name).resources) received.set(resource.name, toTlsSecret(decodeResource(resource) as never));
      },
      onEnd: () => {},
    });
    call.send(encodeRequest(mode, { typeUrl: TYPE_URL.secret, responseNonce: '', versionInfo: '', names: ['default', 'ROOTCA'], unsubscribe: [], initialVersions: new Map() }));
    await until(() => received.size === 2, 'two secrets');
    expect(received.get('default')).toMatchObject({ kind: 'certificate', privateKeyPem: expect.stringContaining('PRIVATE KEY') as string });
    expect(received.get('ROOTCA')).toMatchObject({ kind: 'validation', trustedCaPem: expect.stringContaining('BEGIN CERTIFICATE') as string });
  });
});

describe('openXdsProxy', () => {
  test('forwards discovery with the token and keeps the name table', async () => {
    const listener = encodeResource(create(ListenerSchema, { name: 'one' }));
    const { plane } = await start([listener, nameTable]);
    const path = join(plane.directory, 'XDS');
    const tables: NameTable[] = [];
    const proxy = await openXdsProxy(path, { controlPlane: plane.connection, onEvent: () => {}, onNameTable: ({ updated }) => (tables.push(decodeResource(updated[0]!) as NameTable), undefined) });
    opened.push(() => proxy.close());
    const seen: string[] = [];
    const ads = createAdsClient({
      target: { path },
      node: { id: 'sidecar~10.0.0.1~web.default~default.svc.cluster.local', cluster: 'web', metadata: { NAMESPACE: 'default' }, locality: { region: '', zone: '', subZone: '' }, extensions: [], userAgentName: 'envoy', userAgentVersion: '1' },
    });
    opened.push(() => ads.close());
    ads.subscribeAll(TYPE_URL.listener, ({ updated }) => (seen.push(...updated.map((one) => one.name)), undefined));
    await until(() => seen.length > 0 && tables.length > 0, 'listener and name table');
    expect(seen).toEqual(['one']);
    expect(Object.keys(tables[0]!.table)).toEqual(['reviews.default.svc.cluster.local']);
  });
});

const envoy = findEnvoy();
if (!envoy) process.stderr.write('skipped: 1 case with real Envoy, because there is no Envoy (set ENVOY_BIN)\n');

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe.skipIf(!envoy)('real Envoy', () => {
  test('starts from the bootstrap, takes listeners through the agent and certificates over SDS', async () => {
    const [admin, status, prometheus, readiness, tls] = await Promise.all([freePort(), freePort(), freePort(), freePort(), freePort()]);
    const sds = (name: string) => ({ name, sds_config: { resource_api_version: 'V3', api_config_source: { api_type: 'GRPC', transport_api_version: 'V3', set_node_on_first_message_only: true, grpc_services: [{ envoy_grpc: { cluster_name: 'sds-grpc' } }] } } });
    const listener = fromEnvoyJson(ListenerSchema, {
      name: 'tls', address: { socket_address: { address: '127.0.0.1', port_value: tls! } },
      filter_chains: [{
        filters: [{ name: 'hcm', typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', stat_prefix: 'x',
          route_config: { virtual_hosts: [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, direct_response: { status: 200, body: { inline_string: 'hello from envoy' } } }] }] },
          http_filters: [{ name: 'envoy.filters.http.router', typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' } }],
        } }],
        transport_socket: { name: 'tls', typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', require_client_certificate: true,
          common_tls_context: { tls_certificate_sds_secret_configs: [sds('default')], combined_validation_context: { default_validation_context: {}, validation_context_sds_secret_config: sds('ROOTCA') } },
        } },
      }],
    } as never);
    const { plane, secrets, workload } = await start([encodeResource(listener), nameTable]);
    const proxyConfig = JSON.stringify({ proxyAdminPort: admin, statusPort: status });
    const settings = resolveSettings(['sidecar'], { PROXY_CONFIG: proxyConfig, POD_NAME: 'web', POD_NAMESPACE: 'default', SERVICE_ACCOUNT: 'web', INSTANCE_IP: '10.0.0.1' }, () => undefined, [], '1');
    const [sdsServer, xdsProxy] = await Promise.all([
      openSdsServer(join(plane.directory, 'sds.sock'), secrets),
      openXdsProxy(join(plane.directory, 'XDS'), { controlPlane: plane.connection, onEvent: () => {}, onNameTable: () => undefined }),
    ]);
    opened.push(() => sdsServer.close(), () => xdsProxy.close());
    const bootstrap = buildBootstrap({
      identity: settings.identity, proxyConfig: settings.proxyConfig, annotations: {}, instanceIps: ['10.0.0.1'], ipv6Only: false, prometheusPort: prometheus!, readinessPort: readiness!,
      secureMetricsPort: 0, secureMergedMetricsPort: 0, xdsSocket: join(plane.directory, 'XDS'), sdsSocket: join(plane.directory, 'sds.sock'), outlierLogPath: '', lightstepTokenPath: '',
      compliancePolicy: '', socketMark: 0, countActiveConnections: true, meta: {},
    });
    const process_ = startEnvoy({ binary: envoy!, configDirectory: plane.directory, bootstrap, logLevel: 'error', componentLogLevel: '', concurrency: 1, drainSeconds: 1, parentShutdownSeconds: 0 });
    opened.push(() => process_.kill());
    const control = adminControl(admin!);
    let reason: string | undefined = 'not asked';
    await until(async () => (reason = await control.notReady()) === undefined || /cds updates: 0/.test(reason), 'Envoy answers');
    await until(async () => (await localRequest({ port: admin!, path: '/listeners' })).body.toString().includes('tls::'), `the listener arrives (${reason})`);
    // A listener is listed a moment before its workers accept.
    await until(() => new Promise<boolean>((resolve) => {
      const probe = connectTcp(tls!, '127.0.0.1', () => (probe.destroy(), resolve(true))).on('error', () => resolve(false));
    }), 'the port is open');
    const certificate = workload.certificate.value!;
    const answer = await new Promise<string>((resolve, reject) => {
      let text = '';
      const socket = connectTls({ port: tls!, host: '127.0.0.1', ca: plane.ca.rootCertPem, cert: certificate.chainPem, key: certificate.privateKeyPem, checkServerIdentity: () => undefined }, () =>
        socket.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'));
      socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
      socket.on('end', () => resolve(text));
      socket.on('error', reject);
    });
    expect(answer).toMatch(/^HTTP\/1.1 200 OK[\s\S]*hello from envoy/);
    expect((await localRequest({ port: prometheus!, path: '/stats/prometheus' })).body.toString()).toContain('envoy_server_live');
    process_.terminate();
    expect(await process_.exited).toBe(0);
  }, 30_000);
});
