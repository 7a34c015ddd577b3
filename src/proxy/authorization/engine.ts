import { RBAC_Action, type RBAC } from '../../xds/gen/envoy/config/rbac/v3/rbac_pb.ts';
import { eachWithin, within } from '../config/config-error.ts';
import type { AccessFacts } from './facts.ts';
import { compilePermission, compilePrincipal, type Rule } from './matchers.ts';

/** What rules say of a request. */
export interface Decision {
  readonly allowed: boolean;
  /** The policy that matched, '' when none did. */
  readonly policy: string;
}

/** A compiled RBAC. */
export interface Engine {
  /** LOG decides nothing; it marks what matches for access logs. */
  readonly logs: boolean;
  decide(facts: AccessFacts): Decision;
}

/**
 * Compiles rules once; a request costs only their matchers. Undefined: there are no rules. Policies are asked in the order of their names, as in Envoy.
 * @throws ConfigError with the path of what cannot be obeyed.
 * @see envoy.config.rbac.v3.RBAC
 */
export function compileEngine(rbac: RBAC | undefined): Engine | undefined {
  if (rbac === undefined) return undefined;
  const policies = Object.entries(rbac.policies).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, policy]) => within(`policies["${name}"]`, () => {
    if (policy.condition !== undefined || policy.checkedCondition !== undefined) throw new Error('conditions in CEL are not supported');
    const permissions: readonly Rule[] = eachWithin('permissions', policy.permissions, compilePermission);
    const principals: readonly Rule[] = eachWithin('principals', policy.principals, compilePrincipal);
    return { name, matches: (facts: AccessFacts) => permissions.some((rule) => rule(facts)) && principals.some((rule) => rule(facts)) };
  }));
  const { action } = rbac;
  return {
    logs: action === RBAC_Action.LOG,
    decide(facts) {
      for (const { name, matches } of policies) if (matches(facts)) return { allowed: action !== RBAC_Action.DENY, policy: name };
      return { allowed: action !== RBAC_Action.ALLOW, policy: '' };
    },
  };
}

/** `response_code_details` of a refusal. */
export function denialDetails({ policy }: Decision): string {
  return `rbac_access_denied_matched_policy[${policy === '' ? 'none' : policy.replaceAll(' ', '_')}]`;
}

/** Envoy joins a prefix and a stat with a dot unless the prefix ends with one: `istio_dry_run_deny_.shadow_denied`. */
export function shadowStatPrefix(prefix: string): string {
  return prefix === '' || prefix.endsWith('.') ? prefix : `${prefix}.`;
}
