/** Certificates of a run: one CA, a certificate for every workload. */
import { CertificateAuthority, createSelfSignedCa } from '../../src/identity/ca.ts';
import { buildRevocationList } from '../../src/identity/revocation-list.ts';
import { createKeyAndCsr } from '../../src/identity/csr.ts';
import type { KubeObject } from '../../src/objects/meta.ts';
import { formatSpiffeId } from '../../src/identity/spiffe.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export interface TestIdentity {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}

/** Made on demand, kept for the run. */
export class TestIdentities {
  private readonly made = new Map<string, TestIdentity>();
  private readonly material: ReturnType<typeof createSelfSignedCa>;
  private readonly authority: CertificateAuthority;

  constructor(private readonly nowMs: number) {
    this.material = createSelfSignedCa({ organization: 'cluster.local', nowMs });
    this.authority = new CertificateAuthority(this.material, nowMs);
  }

  get rootPem(): string {
    return this.authority.rootCertPem;
  }

  /** Of a backend or pod: the service account is the name without its version, `ns/account` names another namespace than `app`. */
  of(name: string): TestIdentity {
    const known = this.made.get(name);
    if (known) return known;
    const [namespace, account] = name.includes('/') ? (name.split('/') as [string, string]) : [name === 'details' ? 'other' : name === 'gateway' ? 'istio-system' : 'app', name.replace(/-v\d+$/, '')];
    const identity = this.make(namespace, account);
    this.made.set(name, identity);
    return identity;
  }

  private make(namespace: string, account: string): TestIdentity {
    if (account === 'nameless') {
      const { privateKeyPem, certificateChainPem } = this.authority.issueServerCertificate({ dnsNames: ['client.app'], ttlMs: HOUR_MS, nowMs: this.nowMs });
      return { key: privateKeyPem, cert: certificateChainPem, ca: this.rootPem };
    }
    const spiffeId = formatSpiffeId({ trustDomain: account === 'foreign' ? 'elsewhere.example' : 'cluster.local', namespace, serviceAccount: account });
    const { csrPem, privateKeyPem } = createKeyAndCsr({ uri: spiffeId });
    const authority = account === 'stranger' ? new CertificateAuthority(createSelfSignedCa({ organization: 'cluster.local', nowMs: this.nowMs }), this.nowMs) : this.authority;
    const nowMs = this.nowMs + (account === 'expired' ? -3 * DAY_MS : account === 'early' ? DAY_MS : 0);
    return { key: privateKeyPem, cert: authority.signCsr(csrPem, { spiffeId, ttlMs: DAY_MS, nowMs }).join(''), ca: this.rootPem };
  }

  private revoked(): string {
    return buildRevocationList({ caCertPem: this.material.caCertPem, caKeyPem: this.material.caKeyPem, revoked: [this.of('other/revoked').cert], nowMs: this.nowMs, ttlMs: 3_600_000 });
  }

  /** Secrets that gateways may name: `web` (certificate of *.tls.example.com), `other` (of other.example.com, with roots for client certificates) and `revoking` (of *.revoking.example.com, which does not take the certificate of `other/revoked`). */
  secrets(): KubeObject[] {
    const base64 = (text: string): string => Buffer.from(text).toString('base64');
    return [{ name: 'web', dnsName: '*.tls.example.com' }, { name: 'other', dnsName: 'other.example.com' }, { name: 'revoking', dnsName: '*.revoking.example.com' }].map(({ name, dnsName }) => {
      const { certificateChainPem, privateKeyPem } = this.authority.issueServerCertificate({ dnsNames: [dnsName], ttlMs: 3_600_000, nowMs: this.nowMs });
      return { apiVersion: 'v1', kind: 'Secret', type: 'kubernetes.io/tls', metadata: { name, namespace: 'istio-system' }, data: { 'tls.crt': base64(certificateChainPem), 'tls.key': base64(privateKeyPem), 'ca.crt': base64(this.rootPem), ...(name === 'revoking' && { 'ca.crl': base64(this.revoked()) }) } } as unknown as KubeObject;
    });
  }
}
