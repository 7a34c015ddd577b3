import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mutatingWebhookConfiguration, validatingWebhookConfiguration } from '../../admission/webhook-configuration.ts';
import { Backoff } from '../../base/backoff.ts';
import { createSelfSignedCa } from '../../identity/ca.ts';
import { parseCertificate } from '../../identity/certificate.ts';
import { createKeyAndCsr } from '../../identity/csr.ts';
import type { KubeClient } from '../../kube/client/client.ts';
import { createApiServer, type ApiServer } from '../../kube/server/api-server.ts';
import { crdOf } from '../../kube/server/api/crd.ts';
import { createPki, kubeconfigOf } from '../../kube/server/auth/pki.ts';
import { openMemoryStore } from '../../kube/server/store/memory.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { ISTIO_KINDS } from '../../objects/istio/kinds.ts';
import {
  AUTHORIZATION_POLICY, CONFIG_MAP, CUSTOM_RESOURCE_DEFINITION, ENDPOINT_SLICE, MUTATING_WEBHOOK_CONFIGURATION, NAMESPACE, POD, SECRET, SERVICE, SERVICE_ACCOUNT, TELEMETRY, VALIDATING_WEBHOOK_CONFIGURATION, VIRTUAL_SERVICE,
} from '../../objects/resource-types.ts';
import { TYPE_URL, type AdsClient } from '../../xds/ads.ts';
import { createAdsClient } from '../../xds/client/ads-client.ts';
import { requestCertificate } from '../../xds/client/certificate-client.ts';
import { decodeResource } from '../../xds/codec.ts';
import type { ClusterLoadAssignment } from '../../xds/gen/envoy/config/endpoint/v3/endpoint_pb.ts';
import type { RouteConfiguration } from '../../xds/gen/envoy/config/route/v3/route_pb.ts';
import { parseOptions, type ControlPlaneOptions } from './options.ts';
import { runControlPlane, type ControlPlane } from './run.ts';

const directory = mkdtempSync(join(tmpdir(), 'meltemi-istiod-'));
const object = (value: object): KubeObject => value as KubeObject;

let api: ApiServer;
let kube: KubeClient;
let plane: ControlPlane;

async function until<T>(read: () => T | undefined | false | Promise<T | undefined | false>, what: string): Promise<T> {
  for (let i = 0; i < 1000; i++) {
    const value = await read();
    if (value) return value;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`timed out: ${what}`);
}

const service = (name: string, ip: string) => object({ apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'default' }, spec: { clusterIP: ip, selector: { app: name }, ports: [{ name: 'http', port: 9080, targetPort: 9080, protocol: 'TCP' }] } });
const slice = (addresses: readonly string[]) => object({
  apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: { name: 'reviews-1', namespace: 'default', labels: { 'kubernetes.io/service-name': 'reviews' } }, addressType: 'IPv4',
  ports: [{ name: 'http', port: 9080, protocol: 'TCP' }], endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true, serving: true, terminating: false } })),
});
const virtualService = (timeout: string) => object({ apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: { name: 'reviews', namespace: 'default' }, spec: { hosts: ['reviews'], http: [{ route: [{ destination: { host: 'reviews' } }], timeout }] } });

beforeAll(async () => {
  const pki = createPki({ names: ['localhost', '127.0.0.1'], nowMs: Date.now() });
  api = createApiServer({ store: openMemoryStore(), pki, dial: () => Promise.resolve({ host: '127.0.0.1', port: plane.webhookPort! }) });
  const port = await api.listen({ host: '127.0.0.1', port: 0 });
  await api.ready;
  kube = api.client();
  for (const kind of ISTIO_KINDS) await kube.create(CUSTOM_RESOURCE_DEFINITION, crdOf(kind));
  await kube.create(NAMESPACE, object({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'istio-system' } }));
  await kube.mergePatch(NAMESPACE, 'default', undefined, { metadata: { labels: { 'istio-injection': 'enabled' } } });
  await kube.create(CONFIG_MAP, object({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'istio', namespace: 'istio-system' }, data: { mesh: stringify({ accessLogFile: '/dev/stdout', trustDomain: 'cluster.local' }) } }));
  await kube.create(MUTATING_WEBHOOK_CONFIGURATION, object(mutatingWebhookConfiguration()));
  await kube.create(VALIDATING_WEBHOOK_CONFIGURATION, object(validatingWebhookConfiguration()));
  await kube.create(SERVICE_ACCOUNT, object({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'web', namespace: 'default' } }));
  for (const name of ['reviews', 'ratings']) await kube.create(SERVICE, service(name, name === 'reviews' ? '10.96.0.10' : '10.96.0.11'));
  await kube.create(ENDPOINT_SLICE, slice(['10.244.0.10']));
  writeFileSync(join(directory, 'kubeconfig'), kubeconfigOf(pki, `https://127.0.0.1:${port}`));
  const any = '127.0.0.1:0';
  const options = parseOptions(['--kubeconfig', join(directory, 'kubeconfig'), '--grpcAddr', any, '--secureGRPCAddr', any, '--httpsAddr', any, '--httpAddr', '0.0.0.0:0', '--monitoringAddr', any], {}) as ControlPlaneOptions;
  plane = await runControlPlane(options, 'test');
  const token = await kube.post<{ status: { token: string } }>('/api/v1/namespaces/default/serviceaccounts/web/token', { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences: ['istio-ca'], expirationSeconds: 3600 } });
  writeFileSync(join(directory, 'token'), token.status.token);
}, 30_000);

afterAll(async () => {
  plane.close();
  await api.close();
  rmSync(directory, { recursive: true, force: true });
});

const rootPem = async () => (await kube.get<KubeObject & { data: Record<string, string> }>(CONFIG_MAP, 'istio-ca-root-cert', 'default'))?.data['root-cert.pem'];

async function secureTarget() {
  const roots = await until(rootPem, 'the root');
  return { target: { host: '127.0.0.1', port: plane.secureGrpcPort! }, tls: { rootsPem: () => roots, serverName: 'istiod.istio-system.svc' }, tokenPath: join(directory, 'token') };
}

async function connect(options: { readonly mode?: 'sotw' | 'delta' } = {}): Promise<AdsClient> {
  return createAdsClient({
    ...(await secureTarget()), ...options, backoff: new Backoff({ baseMs: 20, maxMs: 100 }),
    node: { id: 'sidecar~10.244.0.50~web-1.default~default.svc.cluster.local', cluster: 'web.default', metadata: { NAMESPACE: 'default', SERVICE_ACCOUNT: 'web', ISTIO_VERSION: 'test', CLUSTER_ID: 'Kubernetes' }, locality: { region: '', zone: '', subZone: '' }, extensions: [], userAgentName: 'meltemi', userAgentVersion: 'test' },
  });
}

/** @see features.md §3.8 */
const DOCUMENTED = `
  pilot_info istio_build istiod_uptime_seconds pilot_services pilot_virt_services pilot_xds pilot_xds_pushes pilot_xds_push_time pilot_xds_send_time
  pilot_xds_config_size_bytes pilot_proxy_convergence_time pilot_proxy_queue_time pilot_debounce_time pilot_pushcontext_init_seconds pilot_push_triggers
  pilot_inbound_updates pilot_k8s_cfg_events pilot_k8s_reg_events pilot_xds_cds_reject pilot_xds_eds_reject pilot_xds_lds_reject pilot_xds_rds_reject
  pilot_total_xds_rejects pilot_total_xds_internal_errors pilot_xds_expired_nonce pilot_xds_write_timeout pilot_conflict_inbound_listener
  pilot_conflict_outbound_listener_tcp_over_current_tcp pilot_duplicate_envoy_clusters pilot_vservice_dup_domain pilot_destrule_subsets
  pilot_eds_no_instances pilot_endpoint_not_ready pilot_no_ip endpoint_no_pod pilot_dns_cluster_without_endpoints pilot_total_rejected_configs
  pilot_envoy_filter_status pilot_worker_queue_depth pilot_worker_queue_latency pilot_worker_queue_duration
  pilot_jwks_resolver_network_fetch_success_total pilot_jwks_resolver_network_fetch_fail_total provider_lookup_cluster_failures galley_validation_passed
  galley_validation_failed galley_validation_http_error galley_validation_config_updates sidecar_injection_requests_total
  sidecar_injection_success_total sidecar_injection_skip_total sidecar_injection_failure_total sidecar_injection_time_seconds
  webhook_patch_attempts_total webhook_patch_failures_total webhook_patch_retries_total citadel_server_csr_count
  citadel_server_success_cert_issuance_count citadel_server_authentication_failure_count citadel_server_csr_parsing_err_count
  citadel_server_csr_sign_err_count citadel_server_id_extraction_err_count citadel_server_root_cert_expiry_seconds
  citadel_server_root_cert_expiry_timestamp citadel_server_cert_chain_expiry_seconds citadel_server_cert_chain_expiry_timestamp
  auto_registration_success_total auto_registration_errors_total xds_cache_reads xds_cache_evictions xds_cache_size istiod_managed_clusters
  remote_cluster_sync_timeouts_total
`.trim().split(/\s+/);

describe('control plane over an API server', () => {
  it('keeps its CA in a secret and its root in every namespace, also in new ones and after tampering', async () => {
    const secret = await kube.get<KubeObject & { data: Record<string, string> }>(SECRET, 'istio-ca-secret', 'istio-system');
    expect(Object.keys(secret!.data)).toEqual(expect.arrayContaining(['ca-cert.pem', 'ca-key.pem', 'root-cert.pem', 'cert-chain.pem']));
    const root = await until(rootPem, 'the root');
    expect(Buffer.from(secret!.data['root-cert.pem']!, 'base64').toString()).toBe(root);
    await kube.create(NAMESPACE, object({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'late' } }));
    await until(async () => (await kube.get(CONFIG_MAP, 'istio-ca-root-cert', 'late')) !== undefined, 'the root in a new namespace');
    await kube.mergePatch(CONFIG_MAP, 'istio-ca-root-cert', 'default', { data: { 'root-cert.pem': 'tampered' } });
    await until(async () => (await rootPem()) === root, 'the repair');
  });

  it('signs for a bound service-account token and for nobody else', async () => {
    const { csrPem } = createKeyAndCsr({ uri: 'spiffe://cluster.local/ns/kube-system/sa/thief' });
    const chain = await requestCertificate({ ...(await secureTarget()), csrPem });
    expect(parseCertificate(chain[0]!)).toMatchObject({ uris: ['spiffe://cluster.local/ns/default/sa/web'] });
    const other = await kube.post<{ status: { token: string } }>('/api/v1/namespaces/default/serviceaccounts/web/token', { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 3600 } });
    const wrongAudience = join(directory, 'wrong');
    writeFileSync(wrongAudience, other.status.token);
    await expect(requestCertificate({ ...(await secureTarget()), tokenPath: wrongAudience, csrPem })).rejects.toThrow(/status 16.*audience istio-ca/);
  });

  it.each(['delta', 'sotw'] as const)('tells proxies of routes within a second and of endpoints within 200 ms (%s)', async (mode) => {
    const ads = await connect({ mode });
    const names = new Map<string, number>();
    const timeouts: string[] = [];
    const endpoints: string[][] = [];
    ads.subscribeAll(TYPE_URL.cluster, ({ updated }) => void names.set('cluster', updated.length));
    ads.subscribeAll(TYPE_URL.listener, ({ updated }) => void names.set('listener', updated.length));
    ads.subscribe(TYPE_URL.route, ({ updated }) => {
      const hosts = updated.flatMap((resource) => (decodeResource(resource) as RouteConfiguration).virtualHosts).find((host) => host.name === 'reviews.default.svc.cluster.local:9080');
      const route = hosts?.routes[0]?.action;
      timeouts.push(route?.case === 'route' ? String(route.value.timeout?.seconds ?? 'none') : 'no route');
      return undefined;
    }).setNames(new Set(['9080']));
    ads.subscribe(TYPE_URL.endpoint, ({ updated }) => {
      const lists = updated.map((resource) => decodeResource(resource) as ClusterLoadAssignment).flatMap((assignment) => assignment.endpoints.flatMap((locality) => locality.lbEndpoints));
      endpoints.push(lists.map((endpoint) => (endpoint.hostIdentifier.case === 'endpoint' && endpoint.hostIdentifier.value.address?.address.case === 'socketAddress' ? endpoint.hostIdentifier.value.address.address.value.address : '?')));
      return undefined;
    }).setNames(new Set(['outbound|9080||reviews.default.svc.cluster.local']));
    await until(() => names.size === 2 && timeouts.length > 0 && endpoints.length > 0, 'the first configuration');
    expect(endpoints.at(-1)).toEqual(['10.244.0.10']);

    let started = Date.now();
    await kube.create(VIRTUAL_SERVICE, virtualService('7s'));
    await until(() => timeouts.at(-1) === '7', 'the timeout');
    expect(Date.now() - started).toBeLessThan(1000);

    started = Date.now();
    await kube.update(ENDPOINT_SLICE, slice(['10.244.0.10', '10.244.0.11']));
    await until(() => endpoints.at(-1)?.length === 2, 'the endpoint');
    expect(Date.now() - started).toBeLessThan(200);
    await kube.update(ENDPOINT_SLICE, slice(['10.244.0.10']));
    await kube.delete(VIRTUAL_SERVICE, 'reviews', 'default');
    await until(() => timeouts.at(-1) === '0' && endpoints.at(-1)?.length === 1, 'the way back');

    const debug = await (await fetch(`http://127.0.0.1:${plane.debugPort!}/debug/syncz`)).json() as { clients: { proxyId: string; status: Record<string, string>; istioVersion: string }[] };
    await until(() => debug.clients.length === 1, 'one client');
    expect(debug.clients[0]).toMatchObject({ proxyId: 'web-1.default', clusterId: 'Kubernetes', istioVersion: 'test', status: { CDS: 'SYNCED', LDS: 'SYNCED' } });
    const dump = await (await fetch(`http://127.0.0.1:${plane.debugPort!}/debug/config_dump?proxyID=web-1.default`)).text();
    expect(dump).toContain('outbound|9080||reviews.default.svc.cluster.local');
    ads.close();
    await until(async () => ((await (await fetch(`http://127.0.0.1:${plane.debugPort!}/debug/connections`)).json()) as { totalClients: number }).totalClients === 0, 'the goodbye');
  });

  it('injects pods and refuses broken objects through the webhooks', async () => {
    const pod = await kube.create(POD, object({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'app', namespace: 'default' }, spec: { serviceAccountName: 'web', containers: [{ name: 'app', image: 'app' }] } })) as KubeObject & { spec: { containers: { name: string }[]; initContainers?: { name: string }[] } };
    expect([...pod.spec.containers, ...(pod.spec.initContainers ?? [])].map((container) => container.name)).toEqual(expect.arrayContaining(['app', 'istio-proxy', 'istio-init']));
    expect(pod.metadata.annotations?.['sidecar.istio.io/status']).toContain('istio-proxy');
    await expect(kube.create(VIRTUAL_SERVICE, object({ ...virtualService('1s'), metadata: { name: 'bad', namespace: 'default' }, spec: { hosts: ['x'], http: [{ route: [{ destination: { host: 'a' }, weight: -1 }] }] } }))).rejects.toThrow();
  });

  it('shows debug endpoints to this machine, to its own namespace by token, and a proxy of their own to others', async (test) => {
    const address = Object.values(networkInterfaces()).flat().find((one) => one?.family === 'IPv4' && !one.internal)?.address;
    if (!address) return test.skip('this machine has no address but loopback');
    const ask = async (path: string, token?: string) => (await fetch(`http://${address}:${plane.debugPort!}${path}`, token ? { headers: { authorization: `Bearer ${token}` } } : {})).status;
    const mine = readFileSync(join(directory, 'token'), 'utf8');
    await kube.create(SERVICE_ACCOUNT, object({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'admin', namespace: 'istio-system' } }));
    const admin = await kube.post<{ status: { token: string } }>('/api/v1/namespaces/istio-system/serviceaccounts/admin/token', { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences: ['istio-ca'], expirationSeconds: 3600 } });
    expect(await ask('/ready')).toBe(200);
    expect([await ask('/debug/syncz'), await ask('/debug/syncz', 'forged'), await ask('/debug/syncz', mine), await ask('/debug/syncz', admin.status.token)]).toEqual([401, 401, 403, 200]);
    const ads = await connect();
    const seen = new Set<string>();
    ads.subscribeAll(TYPE_URL.cluster, ({ updated }) => void seen.add(String(updated.length)));
    await until(() => seen.size > 0, 'clusters');
    const foreign = object({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'other', namespace: 'late' } });
    await kube.create(SERVICE_ACCOUNT, foreign);
    const other = await kube.post<{ status: { token: string } }>('/api/v1/namespaces/late/serviceaccounts/other/token', { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences: ['istio-ca'], expirationSeconds: 3600 } });
    const path = '/debug/config_dump?proxyID=web-1.default';
    expect([await ask(path, mine), await ask(path, other.status.token)]).toEqual([200, 404]);
    ads.close();
  });

  it('tells what pods are injected with, and which policies hold for whom', async () => {
    type Policies = { authorization_policies: { root_namespace: string; namespace_to_policies: Record<string, { name: string; spec: unknown }[]> } };
    const ask = async <T>(path: string) => (await (await fetch(`http://127.0.0.1:${plane.debugPort!}/debug/${path}`)).json()) as T;
    const injected = await ask<{ values: { global?: object }; namespaceAnnotations: object; meshConfig: object }>('inject?namespace=default');
    expect(injected).toMatchObject({ values: { global: {} }, namespaceAnnotations: {}, meshConfig: { accessLogFile: '/dev/stdout' } });
    const policy = (name: string, app: string) => object({ apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata: { name, namespace: 'late' }, spec: { selector: { matchLabels: { app } }, action: 'DENY', rules: [{}] } });
    await kube.create(AUTHORIZATION_POLICY, policy('one', 'a'));
    await kube.create(TELEMETRY, object({ apiVersion: 'telemetry.istio.io/v1', kind: 'Telemetry', metadata: { name: 'logs', namespace: 'late' }, spec: { accessLogging: [{ disabled: true }] } }));
    const shown = await until(async () => {
      const answer = (await ask<Policies>('authorizationz')).authorization_policies;
      return Object.keys(answer.namespace_to_policies).length > 0 && answer;
    }, 'the policy');
    expect(shown).toMatchObject({ root_namespace: 'istio-system', namespace_to_policies: { late: [{ name: 'one', namespace: 'late', spec: { action: 'DENY', selector: { matchLabels: { app: 'a' } } } }] } });
    await until(async () => JSON.stringify(await ask('telemetryz')).includes('"disabled":true'), 'the telemetry');
    expect(await ask('telemetryz')).toMatchObject({ telemetries: { root_namespace: 'istio-system', namespace_to_telemetries: { late: [{ name: 'logs' }] } }, mesh: { accessLogFile: '/dev/stdout' } });

    const ads = await connect();
    const seen = new Set<number>();
    ads.subscribeAll(TYPE_URL.cluster, ({ updated }) => void seen.add(updated.length));
    await until(() => seen.size > 0, 'clusters');
    expect(await (await fetch(`http://127.0.0.1:${plane.monitoringPort!}/metrics`)).text()).toMatch(/^xds_cache_size [1-9]/m);
    expect((await ask<Policies>('authorizationz?proxyID=web-1.default')).authorization_policies.namespace_to_policies).toEqual({});
    await kube.create(AUTHORIZATION_POLICY, object({ apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata: { name: 'own', namespace: 'default' }, spec: { action: 'ALLOW', rules: [{}] } }));
    await until(async () => (await ask<Policies>('authorizationz?proxyID=web-1.default')).authorization_policies.namespace_to_policies['default']?.length === 1, 'its own policy');
    expect((await fetch(`http://127.0.0.1:${plane.debugPort!}/debug/authorizationz?proxyID=nobody.default`)).status).toBe(404);
    ads.close();
    await kube.delete(AUTHORIZATION_POLICY, 'own', 'default');
  });

  it('takes mesh settings while it runs', async () => {
    await kube.mergePatch(CONFIG_MAP, 'istio', 'istio-system', { data: { mesh: stringify({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }) } });
    await until(async () => ((await (await fetch(`http://127.0.0.1:${plane.debugPort!}/debug/mesh`)).json()) as { outboundPolicy: string }).outboundPolicy === 'REGISTRY_ONLY', 'the setting');
  });

  it('takes over a plugged-in CA and refuses a broken one', async () => {
    const material = createSelfSignedCa({ organization: 'corp', nowMs: Date.now() });
    const encode = (text: string) => Buffer.from(text).toString('base64');
    const data = { 'ca-cert.pem': encode(material.caCertPem), 'ca-key.pem': encode(createKeyAndCsr({ uri: 'x' }).privateKeyPem), 'root-cert.pem': encode(material.rootCertPem), 'cert-chain.pem': '' };
    await kube.create(SECRET, object({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'cacerts', namespace: 'istio-system' }, data }));
    const before = await rootPem();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await rootPem()).toBe(before);
    // Pods are made all the time: the API server must believe the webhook before, between and after.
    let changing = true;
    const refused: string[] = [];
    let created = 0;
    const pods = (async () => {
      for (; changing; created++) {
        const pod = object({ apiVersion: 'v1', kind: 'Pod', metadata: { name: `during-${created}`, namespace: 'default' }, spec: { serviceAccountName: 'web', containers: [{ name: 'app', image: 'app' }] } });
        await kube.create(POD, pod, { dryRun: true }).then((made) => (made as KubeObject & { spec: { containers: unknown[] } }).spec.containers.length > 1 || refused.push('not injected'), (error: unknown) => refused.push(String(error)));
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    await kube.mergePatch(SECRET, 'cacerts', 'istio-system', { data: { 'ca-key.pem': encode(material.caKeyPem) } });
    await until(async () => (await rootPem()) === material.rootCertPem, 'the new root');
    const chain = await until(async () => requestCertificate({ ...(await secureTarget()), csrPem: createKeyAndCsr({ uri: 'x' }).csrPem }).catch(() => undefined), 'a certificate of the new CA');
    expect(parseCertificate(chain[0]!).issuer).toBe('O=corp');
    type Configuration = KubeObject & { webhooks: { clientConfig: { caBundle: string } }[] };
    await until(async () => (await kube.get<Configuration>(MUTATING_WEBHOOK_CONFIGURATION, 'istio-sidecar-injector'))!.webhooks.every((webhook) => webhook.clientConfig.caBundle === encode(material.rootCertPem)), 'the bundles');
    changing = false;
    await pods;
    expect([refused, created > 20]).toEqual([[], true]);
    await kube.create(POD, object({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'after', namespace: 'default' }, spec: { serviceAccountName: 'web', containers: [{ name: 'app', image: 'app' }] } }));
  });

  it('counts under Istio\'s names and says its version', async () => {
    await expect(requestCertificate({ ...(await secureTarget()), csrPem: 'nonsense' })).rejects.toThrow(/status 3/);
    const text = await (await fetch(`http://127.0.0.1:${plane.monitoringPort!}/metrics`)).text();
    for (const name of ['pilot_xds_pushes{type="cds"}', 'pilot_xds_push_time_count{type="lds"}', 'pilot_xds_send_time_count', 'citadel_server_csr_count', 'sidecar_injection_success_total', 'pilot_proxy_convergence_time_count', 'pilot_services', 'istiod_uptime_seconds', 'galley_validation_failed']) expect(text, name).toContain(name);
    const shown = new Set(text.split('\n').filter((line) => line.startsWith('# TYPE ')).map((line) => line.split(' ')[2]));
    expect(DOCUMENTED.filter((name) => !shown.has(name))).toEqual([]);
    for (const moved of [/^pilot_proxy_queue_time_count [1-9]/m, /^xds_cache_reads\{type="hit"\} [1-9]/m, /^xds_cache_reads\{type="miss"\} [1-9]/m, /^webhook_patch_attempts_total\{name="[^"]+"\} [1-9]/m, /^galley_validation_config_updates [1-9]/m, /^pilot_worker_queue_latency_count\{queueName="mesh"\} [1-9]/m, /^citadel_server_cert_chain_expiry_seconds [1-9]/m, /^citadel_server_csr_parsing_err_count 1$/m]) expect(text).toMatch(moved);
    expect(await (await fetch(`http://127.0.0.1:${plane.monitoringPort!}/version`)).text()).toBe('test');
    expect((await fetch(`http://127.0.0.1:${plane.debugPort!}/ready`)).status).toBe(200);
    expect((await fetch(`http://127.0.0.1:${plane.debugPort!}/debug/nothing`)).status).toBe(404);
    expect(readFileSync(join(directory, 'token'), 'utf8')).not.toBe('');
  });
});
