/** Certificate requests (PKCS#10): the agent makes them, the CA reads them. @see RFC 2986 */
import { createPublicKey, generateKeyPairSync, sign, verify, type KeyObject } from 'node:crypto';
import { children, contextTag, fromPem, integer, bitString, octetString, oid, oidText, readNode, sequence, tlv, toPem, TAG } from './der.ts';

const OID_EXTENSION_REQUEST = '1.2.840.113549.1.9.14';
const OID_SUBJECT_ALT_NAME = '2.5.29.17';

/** Kinds of workload keys. Istio's default is RSA 2048; EC P-256 is smaller and faster to make. */
export type KeyType = 'ec-p256' | 'rsa-2048';

/** Signature algorithms by the OIDs of certificates. */
const SIGNATURES: Readonly<Record<string, { readonly key: 'ec' | 'rsa'; readonly hash: string }>> = {
  '1.2.840.10045.4.3.2': { key: 'ec', hash: 'sha256' },
  '1.2.840.10045.4.3.3': { key: 'ec', hash: 'sha384' },
  '1.2.840.10045.4.3.4': { key: 'ec', hash: 'sha512' },
  '1.2.840.113549.1.1.11': { key: 'rsa', hash: 'sha256' },
  '1.2.840.113549.1.1.12': { key: 'rsa', hash: 'sha384' },
  '1.2.840.113549.1.1.13': { key: 'rsa', hash: 'sha512' },
};

/** The AlgorithmIdentifier that goes with {@link signDer}. */
export function signatureAlgorithm(key: KeyObject): Buffer {
  // RSA's identifier carries an explicit NULL, ECDSA's carries nothing. @see RFC 4055 §5, RFC 5758 §3.2
  return key.asymmetricKeyType === 'rsa' ? sequence(oid('1.2.840.113549.1.1.11'), tlv(TAG.null)) : sequence(oid('1.2.840.10045.4.3.2'));
}

/** Signs with SHA-256. */
export function signDer(key: KeyObject, bytes: Uint8Array): Buffer {
  return sign('sha256', bytes, key);
}

/** The value of a subject alternative name extension with URIs, DNS names and IPv4/IPv6 addresses (as raw bytes). */
export function subjectAltNames(names: { readonly uris?: readonly string[]; readonly dnsNames?: readonly string[]; readonly addresses?: readonly Uint8Array[] }): Buffer {
  return sequence(
    ...(names.uris ?? []).map((uri) => tlv(0x86, Buffer.from(uri))),
    ...(names.dnsNames ?? []).map((name) => tlv(0x82, Buffer.from(name))),
    ...(names.addresses ?? []).map((address) => tlv(0x87, address)),
  );
}

/** A fresh private key with a request for it. */
export interface KeyAndCsr {
  /** PKCS#8 PEM. */
  readonly privateKeyPem: string;
  readonly csrPem: string;
}

/** Makes a key and a signed request that asks for one URI name (the CA decides what it really puts in). */
export function createKeyAndCsr(options: { readonly uri: string; readonly keyType?: KeyType }): KeyAndCsr {
  const { privateKey, publicKey } = options.keyType === 'rsa-2048' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const extension = sequence(oid(OID_SUBJECT_ALT_NAME), octetString(subjectAltNames({ uris: [options.uri] })));
  const attribute = sequence(oid(OID_EXTENSION_REQUEST), tlv(TAG.set, sequence(extension)));
  const info = sequence(integer(Buffer.from([0])), sequence(), publicKey.export({ type: 'spki', format: 'der' }), tlv(contextTag(0), attribute));
  const csr = sequence(info, signatureAlgorithm(privateKey), bitString(signDer(privateKey, info)));
  return { privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string, csrPem: toPem('CERTIFICATE REQUEST', csr) };
}

/** What a CA takes from a request. */
export interface ParsedCsr {
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKeyDer: Buffer;
  readonly publicKey: KeyObject;
  /** URIs asked for. */
  readonly uris: readonly string[];
}

/**
 * Reads a request and checks that its sender owns the key (the request is signed by it).
 * Throws with a plain sentence when it is not a request, the key is weak or unknown, or the signature is wrong.
 */
export function parseCsr(csrPem: string): ParsedCsr {
  const [der, ...others] = [...fromPem('CERTIFICATE REQUEST', csrPem), ...fromPem('NEW CERTIFICATE REQUEST', csrPem)];
  if (!der || others.length > 0) throw new Error('expected exactly one PEM block CERTIFICATE REQUEST');
  const request = readNode(der);
  const [info, algorithm, signature, extra] = children(request);
  if (request.tag !== TAG.sequence || request.raw.length !== der.length || info?.tag !== TAG.sequence || algorithm?.tag !== TAG.sequence || signature?.tag !== TAG.bitString || signature.content[0] !== 0 || extra) throw new Error('malformed certificate request');
  const [, , publicKeyInfo, attributes] = children(info);
  if (publicKeyInfo?.tag !== TAG.sequence) throw new Error('malformed certificate request: no public key');
  const publicKey = createPublicKey({ key: publicKeyInfo.raw, format: 'der', type: 'spki' });
  checkKey(publicKey);
  const identifier = children(algorithm)[0];
  const algorithmId = identifier?.tag === TAG.oid ? oidText(identifier.content) : 'none';
  const known = Object.hasOwn(SIGNATURES, algorithmId) ? SIGNATURES[algorithmId] : undefined;
  if (!known || known.key !== publicKey.asymmetricKeyType) throw new Error(`signature algorithm ${algorithmId} is not supported for ${publicKey.asymmetricKeyType} keys`);
  if (!verify(known.hash, info.raw, publicKey, signature.content.subarray(1))) throw new Error('the request is not signed by its own key');
  return { publicKeyDer: Buffer.from(publicKeyInfo.raw), publicKey, uris: attributes?.tag === contextTag(0) ? requestedUris(attributes) : [] };
}

function checkKey(key: KeyObject): void {
  const details = key.asymmetricKeyDetails;
  if (key.asymmetricKeyType === 'rsa' && (details?.modulusLength ?? 0) >= 2048) return;
  if (key.asymmetricKeyType === 'ec' && ['prime256v1', 'secp384r1', 'secp521r1'].includes(details?.namedCurve ?? '')) return;
  throw new Error('the key must be RSA with at least 2048 bits or EC on P-256, P-384 or P-521');
}

function requestedUris(attributes: { readonly content: Buffer }): string[] {
  const uris: string[] = [];
  for (const attribute of children(attributes)) {
    const [id, values] = children(attribute);
    if (!id || !values || oidText(id.content) !== OID_EXTENSION_REQUEST) continue;
    for (const extension of children(values).flatMap((list) => children(list))) {
      const parts = children(extension);
      const value = parts.at(-1);
      if (!parts[0] || !value || oidText(parts[0].content) !== OID_SUBJECT_ALT_NAME) continue;
      uris.push(...children(readNode(value.content)).filter((name) => name.tag === 0x86).map((name) => name.content.toString('utf8')));
    }
  }
  return uris;
}
