import type { SpecObject } from '../meta.ts';
import { AUTHORIZATION_POLICY } from '../resource-types.ts';
import { AGE } from '../schema/define-kind.ts';
import { list, obj, oneOf, req, str, type Infer } from '../schema/dsl.ts';
import { targetReference, workloadSelector, type IstioStatus } from './common.ts';
import { defineIstioKind, SECURITY_VERSIONS } from './define-istio-kind.ts';

const strings = list(str());
const source = obj({
  principals: strings,
  notPrincipals: strings,
  requestPrincipals: strings,
  notRequestPrincipals: strings,
  namespaces: strings,
  notNamespaces: strings,
  /** `namespace/name` or `name`; no wildcards. */
  serviceAccounts: list(str({ maxLength: 320 }), {}, { maxItems: 16 }),
  notServiceAccounts: list(str({ maxLength: 320 }), {}, { maxItems: 16 }),
  ipBlocks: strings,
  notIpBlocks: strings,
  remoteIpBlocks: strings,
  notRemoteIpBlocks: strings,
  trustDomains: strings,
  notTrustDomains: strings,
});
/** Who sends a request; values OR, fields AND. */
export type Source = Infer<typeof source>;

const operation = obj({
  hosts: strings,
  notHosts: strings,
  ports: strings,
  notPorts: strings,
  methods: strings,
  notMethods: strings,
  paths: strings,
  notPaths: strings,
});
/** What is requested. */
export type Operation = Infer<typeof operation>;

const condition = obj({ key: req(str()), values: strings, notValues: strings });
/** One extra condition. */
export type Condition = Infer<typeof condition>;

const rule = obj({
  from: list(obj({ source }), {}, { maxItems: 512 }),
  to: list(obj({ operation })),
  when: list(condition),
});
/** One rule: from AND to AND when. */
export type Rule = Infer<typeof rule>;

const spec = obj({
  selector: workloadSelector,
  targetRef: targetReference,
  targetRefs: list(targetReference, {}, { maxItems: 16 }),
  /** Absent or empty never matches; `[{}]` always does. */
  rules: list(rule, {}, { maxItems: 512 }),
  /** Default ALLOW. */
  action: oneOf('ALLOW', 'DENY', 'AUDIT', 'CUSTOM'),
  provider: obj({ name: str() }),
});
/** @see https://istio.io/latest/docs/reference/config/security/authorization-policy/ */
export type AuthorizationPolicySpec = Infer<typeof spec>;
export type AuthorizationPolicy = SpecObject<AuthorizationPolicySpec, IstioStatus>;

export const AUTHORIZATION_POLICY_KIND = defineIstioKind(AUTHORIZATION_POLICY, {
  ...SECURITY_VERSIONS,
  shortNames: ['ap'],
  spec,
  columns: [{ name: 'Action', type: 'string', jsonPath: '.spec.action', description: 'The operation to take.' }, AGE],
});
