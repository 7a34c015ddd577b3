/** Certificates of a run: one CA, a certificate for every workload. */
import { CertificateAuthority, createSelfSignedCa } from '../../src/identity/ca.ts';
import { createKeyAndCsr } from '../../src/identity/csr.ts';
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
}
