/** Certificates of a run: one CA, a certificate for every workload. */
import { CertificateAuthority, createSelfSignedCa } from '../../src/identity/ca.ts';
import { createKeyAndCsr } from '../../src/identity/csr.ts';
import type { KubeObject } from '../../src/objects/meta.ts';
import { formatSpiffeId } from '../../src/identity/spiffe.ts';

export interface TestIdentity {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}

/** Made on demand, kept for the run. */
export class TestIdentities {
  private readonly made = new Map<string, TestIdentity>();
  private readonly authority: CertificateAuthority;

  constructor(private readonly nowMs: number) {
    this.authority = new CertificateAuthority(createSelfSignedCa({ organization: 'cluster.local', nowMs }), nowMs);
  }

  get rootPem(): string {
    return this.authority.rootCertPem;
  }

  /** Of a backend or pod: the service account is the name without its version, `ns/account` names another namespace than `app`. */
  of(name: string): TestIdentity {
    const known = this.made.get(name);
    if (known) return known;
    const [namespace, account] = name.includes('/') ? (name.split('/') as [string, string]) : [name === 'details' ? 'other' : name === 'gateway' ? 'istio-system' : 'app', name.replace(/-v\d+$/, '')];
    const spiffeId = formatSpiffeId({ trustDomain: 'cluster.local', namespace, serviceAccount: account });
    const { csrPem, privateKeyPem } = createKeyAndCsr({ uri: spiffeId });
    const identity = { key: privateKeyPem, cert: this.authority.signCsr(csrPem, { spiffeId, nowMs: this.nowMs }).join(''), ca: this.rootPem };
    this.made.set(name, identity);
    return identity;
  }

  /** Secrets that gateways may name: `web` (certificate of *.tls.example.com) and `other` (of other.example.com, with roots for client certificates). */
  secrets(): KubeObject[] {
    const base64 = (text: string): string => Buffer.from(text).toString('base64');
    return [{ name: 'web', dnsName: '*.tls.example.com' }, { name: 'other', dnsName: 'other.example.com' }].map(({ name, dnsName }) => {
      const { certificateChainPem, privateKeyPem } = this.authority.issueServerCertificate({ dnsNames: [dnsName], ttlMs: 3_600_000, nowMs: this.nowMs });
      return { apiVersion: 'v1', kind: 'Secret', type: 'kubernetes.io/tls', metadata: { name, namespace: 'istio-system' }, data: { 'tls.crt': base64(certificateChainPem), 'tls.key': base64(privateKeyPem), 'ca.crt': base64(this.rootPem) } } as unknown as KubeObject;
    });
  }
}
