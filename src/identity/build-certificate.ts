/** Writes X.509 v3 certificates. @see RFC 5280 */
import { createHash, createPublicKey, randomBytes, type KeyObject } from 'node:crypto';
import { signatureAlgorithm, signDer, subjectAltNames, subjectName } from './csr.ts';
import { bitString, boolean, children, contextTag, integer, octetString, oid, readNode, sequence, time, tlv, toPem } from './der.ts';

const OID = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;

/** What a certificate says, apart from who signs it. */
export interface CertificateContent {
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKeyDer: Uint8Array;
  /** Absent: an empty subject, which makes the alternative names critical. @see RFC 5280 §4.2.1.6 */
  readonly subject?: { readonly organization?: string; readonly commonName?: string };
  /** DER of the subject instead of `subject`: as a request wrote it. */
  readonly subjectDer?: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly isCa?: boolean;
  /** What the key is for. Default: serving and calling. */
  readonly extendedUsages?: readonly ('server' | 'client')[];
  readonly uris?: readonly string[];
  readonly dnsNames?: readonly string[];
  /** IP addresses, 4 or 16 bytes each. */
  readonly addresses?: readonly Uint8Array[];
}

/** Who signs: the issuer's name and key identifier as they stand in its own certificate. */
export interface Issuer {
  readonly key: KeyObject;
  /** DER of the issuer's subject; for a self-signed certificate leave it out. */
  readonly nameDer?: Uint8Array;
  /** DER of the issuer's SubjectPublicKeyInfo. */
  readonly publicKeyDer: Uint8Array;
}

/** A signed certificate as PEM. */
export function buildCertificate(content: CertificateContent, issuer: Issuer): string {
  const subject = content.subjectDer ?? subjectName(content.subject?.organization === undefined ? [] : [content.subject.organization], content.subject?.commonName);
  const algorithm = signatureAlgorithm(issuer.key);
  const serial = randomBytes(16);
  serial[0] = (serial[0]! & 0x7f) | 0x01;
  const tbs = sequence(
    tlv(contextTag(0), integer(Buffer.from([2]))),
    integer(serial),
    algorithm,
    issuer.nameDer ?? subject,
    sequence(time(content.notBeforeMs), time(content.notAfterMs)),
    subject,
    content.publicKeyDer,
    tlv(contextTag(3), sequence(...extensions(content, issuer))),
  );
  return toPem('CERTIFICATE', sequence(tbs, algorithm, bitString(signDer(issuer.key, tbs))));
}

/** DER of the subject of a certificate (PEM or DER): what certificates signed by it carry as their issuer. */
export function subjectOf(certificateDer: Buffer): Buffer {
  const fields = children(children(readNode(certificateDer))[0]!);
  // The version field [0] is optional; the subject is the fifth field after it.
  const subject = fields[fields[0]?.tag === contextTag(0) ? 5 : 4];
  if (!subject) throw new Error('malformed certificate: no subject');
  return subject.raw;
}

function extensions(content: CertificateContent, issuer: Issuer): Buffer[] {
  const extension = (id: string, critical: boolean, value: Uint8Array) => sequence(oid(id), ...(critical ? [boolean(true)] : []), octetString(value));
  const hasNames = [content.uris, content.dnsNames, content.addresses].some((names) => names && names.length > 0);
  return [
    // digitalSignature + keyEncipherment for workloads; keyCertSign + cRLSign for authorities.
    extension(OID.keyUsage, true, content.isCa ? bitString(Buffer.from([0x06]), 1) : bitString(Buffer.from([0xa0]), 5)),
    ...(content.isCa ? [] : [extension(OID.extendedKeyUsage, false, sequence(...(content.extendedUsages ?? ['server', 'client']).map((usage) => oid(usage === 'server' ? OID.serverAuth : OID.clientAuth))))]),
    extension(OID.basicConstraints, true, content.isCa ? sequence(boolean(true)) : sequence()),
    extension(OID.subjectKeyIdentifier, false, octetString(keyIdentifier(content.publicKeyDer))),
    extension(OID.authorityKeyIdentifier, false, sequence(tlv(0x80, keyIdentifier(issuer.publicKeyDer)))),
    ...(hasNames ? [extension(OID.subjectAltName, isEmptyName(content), subjectAltNames(content))] : []),
  ];
}

function isEmptyName(content: CertificateContent): boolean {
  return content.subjectDer === undefined ? content.subject === undefined : content.subjectDer.length === 2;
}

/** SHA-1 of the key bits. @see RFC 5280 §4.2.1.2 (1) */
function keyIdentifier(publicKeyDer: Uint8Array): Buffer {
  const bits = children(readNode(Buffer.from(publicKeyDer)))[1]!;
  return createHash('sha1').update(bits.content.subarray(1)).digest();
}

/** SubjectPublicKeyInfo in DER of a private or public key. */
export function publicKeyDerOf(key: KeyObject): Buffer {
  return (key.type === 'private' ? createPublicKey(key) : key).export({ type: 'spki', format: 'der' });
}
