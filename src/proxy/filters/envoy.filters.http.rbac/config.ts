import { fromBinary } from '@bufbuild/protobuf';
import { RBACPerRouteSchema, RBACSchema, type RBAC } from '../../../xds/gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.ts';
import { within } from '../../config/config-error.ts';
import { compileEngine, type Engine } from '../../authorization/engine.ts';

/** Enforced rules, rules that only report, and what reports are called. */
export interface RbacConfig {
  readonly engine: Engine | undefined;
  readonly shadow: Engine | undefined;
  /** `istio_dry_run_allow_`; before `shadow_effective_policy_id` and in stats. */
  readonly shadowPrefix: string;
}

export const PER_ROUTE_TYPE = 'type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute';

/** @throws ConfigError for rules that cannot be obeyed. */
export function parseRbac(typeUrl: string, bytes: Uint8Array): RbacConfig {
  if (typeUrl !== PER_ROUTE_TYPE) return compile(fromBinary(RBACSchema, bytes));
  const { rbac } = fromBinary(RBACPerRouteSchema, bytes);
  return rbac === undefined ? { engine: undefined, shadow: undefined, shadowPrefix: '' } : compile(rbac);
}

function compile(rbac: RBAC): RbacConfig {
  if (rbac.matcher !== undefined || rbac.shadowMatcher !== undefined) throw new Error('matcher trees are not supported');
  return {
    engine: within('rules', () => compileEngine(rbac.rules)),
    shadow: within('shadow_rules', () => compileEngine(rbac.shadowRules)),
    shadowPrefix: rbac.shadowRulesStatPrefix,
  };
}
