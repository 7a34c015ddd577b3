/** The mesh's certificate authority: signs requests of proven workloads. */
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { buildCertificate, publicKeyDerOf, subjectOf, type CertificateContent } from './build-certificate.ts';
import { parseCertificate, splitCertificates } from './certificate.ts';
import { createKeyPair, parseCsr, type KeyType } from './csr.ts';
import { fromPem } from './der.ts';
import type { SpiffeId } from './spiffe.ts';
import { verifyChain } from './trust-bundle.ts';

const DAY_MS = 24 * 3_600_000;
/** Certificates start a little in the past, so that a peer whose clock lags accepts them. */
export const CLOCK_SKEW_MS = 2 * 60_000;

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

/** What a self-signed root is like. */
export interface SelfSignedOptions {
  readonly organization: string;
  readonly nowMs: number;
  /** Default 10 years. */
  readonly ttlMs?: number;
  /** Default `ec-p256`. */
  readonly keyType?: KeyType;
}

/** Makes a self-signed root. */
export function createSelfSignedCa(options: SelfSignedOptions): CaMaterial {
  const { privateKey, publicKey } = createKeyPair(options.keyType);
  const publicKeyDer = publicKeyDerOf(publicKey);
  const caCertPem = buildCertificate(
    { publicKeyDer, subject: { organization: options.organization }, notBeforeMs: options.nowMs - CLOCK_SKEW_MS, notAfterMs: options.nowMs + (options.ttlMs ?? ROOT_TTL_MS), isCa: true },
    { key: privateKey, publicKeyDer },
  );
  return { caCertPem, caKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string, rootCertPem: caCertPem, certChainPem: '' };
}

/** Bounds of workload lifetimes. */
export interface CaLimits {
  /** When a request names none. Default 24 h. */
  readonly defaultTtlMs?: number;
  /** Longer requests are refused. Default 90 days. */
  readonly maxTtlMs?: number;
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

  /** Throws with a plain sentence when key and certificate do not belong together, the certificate is no CA or is outside its lifetime, or no root carries it. */
  constructor(
    readonly material: CaMaterial,
    nowMs: number,
    private readonly limits: CaLimits = {},
  ) {
    const certificate = new X509Certificate(material.caCertPem);
    const info = parseCertificate(material.caCertPem);
    this.key = createPrivateKey(material.caKeyPem);
    if (!certificate.checkPrivateKey(this.key)) throw new Error('ca-key.pem is not the key of ca-cert.pem');
    if (!info.isCa) throw new Error('ca-cert.pem is not a CA certificate (basic constraints)');
    if (nowMs > info.notAfterMs || nowMs < info.notBeforeMs) throw new Error(`ca-cert.pem is valid from ${new Date(info.notBeforeMs).toISOString()} to ${new Date(info.notAfterMs).toISOString()} only`);
    if (splitCertificates(material.rootCertPem).length === 0) throw new Error('root-cert.pem holds no certificate');
    if (!verifyChain(material.caCertPem, splitCertificates(material.certChainPem), material.rootCertPem, nowMs)) throw new Error('ca-cert.pem does not chain to root-cert.pem through cert-chain.pem');
    this.rootCertPem = material.rootCertPem;
    this.notAfterMs = info.notAfterMs;
    this.issuerName = subjectOf(fromPem('CERTIFICATE', material.caCertPem)[0]!);
    this.issuerPublicKeyDer = publicKeyDerOf(certificate.publicKey);
  }

  /**
   * Signs a workload's request: the only name in the certificate is `spiffeId`, whatever the request asked for. Returns PEM certificates, leaf first,
   * then what is between, the roots last as one text. Throws with a sentence for the caller when the request is broken or the lifetime is not above zero and
   * within the maximum.
   */
  signCsr(csrPem: string, options: { readonly spiffeId: SpiffeId; readonly ttlMs?: number; readonly nowMs: number }): string[] {
    const { defaultTtlMs = DEFAULT_WORKLOAD_TTL_MS, maxTtlMs = MAX_WORKLOAD_TTL_MS } = this.limits;
    const ttlMs = options.ttlMs ?? Math.min(defaultTtlMs, maxTtlMs);
    if (!(ttlMs > 0 && ttlMs <= maxTtlMs)) throw new Error(`requested TTL ${ttlMs / 1000}s is not between 1s and the maximum of ${maxTtlMs / 1000}s`);
    const { publicKeyDer } = parseCsr(csrPem);
    return this.chainOf(this.sign({ publicKeyDer, uris: [options.spiffeId], ...this.lifetime(ttlMs, options.nowMs) }));
  }

  /** A key and certificate chain for one of our own servers. */
  issueServerCertificate(request: ServerCertificateRequest): { readonly privateKeyPem: string; readonly certificateChainPem: string } {
    const { privateKey, publicKey } = createKeyPair();
    const leaf = this.sign({ publicKeyDer: publicKeyDerOf(publicKey), dnsNames: request.dnsNames, ...(request.spiffeId && { uris: [request.spiffeId] }), ...this.lifetime(request.ttlMs, request.nowMs) });
    return { privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string, certificateChainPem: [leaf, ...this.intermediates()].join('') };
  }

  private lifetime(ttlMs: number, nowMs: number): { notBeforeMs: number; notAfterMs: number } {
    return { notBeforeMs: nowMs - CLOCK_SKEW_MS, notAfterMs: Math.min(nowMs + ttlMs, this.notAfterMs) };
  }

  private sign(content: CertificateContent): string {
    return buildCertificate(content, { key: this.key, nameDer: this.issuerName, publicKeyDer: this.issuerPublicKeyDer });
  }

  /** What stands between a leaf and the roots. A chain that leaves the signing certificate out is completed; roots do not belong in it. */
  private intermediates(): string[] {
    const [signer = ''] = splitCertificates(this.material.caCertPem);
    const roots = new Set(splitCertificates(this.rootCertPem));
    return [...new Set([signer, ...splitCertificates(this.material.certChainPem)])].filter((certificate) => !roots.has(certificate));
  }

  /** As in Istio the roots are one entry, however many they are: whoever reads the answer takes the last for what to trust. */
  private chainOf(leaf: string): string[] {
    return [leaf, ...this.intermediates(), splitCertificates(this.rootCertPem).join('')];
  }
}
