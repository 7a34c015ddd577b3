/**
 * The control plane as registration authority: it proves who asks, and lets a signer behind the certificates API of Kubernetes sign.
 * @see https://istio.io/latest/docs/tasks/security/cert-management/custom-ca-k8s/
 */
import { createPublicKey, randomBytes, X509Certificate } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import { parseCertificate, splitCertificates } from '../../identity/certificate.ts';
import { parseCsr, type ParsedCsr } from '../../identity/csr.ts';
import type { KubeClient } from '../../kube/client/client.ts';
import type { CertificateSigningRequest } from '../../objects/kubernetes/certificate-signing-request.ts';
import { CERTIFICATE_SIGNING_REQUEST } from '../../objects/resource-types.ts';
import { SignerUnavailable, type SigningOptions, type WorkloadSigner } from '../../xds/server/certificate-service.ts';
import type { RegistrationSettings } from './ca-settings.ts';

/** Kubernetes refuses shorter ones. */
const MIN_SECONDS = 600;
const POLL_MS = 100;
/** A signer that people run by hand is not waited for: the workload asks again. */
const WAIT_MS = 20_000;
const USAGES = ['digital signature', 'key encipherment', 'server auth', 'client auth'];

export interface RegistrationOptions {
  readonly client: KubeClient;
  readonly settings: RegistrationSettings;
  /** Roots that the mesh config names for a signer (`caCertificates[].certSigners`), PEM; '' when it names none. */
  readonly rootsOf: (signerName: string) => string;
  /** Roots of signers that neither send theirs nor are named: the cluster's own, PEM. */
  readonly clusterRoots: () => string;
  readonly clock: Clock;
  /** Default 24 h. */
  readonly defaultTtlMs: number;
  readonly maxTtlMs: number;
}

/** What the signer is to put into a certificate. */
interface Names {
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
}

/** Signs by asking Kubernetes. */
export class RegistrationAuthority implements WorkloadSigner {
  constructor(private readonly options: RegistrationOptions) {}

  /** For a workload: the request must ask for its own identity and nothing else, since the signer signs what it reads. */
  async signCsr(csrPem: string, { spiffeId, ttlMs = this.options.defaultTtlMs, certSigner }: SigningOptions): Promise<readonly string[]> {
    const { maxTtlMs } = this.options;
    if (!(ttlMs > 0 && ttlMs <= maxTtlMs)) throw new Error(`requested TTL ${ttlMs / 1000}s is not between 1s and the maximum of ${maxTtlMs / 1000}s`);
    return this.sign(csrPem, { uris: [spiffeId], dnsNames: [] }, ttlMs, this.signerNameOf(certSigner));
  }

  /** For istiod itself. */
  async signNames(csrPem: string, names: Names, ttlMs: number): Promise<readonly string[]> {
    return this.sign(csrPem, names, ttlMs, this.options.settings.signerName);
  }

  private signerNameOf(certSigner: string | undefined): string {
    const { signerName, signerDomain } = this.options.settings;
    if (certSigner === undefined) return signerName;
    if (signerDomain === undefined) throw new Error(`the signer ${certSigner} cannot be chosen: istiod's CERT_SIGNER_DOMAIN is not set`);
    return `${signerDomain}/${certSigner}`;
  }

  private async sign(csrPem: string, names: Names, ttlMs: number, signerName: string): Promise<readonly string[]> {
    const request = parseCsr(csrPem);
    refuseOtherNames(request, names);
    const issued = await this.ask(csrPem, ttlMs, signerName);
    const [leaf = '', ...others] = splitCertificates(issued);
    checkIssued(leaf, request, names, this.options.clock.now());
    // A signer that sends its root sends it last; roots are what workloads trust, the rest is between.
    const sent = others.filter(isSelfSigned);
    const between = others.filter((certificate) => !isSelfSigned(certificate));
    const roots = this.options.rootsOf(signerName) || sent.join('') || this.options.clusterRoots();
    if (splitCertificates(roots).length === 0) throw new SignerUnavailable(`the root of ${signerName} is not known: name it in caCertificates of the mesh config, with certSigners: [${signerName}]`);
    return [leaf, ...between, splitCertificates(roots).join('')];
  }

  /** Creates, approves, waits, and cleans up. */
  private async ask(csrPem: string, ttlMs: number, signerName: string): Promise<string> {
    const { client } = this.options;
    const name = `csr-workload-${randomBytes(10).toString('hex')}`;
    const spec = { signerName, request: Buffer.from(csrPem).toString('base64'), usages: USAGES, expirationSeconds: Math.max(MIN_SECONDS, Math.ceil(ttlMs / 1000)) };
    try {
      const created = await client.create<CertificateSigningRequest>(CERTIFICATE_SIGNING_REQUEST, { apiVersion: 'certificates.k8s.io/v1', kind: 'CertificateSigningRequest', metadata: { name }, spec } as unknown as CertificateSigningRequest);
      const approved = { type: 'Approved', status: 'True', reason: 'ApprovedByIstiod', message: 'the control plane proved the identity of the workload that asks' };
      await client.update<CertificateSigningRequest>(CERTIFICATE_SIGNING_REQUEST, { ...created, status: { conditions: [approved] } } as CertificateSigningRequest, { subresource: 'approval' });
      return await this.wait(name, signerName);
    } catch (error) {
      throw error instanceof SignerUnavailable ? error : new SignerUnavailable(`${signerName} could not be asked: ${messageOf(error)}`);
    } finally {
      client.delete(CERTIFICATE_SIGNING_REQUEST, name).catch(() => {});
    }
  }

  private async wait(name: string, signerName: string): Promise<string> {
    const { client, clock } = this.options;
    const untilMs = clock.now() + WAIT_MS;
    for (;;) {
      const request = await client.get<CertificateSigningRequest>(CERTIFICATE_SIGNING_REQUEST, name);
      const { certificate = '', conditions = [] } = request?.status ?? {};
      if (certificate !== '') return Buffer.from(certificate, 'base64').toString('utf8');
      const refused = conditions.find(({ type }) => type === 'Denied' || type === 'Failed');
      if (refused) throw new SignerUnavailable(`${signerName} refused: ${refused.message || refused.reason || refused.type}`);
      if (!request) throw new SignerUnavailable(`the request to ${signerName} was deleted before it was signed`);
      if (clock.now() >= untilMs) throw new SignerUnavailable(`${signerName} did not sign within ${WAIT_MS / 1000} s: is a controller for this signer running?`);
      await new Promise<void>((resolve) => void clock.after(POLL_MS, resolve));
    }
  }
}

/** The signer believes the request: what is in it beyond the names that are due is refused. */
function refuseOtherNames(request: ParsedCsr, names: Names): void {
  const asked = [...request.uris, ...request.dnsNames];
  const due = new Set([...names.uris, ...names.dnsNames]);
  const foreign = asked.find((name) => !due.has(name));
  if (foreign !== undefined) throw new Error(`the request asks for ${foreign}, the caller is ${names.uris.join(', ')}`);
  if (!names.uris.every((uri) => request.uris.includes(uri))) throw new Error(`the request must ask for ${names.uris.join(', ')}`);
  if (request.addresses.length > 0 || request.otherNames) throw new Error('the request asks for names that are neither URI nor DNS');
  if (request.commonName !== undefined || request.otherSubject || request.organizations.length > 0) throw new Error('the request names a subject; identities are alternative names only');
  if (request.extensions.some((extension) => extension !== SUBJECT_ALT_NAME)) throw new Error('the request asks for extensions other than alternative names');
}

const SUBJECT_ALT_NAME = '2.5.29.17';

/** A signer that puts in what was not asked for is not believed. */
function checkIssued(leafPem: string, request: ParsedCsr, names: Names, nowMs: number): void {
  if (leafPem === '') throw new SignerUnavailable('the signer answered without a certificate');
  const leaf = parseCertificate(leafPem);
  const same = (a: readonly string[], b: readonly string[]) => a.length === b.length && a.every((one) => b.includes(one));
  if (!new X509Certificate(leafPem).publicKey.equals(createPublicKey({ key: request.publicKeyDer, format: 'der', type: 'spki' }))) throw new SignerUnavailable('the signer answered with a certificate for another key');
  if (!same(leaf.uris, names.uris) || !same(leaf.dnsNames, names.dnsNames) || leaf.isCa) throw new SignerUnavailable(`the signer issued other names than asked for: ${[...leaf.uris, ...leaf.dnsNames].join(', ')}${leaf.isCa ? ', and a CA' : ''}`);
  if (leaf.notAfterMs <= nowMs) throw new SignerUnavailable('the signer answered with an expired certificate');
}

function isSelfSigned(certificate: string): boolean {
  const parsed = new X509Certificate(certificate);
  return parsed.ca && parsed.checkIssued(parsed) && parsed.verify(parsed.publicKey);
}
