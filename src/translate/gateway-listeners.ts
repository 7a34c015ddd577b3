import { create } from '@bufbuild/protobuf';
import { TrafficDirection } from '../xds/gen/envoy/config/core/v3/base_pb.ts';
import { FilterChainMatchSchema, FilterChainSchema, type FilterChain } from '../xds/gen/envoy/config/listener/v3/listener_components_pb.ts';
import { ListenerSchema, type Listener } from '../xds/gen/envoy/config/listener/v3/listener_pb.ts';
import { covers } from '../model/hostname.ts';
import { destinationRuleFor, virtualServicesOn, type ProxyView } from '../model/view.ts';
import { listenerAccessLogs } from './access-log.ts';
import { gatewayPorts, isHttpsServer, kindOf, routeNameOf, terminates, type GatewayPort, type GatewayServer } from './gateway-servers.ts';
import { sharedHosts } from './gateway-routes.ts';
import { httpConnectionManager } from './http-connection-manager.ts';
import { proxyProtocol, tlsInspector } from './inspectors.ts';
import { l4ChainMatch, l4Concerns, l4Targets } from './l4-routes.ts';
import { listenerName, sniOf } from './names.ts';
import { duration, socketAddress } from './proto.ts';
import { tcpFilters } from './tcp-proxy.ts';
import { ALL_MTLS_ALPNS, serverTls } from './tls.ts';

/** A TLS handshake that takes longer is given up (Istio's default for gateways). */
const HANDSHAKE_TIMEOUT_MS = 15_000;

/** One listener per address a Gateway names; an address with nothing to serve stays closed. */
export function gatewayListeners(view: ProxyView): Listener[] {
  return gatewayPorts(view).flatMap((port) => {
    const filterChains = chainsOf(view, port);
    if (filterChains.length === 0) return [];
    return [create(ListenerSchema, {
      name: listenerName(port.bind, port.port), address: socketAddress(port.bind, port.port), trafficDirection: TrafficDirection.OUTBOUND,
      listenerFilters: [...(view.proxy.headers.proxyProtocol ? [proxyProtocol()] : []), ...(port.kind === 'tls' ? [tlsInspector()] : [])], ...(port.kind === 'tls' && { listenerFiltersTimeout: duration(0), continueOnListenerFiltersTimeout: true }),
      filterChains, accessLog: listenerAccessLogs(view.snapshot.mesh),
    })];
  });
}

function chainsOf(view: ProxyView, port: GatewayPort): FilterChain[] {
  const listener = listenerName(port.bind, port.port);
  const manager = (entry: GatewayServer) => httpConnectionManager(view, { direction: 'gateway', listener, grpcWeb: entry.server.port.protocol === 'GRPC-Web', routes: { rds: routeNameOf(entry) } });
  if (port.kind === 'http') return [create(FilterChainSchema, { filters: [manager(port.servers[0]!)] })];
  if (port.kind === 'tcp') return port.servers.flatMap((entry) => tcpChains(view, entry));
  const takenNames = new Set<string>();
  return port.servers.flatMap((entry) => {
    const { server } = entry;
    if (kindOf(server) !== 'tls') return plainChains(view, entry, manager);
    if (server.tls?.mode === 'AUTO_PASSTHROUGH') return autoPassthroughChains(view, entry);
    if (!terminates(server)) return sniChains(view, entry, takenNames);
    const http = isHttpsServer(server);
    const match = serverNames(server.hosts.map(({ host }) => host));
    const transportSocket = serverTls(view.snapshot.mesh, server.tls!, http ? 'http' : 'tcp');
    const common = { ...(match && { filterChainMatch: match }), transportSocket, transportSocketConnectTimeout: duration(HANDSHAKE_TIMEOUT_MS) };
    if (http) return [create(FilterChainSchema, { ...common, filters: [manager(entry)] })];
    const decrypted = tcpChains(view, entry).slice(0, 1);
    if (decrypted.length > 0) return decrypted.map((chain) => create(FilterChainSchema, { ...chain, ...common }));
    // Without `tcp` routes those by server name hold for decrypted bytes as well (TLSRoutes on a terminating listener).
    return sniChains(view, entry, takenNames).map((chain) => create(FilterChainSchema, { ...common, ...chain }));
  });
}

/** A server without TLS beside TLS servers: it takes what is no TLS. */
function plainChains(view: ProxyView, entry: GatewayServer, manager: (entry: GatewayServer) => FilterChain['filters'][number]): FilterChain[] {
  const chains = kindOf(entry.server) === 'http' ? [create(FilterChainSchema, { filters: [manager(entry)] })] : tcpChains(view, entry).slice(0, 1);
  return chains.map((chain) => create(FilterChainSchema, { ...chain, filterChainMatch: create(FilterChainMatchSchema, { transportProtocol: 'raw_buffer' }) }));
}

/**
 * One chain per service, port and subset: its server name is the one Istio's sidecars say in mutual TLS. What is passed on must reach a chain that asks for
 * a certificate, so only the mesh's own ALPNs are let in: anybody can say such a name.
 */
function autoPassthroughChains(view: ProxyView, { server }: GatewayServer): FilterChain[] {
  const shown = view.services.filter((service) => service.resolution === 'static' && server.hosts.some((wanted) => (wanted.namespace === '*' || wanted.namespace === service.namespace) && covers(wanted.host, service.hostname)));
  return shown.flatMap((service) => service.ports.filter((port) => port.protocol !== 'UDP').flatMap((port) => {
    const subsets = destinationRuleFor(view, service.hostname, service.namespace)?.subsets ?? [];
    return ['', ...subsets.map((subset) => subset.name)].map((subset) => {
      const name = sniOf(port.number, subset, service.hostname);
      return create(FilterChainSchema, { filterChainMatch: { serverNames: [name], applicationProtocols: [...ALL_MTLS_ALPNS] }, filters: tcpFilters(view, 'gateway', [{ cluster: name, weight: 100 }]) });
    });
  }));
}

function serverNames(hosts: readonly string[]) {
  if (hosts.includes('*')) return undefined;
  return create(FilterChainMatchSchema, { serverNames: [...new Set(hosts)].sort() });
}

/** Plain TCP (or decrypted TLS): the `tcp` routes of the VirtualServices on this Gateway. */
function tcpChains(view: ProxyView, entry: GatewayServer): FilterChain[] {
  const { server, gatewayName } = entry;
  const port = server.port.number;
  const taken = new Set<string>();
  return virtualServicesOn(view, gatewayName).filter((rule) => sharedHosts(server, rule).length > 0).flatMap((rule) =>
    rule.tcp.flatMap((route) => {
      const matches = route.matches.filter((match) => l4Concerns(view, rule, match, gatewayName, port));
      if (route.matches.length > 0 && matches.length === 0) return [];
      const subnets = matches.flatMap((candidate) => candidate.destinationSubnets);
      const key = [...subnets].sort().join();
      if (taken.has(key)) return [];
      taken.add(key);
      const match = l4ChainMatch({ sniHosts: [], subnets });
      return [create(FilterChainSchema, { ...(match && { filterChainMatch: match }), filters: tcpFilters(view, 'gateway', l4Targets(view, route, port)) })];
    }));
}

/**
 * TLS that passes through: the `tls` routes, by server name, as far as the server's hosts allow them. A name has one chain on a port, the first that asks
 * for it (Envoy refuses a listener with two): several VirtualServices may say the same, those of a TLSRoute with several hosts do.
 */
function sniChains(view: ProxyView, entry: GatewayServer, taken: Set<string>): FilterChain[] {
  const { server, gatewayName } = entry;
  const port = server.port.number;
  return virtualServicesOn(view, gatewayName).filter((rule) => sharedHosts(server, rule).length > 0).flatMap((rule) =>
    rule.tls.flatMap((route) => route.matches.filter((match) => l4Concerns(view, rule, match, gatewayName, port)).flatMap((match) => {
      const sniHosts = sharedNames(match.sniHosts, server.hosts.map(({ host }) => host));
      if (sniHosts.length === 0 || sniHosts.some((sni) => taken.has(sni))) return [];
      for (const sni of sniHosts) taken.add(sni);
      const chainMatch = l4ChainMatch({ sniHosts, subnets: match.destinationSubnets });
      return [create(FilterChainSchema, { ...(chainMatch && { filterChainMatch: chainMatch }), filters: tcpFilters(view, 'gateway', l4Targets(view, route, port)) })];
    })));
}

/** The names that both a match and a server mean, the narrower of each pair. */
function sharedNames(names: readonly string[], hosts: readonly string[]): readonly string[] {
  return [...new Set(names.flatMap((name) => (hosts.some((host) => covers(host, name)) ? [name] : hosts.filter((host) => covers(name, host)))))];
}
