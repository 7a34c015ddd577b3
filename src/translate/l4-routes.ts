import type { FilterChainMatch } from '../xds/gen/envoy/config/listener/v3/listener_components_pb.ts';
import { FilterChainMatchSchema } from '../xds/gen/envoy/config/listener/v3/listener_components_pb.ts';
import { create } from '@bufbuild/protobuf';
import { isTls } from '../model/protocol.ts';
import type { Service, ServicePort } from '../model/service.ts';
import type { ProxyView } from '../model/view.ts';
import type { L4Match, L4Route, VirtualService } from '../model/virtual-service.ts';
import { selects } from '../model/workload.ts';
import { destinationCluster } from './http-route.ts';
import { outboundClusterName } from './names.ts';
import { cidrRange } from './proto.ts';
import type { TcpTarget } from './tcp-proxy.ts';

/** One TCP chain to be: whom it takes and where it sends. */
export interface L4Chain {
  readonly sniHosts: readonly string[];
  /** CIDRs of the original destination; empty = any. */
  readonly subnets: readonly string[];
  readonly targets: readonly TcpTarget[];
}

/** The targets of an L4 route. */
export function l4Targets(view: ProxyView, route: L4Route, port: number): readonly TcpTarget[] {
  return route.destinations.map((entry) => ({ cluster: destinationCluster(view, entry.destination, port), weight: entry.weight }));
}

export function l4Concerns(view: ProxyView, rule: VirtualService, match: L4Match, gateway: string, port: number): boolean {
  if (match.port !== 0 && match.port !== port) return false;
  if (match.gateways.length > 0 ? !match.gateways.includes(gateway) : !rule.gateways.includes(gateway)) return false;
  if (gateway !== 'mesh') return true;
  return (!match.sourceNamespace || match.sourceNamespace === view.proxy.namespace) && selects(match.sourceLabels, view.proxy.labels);
}

const byHost = new WeakMap<readonly VirtualService[], ReadonlyMap<string, VirtualService>>();

/** The first VirtualService of each host. */
function firstByHost(rules: readonly VirtualService[]): ReadonlyMap<string, VirtualService> {
  let found = byHost.get(rules);
  if (!found) {
    const map = new Map<string, VirtualService>();
    for (const rule of rules) for (const host of rule.hosts) if (!map.has(host)) map.set(host, rule);
    byHost.set(rules, (found = map));
  }
  return found;
}

/**
 * The TCP chains of a service port on a sidecar: what its VirtualService's `tls` (for TLS ports) or `tcp` routes say, else straight to its cluster. `subnets`:
 * the service's own CIDRs when it shares a wildcard listener; `needSni`: only the server name tells it apart there.
 */
export function outboundL4Chains(view: ProxyView, service: Service, port: ServicePort, shape: { readonly subnets: readonly string[]; readonly needSni: boolean }): readonly L4Chain[] {
  const rule = firstByHost(view.virtualServices).get(service.hostname);
  const chains: L4Chain[] = [];
  if (rule && isTls(port.protocol))
    for (const route of rule.tls)
      for (const match of route.matches)
        if (l4Concerns(view, rule, match, 'mesh', port.number))
          chains.push({ sniHosts: match.sniHosts, subnets: match.destinationSubnets.length > 0 ? match.destinationSubnets : shape.subnets, targets: l4Targets(view, route, port.number) });
  if (chains.length > 0) return chains;
  if (rule)
    for (const route of rule.tcp) {
      const matches = route.matches.filter((match) => l4Concerns(view, rule, match, 'mesh', port.number));
      if (route.matches.length > 0 && matches.length === 0) continue;
      const subnets = matches.flatMap((match) => match.destinationSubnets);
      chains.push({ sniHosts: [], subnets: subnets.length > 0 ? subnets : shape.subnets, targets: l4Targets(view, route, port.number) });
      if (subnets.length === 0) break;
    }
  if (chains.length > 0) return chains;
  const sniHosts = isTls(port.protocol) && shape.needSni ? [service.hostname] : [];
  return [{ sniHosts, subnets: shape.subnets, targets: [{ cluster: outboundClusterName(port.number, '', service.hostname), weight: 100 }] }];
}

/** The match of a chain; undefined when it takes everything. `*` in server names means no name is asked. */
export function l4ChainMatch(chain: Pick<L4Chain, 'sniHosts' | 'subnets'>): FilterChainMatch | undefined {
  const names = chain.sniHosts.includes('*') ? [] : chain.sniHosts;
  const ranges = chain.subnets.flatMap((subnet) => cidrRange(subnet) ?? []);
  if (names.length === 0 && ranges.length === 0) return undefined;
  return create(FilterChainMatchSchema, { serverNames: [...names].sort(), prefixRanges: ranges });
}
