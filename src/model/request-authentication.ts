import type { TargetedPolicy } from './policy-target.ts';

/** A header a token may stand in; `prefix` is cut off. */
export interface TokenHeader {
  readonly name: string;
  readonly prefix: string;
}

/** One issuer whose tokens are checked. @see https://istio.io/latest/docs/reference/config/security/jwt/#JWTRule */
export interface JwtRule {
  readonly issuer: string;
  /** Empty = any audience. */
  readonly audiences: readonly string[];
  /** Text of the key set; '' while none is known: then no token of this issuer is accepted. */
  readonly jwks: string;
  readonly fromHeaders: readonly TokenHeader[];
  readonly fromParams: readonly string[];
  readonly fromCookies: readonly string[];
  readonly forwardOriginalToken: boolean;
  /** '' = none. */
  readonly outputPayloadToHeader: string;
  readonly outputClaimToHeaders: readonly { readonly header: string; readonly claim: string }[];
  /** Claims that are lists written with spaces, besides `scope` and `permission`. */
  readonly spaceDelimitedClaims: readonly string[];
}

/** @see https://istio.io/latest/docs/reference/config/security/request_authentication/ */
export interface RequestAuthentication extends TargetedPolicy {
  readonly kind: 'request-authentication';
  readonly rules: readonly JwtRule[];
  readonly createdMs: number;
  readonly origin: string;
  readonly digest: string;
}
