/** Service account tokens: JWTs bound to an account and mostly to a pod. @see https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/ */
import { createHash, createPrivateKey, createPublicKey, randomUUID, sign, verify, type KeyObject } from 'node:crypto';
import { isObject, listAt, own, textAt } from '../json.ts';

/** The issuer, and the audience of tokens that ask for none: this API server. */
export const ISSUER = 'https://kubernetes.default.svc.cluster.local';

/** Shorter lifetimes are refused, longer ones cut. */
export const MIN_TOKEN_SECONDS = 600;
export const MAX_TOKEN_SECONDS = 2 ** 32;

/** Whom a token is for. */
export interface TokenSubject {
  readonly namespace: string;
  readonly serviceAccount: { readonly name: string; readonly uid: string };
  /** The object whose deletion makes the token worthless. */
  readonly bound?: { readonly kind: 'Pod' | 'Secret' | 'Node'; readonly name: string; readonly uid: string };
}

/** What a genuine, current token says. */
export interface TokenClaims extends TokenSubject {
  readonly audiences: readonly string[];
  /** Seconds since the epoch. */
  readonly expiresAt: number;
  readonly id: string;
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Signs and checks tokens with one EC P-256 key. */
export class TokenAuthority {
  private readonly privateKey: KeyObject;
  private readonly publicKey: KeyObject;
  private readonly keyId: string;
  /** Signatures already checked, by token; the rest of a token is checked every time. */
  private readonly verified = new Map<string, TokenClaims>();

  constructor(privateKeyPem: string) {
    this.privateKey = createPrivateKey(privateKeyPem);
    this.publicKey = createPublicKey(this.privateKey);
    this.keyId = createHash('sha256').update(this.publicKey.export({ type: 'spki', format: 'der' })).digest('base64url');
  }

  /** A new token. `expiresAt` and `nowMs` are seconds and milliseconds since the epoch. */
  issue(subject: TokenSubject, options: { readonly audiences: readonly string[]; readonly expirationSeconds: number; readonly nowMs: number }): { readonly token: string; readonly expiresAt: number } {
    const issuedAt = Math.floor(options.nowMs / 1000);
    const expiresAt = issuedAt + Math.min(options.expirationSeconds, MAX_TOKEN_SECONDS);
    const { namespace, serviceAccount, bound } = subject;
    const claims = {
      aud: options.audiences,
      exp: expiresAt,
      iat: issuedAt,
      iss: ISSUER,
      jti: randomUUID(),
      'kubernetes.io': { namespace, ...(bound ? { [bound.kind.toLowerCase()]: { name: bound.name, uid: bound.uid } } : {}), serviceaccount: serviceAccount },
      nbf: issuedAt,
      sub: `system:serviceaccount:${namespace}:${serviceAccount.name}`,
    };
    const signed = `${encode({ alg: 'ES256', kid: this.keyId, typ: 'JWT' })}.${encode(claims)}`;
    const signature = sign('sha256', Buffer.from(signed), { key: this.privateKey, dsaEncoding: 'ieee-p1363' });
    return { token: `${signed}.${signature.toString('base64url')}`, expiresAt };
  }

  /** The claims of a token that we signed and that is current; otherwise a sentence why not. Whether its account still exists is the caller's to check. */
  check(token: string, nowMs: number): TokenClaims | string {
    const claims = this.verified.get(token) ?? this.checkSignature(token);
    if (typeof claims === 'string') return claims;
    if (claims.expiresAt * 1000 <= nowMs) return 'service account token has expired';
    return claims;
  }

  /** The public key as a JWKS. */
  jwks(): unknown {
    return { keys: [{ ...this.publicKey.export({ format: 'jwk' }), use: 'sig', kid: this.keyId, alg: 'ES256' }] };
  }

  private checkSignature(token: string): TokenClaims | string {
    const parts = token.split('.');
    if (parts.length !== 3 || token.length > 8192) return 'invalid bearer token';
    const [header, payload] = parts.slice(0, 2).map(parsePart);
    if (!isObject(header) || !isObject(payload) || header['alg'] !== 'ES256' || payload['iss'] !== ISSUER) return 'invalid bearer token';
    const genuine = verify('sha256', Buffer.from(`${parts[0]}.${parts[1]}`), { key: this.publicKey, dsaEncoding: 'ieee-p1363' }, Buffer.from(parts[2]!, 'base64url'));
    if (!genuine) return 'invalid bearer token';
    const claims = claimsOf(payload);
    if (this.verified.size >= 1024) this.verified.clear();
    this.verified.set(token, claims);
    return claims;
  }
}

function parsePart(part: string): unknown {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}

function claimsOf(payload: Record<string, unknown>): TokenClaims {
  const kubernetes = own(payload, 'kubernetes.io');
  const reference = (kind: string) => ({ name: textAt(kubernetes, kind, 'name'), uid: textAt(kubernetes, kind, 'uid') });
  const kind = (['Pod', 'Secret', 'Node'] as const).find((one) => own(kubernetes, one.toLowerCase()) !== undefined);
  return {
    namespace: textAt(kubernetes, 'namespace'),
    serviceAccount: reference('serviceaccount'),
    ...(kind ? { bound: { kind, ...reference(kind.toLowerCase()) } } : {}),
    audiences: listAt(payload, 'aud').filter((one) => typeof one === 'string'),
    expiresAt: Number(payload['exp']),
    id: textAt(payload, 'jti'),
  };
}
