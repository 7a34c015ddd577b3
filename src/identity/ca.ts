/** The mesh's certificate authority: signs requests of proven workloads. */
import { createPrivateKey, generateKeyPairSync, X509Certificate, type KeyObject } from 'node:crypto';
import { buildCertificate, publicKeyDerOf, subjectOf, type CertificateContent } from './build-certificate.ts';
import { parseCertificate, splitCertificates } from './certificate.ts';
import { parseCsr } from './csr.ts';
import { fromPem } from './der.ts';
import type { SpiffeId } from './spiffe.ts';

const DAY_MS = 24 * 3_600_000;
/** Certificates start a little in the past, so that a peer whose clock lags accepts them. */
const CLOCK_SKEW_MS = 2 * 60_000;

/** Lifetime of a workload certificate when the request names none. */
export const DEFAULT_WORKLOAD_TTL_MS = DAY_MS;
/** The longest lifetime a workload can get; longer requests are refused. */
export const MAX_WORKLOAD_TTL_MS = 90 * DAY_MS;
/** Lifetime of a self-signed root. */
export const ROOT_TTL_MS = 3650 * DAY_MS;

/** What an authority is made of: the four files of `istio-ca-secret` and `cacerts`, PEM. */
export interface CaMaterial {
  /** `ca-cert.pem`: the signing certificate. */
  readonly caCertPem: string;
  /** `ca-key.pem`: its private key. */
  readonly caKeyPem: string;
  /** `root-cert.pem`: what workloads trust; may hold several. */
  readonly rootCertPem: string;
  /** `cert-chain.pem`: the signing certificate and what stands between it and the root; empty for a self-signed root. */
  readonly certChainPem: string;
}

/** Makes a self-signed root (EC P-256, 10 years). */
export function createSelfSignedCa(options: { readonly organization: string; readonly nowMs: number; readonly ttlMs?: number }): CaMaterial {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const publicKeyDer = publicKeyDerOf(publicKey);
  const caCertPem = buildCertificate(
    { publicKeyDer, subject: { organization: options.organization }, notBeforeMs: options.nowMs - CLOCK_SKEW_MS, notAfterMs: options.nowMs + (options.ttlMs ?? ROOT_TTL_MS), isCa: true },
    { key: privateKey, publicKeyDer },
  );
  return { caCertPem, caKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string, rootCertPem: caCertPem, certChainPem: '' };
}

/** Names and lifetime of a certificate for a server of ours (istiod itself). */
export interface ServerCertificateRequest {
  readonly dnsNames: readonly string[];
  readonly spiffeId?: SpiffeId;
  readonly ttlMs: number;
  readonly nowMs: number;
}

/** Signs. Holds the private key; never writes it anywhere. */
export class CertificateAuthority {
  private readonly key: KeyObject;
  private readonly issuerName: Buffer;
  private readonly issuerPublicKeyDer: Buffer;
  private readonly notAfterMs: number;
  /** What workloads trust, PEM. */
  readonly rootCertPem: string;

  /** Throws with a plain sentence when key and certificate do not belong together, the certificate is no CA or is outside its lifetime, or the root does not carry it. */
  constructor(
    readonly material: CaMaterial,
    nowMs: number,
  ) {
    const certificate = new X509Certificate(material.caCertPem);
    const info = parseCertificate(material.caCertPem);
    this.key = createPrivateKey(material.caKeyPem);
    if (!certificate.checkPrivateKey(this.key)) throw new Error('ca-key.pem is not the key of ca-cert.pem');
    if (!info.isCa) throw new Error('ca-cert.pem is not a CA certificate (basic constraints)');
    if (nowMs > info.notAfterMs || nowMs < info.notBeforeMs) throw new Error(`ca-cert.pem is valid from ${new Date(info.notBeforeMs).toISOString()} to ${new Date(info.notAfterMs).toISOString()} only`);
    if (splitCertificates(material.rootCertPem).length === 0) throw new Error('root-cert.pem holds no certificate');
    this.rootCertPem = material.rootCertPem;
    this.notAfterMs = info.notAfterMs;
    this.issuerName = subjectOf(fromPem('CERTIFICATE', material.caCertPem)[0]!);
    this.issuerPublicKeyDer = publicKeyDerOf(certificate.publicKey);
  }

  /**
   * Signs a workload's request: the only name in the certificate is `spiffeId`, whatever the request asked for. Returns PEM certificates, leaf first,
   * root last. Throws with a sentence for the caller when the request is broken or the lifetime is not in (0, 90 days].
   */
  signCsr(csrPem: string, options: { readonly spiffeId: SpiffeId; readonly ttlMs?: number; readonly nowMs: number }): string[] {
    const ttlMs = options.ttlMs ?? DEFAULT_WORKLOAD_TTL_MS;
    if (!(ttlMs > 0 && ttlMs <= MAX_WORKLOAD_TTL_MS)) throw new Error(`requested TTL ${ttlMs / 1000}s is not between 1s and the maximum of ${MAX_WORKLOAD_TTL_MS / 1000}s`);
    const { publicKeyDer } = parseCsr(csrPem);
    return this.chainOf(this.sign({ publicKeyDer, uris: [options.spiffeId], ...this.lifetime(ttlMs, options.nowMs) }));
  }

  /** A key and certificate chain for one of our own servers. */
  issueServerCertificate(request: ServerCertificateRequest): { readonly privateKeyPem: string; readonly certificateChainPem: string } {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const leaf = this.sign({ publicKeyDer: publicKeyDerOf(publicKey), dnsNames: request.dnsNames, ...(request.spiffeId && { uris: [request.spiffeId] }), ...this.lifetime(request.ttlMs, request.nowMs) });
    return { privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string, certificateChainPem: [leaf, this.intermediates()].join('') };
  }

  private lifetime(ttlMs: number, nowMs: number): { notBeforeMs: number; notAfterMs: number } {
    return { notBeforeMs: nowMs - CLOCK_SKEW_MS, notAfterMs: Math.min(nowMs + ttlMs, this.notAfterMs) };
  }

  private sign(content: CertificateContent): string {
    return buildCertificate(content, { key: this.key, nameDer: this.issuerName, publicKeyDer: this.issuerPublicKeyDer });
  }

  private intermediates(): string {
    return splitCertificates(this.material.certChainPem).join('');
  }

  private chainOf(leaf: string): string[] {
    return [leaf, ...splitCertificates(this.material.certChainPem), ...splitCertificates(this.rootCertPem)];
  }
}
