/** Authentication policies before Istio 1.5: still read, as the PeerAuthentication, RequestAuthentication and AuthorizationPolicy they mean. */
import type { SpecObject } from '../../meta.ts';
import { AUTHENTICATION_POLICY, MESH_POLICY } from '../../resource-types.ts';
import { AGE, defineKind } from '../../schema/define-kind.ts';
import { bool, int, list, map, obj, oneOf, req, str, type Infer } from '../../schema/dsl.ts';

/** `{exact|prefix|suffix|regex: text}`. */
const pathMatch = obj({ exact: str(), prefix: str(), suffix: str(), regex: str() });

const jwt = obj({
  issuer: str(),
  audiences: list(str()),
  jwksUri: str(),
  jwks: str(),
  jwtHeaders: list(str()),
  jwtParams: list(str()),
  /** Requests that need a token; absent: all. */
  triggerRules: list(obj({ excludedPaths: list(pathMatch), includedPaths: list(pathMatch) })),
});

const spec = obj({
  /** Services by short name; absent: the whole namespace. */
  targets: list(obj({ name: req(str()), labels: map(str()), ports: list(obj({ number: int(), name: str() })) })),
  /** `mtls: {}` is STRICT; without peers plain text is served. */
  peers: list(obj({ mtls: obj({ mode: oneOf('STRICT', 'PERMISSIVE'), allowTls: bool() }, { nullable: true }), jwt })),
  peerIsOptional: bool(),
  origins: list(obj({ jwt })),
  originIsOptional: bool(),
  principalBinding: oneOf('USE_PEER', 'USE_ORIGIN'),
});
/** @see https://archive.istio.io/v1.4/docs/reference/config/security/istio.authentication.v1alpha1/ */
export type AuthenticationPolicySpec = Infer<typeof spec>;
export type AuthenticationPolicy = SpecObject<AuthenticationPolicySpec>;

const facts = { custom: true, fields: { spec }, categories: ['istio-io', 'authentication-istio-io'], columns: [AGE] };

/** `Policy`: of a namespace, or of the services it targets. */
export const AUTHENTICATION_POLICY_KIND = defineKind(AUTHENTICATION_POLICY, facts);
/** `MeshPolicy`: of the whole mesh; its name is `default`. */
export const MESH_POLICY_KIND = defineKind(MESH_POLICY, facts);
