import type { TargetedPolicy } from './policy-target.ts';

export type AuthorizationAction = 'ALLOW' | 'DENY' | 'AUDIT' | 'CUSTOM';

/** Values one of which must match, and values none of which may; both empty = no condition. */
export interface ValueMatch {
  readonly values: readonly string[];
  readonly notValues: readonly string[];
}

/** Fields of `from[].source` in Istio's spelling. */
export type SourceField = 'principals' | 'requestPrincipals' | 'namespaces' | 'serviceAccounts' | 'ipBlocks' | 'remoteIpBlocks' | 'trustDomains';
/** Fields of `to[].operation` in Istio's spelling. */
export type OperationField = 'hosts' | 'ports' | 'methods' | 'paths';

/** Who calls: all fields must match. */
export type SourceMatch = Readonly<Record<SourceField, ValueMatch>>;
/** What is asked for: all fields must match. */
export type OperationMatch = Readonly<Record<OperationField, ValueMatch>>;

/** One more condition on a named attribute. */
export interface AttributeMatch extends ValueMatch {
  /** `request.headers[x]`, `source.ip`, `request.auth.claims[a][b]` and so on. */
  readonly key: string;
}

/** One rule: any of `from`, any of `to`, all of `when`. Empty lists match everything. */
export interface AuthorizationRule {
  readonly from: readonly SourceMatch[];
  readonly to: readonly OperationMatch[];
  readonly when: readonly AttributeMatch[];
}

/** @see https://istio.io/latest/docs/reference/config/security/authorization-policy/ */
export interface AuthorizationPolicy extends TargetedPolicy {
  readonly kind: 'authorization-policy';
  readonly action: AuthorizationAction;
  /** Name of the extension provider of CUSTOM; '' otherwise. */
  readonly provider: string;
  /** Annotation `istio.io/dry-run`: evaluated and reported, never enforced. */
  readonly dryRun: boolean;
  /** Empty = never matches. */
  readonly rules: readonly AuthorizationRule[];
  readonly createdMs: number;
  readonly origin: string;
  readonly digest: string;
}
