import type { RequestHead } from '../../http/message.ts';
import { mergeMetadata } from '../dynamic-metadata.ts';
import { CONTINUE } from '../http-filter.ts';
import type { FilterContext, FilterVerdict, HttpFilter, HttpFilterFactory } from '../http-filter.ts';
import { denialDetails, shadowStatPrefix } from '../../authorization/engine.ts';
import { connectionFacts, type AccessFacts } from '../../authorization/facts.ts';
import { parseRbac, PER_ROUTE_TYPE, type RbacConfig } from './config.ts';

const NAME = 'envoy.filters.http.rbac';

/** Lets requests in or refuses them by rules. @see https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/rbac_filter */
export const rbacFilter: HttpFilterFactory = {
  name: NAME,
  typeUrl: 'type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC',
  routeTypeUrl: PER_ROUTE_TYPE,
  parse: parseRbac,
  create(config, routeConfig) {
    const rbac = (routeConfig ?? config) as RbacConfig;
    return rbac.engine === undefined && rbac.shadow === undefined ? undefined : new RbacFilter(rbac);
  },
};

class RbacFilter implements HttpFilter {
  constructor(private readonly config: RbacConfig) {}

  onRequest(head: RequestHead, context: FilterContext): FilterVerdict {
    const { engine, shadow, shadowPrefix } = this.config;
    const facts: AccessFacts = { connection: connectionFacts(context.info), request: head, remoteIp: context.sourceIp, metadata: context.metadata };
    const { counters } = context.stats;
    if (shadow !== undefined) {
      const { allowed, policy } = shadow.decide(facts);
      const result = allowed ? 'allowed' : 'denied';
      const counter = `rbac.${shadowStatPrefix(shadowPrefix)}shadow_${result}`;
      if (counter in counters) (counters as Record<string, number>)[counter]!++;
      mergeMetadata(context.metadata, NAME, { [`${shadowPrefix}shadow_engine_result`]: result, ...(policy !== '' && { [`${shadowPrefix}shadow_effective_policy_id`]: policy }) });
    }
    if (engine === undefined) return CONTINUE;
    const decision = engine.decide(facts);
    if (engine.logs) {
      mergeMetadata(context.metadata, 'envoy.common', { access_log_hint: decision.policy !== '' });
      return CONTINUE;
    }
    if (decision.allowed) {
      counters['rbac.allowed']++;
      return CONTINUE;
    }
    counters['rbac.denied']++;
    return { kind: 'reply', reply: { status: 403, body: 'RBAC: access denied', details: denialDetails(decision) } };
  }
}
