import { fromBinary } from '@bufbuild/protobuf';
import type { Cluster } from '../../xds/gen/envoy/config/cluster/v3/cluster_pb.ts';
import type { FilterChain } from '../../xds/gen/envoy/config/listener/v3/listener_components_pb.ts';
import type { Listener } from '../../xds/gen/envoy/config/listener/v3/listener_pb.ts';
import type { RouteConfiguration } from '../../xds/gen/envoy/config/route/v3/route_pb.ts';
import { HttpConnectionManagerSchema } from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';

/** What Envoy would refuse, as far as it can be seen here; the proxy's own refusal catches the rest. */
export function listenerProblem(listener: Listener): string | undefined {
  if (!listener.address?.address.case) return 'a listener needs an address';
  const chains = [...listener.filterChains, ...(listener.defaultFilterChain ? [listener.defaultFilterChain] : [])];
  if (chains.length === 0) return 'no filter chains specified';
  const matches = new Set<string>();
  for (const chain of listener.filterChains) {
    const key = JSON.stringify(chain.filterChainMatch ?? null);
    if (matches.has(key)) return `two filter chains match the same: "${chain.name}"`;
    matches.add(key);
  }
  for (const chain of chains) {
    const problem = chainProblem(chain);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

const TERMINAL = /\.(HttpConnectionManager|TcpProxy|RedisProxy|Echo|ThriftProxy|DubboProxy)$|direct_response\.v3\.Config$/;

function chainProblem(chain: FilterChain): string | undefined {
  for (const [index, filter] of chain.filters.entries()) {
    const typed = filter.configType.case === 'typedConfig' ? filter.configType.value : undefined;
    const terminal = typed !== undefined && TERMINAL.test(typed.typeUrl);
    const last = index === chain.filters.length - 1;
    if (terminal && !last) return `terminal filter ${filter.name} must be the last of its chain`;
    if (!terminal && last && typed !== undefined) return `the last filter of a chain must be terminal, ${filter.name} is not`;
    if (typed?.typeUrl.endsWith('.HttpConnectionManager') === true) {
      const manager = fromBinary(HttpConnectionManagerSchema, typed.value);
      const problem = managerProblem(manager.httpFilters.map((item) => ({ name: item.name, type: item.configType.case === 'typedConfig' ? item.configType.value.typeUrl : '', discovered: item.configType.case === 'configDiscovery' })))
        ?? (manager.routeSpecifier.case === 'routeConfig' ? routeProblem(manager.routeSpecifier.value) : undefined);
      if (problem !== undefined) return problem;
    }
  }
  return undefined;
}

function managerProblem(filters: readonly { readonly name: string; readonly type: string; readonly discovered: boolean }[]): string | undefined {
  const last = filters.at(-1);
  if (!last?.type.endsWith('.Router')) return 'http_filters must end with the router';
  for (const filter of filters.slice(0, -1)) {
    if (filter.type.endsWith('.Router')) return `terminal filter ${filter.name} must be the last of http_filters`;
    if (filter.name === '') return 'an HTTP filter has no name';
    if (filter.type === '' && !filter.discovered) return `HTTP filter ${filter.name} has no config`;
  }
  return undefined;
}

export function routeProblem(table: RouteConfiguration): string | undefined {
  const domains = new Set<string>();
  const names = new Set<string>();
  for (const host of table.virtualHosts) {
    if (names.has(host.name)) return `two virtual hosts are named "${host.name}"`;
    names.add(host.name);
    if (host.domains.length === 0) return `virtual host "${host.name}" has no domains`;
    for (const domain of host.domains) {
      if (domains.has(domain.toLowerCase())) return `domain "${domain}" stands in two virtual hosts`;
      domains.add(domain.toLowerCase());
    }
    for (const route of host.routes) if (!route.match?.pathSpecifier.case || !route.action.case) return `route "${route.name}" of "${host.name}" needs a path match and an action`;
  }
  return undefined;
}

export function clusterProblem(cluster: Cluster): string | undefined {
  if (cluster.name === '') return 'a cluster needs a name';
  if (cluster.transportSocket && cluster.transportSocketMatches.length > 0 && cluster.transportSocket.name === '') return 'a transport socket needs a name';
  return undefined;
}
