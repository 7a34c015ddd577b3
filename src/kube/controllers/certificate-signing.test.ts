import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseCertificate, splitCertificates } from '../../identity/certificate.ts';
import { createKeyAndCsr, type CsrOptions } from '../../identity/csr.ts';
import type { CertificateSigningRequest } from '../../objects/kubernetes/certificate-signing-request.ts';
import { CERTIFICATE_SIGNING_REQUEST, CLUSTER_ROLE, CLUSTER_ROLE_BINDING } from '../../objects/resource-types.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { createPki } from '../server/auth/pki.ts';
import { kubectlMissing, startTestServer, type TestServer } from '../server/testing.ts';
import { signApproved } from './certificate-signers.ts';
import { startTestControllers } from './testing.ts';

const nowMs = Math.floor(Date.now() / 1000) * 1000;
const pki = createPki({ names: ['localhost'], nowMs });
const signers = { cluster: pki.ca, workload: pki.workloadSigner };
const NODE = { organizations: ['system:nodes'], commonName: 'system:node:n1' };
const CLIENT = ['digital signature', 'key encipherment', 'client auth'];
const SERVER = ['digital signature', 'server auth'];
const spiffe = 'spiffe://cluster.local/ns/default/sa/web';

const specOf = (signerName: string, csr: CsrOptions, usages: readonly string[], expirationSeconds?: number) => ({
  spec: { signerName, usages, request: Buffer.from(createKeyAndCsr(csr).csrPem).toString('base64'), ...(expirationSeconds !== undefined && { expirationSeconds }) },
}) as unknown as CertificateSigningRequest;

describe('signApproved', () => {
  it.each<[string, CsrOptions, readonly string[], RegExp | undefined]>([
    ['kubernetes.io/kube-apiserver-client', { commonName: 'jane', organizations: ['dev'] }, CLIENT, undefined],
    ['kubernetes.io/kube-apiserver-client', { commonName: 'jane', organizations: ['system:masters'] }, CLIENT, /system:masters/],
    ['kubernetes.io/kube-apiserver-client', { commonName: 'jane' }, [...CLIENT, 'server auth'], /usage "server auth" is not one of/],
    ['kubernetes.io/kube-apiserver-client', { commonName: 'jane' }, ['digital signature'], /usage "client auth" is required/],
    ['kubernetes.io/kube-apiserver-client-kubelet', NODE, CLIENT, undefined],
    ['kubernetes.io/kube-apiserver-client-kubelet', { ...NODE, commonName: 'n1' }, CLIENT, /system:node:/],
    ['kubernetes.io/kube-apiserver-client-kubelet', { ...NODE, dnsNames: ['n1'] }, CLIENT, /no subject alternative names/],
    ['kubernetes.io/kubelet-serving', { ...NODE, dnsNames: ['n1'] }, SERVER, undefined],
    ['kubernetes.io/kubelet-serving', NODE, SERVER, /is required/],
    ['kubernetes.io/kubelet-serving', { ...NODE, organizations: ['system:nodes', 'system:masters'], dnsNames: ['n1'] }, SERVER, /organization/],
    ['kubernetes.io/kubelet-serving', { ...NODE, dnsNames: ['n1'], uri: spiffe }, SERVER, /only DNS and IP/],
    ['meltemi.io/workload', { uri: spiffe }, [...CLIENT, 'server auth'], undefined],
    ['meltemi.io/workload', { uri: 'https://x' }, CLIENT, /SPIFFE id/],
    ['meltemi.io/workload', { dnsNames: ['x'] }, CLIENT, /SPIFFE id/],
    ['meltemi.io/workload', { uri: spiffe }, ['cert sign'], /is not one of/],
  ])('%s of %j for %j', (signerName, csr, usages, refusal) => {
    const signature = signApproved(specOf(signerName, csr, usages), signers, nowMs)!;
    if (refusal) return expect('refusal' in signature && signature.refusal).toMatch(refusal);
    expect(signature).toHaveProperty('certificatePem');
    const [leaf = '', root] = splitCertificates((signature as { certificatePem: string }).certificatePem);
    const ca = signerName === 'meltemi.io/workload' ? pki.workloadSigner : pki.ca;
    expect(new X509Certificate(leaf).verify(new X509Certificate(ca.certPem).publicKey)).toBe(true);
    expect(root).toBe(signerName === 'meltemi.io/workload' ? ca.certPem : undefined);
    expect(parseCertificate(leaf)).toMatchObject({ isCa: false, uris: csr.uri === undefined ? [] : [csr.uri], dnsNames: csr.dnsNames ?? [] });
    for (const name of csr.organizations ?? []) expect(parseCertificate(leaf).subject).toContain(`O=${name}`);
    return undefined;
  });

  it('leaves signers of others alone, and obeys the lifetime', () => {
    expect(signApproved(specOf('clusterissuers.cert-manager.io/istio', { uri: spiffe }, CLIENT), signers, nowMs)).toBeUndefined();
    expect(signApproved(specOf('__proto__', { uri: spiffe }, CLIENT), signers, nowMs)).toBeUndefined();
    const signature = signApproved(specOf('meltemi.io/workload', { uri: spiffe }, CLIENT, 600), signers, nowMs) as { certificatePem: string };
    expect(parseCertificate(signature.certificatePem).notAfterMs).toBe(nowMs + 600_000);
  });
});

const missing = kubectlMissing();
if (missing) process.stderr.write(`skipped: kubectl certificate, because ${missing}\n`);

describe.skipIf(missing)('kubectl certificate', () => {
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

  const manifest = (name: string, signerName: string, csr: CsrOptions, usages: readonly string[], more = {}) =>
    JSON.stringify({ apiVersion: 'certificates.k8s.io/v1', kind: 'CertificateSigningRequest', metadata: { name }, spec: { ...specOf(signerName, csr, usages).spec, ...more } });
  const shown = async (name: string) => (await server.kubectl(['get', 'csr', name, '--no-headers'])).stdout.trim().split(/\s+/);
  const conditionBecomes = async (name: string, condition: string) => {
    for (let i = 0; i < 50 && (await shown(name)).at(-1) !== condition; i++) await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await shown(name)).at(-1)).toBe(condition);
  };

  it('approves, and the signer issues what the API server believes', async () => {
    await server.kubectl(['create', '-f', '-'], manifest('jane', 'kubernetes.io/kube-apiserver-client', { commonName: 'jane', organizations: ['dev'] }, ['client auth']));
    const [, , signer, requestor, , condition] = await shown('jane');
    expect([signer, requestor, condition]).toEqual(['kubernetes.io/kube-apiserver-client', 'kubernetes-admin', 'Pending']);
    expect(await server.kubectl(['certificate', 'approve', 'jane'])).toMatchObject({ code: 0, stdout: 'certificatesigningrequest.certificates.k8s.io/jane approved\n' });
    await conditionBecomes('jane', 'Approved,Issued');
    const { stdout } = await server.kubectl(['get', 'csr', 'jane', '-o', 'jsonpath={.status.certificate}']);
    expect(parseCertificate(Buffer.from(stdout, 'base64').toString()).subject).toBe('O=dev\nCN=jane');
  });

  it('denies, and nothing is issued', async () => {
    await server.kubectl(['create', '-f', '-'], manifest('joe', 'kubernetes.io/kube-apiserver-client', { commonName: 'joe' }, ['client auth']));
    expect(await server.kubectl(['certificate', 'deny', 'joe'])).toMatchObject({ code: 0, stdout: 'certificatesigningrequest.certificates.k8s.io/joe denied\n' });
    await conditionBecomes('joe', 'Denied');
    expect((await server.kubectl(['certificate', 'approve', 'joe'])).code).not.toBe(0);
    expect((await server.kubectl(['get', 'csr', 'joe', '-o', 'jsonpath={.status.certificate}'])).stdout).toBe('');
  });

  it('says on the request why an approved one is not signed', async () => {
    await server.kubectl(['create', '-f', '-'], manifest('node', 'kubernetes.io/kubelet-serving', { commonName: 'x' }, ['server auth', 'digital signature']));
    await server.kubectl(['certificate', 'approve', 'node']);
    await conditionBecomes('node', 'Approved,Failed');
    expect((await server.kubectl(['get', 'csr', 'node', '-o', 'jsonpath={.status.conditions[1].message}'])).stdout).toContain('system:nodes');
  });

  it.each([
    ['nobody an administrator', manifest('a', 'kubernetes.io/kube-apiserver-client', { commonName: 'a', organizations: ['system:masters'] }, ['client auth']), /system:masters group is not allowed/],
    ['no short lifetimes', manifest('b', 'kubernetes.io/kube-apiserver-client', { commonName: 'b' }, ['client auth'], { expirationSeconds: 60 }), /less than 600 seconds/],
    ['no unknown usages', manifest('c', 'kubernetes.io/kube-apiserver-client', { commonName: 'c' }, ['world domination']), /Unsupported value: "world domination"/],
    ['no signers without a domain', manifest('d', 'mine', { commonName: 'd' }, ['client auth']), /fully qualified domain/],
    ['nothing that is no request', manifest('e', 'example.com/x', { commonName: 'e' }, ['client auth'], { request: Buffer.from('hello').toString('base64') }), /spec.request/],
  ])('makes %s', async (_, input, message) => expect((await server.kubectl(['create', '-f', '-'], input)).stderr).toMatch(message));

  it('lets only those approve and sign who may for that signer, whatever else they may', async () => {
    const rule = (verbs: string[], resources: string[], resourceNames?: string[]) => ({ apiGroups: ['certificates.k8s.io'], resources, verbs, ...(resourceNames && { resourceNames }) });
    const rules = [rule(['*'], ['certificatesigningrequests', 'certificatesigningrequests/approval', 'certificatesigningrequests/status']), rule(['approve', 'sign'], ['signers'], ['example.com/*'])];
    await server.client.create(CLUSTER_ROLE, { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name: 'approver' }, rules } as KubeObject);
    await server.client.create(CLUSTER_ROLE_BINDING, { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRoleBinding', metadata: { name: 'approver' }, roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'approver' }, subjects: [{ kind: 'User', name: 'ann', apiGroup: 'rbac.authorization.k8s.io' }] } as KubeObject);
    await server.kubectl(['create', '-f', '-'], manifest('theirs', 'example.com/mesh', { uri: spiffe }, ['client auth']));
    await server.kubectl(['create', '-f', '-'], manifest('ours', 'kubernetes.io/kube-apiserver-client', { commonName: 'x' }, ['client auth']));
    expect((await server.kubectl(['certificate', 'approve', 'ours', '--as', 'ann'])).stderr).toContain('user not permitted to approve requests with signerName "kubernetes.io/kube-apiserver-client"');
    expect((await server.kubectl(['certificate', 'approve', 'theirs', '--as', 'ann'])).code).toBe(0);
    const patch = (name: string, status: object) => server.kubectl(['patch', 'csr', name, '--as', 'ann', '--subresource=status', '--type=merge', '-p', JSON.stringify({ status })]);
    const certificate = Buffer.from(pki.ca.certPem).toString('base64');
    expect((await patch('ours', { certificate })).stderr).toContain('user not permitted to sign requests');
    expect((await patch('ours', { conditions: [{ type: 'Approved', status: 'True' }] })).code).not.toBe(0);
    expect((await patch('theirs', { certificate: Buffer.from('no').toString('base64') })).stderr).toContain('CERTIFICATE PEM block');
    expect((await patch('theirs', { conditions: [] })).stderr).toContain('/approval only');
    expect((await patch('theirs', { certificate })).code).toBe(0);
    expect((await server.client.get<CertificateSigningRequest>(CERTIFICATE_SIGNING_REQUEST, 'theirs'))?.status?.certificate).toBe(certificate);
  });
});
