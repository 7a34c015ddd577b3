/** What the mesh reads from a certificate. */
import { X509Certificate } from 'node:crypto';
import { fromPem, toPem } from './der.ts';
import { parseSpiffeId, type SpiffeId } from './spiffe.ts';

export interface CertificateInfo {
  /** Upper-case hexadecimal. */
  readonly serial: string;
  readonly subject: string;
  readonly issuer: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly isCa: boolean;
  /** URI entries of the subject alternative name. */
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  /** The first URI that is a workload's SPIFFE id. */
  readonly spiffeId?: SpiffeId;
  readonly trustDomain?: string;
  /** SHA-256 of the DER bytes, lower-case hexadecimal without colons. */
  readonly fingerprint: string;
}

/** Splits PEM text into single certificates, each as PEM. */
export function splitCertificates(pem: string): string[] {
  return fromPem('CERTIFICATE', pem).map((der) => toPem('CERTIFICATE', der));
}

/** Reads the first certificate of PEM text, or one in DER. Throws when there is none or it is broken. */
export function parseCertificate(certificate: string | Uint8Array): CertificateInfo {
  const parsed = new X509Certificate(certificate);
  const names = splitAltNames(parsed.subjectAltName ?? '');
  const valuesOf = (prefix: string) => names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
  const uris = valuesOf('URI:');
  const spiffeId = uris.find((uri) => parseSpiffeId(uri)) as SpiffeId | undefined;
  return {
    serial: parsed.serialNumber,
    subject: parsed.subject ?? '',
    issuer: parsed.issuer ?? '',
    notBeforeMs: Date.parse(parsed.validFrom),
    notAfterMs: Date.parse(parsed.validTo),
    isCa: parsed.ca,
    uris,
    dnsNames: valuesOf('DNS:'),
    ...(spiffeId && { spiffeId, trustDomain: parseSpiffeId(spiffeId)!.trustDomain }),
    fingerprint: parsed.fingerprint256.replaceAll(':', '').toLowerCase(),
  };
}

/** Node joins the names with `, ` and quotes (as JSON) those that contain separators, so that no name can pretend to be two. */
function splitAltNames(text: string): string[] {
  const names: string[] = [];
  for (const match of text.matchAll(/\s*([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:,|$)/g)) {
    const value = match[2]!;
    names.push(`${match[1]!.trim()}:${value.startsWith('"') ? (JSON.parse(value) as string) : value}`);
  }
  return names;
}
