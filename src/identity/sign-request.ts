/** Signs requests as they stand: for authorities whose approvers have looked at the names. @see CertificateAuthority for workloads, whose names are forced. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { buildCertificate, publicKeyDerOf, subjectOf } from './build-certificate.ts';
import { CLOCK_SKEW_MS } from './ca.ts';
import { parseCertificate } from './certificate.ts';
import type { ParsedCsr } from './csr.ts';
import { fromPem } from './der.ts';

/** How a request is signed. */
export interface SignRequestOptions {
  readonly certPem: string;
  readonly keyPem: string;
  readonly usages: readonly ('server' | 'client')[];
  readonly ttlMs: number;
  readonly nowMs: number;
}

/** A certificate with the subject and the names of the request, PEM. It never outlives the authority's own. */
export function signRequest(request: ParsedCsr, { certPem, keyPem, usages, ttlMs, nowMs }: SignRequestOptions): string {
  const { publicKeyDer, subjectDer, uris, dnsNames, addresses } = request;
  const content = {
    publicKeyDer, subjectDer, uris, dnsNames, addresses, extendedUsages: usages,
    notBeforeMs: nowMs - CLOCK_SKEW_MS, notAfterMs: Math.min(nowMs + ttlMs, parseCertificate(certPem).notAfterMs),
  };
  return buildCertificate(content, { key: createPrivateKey(keyPem), nameDer: subjectOf(fromPem('CERTIFICATE', certPem)[0]!), publicKeyDer: publicKeyDerOf(new X509Certificate(certPem).publicKey) });
}
