import type { SpecObject } from '../meta.ts';
import { REQUEST_AUTHENTICATION } from '../resource-types.ts';
import { bool, duration, list, obj, req, str, type Infer } from '../schema/dsl.ts';
import { targetReference, workloadSelector, type IstioStatus } from './common.ts';
import { defineIstioKind, SECURITY_VERSIONS } from './define-istio-kind.ts';

const jwtRule = obj({
  issuer: req(str({ minLength: 1 })),
  audiences: list(str({ minLength: 1 })),
  jwksUri: str({ minLength: 1, maxLength: 2048 }),
  /** A JSON Web Key Set as text. */
  jwks: str(),
  fromHeaders: list(obj({ name: req(str({ minLength: 1 })), prefix: str() })),
  fromParams: list(str({ minLength: 1 })),
  fromCookies: list(str({ minLength: 1 })),
  outputPayloadToHeader: str(),
  /** Default false: the token is removed. */
  forwardOriginalToken: bool(),
  outputClaimToHeaders: list(obj({ header: req(str({ minLength: 1, pattern: '^[-_A-Za-z0-9]+$' })), claim: req(str({ minLength: 1 })) })),
  /** Of the fetch of the keys; default 5s. */
  timeout: duration(),
  spaceDelimitedClaims: list(str({ minLength: 1 }), {}, { maxItems: 64 }),
  /** Whether a request without a token is let through by this rule. */
  presence: str(),
});
/** @see https://istio.io/latest/docs/reference/config/security/jwt/#JWTRule */
export type JWTRule = Infer<typeof jwtRule>;

const spec = obj({ selector: workloadSelector, targetRef: targetReference, targetRefs: list(targetReference, {}, { maxItems: 16 }), jwtRules: list(jwtRule, {}, { maxItems: 4096 }) });
/** @see https://istio.io/latest/docs/reference/config/security/request_authentication/ */
export type RequestAuthenticationSpec = Infer<typeof spec>;
export type RequestAuthentication = SpecObject<RequestAuthenticationSpec, IstioStatus>;

export const REQUEST_AUTHENTICATION_KIND = defineIstioKind(REQUEST_AUTHENTICATION, { ...SECURITY_VERSIONS, shortNames: ['ra'], spec });
