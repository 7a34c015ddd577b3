/** The root certificates a mesh believes in, and checks of a peer's certificate against them. */
import { X509Certificate } from 'node:crypto';
import { splitCertificates } from './certificate.ts';

/** Joins PEM texts without repeating a certificate; the order of first appearance stays. */
export function mergeBundles(...pems: readonly string[]): string {
  return [...new Set(pems.flatMap(splitCertificates))].join('');
}

/**
 * True when `leaf` chains to one of `rootsPem` through `intermediates`, every certificate valid at `nowMs` and every issuer a CA.
 * At most five issuers are followed. Used where TLS asked for a client certificate without insisting on one.
 */
export function verifyChain(leaf: Uint8Array | string, intermediates: readonly (Uint8Array | string)[], rootsPem: string, nowMs: number): boolean {
  const roots = splitCertificates(rootsPem).map((pem) => new X509Certificate(pem));
  const between = intermediates.map((certificate) => new X509Certificate(certificate));
  let current = new X509Certificate(leaf);
  for (let depth = 0; depth < 6; depth++) {
    if (!isValidAt(current, nowMs)) return false;
    const root = roots.find((candidate) => issued(candidate, current));
    if (root) return isValidAt(root, nowMs);
    const next = between.find((candidate) => issued(candidate, current));
    if (!next || next.fingerprint256 === current.fingerprint256) return false;
    current = next;
  }
  return false;
}

function issued(issuer: X509Certificate, subject: X509Certificate): boolean {
  return issuer.ca && subject.checkIssued(issuer) && subject.verify(issuer.publicKey);
}

function isValidAt(certificate: X509Certificate, nowMs: number): boolean {
  return Date.parse(certificate.validFrom) <= nowMs && nowMs <= Date.parse(certificate.validTo);
}
