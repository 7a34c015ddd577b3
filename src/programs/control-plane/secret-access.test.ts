// Who is given which secret over discovery, with tokens, roles and objects of a real embedded API.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Backoff } from '../../base/backoff.ts';
import { VirtualClock } from '../../base/clock.ts';
import { CertificateAuthority, createSelfSignedCa } from '../../identity/ca.ts';
import { parseCertificate } from '../../identity/certificate.ts';
import { createKeyAndCsr } from '../../identity/csr.ts';
import { formatSpiffeId } from '../../identity/spiffe.ts';
import { kubeconfigOf } from '../../kube/server/auth/pki.ts';
import { startTestServer, type TestServer } from '../../kube/server/testing.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { CONFIG_MAP, NAMESPACE, ROLE, ROLE_BINDING, SECRET, SERVICE_ACCOUNT } from '../../objects/resource-types.ts';
import { TYPE_URL } from '../../xds/ads.ts';
import { createAdsClient, type AdsClientEvent } from '../../xds/client/ads-client.ts';
import { requestCertificate } from '../../xds/client/certificate-client.ts';
import { decodeResource } from '../../xds/codec.ts';
import type { Secret } from '../../xds/gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts';
import { authenticate } from '../../xds/server/authenticate.ts';
import { parseOptions, type ControlPlaneOptions } from './options.ts';
import { runControlPlane, type ControlPlane } from './run.ts';
import { SecretAccess } from './secret-access.ts';

const object = (value: object): KubeObject => value as KubeObject;
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const directory = mkdtempSync(join(tmpdir(), 'meltemi-access-'));
const nowMs = Date.now();
const material = createSelfSignedCa({ organization: 'shop', nowMs });
const pair = new CertificateAuthority(material, nowMs).issueServerCertificate({ dnsNames: ['shop.example.com'], ttlMs: 3_600_000, nowMs });

let server: TestServer;
let plane: ControlPlane;
const open: { close(): void }[] = [];

beforeAll(async () => {
  server = await startTestServer();
  const { client } = server;
  for (const name of ['istio-system', 'shop', 'bank']) await client.create(NAMESPACE, object({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }));
  await client.create(CONFIG_MAP, object({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'istio', namespace: 'istio-system' }, data: { mesh: '{}' } }));
  for (const namespace of ['shop', 'bank']) {
    await client.create(SECRET, object({ apiVersion: 'v1', kind: 'Secret', type: 'kubernetes.io/tls', metadata: { name: 'cert', namespace }, data: { 'tls.crt': base64(pair.certificateChainPem), 'tls.key': base64(pair.privateKeyPem), 'ca.crt': base64(material.rootCertPem) } }));
    for (const name of ['gateway', 'web']) await client.create(SERVICE_ACCOUNT, object({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name, namespace } }));
    await allow(namespace, 'gateway');
    for (const name of ['gateway', 'web']) {
      const token = await client.post<{ status: { token: string } }>(`/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`, { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences: ['istio-ca'], expirationSeconds: 3600 } });
      writeFileSync(join(directory, `${namespace}-${name}`), token.status.token);
    }
  }
  writeFileSync(join(directory, 'kubeconfig'), kubeconfigOf(server.pki, `https://127.0.0.1:${server.port}`));
  const any = '127.0.0.1:0';
  plane = await runControlPlane(parseOptions(['--kubeconfig', join(directory, 'kubeconfig'), '--grpcAddr', any, '--secureGRPCAddr', any, '--httpsAddr', '', '--httpAddr', '', '--monitoringAddr', ''], {}) as ControlPlaneOptions, 'test');
}, 30_000);
afterEach(() => {
  for (const thing of open.splice(0)) thing.close();
});
afterAll(async () => {
  plane.close();
  await server.close();
  rmSync(directory, { recursive: true, force: true });
});

/** What the installer gives to accounts of gateways. */
async function allow(namespace: string, name: string): Promise<void> {
  const group = 'rbac.authorization.k8s.io';
  await server.client.create(ROLE, object({ apiVersion: `${group}/v1`, kind: 'Role', metadata: { name: `${name}-sds`, namespace }, rules: [{ apiGroups: [''], resources: ['secrets'], verbs: ['get', 'list', 'watch'] }] }));
  await server.client.create(ROLE_BINDING, object({ apiVersion: `${group}/v1`, kind: 'RoleBinding', metadata: { name: `${name}-sds`, namespace }, roleRef: { apiGroup: group, kind: 'Role', name: `${name}-sds` }, subjects: [{ kind: 'ServiceAccount', name, namespace }] }));
}

async function secure(account: string) {
  let roots = '';
  for (let i = 0; i < 200 && roots === ''; i++) {
    roots = (await server.client.get<KubeObject & { data: Record<string, string> }>(CONFIG_MAP, 'istio-ca-root-cert', 'shop'))?.data['root-cert.pem'] ?? '';
    if (roots === '') await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { target: { host: '127.0.0.1', port: plane.secureGrpcPort! }, tls: { rootsPem: () => roots, serverName: 'istiod.istio-system.svc' }, tokenPath: join(directory, account) };
}

/** Asks for secrets as a proxy of a namespace, with the token of an account (`<namespace>-<name>`) or, without one, in plaintext. */
async function ask(names: readonly string[], claims: { readonly namespace: string; readonly type?: 'router' | 'sidecar' }, account: string | undefined) {
  const got = new Map<string, string>();
  const events: AdsClientEvent[] = [];
  const connection = account === undefined ? { target: { host: '127.0.0.1', port: plane.grpcPort! } } : await secure(account);
  const ads = createAdsClient({
    ...connection, backoff: new Backoff({ baseMs: 20, maxMs: 100 }), onEvent: (event) => events.push(event),
    node: { id: `${claims.type ?? 'router'}~10.244.0.50~gw-1.${claims.namespace}~${claims.namespace}.svc.cluster.local`, cluster: 'gw', metadata: { NAMESPACE: claims.namespace }, locality: { region: '', zone: '', subZone: '' }, extensions: [], userAgentName: 'meltemi', userAgentVersion: 'test' },
  });
  open.push(ads);
  ads.subscribe(TYPE_URL.secret, ({ updated }) => {
    for (const resource of updated) got.set(resource.name, (decodeResource(resource) as Secret).type.case ?? '');
    return undefined;
  }).setNames(new Set(names));
  let clusters = false;
  ads.subscribeAll(TYPE_URL.cluster, () => void (clusters = true));
  return { got, events, configured: () => clusters };
}

async function until(read: () => boolean | undefined, what: string): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (read()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`timed out: ${what}`);
}
/** Long enough for an answer that must not come. */
const quiet = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 300));

describe('secrets over discovery', () => {
  it('go to a gateway whose account may list them, of its own namespace only', async () => {
    const { got } = await ask(['kubernetes://cert', 'kubernetes://cert-cacert', 'kubernetes://shop/cert', 'kubernetes://bank/cert', 'kubernetes-gateway://bank/cert', 'kubernetes-gateway://shop/cert'], { namespace: 'shop' }, 'shop-gateway');
    await until(() => got.size >= 3, 'the secrets');
    await quiet();
    expect([...got].sort(([a], [b]) => (a < b ? -1 : 1))).toEqual([['kubernetes://cert', 'tlsCertificate'], ['kubernetes://cert-cacert', 'validationContext'], ['kubernetes://shop/cert', 'tlsCertificate']]);
  });

  it.each(['router', 'sidecar'] as const)('do not go to a %s whose account may not list them', async (type) => {
    const { got, configured } = await ask(['kubernetes://cert', 'kubernetes-gateway://shop/cert'], { namespace: 'shop', type }, 'shop-web');
    await until(configured, 'clusters');
    await quiet();
    expect([...got]).toEqual([]);
  });

  it('do not go to a proxy that says it is in another namespace than its token', async () => {
    const { got, events, configured } = await ask(['kubernetes://cert'], { namespace: 'bank' }, 'shop-gateway');
    await until(() => events.some((event) => event.kind === 'disconnected' && event.reason.includes('not in namespace shop of its identity')), 'the refusal');
    expect([configured(), [...got]]).toEqual([false, []]);
  });

  it('never go out in plaintext', async () => {
    const { got, configured } = await ask(['kubernetes://cert'], { namespace: 'shop' }, undefined);
    await until(configured, 'clusters');
    await quiet();
    expect([...got]).toEqual([]);
  });
});

describe('certificates', () => {
  it('carry the caller\'s own identity, whatever is asked for', async () => {
    for (const wanted of ['spiffe://cluster.local/ns/bank/sa/gateway', 'spiffe://other/ns/shop/sa/web', 'https://x']) {
      const chain = await requestCertificate({ ...(await secure('shop-web')), csrPem: createKeyAndCsr({ uri: wanted, dnsNames: ['istiod.istio-system.svc'], commonName: 'admin' }).csrPem });
      expect(parseCertificate(chain[0]!)).toMatchObject({ uris: ['spiffe://cluster.local/ns/shop/sa/web'], dnsNames: [], subject: '', isCa: false });
    }
  });

  it('of other trust domains prove nobody, those of an alias prove the same account', async () => {
    const ca = new CertificateAuthority(material, nowMs);
    const of = (trustDomain: string) => {
      const spiffeId = formatSpiffeId({ trustDomain, namespace: 'shop', serviceAccount: 'web' });
      return new Uint8Array(Buffer.from(ca.signCsr(createKeyAndCsr({ uri: spiffeId }).csrPem, { spiffeId, nowMs })[0]!));
    };
    const options = { trustDomain: () => 'cluster.local', trustDomainAliases: () => ['old.local'], trustedRootsPem: () => material.rootCertPem, reviewToken: () => Promise.resolve(undefined), now: () => nowMs };
    const prove = (clientCertificate: Uint8Array) => authenticate({ authorization: undefined, clientCertificate }, options);
    const own = { spiffeId: 'spiffe://cluster.local/ns/shop/sa/web' };
    expect([await prove(of('cluster.local')), await prove(of('old.local'))]).toEqual([own, own]);
    expect(await prove(of('other.local'))).toHaveProperty('failure');
  });
});

describe('SecretAccess', () => {
  it('asks again after a minute and after a failure, and tells only of changes', async () => {
    const clock = new VirtualClock(0);
    const answers: (boolean | Error)[] = [new Error('no API'), true, true, false];
    const told: string[] = [];
    const access = new SecretAccess({
      clock, isConnected: () => true,
      client: { post: <T>() => { const next = answers.shift() ?? false; return next instanceof Error ? Promise.reject(next) : Promise.resolve({ status: { allowed: next } } as T); } },
    });
    const id = 'spiffe://cluster.local/ns/shop/sa/gateway';
    access.onChange((spiffeId) => told.push(`${spiffeId === id} ${String(access.mayList(id))}`));
    const settle = () => new Promise((resolve) => setImmediate(resolve));
    expect(access.mayList(id)).toBe(false);
    await settle();
    clock.advance(2000);
    await settle();
    expect([access.mayList(id), told]).toEqual([true, ['true true']]);
    clock.advance(60_000);
    await settle();
    expect(told).toHaveLength(1);
    clock.advance(60_000);
    await settle();
    expect([access.mayList(id), told]).toEqual([false, ['true true', 'true false']]);
  });
});
