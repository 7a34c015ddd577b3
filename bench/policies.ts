/** What some scenarios put on the gateway besides the mesh: fifty rules and tokens, or no telemetry. */
import { createSign, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { parseAllDocuments } from 'yaml';
import type { KubeObject } from '../src/objects/meta.ts';

/** `telemetry-off`: no metrics of Istio's, no access log. `guarded`: a token is asked for, and the last of {@link RULES} rules lets it in. */
export type Addition = 'telemetry-off' | 'guarded';

export const RULES = 50;
const ISSUER = 'https://issuer.bench';
const SUBJECT = 'load';

const parse = (text: string): readonly KubeObject[] => parseAllDocuments(text).map((document) => document.toJS() as KubeObject).filter((object) => object !== null);

const TELEMETRY_OFF = parse(`
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: nothing, namespace: istio-system}
spec:
  metrics: [{providers: [{name: prometheus}], overrides: [{match: {metric: ALL_METRICS}, disabled: true}]}]
  accessLogging: [{disabled: true}]
`);

/** One issuer with an RSA key, which signs a token of an hour. */
export class TokenIssuer {
  /** Of the only user the last rule lets in. */
  readonly token: string;
  private readonly jwks: string;

  constructor(nowMs: number) {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    this.jwks = JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'bench', use: 'sig', alg: 'RS256' }] });
    this.token = signed(privateKey, { iss: ISSUER, sub: SUBJECT, groups: ['readers', 'writers'], iat: Math.floor(nowMs / 1000), exp: Math.floor(nowMs / 1000) + 3600 });
  }

  /** Objects of an addition. */
  objects(addition: Addition): readonly KubeObject[] {
    return addition === 'telemetry-off' ? TELEMETRY_OFF : this.guards();
  }

  /** Every rule names a user, a method, a path and a claim; only the last one fits the load. */
  private guards(): readonly KubeObject[] {
    const rules = Array.from({ length: RULES }, (_, index) => {
      const [user, path] = index === RULES - 1 ? [SUBJECT, '/'] : [`user-${index}`, `/path-${index}/*`];
      return `
  - from: [{source: {requestPrincipals: ["${ISSUER}/${user}"]}}]
    to: [{operation: {methods: [GET], hosts: [plain.bench], paths: ["${path}"]}}]
    when: [{key: "request.auth.claims[groups]", values: [writers]}]`;
    });
    return parse(`
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: istio-system}
spec: {selector: {matchLabels: {istio: ingressgateway}}, jwtRules: [{issuer: "${ISSUER}", jwks: '${this.jwks}'}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: fifty, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  rules:${rules.join('')}
`);
  }
}

function signed(key: KeyObject, claims: Readonly<Record<string, unknown>>): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg: 'RS256', kid: 'bench', typ: 'JWT' })}.${part(claims)}`;
  return `${text}.${createSign('RSA-SHA256').update(text).sign(key).toString('base64url')}`;
}
