import { fromBinary } from '@bufbuild/protobuf';
import { FilterConfigSchema } from '../../../xds/gen/envoy/extensions/filters/network/sni_dynamic_forward_proxy/v3/sni_dynamic_forward_proxy_pb.ts';
import { compileDnsCache } from '../../cluster/dns-cache.ts';
import type { DynamicHostResult } from '../../cluster/dynamic-hosts.ts';
import { joinAddress } from '../../cluster/endpoints.ts';
import { within } from '../../config/config-error.ts';
import { PASS, type NetworkFilterFactory, type NetworkVerdict } from '../network-filter.ts';

/** Finds the address of the server that a ClientHello names. @see https://www.envoyproxy.io/docs/envoy/latest/configuration/listeners/network_filters/sni_dynamic_forward_proxy_filter */
export const sniDynamicForwardProxyFilter: NetworkFilterFactory = {
  typeUrl: 'type.googleapis.com/envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.FilterConfig',
  create(bytes) {
    const config = fromBinary(FilterConfigSchema, bytes);
    const cache = within('dns_cache_config', () => compileDnsCache(config.dnsCacheConfig));
    const port = config.portSpecifier.value ?? 443;
    return {
      onConnection(context) {
        const name = context.info.serverName;
        // Without a name the cluster has no host for the connection, which closes it.
        if (name === '') return PASS;
        let known: NetworkVerdict | undefined;
        let later: ((verdict: NetworkVerdict) => void) | undefined;
        const cancel = context.dynamicHosts.find(cache, name, (result) => {
          if (result.kind === 'address') context.useDestination(joinAddress(result.ip, port));
          if (later === undefined) known = verdictOf(result);
          else later(verdictOf(result));
        });
        if (known !== undefined || cancel === undefined) return known ?? PASS;
        return { kind: 'wait', start: (resume) => { later = resume; return cancel; } };
      },
    };
  },
};

function verdictOf(result: DynamicHostResult): NetworkVerdict {
  if (result.kind === 'address') return PASS;
  if (result.kind === 'failure') return { kind: 'close', details: `dns_resolution_failure{${result.reason}}`, flag: 'DF' };
  return { kind: 'close', details: result.limit === 'hosts' ? 'dns_cache_overflow' : 'dynamic_forward_proxy_pending_request_overflow', flag: 'UO' };
}
