import { constants, createHmac, createPublicKey, createSecretKey, timingSafeEqual, verify, type JsonWebKey, type KeyObject } from 'node:crypto';
import { TokenProblem, type ParsedToken } from './token.ts';

/** One key that can check signatures of one family of algorithms. */
interface Key {
  readonly kid: string;
  /** '' = any of its family. */
  readonly alg: string;
  readonly kty: 'RSA' | 'EC' | 'oct' | 'OKP';
  /** Of EC keys, the only algorithm for their curve. */
  readonly curveAlg: string;
  readonly key: KeyObject;
}

/** The keys of an issuer. */
export type KeySet = readonly Key[];

const CURVES: ReadonlyMap<string, string> = new Map([['P-256', 'ES256'], ['P-384', 'ES384'], ['P-521', 'ES512']]);
const ED25519_SIGNATURE_BYTES = 64;
/** A set with more keys is not read to its end: each could cost a signature check per request. */
const MAX_KEYS = 100;

/** Keys that can be used; others are left out. A text that is no key set has none, so that no token passes. */
export function parseKeySet(text: string): KeySet {
  let set: unknown;
  try {
    set = JSON.parse(text);
  } catch {
    return [];
  }
  const keys = typeof set === 'object' && set !== null && Object.hasOwn(set, 'keys') ? (set as { readonly keys: unknown }).keys : undefined;
  return Array.isArray(keys) ? keys.slice(0, MAX_KEYS).flatMap((key: unknown) => readKey(key) ?? []) : [];
}

function readKey(value: unknown): Key | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const text = (name: string): string | undefined => {
    const field: unknown = Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : '';
    return typeof field === 'string' ? field : undefined;
  };
  const [kid, alg, kty, crv, n, e, x, y, k] = ['kid', 'alg', 'kty', 'crv', 'n', 'e', 'x', 'y', 'k'].map(text);
  if (kid === undefined || alg === undefined) return undefined;
  const common = { kid, alg, curveAlg: '' };
  switch (kty) {
    case 'RSA':
      return n && e && (alg === '' || /^(?:RS|PS)/.test(alg)) ? withPublic({ ...common, kty }, { kty, n, e }) : undefined;
    case 'EC': {
      const curveAlg = CURVES.get(crv ?? '');
      return x && y && curveAlg !== undefined && (alg === '' || alg === curveAlg) ? withPublic({ ...common, kty, curveAlg }, { kty, crv: crv!, x, y }) : undefined;
    }
    case 'OKP':
      return x && crv === 'Ed25519' && (alg === '' || alg === 'EdDSA') ? withPublic({ ...common, kty }, { kty, crv, x }) : undefined;
    case 'oct':
      return k && /^[A-Za-z0-9_-]+=*$/.test(k) && (alg === '' || alg.startsWith('HS')) ? { ...common, kty, key: createSecretKey(Buffer.from(k, 'base64url')) } : undefined;
    default:
      return undefined;
  }
}

function withPublic(key: Omit<Key, 'key'>, jwk: JsonWebKey): Key | undefined {
  try {
    return { ...key, key: createPublicKey({ key: jwk, format: 'jwk' }) };
  } catch {
    return undefined;
  }
}

/**
 * Checks the signature with the keys that fit the token's `kid` and `alg`. What a key is decides what it may check: a public key never checks an HMAC.
 * @throws TokenProblem when none does.
 */
export function verifySignature(token: ParsedToken, keys: KeySet): void {
  if (keys.length === 0) throw new TokenProblem("Jwks doesn't have any valid public key");
  let fits = false;
  for (const key of keys) {
    if (token.kid !== '' && key.kid !== '' && key.kid !== token.kid) continue;
    if (key.alg !== '' && key.alg !== token.alg) continue;
    fits = true;
    if (signs(key, token)) return;
  }
  throw new TokenProblem(fits ? 'Jwt verification fails' : "Jwks doesn't have key to match kid or alg from Jwt");
}

function signs({ kty, curveAlg, key }: Key, { alg, signed, signature }: ParsedToken): boolean {
  const digest = `sha${alg.slice(2)}`;
  const data = Buffer.from(signed, 'latin1');
  try {
    switch (kty) {
      case 'RSA':
        if (alg.startsWith('RS')) return verify(digest, data, key, signature);
        return alg.startsWith('PS') && verify(digest, data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }, signature);
      case 'EC':
        return alg === curveAlg && verify(digest, data, { key, dsaEncoding: 'ieee-p1363' }, signature);
      case 'OKP':
        if (alg !== 'EdDSA') return false;
        if (signature.length !== ED25519_SIGNATURE_BYTES) throw new TokenProblem('Jwt ED25519 signature is wrong length');
        return verify(null, data, key, signature);
      case 'oct': {
        if (!alg.startsWith('HS')) return false;
        const expected = createHmac(digest, key).update(data).digest();
        return expected.length === signature.length && timingSafeEqual(expected, signature);
      }
    }
  } catch (thrown) {
    if (thrown instanceof TokenProblem) throw thrown;
    return false;
  }
}
