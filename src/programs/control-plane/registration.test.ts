// A control plane that lets Kubernetes sign, against a real embedded API.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { CertificateAuthority, createSelfSignedCa } from '../../identity/ca.ts';
import { parseCertificate, splitCertificates } from '../../identity/certificate.ts';
import { createKeyAndCsr, type CsrOptions } from '../../identity/csr.ts';
import { formatSpiffeId } from '../../identity/spiffe.ts';
import { verifyChain } from '../../identity/trust-bundle.ts';
import { startTestControllers } from '../../kube/controllers/testing.ts';
import { startTestServer, type TestServer } from '../../kube/server/testing.ts';
import type { KubeObject } from '../../objects/meta.ts';
import type { CertificateSigningRequest } from '../../objects/kubernetes/certificate-signing-request.ts';
import { CERTIFICATE_SIGNING_REQUEST, CONFIG_MAP, NAMESPACE, SERVICE_ACCOUNT } from '../../objects/resource-types.ts';
import { requestCertificate } from '../../xds/client/certificate-client.ts';
import { parseOptions, type ControlPlaneOptions } from './options.ts';
import { kubeconfigOf } from '../../kube/server/auth/pki.ts';
import { RegistrationAuthority, type RegistrationOptions } from './registration-authority.ts';
import { runControlPlane, type ControlPlane } from './run.ts';

const spiffeId = formatSpiffeId({ trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'web' });
const nowMs = () => Date.now();
const object = (value: object): KubeObject => value as KubeObject;

let server: TestServer;
const abort = new AbortController();
beforeAll(async () => {
  server = await startTestServer();
  startTestControllers(server, abort.signal);
});
afterAll(async () => {
  abort.abort();
  await server.close();
});

describe('RegistrationAuthority', () => {
  const authority = (more: Partial<RegistrationOptions> = {}) => new RegistrationAuthority({
    client: server.client, settings: { signerName: 'meltemi.io/workload', signerDomain: undefined, forServing: true }, rootsOf: () => '', clusterRoots: () => '', clock: systemClock,
    defaultTtlMs: 3_600_000, maxTtlMs: 86_400_000, ...more,
  });
  const csr = (options: CsrOptions) => createKeyAndCsr(options).csrPem;

  it('asks, approves, and hands back a chain whose last entry is the root', async () => {
    const chain = await authority().signCsr(csr({ uri: spiffeId }), { spiffeId, nowMs: nowMs() });
    expect(chain).toHaveLength(2);
    expect(parseCertificate(chain[0]!)).toMatchObject({ spiffeId, dnsNames: [] });
    expect(verifyChain(chain[0]!, [], chain[1]!, nowMs())).toBe(true);
    expect(chain[1]).toBe(server.pki.workloadSigner.certPem);
    expect((await server.client.list(CERTIFICATE_SIGNING_REQUEST)).items).toEqual([]);
  });

  it.each<[string, CsrOptions, RegExp]>([
    ['another identity', { uri: 'spiffe://cluster.local/ns/kube-system/sa/admin' }, /asks for spiffe:\/\/cluster.local\/ns\/kube-system/],
    ['a DNS name beside its own', { uri: spiffeId, dnsNames: ['istiod.istio-system.svc'] }, /asks for istiod/],
    ['no identity', {}, /must ask for spiffe/],
    ['a subject', { uri: spiffeId, commonName: 'system:node:x', organizations: ['system:nodes'] }, /names a subject/],
  ])('does not pass on a request for %s', async (_, options, message) => {
    await expect(authority().signCsr(csr(options), { spiffeId, nowMs: nowMs() })).rejects.toThrow(message);
    expect((await server.client.list(CERTIFICATE_SIGNING_REQUEST)).items).toEqual([]);
  });

  it('lets a workload choose among the signers of a domain only', async () => {
    const request = csr({ uri: spiffeId });
    await expect(authority().signCsr(request, { spiffeId, nowMs: nowMs(), certSigner: 'workload' })).rejects.toThrow('CERT_SIGNER_DOMAIN is not set');
    const chosen = authority({ settings: { signerName: 'other.io/x', signerDomain: 'meltemi.io', forServing: false } });
    expect(await chosen.signCsr(request, { spiffeId, nowMs: nowMs(), certSigner: 'workload' })).toHaveLength(2);
  });

  /** Signs whatever comes, as a controller of somebody else. */
  const foreignSigner = (answer: (request: CertificateSigningRequest) => string | undefined) => {
    const patches = new WeakSet<object>();
    return {
      ...server.client,
      get: async <T extends KubeObject>(...args: Parameters<typeof server.client.get>) => {
        const found = await server.client.get<T>(...args);
        const status = found && !patches.has(found) ? answer(found as unknown as CertificateSigningRequest) : undefined;
        return (status === undefined ? found : { ...found, status: { certificate: Buffer.from(status).toString('base64') } }) as T;
      },
    } as typeof server.client;
  };

  it('believes no signer that issues other names, or for another key', async () => {
    const ca = new CertificateAuthority(createSelfSignedCa({ organization: 'x', nowMs: nowMs() }), nowMs());
    const thief = formatSpiffeId({ trustDomain: 'cluster.local', namespace: 'kube-system', serviceAccount: 'admin' });
    const settings = { signerName: 'example.com/mesh', signerDomain: undefined, forServing: false };
    const request = csr({ uri: spiffeId });
    const answers = (csrPem: string, id: typeof spiffeId) => authority({ settings, client: foreignSigner(() => ca.signCsr(csrPem, { spiffeId: id, nowMs: nowMs() }).join('')) }).signCsr(request, { spiffeId, nowMs: nowMs() });
    await expect(answers(request, thief)).rejects.toThrow('issued other names');
    await expect(answers(csr({ uri: spiffeId }), spiffeId)).rejects.toThrow('another key');
    expect(await answers(request, spiffeId)).toHaveLength(2);
  });

  it('takes roots from the mesh config first, and says what to do when there are none', async () => {
    const ca = new CertificateAuthority(createSelfSignedCa({ organization: 'x', nowMs: nowMs() }), nowMs());
    const settings = { signerName: 'example.com/mesh', signerDomain: undefined, forServing: false };
    const request = csr({ uri: spiffeId });
    const client = foreignSigner(() => ca.signCsr(request, { spiffeId, nowMs: nowMs() })[0]!);
    await expect(authority({ settings, client }).signCsr(request, { spiffeId, nowMs: nowMs() })).rejects.toThrow(/caCertificates of the mesh config, with certSigners: \[example.com\/mesh\]/);
    const chain = await authority({ settings, client, rootsOf: (name) => (name === 'example.com/mesh' ? ca.rootCertPem : '') }).signCsr(request, { spiffeId, nowMs: nowMs() });
    expect(splitCertificates(chain[1]!)).toEqual(splitCertificates(ca.rootCertPem));
  });
});

describe('istiod with EXTERNAL_CA=ISTIOD_RA_KUBERNETES_API', () => {
  const directory = mkdtempSync(join(tmpdir(), 'meltemi-ra-'));
  const environment = { EXTERNAL_CA: 'ISTIOD_RA_KUBERNETES_API', PILOT_CERT_PROVIDER: 'k8s.io/meltemi.io/workload' };
  let plane: ControlPlane;
  beforeAll(async () => {
    Object.assign(process.env, environment);
    await server.client.create(NAMESPACE, object({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'istio-system' } }));
    await server.client.create(CONFIG_MAP, object({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'istio', namespace: 'istio-system' }, data: { mesh: 'trustDomain: cluster.local' } }));
    await server.client.create(SERVICE_ACCOUNT, object({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'web', namespace: 'default' } }));
    writeFileSync(join(directory, 'kubeconfig'), kubeconfigOf(server.pki, `https://127.0.0.1:${server.port}`));
    const any = '127.0.0.1:0';
    plane = await runControlPlane(parseOptions(['--kubeconfig', join(directory, 'kubeconfig'), '--grpcAddr', '', '--secureGRPCAddr', any, '--httpsAddr', '', '--httpAddr', '', '--monitoringAddr', any], {}) as ControlPlaneOptions, 'test');
    const token = await server.client.post<{ status: { token: string } }>('/api/v1/namespaces/default/serviceaccounts/web/token', { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences: ['istio-ca'], expirationSeconds: 3600 } });
    writeFileSync(join(directory, 'token'), token.status.token);
  }, 30_000);
  afterAll(() => {
    plane.close();
    for (const name of Object.keys(environment)) delete process.env[name];
    rmSync(directory, { recursive: true, force: true });
  });

  it('serves with a certificate of the signer, signs workloads by it, and spreads its root', async () => {
    const roots = server.pki.workloadSigner.certPem;
    const ask = (uri: string) => requestCertificate({
      target: { host: '127.0.0.1', port: plane.secureGrpcPort! }, tls: { rootsPem: () => roots, serverName: 'istiod.istio-system.svc' }, tokenPath: join(directory, 'token'), csrPem: createKeyAndCsr({ uri }).csrPem,
    });
    const chain = await ask(spiffeId);
    expect(parseCertificate(chain[0]!)).toMatchObject({ spiffeId, issuer: 'CN=meltemi-workload-signer' });
    await expect(ask('spiffe://cluster.local/ns/kube-system/sa/admin')).rejects.toThrow(/status 3.*asks for spiffe/);
    const map = await server.client.get<KubeObject & { data: Record<string, string> }>(CONFIG_MAP, 'istio-ca-root-cert', 'default');
    expect(map?.data['root-cert.pem']).toBe(roots);
    const metrics = await (await fetch(`http://127.0.0.1:${plane.monitoringPort!}/metrics`)).text();
    expect(metrics).toMatch(/^citadel_server_cert_chain_expiry_seconds [1-9]/m);
  });
});
