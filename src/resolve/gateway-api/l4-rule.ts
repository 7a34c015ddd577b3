/** One rule of a TCPRoute or TLSRoute → an Istio route. */
import type { L4RouteRule } from '../../objects/gateway-api/l4-routes.ts';
import type { RuleContext } from './backend.ts';
import { isWeightless, weightedDestinations, type Json, type RuleResult } from './rule-parts.ts';

/** A cluster that never exists: connections to it are closed. */
const REJECT: Json = { destination: { host: 'internal.cluster.local', subset: 'zero-weight', port: { number: 65_535 } } };

/** `sniHosts` only for TLSRoutes. */
export function convertL4Rule(context: RuleContext, rule: L4RouteRule, sniHosts: readonly string[] | undefined): RuleResult {
  const backends = rule.backendRefs ?? [];
  if (isWeightless(backends)) return { route: { route: [REJECT] } };
  const built = weightedDestinations(context, backends);
  if (built.fatal) return { route: undefined, error: built.error! };
  return { route: { ...(sniHosts && { match: [{ sniHosts }] }), route: built.destinations }, error: built.error };
}
