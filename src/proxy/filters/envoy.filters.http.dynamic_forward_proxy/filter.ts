import type { RequestHead } from '../../http/message.ts';
import type { DnsCacheSettings } from '../../cluster/dns-cache.ts';
import { splitAuthority, type DynamicHostResult } from '../../cluster/dynamic-hosts.ts';
import { joinAddress } from '../../cluster/endpoints.ts';
import { CONTINUE, type FilterContext, type FilterVerdict, type HttpFilter, type HttpFilterFactory, type LocalReply } from '../http-filter.ts';
import { parseDynamicForward, PER_ROUTE_TYPE, type DynamicForwardConfig, type HostChoice } from './config.ts';

/** Finds the address of the host a request names. @see https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/dynamic_forward_proxy_filter */
export const dynamicForwardProxyFilter: HttpFilterFactory = {
  name: 'envoy.filters.http.dynamic_forward_proxy',
  typeUrl: 'type.googleapis.com/envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig',
  routeTypeUrl: PER_ROUTE_TYPE,
  parse: parseDynamicForward,
  create(config, routeConfig) {
    const own = config as DynamicForwardConfig;
    const route = routeConfig as DynamicForwardConfig | undefined;
    return 'cache' in own ? new DynamicForwardProxy(own.cache, route && 'host' in route ? route.host : undefined) : undefined;
  },
};

class DynamicForwardProxy implements HttpFilter {
  constructor(private readonly cache: DnsCacheSettings, private readonly choice: HostChoice | undefined) {}

  onRequest(head: RequestHead, context: FilterContext): FilterVerdict {
    const port = context.dynamicPort;
    // Clusters that list their hosts themselves need nothing looked up.
    if (port === undefined) return CONTINUE;
    const target = splitAuthority(this.authorityOf(head), port);
    if (target === undefined) return { kind: 'reply', reply: failure('not_a_host_name') };
    const verdict = (result: DynamicHostResult): FilterVerdict => {
      if (result.kind !== 'address') return { kind: 'reply', reply: result.kind === 'overflow' ? overflow(result.limit) : failure(result.reason) };
      context.dynamicDestination = joinAddress(result.ip, target.port);
      return CONTINUE;
    };
    let known: FilterVerdict | undefined;
    let later: ((result: FilterVerdict) => void) | undefined;
    const cancel = context.dynamicHosts.find(this.cache, target.host, (result) => {
      if (later === undefined) known = verdict(result);
      else later(verdict(result));
    });
    if (known !== undefined || cancel === undefined) return known ?? CONTINUE;
    return { kind: 'wait', start: (resume) => { later = resume; return cancel; } };
  }

  private authorityOf(head: RequestHead): string {
    if (this.choice === undefined) return head.authority;
    return 'literal' in this.choice ? this.choice.literal : (head.headers.get(this.choice.header) ?? head.authority);
  }
}

function failure(reason: string): LocalReply {
  return { status: 503, body: 'DNS resolution failure', details: `dns_resolution_failure{${reason}}`, flag: 'DF' };
}

function overflow(limit: 'hosts' | 'pending'): LocalReply {
  if (limit === 'hosts') return { status: 503, body: 'DNS cache overflow', details: 'dns_cache_overflow' };
  return { status: 503, body: 'Dynamic forward proxy pending request overflow', details: 'dynamic_forward_proxy_pending_request_overflow', flag: 'UO' };
}
