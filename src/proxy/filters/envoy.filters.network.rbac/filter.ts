import { fromBinary } from '@bufbuild/protobuf';
import { RBACSchema } from '../../../xds/gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.ts';
import { within } from '../../config/config-error.ts';
import { mergeMetadata } from '../dynamic-metadata.ts';
import { PASS, type NetworkContext, type NetworkFilterFactory, type NetworkVerdict } from '../network-filter.ts';
import { compileEngine, denialDetails, shadowStatPrefix, type Engine } from '../../authorization/engine.ts';
import { connectionFacts, type AccessFacts } from '../../authorization/facts.ts';

const NAME = 'envoy.filters.network.rbac';

/**
 * Lets connections in or closes them by rules. Envoy asks at the first byte, when the upstream connection is open already; here nothing is opened for
 * a connection that is refused, and servers that speak first tell strangers nothing.
 * @see https://www.envoyproxy.io/docs/envoy/latest/configuration/listeners/network_filters/rbac_filter
 */
export const rbacNetworkFilter: NetworkFilterFactory = {
  typeUrl: 'type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC',
  create(bytes) {
    const config = fromBinary(RBACSchema, bytes);
    if (config.matcher !== undefined || config.shadowMatcher !== undefined) throw new Error('matcher trees are not supported');
    const engine = within('rules', () => compileEngine(config.rules));
    const shadow = within('shadow_rules', () => compileEngine(config.shadowRules));
    const { statPrefix, shadowRulesStatPrefix: shadowPrefix } = config;
    return {
      onConnection(context) {
        const facts: AccessFacts = { connection: connectionFacts(context.info), request: undefined, remoteIp: context.info.connection.remoteAddress, metadata: context.metadata };
        if (shadow !== undefined) {
          const { allowed, policy } = shadow.decide(facts);
          const result = allowed ? 'allowed' : 'denied';
          context.count(`${statPrefix}rbac.${shadowStatPrefix(shadowPrefix)}shadow_${result}`);
          mergeMetadata(context.metadata, NAME, { [`${shadowPrefix}shadow_engine_result`]: result, ...(policy !== '' && { [`${shadowPrefix}shadow_effective_policy_id`]: policy }) });
        }
        return engine === undefined ? PASS : enforce(engine, facts, context, statPrefix);
      },
    };
  },
};

function enforce(engine: Engine, facts: AccessFacts, context: NetworkContext, statPrefix: string): NetworkVerdict {
  const decision = engine.decide(facts);
  if (engine.logs) {
    mergeMetadata(context.metadata, 'envoy.common', { access_log_hint: decision.policy !== '' });
    return PASS;
  }
  context.count(`${statPrefix}rbac.${decision.allowed ? 'allowed' : 'denied'}`);
  return decision.allowed ? PASS : { kind: 'close', details: denialDetails(decision) };
}
