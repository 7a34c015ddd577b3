import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { CertificateAuthority, createSelfSignedCa } from '../../identity/ca.ts';
import { splitCertificates } from '../../identity/certificate.ts';
import { meshRoots } from './mesh-roots.ts';

const nowMs = Date.now();
const rootOf = (organization: string) => createSelfSignedCa({ organization, nowMs }).rootCertPem;
const [general, ours, aliased, foreign, signer] = ['general', 'ours', 'aliased', 'foreign', 'signer'].map(rootOf) as [string, string, string, string, string];
const config = {
  trustDomain: 'mesh.example', trustDomainAliases: ['old.example'],
  caCertificates: [{ pem: general }, { pem: ours, trustDomains: ['mesh.example'] }, { pem: aliased, trustDomains: ['old.example'] }, { pem: foreign, trustDomains: ['other.example'] }, { pem: signer, certSigners: ['clusterissuers.cert-manager.io/istio'] }],
};

describe('meshRoots', () => {
  it('tells roots of workloads, of callers and of signers apart', () => {
    const roots = meshRoots(stringify(config));
    expect(splitCertificates(roots.additional)).toEqual([general, ours, aliased, foreign]);
    expect(splitCertificates(roots.ofCallers)).toEqual([general, ours, aliased]);
    expect([roots.ofSigner('clusterissuers.cert-manager.io/istio'), roots.ofSigner('other')]).toEqual([signer, '']);
    expect(roots.trustDomainAliases).toEqual(['old.example']);
  });

  it.each([
    ['nothing', undefined],
    ['broken YAML', 'caCertificates: ['],
    ['another type', stringify({ caCertificates: 'x', trustDomainAliases: 7 })],
    ['entries without certificates', stringify({ caCertificates: [{ pem: 'hello' }, null, 'x', { spiffeBundleUrl: 'https://x' }] })],
    ['a certificate that is no CA', stringify({ caCertificates: [{ pem: new CertificateAuthority(createSelfSignedCa({ organization: 'x', nowMs }), nowMs).issueServerCertificate({ dnsNames: ['x'], ttlMs: 60_000, nowMs }).certificateChainPem }] })],
  ])('takes nothing from %s', (_, text) => expect(meshRoots(text)).toMatchObject({ additional: '', ofCallers: '', trustDomainAliases: [] }));

  it('goes on with the good entries beside a bad one', () => {
    expect(meshRoots(stringify({ caCertificates: [{ pem: 'hello' }, { pem: general }] })).additional).toBe(general);
  });
});
