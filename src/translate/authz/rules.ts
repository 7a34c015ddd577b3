import { create } from '@bufbuild/protobuf';
import { PolicySchema, RBAC_Action, RBACSchema, type Policy, type RBAC } from '../../xds/gen/envoy/config/rbac/v3/rbac_pb.ts';
import type { AuthorizationAction, AuthorizationPolicy } from '../../model/authorization-policy.ts';
import { permission, principal } from './matchers.ts';
import { rulePolicy } from './rule.ts';

export interface RuleSetOptions {
  readonly trustDomains: readonly string[];
  readonly tcp: boolean;
}

/** Enforced and dry-run rules of policies with one action; undefined where there is no such policy. */
export interface RuleSets {
  readonly enforced: RBAC | undefined;
  readonly shadow: RBAC | undefined;
}

const ACTION: Readonly<Record<AuthorizationAction, RBAC_Action>> = { ALLOW: RBAC_Action.ALLOW, DENY: RBAC_Action.DENY, AUDIT: RBAC_Action.LOG, CUSTOM: RBAC_Action.DENY };

/** The rules of all policies of one action, each under `<prefix>ns[<ns>]-policy[<name>]-rule[<i>]`: the name in logs, metrics and response details. */
export function ruleSets(policies: readonly AuthorizationPolicy[], action: AuthorizationAction, options: RuleSetOptions, prefix = ''): RuleSets {
  const set = (dryRun: boolean): RBAC | undefined => {
    const chosen = policies.filter((policy) => policy.dryRun === dryRun);
    if (chosen.length === 0) return undefined;
    return create(RBACSchema, { action: ACTION[action], policies: Object.fromEntries(chosen.flatMap((policy) => namedRules(policy, action, options, prefix))) });
  };
  return { enforced: set(false), shadow: set(true) };
}

function namedRules(policy: AuthorizationPolicy, action: AuthorizationAction, { trustDomains, tcp }: RuleSetOptions, prefix: string): (readonly [string, Policy])[] {
  const name = (index: number): string => `${prefix}ns[${policy.namespace}]-policy[${policy.name}]-rule[${index}]`;
  // No rules: the policy is there (an ALLOW one refuses everything) and never matches.
  if (policy.rules.length === 0) return [[name(0), neverMatches()]];
  return policy.rules.flatMap((rule, index) => {
    const built = rulePolicy(rule, { namespace: policy.namespace, trustDomains, tcp, onProblem: action === 'ALLOW' ? 'narrow' : 'widen' });
    return built ? [[name(index), built] as const] : [];
  });
}

function neverMatches(): Policy {
  return create(PolicySchema, {
    permissions: [permission({ case: 'notRule', value: permission({ case: 'any', value: true }) })],
    principals: [principal({ case: 'notId', value: principal({ case: 'any', value: true }) })],
  });
}
