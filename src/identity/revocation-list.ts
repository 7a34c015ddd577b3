/** Writes certificate revocation lists. @see RFC 5280 section 5 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { signatureAlgorithm, signDer } from './csr.ts';
import { bitString, children, integer, readNode, sequence, time, toPem } from './der.ts';

/** What a list says. */
export interface RevocationList {
  /** PEM of the CA whose certificates are revoked; it signs the list. */
  readonly caCertPem: string;
  readonly caKeyPem: string;
  /** PEM of the revoked certificates; of a chain only the first counts. */
  readonly revoked: readonly string[];
  readonly nowMs: number;
  /** How long the list holds. */
  readonly ttlMs: number;
}

/** Version 2. */
const VERSION = integer(Buffer.from([1]));

/** A signed list as PEM. */
export function buildRevocationList(list: RevocationList): string {
  const key = createPrivateKey(list.caKeyPem);
  const algorithm = signatureAlgorithm(key);
  const entries = list.revoked.map((pem) => sequence(integer(Buffer.from(new X509Certificate(pem).serialNumber, 'hex')), time(list.nowMs)));
  const tbs = sequence(VERSION, algorithm, subjectOf(list.caCertPem), time(list.nowMs - 60_000), time(list.nowMs + list.ttlMs), ...(entries.length > 0 ? [sequence(...entries)] : []));
  return toPem('X509 CRL', sequence(tbs, algorithm, bitString(signDer(key, tbs))));
}

/** The subject as it stands in the certificate. */
function subjectOf(certPem: string): Buffer {
  const [tbs] = children(readNode(new X509Certificate(certPem).raw));
  // Version, serial number, algorithm, issuer, validity, subject.
  return children(tbs!)[5]!.raw;
}
