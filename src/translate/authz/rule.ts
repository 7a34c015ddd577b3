import { create } from '@bufbuild/protobuf';
import { PolicySchema, type Permission, type Policy, type Principal } from '../../xds/gen/envoy/config/rbac/v3/rbac_pb.ts';
import type { AuthorizationRule, OperationField, OperationMatch, SourceField, SourceMatch, ValueMatch } from '../../model/authorization-policy.ts';
import { attributeOf, HOSTS, IP_BLOCKS, METHODS, NAMESPACES, PATHS, PORTS, PRINCIPALS, REMOTE_IP_BLOCKS, REQUEST_PRINCIPALS, SERVICE_ACCOUNTS, TRUST_DOMAINS, type Attribute, type AttributeContext, type Lazy } from './attributes.ts';
import { permission, principal, RuleProblem } from './matchers.ts';

const OPERATION: readonly (readonly [OperationField, Attribute])[] = [['hosts', HOSTS], ['methods', METHODS], ['paths', PATHS], ['ports', PORTS]];
const SOURCE: readonly (readonly [SourceField, Attribute])[] = [
  ['principals', PRINCIPALS], ['serviceAccounts', SERVICE_ACCOUNTS], ['requestPrincipals', REQUEST_PRINCIPALS], ['namespaces', NAMESPACES], ['trustDomains', TRUST_DOMAINS],
  ['remoteIpBlocks', REMOTE_IP_BLOCKS], ['ipBlocks', IP_BLOCKS],
];

export interface RuleOptions extends AttributeContext {
  /**
   * What becomes of a value that cannot be matched here: `narrow` drops the whole rule (ALLOW: fewer requests get in), `widen` drops only the value
   * (DENY, AUDIT, CUSTOM: more requests are stopped or looked at).
   */
  readonly onProblem: 'narrow' | 'widen';
}

type Condition = readonly [Attribute, ValueMatch];

/** Envoy's policy for one rule; undefined when nothing is left of it. */
export function rulePolicy(rule: AuthorizationRule, options: RuleOptions): Policy | undefined {
  try {
    const when = rule.when.map((condition): Condition => [attributeOf(condition.key), condition]);
    const operations: readonly (OperationMatch | undefined)[] = rule.to.length > 0 ? rule.to : [undefined];
    const sources: readonly (SourceMatch | undefined)[] = rule.from.length > 0 ? rule.from : [undefined];
    return create(PolicySchema, {
      permissions: operations.map((operation) => permissionOf([...(operation ? OPERATION.map(([field, attribute]): Condition => [attribute, operation[field]]) : []), ...when], options)),
      principals: sources.map((source) => principalOf([...(source ? SOURCE.map(([field, attribute]): Condition => [attribute, source[field]]) : []), ...when], options)),
    });
  } catch (thrown) {
    if (thrown instanceof RuleProblem) return undefined;
    throw thrown;
  }
}

function permissionOf(conditions: readonly Condition[], options: RuleOptions): Permission {
  const rules = conditions.flatMap(([attribute, { values, notValues }]) => {
    if (attribute.side !== 'permission') return [];
    const any = made(attribute.match(values, options), options);
    const none = made(attribute.match(notValues, options), options);
    return [
      ...(any.length > 0 ? [permission({ case: 'orRules', value: { rules: any } })] : []),
      ...(none.length > 0 ? [permission({ case: 'notRule', value: permission({ case: 'orRules', value: { rules: none } }) })] : []),
    ];
  });
  return permission({ case: 'andRules', value: { rules: rules.length > 0 ? rules : [permission({ case: 'any', value: true })] } });
}

function principalOf(conditions: readonly Condition[], options: RuleOptions): Principal {
  const ids = conditions.flatMap(([attribute, { values, notValues }]) => {
    if (attribute.side !== 'principal') return [];
    const any = made(attribute.match(values, options), options);
    const none = made(attribute.match(notValues, options), options);
    return [
      ...(any.length > 0 ? [principal({ case: 'orIds', value: { ids: any } })] : []),
      ...(none.length > 0 ? [principal({ case: 'notId', value: principal({ case: 'orIds', value: { ids: none } }) })] : []),
    ];
  });
  return principal({ case: 'andIds', value: { ids: ids.length > 0 ? ids : [principal({ case: 'any', value: true })] } });
}

function made<T>(makers: readonly Lazy<T>[], options: RuleOptions): T[] {
  return makers.flatMap((make) => {
    try {
      return [make()];
    } catch (thrown) {
      if (!(thrown instanceof RuleProblem) || options.onProblem === 'narrow') throw thrown;
      return [];
    }
  });
}
