import { createPrivateKey, X509Certificate } from 'node:crypto';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { CertificateAuthority, createSelfSignedCa, MAX_WORKLOAD_TTL_MS } from './ca.ts';
import { buildCertificate, publicKeyDerOf, subjectOf } from './build-certificate.ts';
import { parseCertificate, splitCertificates } from './certificate.ts';
import { createKeyAndCsr, parseCsr, type KeyType } from './csr.ts';
import { fromPem, toPem } from './der.ts';
import { formatSpiffeId, parseSpiffeId, spiffeIdOfServiceAccountUser } from './spiffe.ts';
import { mergeBundles, verifyChain } from './trust-bundle.ts';

const nowMs = Math.floor(Date.now() / 1000) * 1000;
const spiffeId = formatSpiffeId({ trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'bookinfo-productpage' });
const material = createSelfSignedCa({ organization: 'cluster.local', nowMs });
const ca = new CertificateAuthority(material, nowMs);

describe('signCsr', () => {
  it.each<KeyType>(['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-3072'])('forces the SPIFFE id and returns leaf … root (%s)', (keyType) => {
    const { csrPem, privateKeyPem } = createKeyAndCsr({ uri: 'spiffe://cluster.local/ns/kube-system/sa/admin', keyType });
    expect(parseCsr(csrPem).uris).toEqual(['spiffe://cluster.local/ns/kube-system/sa/admin']);
    const chain = ca.signCsr(csrPem, { spiffeId, nowMs });
    expect(chain).toHaveLength(2);
    expect(chain[1]).toBe(splitCertificates(material.rootCertPem)[0]);
    const leaf = new X509Certificate(chain[0]!);
    expect(leaf.checkPrivateKey(createPrivateKey(privateKeyPem))).toBe(true);
    expect(leaf.verify(new X509Certificate(chain[1]!).publicKey)).toBe(true);
    expect(leaf.checkIssued(new X509Certificate(chain[1]!))).toBe(true);
    expect(parseCertificate(chain[0]!)).toMatchObject({ uris: [spiffeId], spiffeId, trustDomain: 'cluster.local', isCa: false, notAfterMs: nowMs + 24 * 3_600_000, dnsNames: [] });
    expect(verifyChain(chain[0]!, [], material.rootCertPem, nowMs)).toBe(true);
    expect(verifyChain(chain[0]!, [], material.rootCertPem, nowMs + 25 * 3_600_000)).toBe(false);
    expect(verifyChain(chain[0]!, [], createSelfSignedCa({ organization: 'cluster.local', nowMs }).rootCertPem, nowMs)).toBe(false);
  });

  it('refuses a request that is not signed by its own key', () => {
    const der = Buffer.from(fromPem('CERTIFICATE REQUEST', createKeyAndCsr({ uri: 'spiffe://a/ns/b/sa/c' }).csrPem)[0]!);
    const at = der.indexOf(Buffer.from('spiffe://a/'));
    der[at + 9] = 'z'.charCodeAt(0);
    expect(() => ca.signCsr(toPem('CERTIFICATE REQUEST', der), { spiffeId, nowMs })).toThrow('not signed by its own key');
  });

  it.each([
    ['nothing', ''],
    ['a certificate', material.caCertPem],
    ['random bytes', toPem('CERTIFICATE REQUEST', Buffer.from([1, 2, 3, 4]))],
    ['an empty sequence', toPem('CERTIFICATE REQUEST', Buffer.from([0x30, 0]))],
    ['two requests', createKeyAndCsr({ uri: 'x' }).csrPem + createKeyAndCsr({ uri: 'x' }).csrPem],
  ])('refuses %s', (_, csr) => {
    expect(() => ca.signCsr(csr, { spiffeId, nowMs })).toThrow();
  });

  it('survives every truncation and single-byte change without anything but an Error', () => {
    const der = fromPem('CERTIFICATE REQUEST', createKeyAndCsr({ uri: spiffeId }).csrPem)[0]!;
    for (let i = 0; i < der.length; i++) {
      const changed = Buffer.from(der);
      changed[i] = changed[i]! ^ 0xff;
      for (const input of [der.subarray(0, i), changed]) expect(() => parseCsr(toPem('CERTIFICATE REQUEST', input))).toThrow(Error);
    }
  });

  it.each([0, -1, MAX_WORKLOAD_TTL_MS + 1, Number.NaN])('refuses a lifetime of %d ms', (ttlMs) => {
    expect(() => ca.signCsr(createKeyAndCsr({ uri: spiffeId }).csrPem, { spiffeId, ttlMs, nowMs })).toThrow('TTL');
  });
});

describe('plugged-in material', () => {
  const intermediateKey = createPrivateKey(createKeyAndCsr({ uri: 'x', keyType: 'rsa-2048' }).privateKeyPem);
  const publicKeyDer = publicKeyDerOf(intermediateKey);
  const rootKey = createPrivateKey(material.caKeyPem);
  const intermediatePem = buildCertificate(
    { publicKeyDer, subject: { organization: 'corp', commonName: 'mesh' }, notBeforeMs: nowMs - 1000, notAfterMs: nowMs + 3_600_000, isCa: true },
    { key: rootKey, nameDer: subjectOf(fromPem('CERTIFICATE', material.caCertPem)[0]!), publicKeyDer: publicKeyDerOf(rootKey) },
  );
  const plugged = { caCertPem: intermediatePem, caKeyPem: intermediateKey.export({ type: 'pkcs8', format: 'pem' }) as string, rootCertPem: material.rootCertPem, certChainPem: intermediatePem };

  it('puts the intermediate between leaf and root and never outlives it', () => {
    const chain = new CertificateAuthority(plugged, nowMs).signCsr(createKeyAndCsr({ uri: 'x' }).csrPem, { spiffeId, nowMs });
    expect(chain.map((pem) => parseCertificate(pem).subject)).toEqual(['', expect.stringContaining('CN=mesh'), 'O=cluster.local']);
    expect(parseCertificate(chain[0]!).notAfterMs).toBe(nowMs + 3_600_000);
    expect(verifyChain(chain[0]!, [chain[1]!], material.rootCertPem, nowMs)).toBe(true);
    expect(verifyChain(chain[0]!, [], material.rootCertPem, nowMs)).toBe(false);
  });

  it('gives several roots as one entry, the last, and trusts each', () => {
    const other = createSelfSignedCa({ organization: 'other', nowMs, keyType: 'rsa-2048' });
    const chain = new CertificateAuthority({ ...plugged, rootCertPem: material.rootCertPem + other.rootCertPem }, nowMs).signCsr(createKeyAndCsr({ uri: 'x' }).csrPem, { spiffeId, nowMs });
    expect(chain).toHaveLength(3);
    expect(splitCertificates(chain[2]!)).toEqual([...splitCertificates(material.rootCertPem), ...splitCertificates(other.rootCertPem)]);
  });

  it('completes a chain that leaves the signing certificate out', () => {
    const chain = new CertificateAuthority({ ...plugged, certChainPem: '' }, nowMs).signCsr(createKeyAndCsr({ uri: 'x' }).csrPem, { spiffeId, nowMs });
    expect(verifyChain(chain[0]!, chain.slice(1, -1), material.rootCertPem, nowMs)).toBe(true);
  });

  it('signs with an RSA root, for lifetimes within its own limits', () => {
    const rsa = new CertificateAuthority(createSelfSignedCa({ organization: 'corp', nowMs, keyType: 'rsa-2048', ttlMs: 3_600_000 }), nowMs, { defaultTtlMs: 60_000, maxTtlMs: 120_000 });
    const { csrPem } = createKeyAndCsr({ uri: spiffeId });
    expect(parseCertificate(rsa.signCsr(csrPem, { spiffeId, nowMs })[0]!).notAfterMs).toBe(nowMs + 60_000);
    expect(() => rsa.signCsr(csrPem, { spiffeId, nowMs, ttlMs: 120_001 })).toThrow('maximum of 120s');
  });

  it.each([
    ['a root of somebody else', { ...plugged, rootCertPem: createSelfSignedCa({ organization: 'x', nowMs }).rootCertPem }, 'does not chain'],
    ['a foreign key', { ...plugged, caKeyPem: material.caKeyPem }, 'not the key'],
    ['no root', { ...plugged, rootCertPem: '' }, 'holds no certificate'],
    ['a leaf as CA', leafAsCa(), 'not a CA'],
  ])('refuses %s', (_, broken, message) => {
    expect(() => new CertificateAuthority(broken, nowMs)).toThrow(message);
  });

  function leafAsCa() {
    const { csrPem, privateKeyPem } = createKeyAndCsr({ uri: 'x' });
    return { caCertPem: ca.signCsr(csrPem, { spiffeId, nowMs })[0]!, caKeyPem: privateKeyPem, rootCertPem: material.rootCertPem, certChainPem: '' };
  }
});

it('a server certificate serves TLS to a client that checks the name', async () => {
  const { privateKeyPem, certificateChainPem } = ca.issueServerCertificate({ dnsNames: ['istiod.istio-system.svc'], ttlMs: 60_000, nowMs });
  const workload = createKeyAndCsr({ uri: spiffeId });
  const clientChain = ca.signCsr(workload.csrPem, { spiffeId, nowMs });
  const server = createServer({ key: privateKeyPem, cert: certificateChainPem, ca: ca.rootCertPem, requestCert: true, rejectUnauthorized: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const accepted = once(server, 'secureConnection');
  const port = (server.address() as { port: number }).port;
  const client = connect({ port, host: '127.0.0.1', servername: 'istiod.istio-system.svc', ca: ca.rootCertPem, key: workload.privateKeyPem, cert: clientChain.join('') });
  await once(client, 'secureConnect');
  expect(client.authorized).toBe(true);
  const [socket] = (await accepted) as [TLSSocket];
  expect(socket.authorized).toBe(true);
  expect(socket.getPeerCertificate().subjectaltname).toBe(`URI:${spiffeId}`);
  client.destroy();
  server.close();
});

describe('names', () => {
  it.each([
    ['spiffe://cluster.local/ns/default/sa/x', { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'x' }],
    ['spiffe://cluster.local/ns/default/sa/x/y', undefined],
    ['spiffe://cluster.local/ns//sa/x', undefined],
    ['https://cluster.local/ns/default/sa/x', undefined],
    ['spiffe://td/ns/a/sa/b\n', undefined],
  ])('parses %s', (text, parts) => expect(parseSpiffeId(text)).toEqual(parts));

  it('knows service account users', () => {
    expect(spiffeIdOfServiceAccountUser('system:serviceaccount:ns:sa', 'td')).toBe('spiffe://td/ns/ns/sa/sa');
    expect(spiffeIdOfServiceAccountUser('kubernetes-admin', 'td')).toBeUndefined();
  });

  it('merges bundles without repeating', () => {
    expect(splitCertificates(mergeBundles(material.rootCertPem, material.rootCertPem, createSelfSignedCa({ organization: 'b', nowMs }).rootCertPem))).toHaveLength(2);
  });
});
