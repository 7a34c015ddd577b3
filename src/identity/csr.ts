/** Certificate requests (PKCS#10): the agent makes them, the CA reads them. @see RFC 2986 */
import { createPublicKey, generateKeyPair, generateKeyPairSync, sign, verify, type KeyObject, type KeyPairKeyObjectResult } from 'node:crypto';
import { promisify } from 'node:util';
import { children, contextTag, fromPem, integer, bitString, octetString, oid, oidText, readNode, sequence, tlv, toPem, utf8String, TAG, type DerNode } from './der.ts';

const OID_EXTENSION_REQUEST = '1.2.840.113549.1.9.14';
const OID_SUBJECT_ALT_NAME = '2.5.29.17';
const OID_ORGANIZATION = '2.5.4.10';
const OID_COMMON_NAME = '2.5.4.3';

/** Kinds of keys. Istio's default is RSA 2048; EC P-256 is smaller and faster to make. */
export type KeyType = 'ec-p256' | 'ec-p384' | 'rsa-2048' | 'rsa-3072' | 'rsa-4096';

const CURVES = { 'ec-p256': 'P-256', 'ec-p384': 'P-384' } as const;
const MODULUS_BITS = { 'rsa-2048': 2048, 'rsa-3072': 3072, 'rsa-4096': 4096 } as const;

/** Signature algorithms by the OIDs of certificates. */
const SIGNATURES: Readonly<Record<string, { readonly key: 'ec' | 'rsa'; readonly hash: string }>> = {
  '1.2.840.10045.4.3.2': { key: 'ec', hash: 'sha256' },
  '1.2.840.10045.4.3.3': { key: 'ec', hash: 'sha384' },
  '1.2.840.10045.4.3.4': { key: 'ec', hash: 'sha512' },
  '1.2.840.113549.1.1.11': { key: 'rsa', hash: 'sha256' },
  '1.2.840.113549.1.1.12': { key: 'rsa', hash: 'sha384' },
  '1.2.840.113549.1.1.13': { key: 'rsa', hash: 'sha512' },
};

/** The hash that a key signs with: as long as an EC key's curve, SHA-256 for RSA. @see RFC 5656 §6.2.1 */
function hashOf(key: KeyObject): 'sha256' | 'sha384' | 'sha512' {
  const curve = key.asymmetricKeyDetails?.namedCurve;
  return curve === 'secp384r1' ? 'sha384' : curve === 'secp521r1' ? 'sha512' : 'sha256';
}

/** The AlgorithmIdentifier that goes with {@link signDer}. */
export function signatureAlgorithm(key: KeyObject): Buffer {
  // RSA's identifier carries an explicit NULL, ECDSA's carries nothing. @see RFC 4055 §5, RFC 5758 §3.2
  if (key.asymmetricKeyType === 'rsa') return sequence(oid('1.2.840.113549.1.1.11'), tlv(TAG.null));
  return sequence(oid({ sha256: '1.2.840.10045.4.3.2', sha384: '1.2.840.10045.4.3.3', sha512: '1.2.840.10045.4.3.4' }[hashOf(key)]));
}

/** Signs with the hash that fits the key. */
export function signDer(key: KeyObject, bytes: Uint8Array): Buffer {
  return sign(hashOf(key), bytes, key);
}

/** A fresh key pair. RSA takes a tenth of a second and more: where others wait, use {@link generateKeyAndCsr}. */
export function createKeyPair(keyType: KeyType = 'ec-p256'): KeyPairKeyObjectResult {
  return keyType in CURVES ? generateKeyPairSync('ec', { namedCurve: CURVES[keyType as keyof typeof CURVES] }) : generateKeyPairSync('rsa', { modulusLength: MODULUS_BITS[keyType as keyof typeof MODULUS_BITS] });
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

/** What a request asks for; the CA decides what it really puts in. */
export interface CsrOptions {
  /** URI name; none is asked for when absent. */
  readonly uri?: string;
  readonly dnsNames?: readonly string[];
  /** Common name; the subject is empty without one. */
  readonly commonName?: string;
  readonly organizations?: readonly string[];
  /** Default `ec-p256`. */
  readonly keyType?: KeyType;
}

/** Makes a key and a signed request. */
export function createKeyAndCsr(options: CsrOptions): KeyAndCsr {
  return requestFor(createKeyPair(options.keyType), options);
}

/** As {@link createKeyAndCsr}; RSA keys are made beside the event loop. */
export async function generateKeyAndCsr(options: CsrOptions): Promise<KeyAndCsr> {
  const { keyType } = options;
  if (keyType === undefined || keyType in CURVES) return createKeyAndCsr(options);
  return requestFor(await promisify(generateKeyPair)('rsa', { modulusLength: MODULUS_BITS[keyType as keyof typeof MODULUS_BITS] }), options);
}

function requestFor({ privateKey, publicKey }: KeyPairKeyObjectResult, options: CsrOptions): KeyAndCsr {
  const names = subjectAltNames({ uris: options.uri === undefined ? [] : [options.uri], dnsNames: options.dnsNames ?? [] });
  const attribute = sequence(oid(OID_EXTENSION_REQUEST), tlv(TAG.set, sequence(sequence(oid(OID_SUBJECT_ALT_NAME), octetString(names)))));
  const wantsNames = options.uri !== undefined || (options.dnsNames ?? []).length > 0;
  const info = sequence(integer(Buffer.from([0])), subjectName(options.organizations ?? [], options.commonName), publicKey.export({ type: 'spki', format: 'der' }), tlv(contextTag(0), ...(wantsNames ? [attribute] : [])));
  const csr = sequence(info, signatureAlgorithm(privateKey), bitString(signDer(privateKey, info)));
  return { privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string, csrPem: toPem('CERTIFICATE REQUEST', csr) };
}

/** DER of a name: organizations, then the common name. */
export function subjectName(organizations: readonly string[], commonName: string | undefined): Buffer {
  const part = (id: string, value: string) => tlv(TAG.set, sequence(oid(id), utf8String(value)));
  return sequence(...organizations.map((name) => part(OID_ORGANIZATION, name)), ...(commonName === undefined ? [] : [part(OID_COMMON_NAME, commonName)]));
}

/** What a CA takes from a request. */
export interface ParsedCsr {
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKeyDer: Buffer;
  readonly publicKey: KeyObject;
  /** URIs asked for. */
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  /** IP addresses asked for, 4 or 16 bytes each. */
  readonly addresses: readonly Uint8Array[];
  /** Whether names of other kinds (e-mail, directory names) are asked for too. */
  readonly otherNames: boolean;
  readonly commonName: string | undefined;
  readonly organizations: readonly string[];
  /** Parts of the subject that are neither organization nor common name. */
  readonly otherSubject: boolean;
  /** DER of the subject as it stands. */
  readonly subjectDer: Buffer;
  /** Object identifiers of the extensions asked for. */
  readonly extensions: readonly string[];
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
  const [, subject, publicKeyInfo, attributes] = children(info);
  if (subject?.tag !== TAG.sequence || publicKeyInfo?.tag !== TAG.sequence) throw new Error('malformed certificate request: no public key');
  const publicKey = createPublicKey({ key: publicKeyInfo.raw, format: 'der', type: 'spki' });
  checkKey(publicKey);
  const identifier = children(algorithm)[0];
  const algorithmId = identifier?.tag === TAG.oid ? oidText(identifier.content) : 'none';
  const known = Object.hasOwn(SIGNATURES, algorithmId) ? SIGNATURES[algorithmId] : undefined;
  if (!known || known.key !== publicKey.asymmetricKeyType) throw new Error(`signature algorithm ${algorithmId} is not supported for ${publicKey.asymmetricKeyType} keys`);
  if (!verify(known.hash, info.raw, publicKey, signature.content.subarray(1))) throw new Error('the request is not signed by its own key');
  return { publicKeyDer: Buffer.from(publicKeyInfo.raw), publicKey, ...requestedNames(attributes?.tag === contextTag(0) ? attributes : undefined), ...requestedSubject(subject) };
}

function checkKey(key: KeyObject): void {
  const details = key.asymmetricKeyDetails;
  if (key.asymmetricKeyType === 'rsa' && (details?.modulusLength ?? 0) >= 2048) return;
  if (key.asymmetricKeyType === 'ec' && ['prime256v1', 'secp384r1', 'secp521r1'].includes(details?.namedCurve ?? '')) return;
  throw new Error('the key must be RSA with at least 2048 bits or EC on P-256, P-384 or P-521');
}

function requestedSubject(subject: DerNode): Pick<ParsedCsr, 'commonName' | 'organizations' | 'otherSubject' | 'subjectDer'> {
  const organizations: string[] = [];
  const commonNames: string[] = [];
  let otherSubject = false;
  for (const part of children(subject).flatMap((set) => children(set))) {
    const [id, value] = children(part);
    if (!id || !value) throw new Error('malformed certificate request: subject');
    const name = oidText(id.content);
    if (name === OID_ORGANIZATION) organizations.push(value.content.toString('utf8'));
    else if (name === OID_COMMON_NAME && commonNames.length === 0) commonNames.push(value.content.toString('utf8'));
    else otherSubject = true;
  }
  return { organizations, commonName: commonNames[0], otherSubject, subjectDer: Buffer.from(subject.raw) };
}

/** Tags of the names in a subject alternative name. @see RFC 5280 §4.2.1.6 */
const NAME_TAG = { dns: 0x82, uri: 0x86, address: 0x87 } as const;

function requestedNames(attributes: DerNode | undefined): Pick<ParsedCsr, 'uris' | 'dnsNames' | 'addresses' | 'otherNames' | 'extensions'> {
  const names: DerNode[] = [];
  const extensions: string[] = [];
  for (const attribute of attributes ? children(attributes) : []) {
    const [id, values] = children(attribute);
    if (!id || !values || oidText(id.content) !== OID_EXTENSION_REQUEST) continue;
    for (const extension of children(values).flatMap((list) => children(list))) {
      const parts = children(extension);
      const value = parts.at(-1);
      if (!parts[0] || !value) continue;
      extensions.push(oidText(parts[0].content));
      if (extensions.at(-1) === OID_SUBJECT_ALT_NAME) names.push(...children(readNode(value.content)));
    }
  }
  const textOf = (tag: number) => names.filter((name) => name.tag === tag).map((name) => name.content.toString('utf8'));
  return {
    uris: textOf(NAME_TAG.uri), dnsNames: textOf(NAME_TAG.dns), addresses: names.filter((name) => name.tag === NAME_TAG.address).map((name) => Buffer.from(name.content)),
    otherNames: names.some((name) => !Object.values<number>(NAME_TAG).includes(name.tag)), extensions,
  };
}
