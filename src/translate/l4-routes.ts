import type { FilterChainMatch } from '../xds/gen/envoy/config/listener/v3/listener_components_pb.ts';
import { FilterChainMatchSchema } from '../xds/gen/envoy/config/listener/v3/listener_components_pb.ts';
import { create } from '@bufbuild/protobuf';
import { covers, isWildcard, overlaps } from '../model/hostname.ts';
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

/** Rules with `tcp` or `tls` routes: by the hosts they name, and those that name many. */
interface L4Rules {
  readonly all: readonly VirtualService[];
  readonly exact: ReadonlyMap<string, readonly number[]>;
  readonly wild: readonly (readonly [host: string, position: number])[];
}

const indexes = new WeakMap<readonly VirtualService[], L4Rules>();

function indexOf(rules: readonly VirtualService[]): L4Rules {
  const known = indexes.get(rules);
  if (known) return known;
  const all = rules.filter((rule) => rule.tcp.length > 0 || rule.tls.length > 0);
  const exact = new Map<string, number[]>();
  const wild: (readonly [string, number])[] = [];
  for (const [position, rule] of all.entries())
    for (const host of rule.hosts)
      if (isWildcard(host)) wild.push([host, position]);
      else exact.set(host, [...(exact.get(host) ?? []), position]);
  const made = { all, exact, wild };
  indexes.set(rules, made);
  return made;
}

/** Every VirtualService that means a host, oldest first: L4 routes of all of them count, unlike HTTP's, where the most exact host wins. */
function l4RulesFor(rules: readonly VirtualService[], hostname: string): readonly VirtualService[] {
  const { all, exact, wild } = indexOf(rules);
  if (all.length === 0) return all;
  if (isWildcard(hostname)) return all.filter((rule) => rule.hosts.some((host) => overlaps(host, hostname)));
  const positions = new Set([...(exact.get(hostname) ?? []), ...wild.flatMap(([host, position]) => (covers(host, hostname) ? [position] : []))]);
  return [...positions].sort((a, b) => a - b).map((position) => all[position]!);
}

/**
 * The TCP chains of a service port on a sidecar: what `tls` (for TLS ports) or `tcp` routes of its VirtualServices say, else straight to its cluster.
 * `subnets`: the service's own CIDRs when it shares a wildcard listener; `needSni`: only the server name tells it apart there.
 */
export function outboundL4Chains(view: ProxyView, service: Service, port: ServicePort, shape: { readonly subnets: readonly string[]; readonly needSni: boolean }): readonly L4Chain[] {
  const rules = l4RulesFor(view.virtualServices, service.hostname);
  const targets = [{ cluster: outboundClusterName(port.number, '', service.hostname), weight: 100 }];
  if (!isTls(port.protocol)) return tcpRouteChains(view, rules, port, shape.subnets, targets);
  const chains = tlsRouteChains(view, rules, port, shape.subnets);
  return chains.length > 0 ? chains : [{ sniHosts: shape.needSni ? [service.hostname] : [], subnets: shape.subnets, targets }];
}

/** The first route of what can be told apart at run time wins. */
function tlsRouteChains(view: ProxyView, rules: readonly VirtualService[], port: ServicePort, subnets: readonly string[]): readonly L4Chain[] {
  const chains = new Map<string, L4Chain>();
  for (const rule of rules)
    for (const route of rule.tls)
      for (const match of route.matches) {
        const key = `${match.sniHosts.join()}|${match.destinationSubnets.join()}`;
        if (chains.has(key) || !l4Concerns(view, rule, match, 'mesh', port.number)) continue;
        chains.set(key, { sniHosts: match.sniHosts, subnets: match.destinationSubnets.length > 0 ? match.destinationSubnets : subnets, targets: l4Targets(view, route, port.number) });
      }
  return [...chains.values()];
}

/** Routes to some addresses each, up to the first for every address; without such a one the service itself takes the rest. */
function tcpRouteChains(view: ProxyView, rules: readonly VirtualService[], port: ServicePort, subnets: readonly string[], own: readonly TcpTarget[]): readonly L4Chain[] {
  const chains: L4Chain[] = [];
  const text = (list: readonly string[]) => [...list].sort().join();
  let covered = false;
  for (const rule of rules)
    for (const route of rule.tcp) {
      const matches = route.matches.filter((match) => l4Concerns(view, rule, match, 'mesh', port.number));
      if (route.matches.length > 0 && matches.length === 0) continue;
      const targets = l4Targets(view, route, port.number);
      if (matches.length === 0 || matches.some((match) => match.destinationSubnets.length === 0)) return [...chains, { sniHosts: [], subnets, targets }];
      const wanted = matches.flatMap((match) => match.destinationSubnets);
      chains.push({ sniHosts: [], subnets: wanted, targets });
      covered ||= text(wanted) === text(subnets);
    }
  return covered ? chains : [...chains, { sniHosts: [], subnets, targets: own }];
}

/** The match of a chain; undefined when it takes everything. `*` in server names means no name is asked. */
export function l4ChainMatch(chain: Pick<L4Chain, 'sniHosts' | 'subnets'>): FilterChainMatch | undefined {
  const names = chain.sniHosts.includes('*') ? [] : chain.sniHosts;
  const ranges = chain.subnets.flatMap((subnet) => cidrRange(subnet) ?? []);
  if (names.length === 0 && ranges.length === 0) return undefined;
  return create(FilterChainMatchSchema, { serverNames: [...names].sort(), prefixRanges: ranges });
}
