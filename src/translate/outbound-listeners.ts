import { create } from '@bufbuild/protobuf';
import { TrafficDirection } from '../xds/gen/envoy/config/core/v3/base_pb.ts';
import { FilterChainSchema, type FilterChain } from '../xds/gen/envoy/config/listener/v3/listener_components_pb.ts';
import { ListenerSchema, type Listener } from '../xds/gen/envoy/config/listener/v3/listener_pb.ts';
import { isIpv6, networkOf, parseCidr } from '../model/hostname.ts';
import { listenerProtocolOf, type ListenerProtocol } from '../model/protocol.ts';
import type { Service, ServicePort } from '../model/service.ts';
import { endpointsOf } from '../model/snapshot.ts';
import type { ProxyView } from '../model/view.ts';
import { listenerAccessLogs } from './access-log.ts';
import { httpConnectionManager } from './http-connection-manager.ts';
import { sniDynamicDnsFilter } from './dynamic-dns.ts';
import { httpInspector, tlsInspector } from './inspectors.ts';
import { l4ChainMatch, outboundL4Chains, type L4Chain } from './l4-routes.ts';
import { ALLOW_ANY_DYNAMIC_DNS, BLACK_HOLE_CLUSTER, hostWithPort, HTTP_PROXY_ROUTES, listenerName, PASSTHROUGH_CLUSTER, PASSTHROUGH_FILTER_CHAIN, VIRTUAL_OUTBOUND, VIRTUAL_OUTBOUND_BLACKHOLE, VIRTUAL_OUTBOUND_CATCHALL_HTTP, VIRTUAL_OUTBOUND_CATCHALL_TCP } from './names.ts';
import { duration, socketAddress } from './proto.ts';
import { tcpFilters } from './tcp-proxy.ts';
import { plaintextHttpAlpns } from './tls.ts';
import { catchAllVirtualHost, routeConfiguration } from './virtual-host.ts';

const WILDCARD = '0.0.0.0';
const WILDCARD_V6 = '::';

/** A listener in the making: what services put on one address. */
interface Entry {
  readonly bind: string;
  readonly port: number;
  protocol: ListenerProtocol;
  /** What the port's first service declares; once the listener sniffs, nothing. */
  declared: string;
  /** RDS name when HTTP is served. */
  routes: string | undefined;
  readonly chains: L4Chain[];
  /** Chains that are there already, by what they match: the first service wins. */
  readonly taken: Set<string>;
  /** Applications connect to it themselves. */
  readonly opened: boolean;
}

/** A sidecar's outbound listeners: one per HTTP port, one per address of TCP services, and `virtualOutbound`, which hands connections to them. */
export function outboundListeners(view: ProxyView): Listener[] {
  const entries = new Map<string, Entry>();
  for (const service of view.services) {
    if (service.resolution === 'alias') continue;
    for (const port of service.ports) if (port.protocol !== 'UDP' && !isReserved(view, port.number)) addPort(view, entries, service, port);
  }
  const listeners = [...entries.values()].map((entry) => buildListener(view, entry));
  return [...listeners, virtualOutbound(view), ...httpProxyListener(view)];
}

/** A listener on the proxy's own ports would take its traffic away. */
function isReserved(view: ProxyView, port: number): boolean {
  const { proxyListenPort, proxyInboundListenPort } = view.snapshot.mesh;
  return port === proxyListenPort || port === proxyInboundListenPort;
}

function wildcardOf(view: ProxyView): string {
  return view.proxy.ipAddresses.every(isIpv6) ? WILDCARD_V6 : WILDCARD;
}

function addPort(view: ProxyView, entries: Map<string, Entry>, service: Service, port: ServicePort): void {
  const protocol = listenerProtocolOf(port.protocol);
  const wildcard = wildcardOf(view);
  const egress = view.sidecar?.egress.find((listener) => listener.port?.number === port.number && (listener.opened || listener.bind !== ''));
  if (egress) {
    // The application calls this address for whatever service it names.
    const bind = egress.bind || (wildcard === WILDCARD_V6 ? '::1' : '127.0.0.1');
    const chains = protocol === 'http' ? [] : outboundL4Chains(view, service, port, { subnets: [], needSni: true });
    put(entries, bind, port, protocol === 'tcp' ? undefined : String(port.number), chains, egress.opened);
    if (egress.opened) return;
  }
  if (protocol === 'http') {
    put(entries, wildcard, port, String(port.number), []);
    return;
  }
  const single = service.addresses.filter((address) => !address.includes('/') || isWholeAddress(address)).map((address) => address.split('/')[0]!);
  const ranges = service.addresses.filter((address) => address.includes('/') && !isWholeAddress(address));
  const ownAddresses = single.length > 0 || ranges.length > 0 ? single : podAddresses(view, service, port);
  for (const address of ownAddresses)
    put(entries, address, port, protocol === 'auto' ? hostWithPort(service.hostname, port.number) : undefined, outboundL4Chains(view, service, port, { subnets: [], needSni: false }));
  // Without pods a headless service has nobody to call, and the port stays free for others.
  if ((ownAddresses.length > 0 || service.headless) && ranges.length === 0) return;
  // No address to listen on (or a range): the wildcard, where only ranges and server names tell services apart.
  put(entries, wildcard, port, protocol === 'auto' ? String(port.number) : undefined, outboundL4Chains(view, service, port, { subnets: ranges, needSni: true }));
}

function isWholeAddress(cidr: string): boolean {
  return cidr.endsWith(cidr.includes(':') ? '/128' : '/32');
}

/** Headless services are reached by pod address: one listener each. The proxy's own pod is left to the inbound side. */
function podAddresses(view: ProxyView, service: Service, port: ServicePort): readonly string[] {
  if (!service.headless) return [];
  const addresses = endpointsOf(view.snapshot, service).filter((endpoint) => endpoint.portName === port.name && (endpoint.health === 'healthy' || endpoint.health === 'draining')).map((endpoint) => endpoint.address);
  return [...new Set(addresses)].filter((address) => !view.proxy.ipAddresses.includes(address));
}

/** Servers of these speak first, so nobody can tell them from others by looking at what the client says. */
const SERVER_FIRST: ReadonlySet<string> = new Set(['Mongo', 'MySQL']);

/**
 * Puts a service port on an address. HTTP shares with HTTP; anything else that shares makes the listener sniff, as in Istio: HTTP goes by host name, the
 * rest to the first service that matches. Protocols in which the server speaks first share only with themselves.
 */
function put(entries: Map<string, Entry>, bind: string, { number: port, protocol: declared }: ServicePort, routes: string | undefined, chains: readonly L4Chain[], opened = false): void {
  const key = `${bind}_${port}`;
  const protocol = listenerProtocolOf(declared);
  let entry = entries.get(key);
  if (!entry) entries.set(key, (entry = { bind, port, protocol, declared, routes, chains: [], taken: new Set(), opened }));
  else {
    if (entry.declared !== declared && (SERVER_FIRST.has(entry.declared) || SERVER_FIRST.has(declared))) return;
    if (entry.protocol !== protocol) {
      entry.protocol = 'auto';
      entry.declared = '';
      entry.routes ??= routes;
    }
  }
  for (const chain of chains) {
    const names = chain.sniHosts.includes('*') ? [] : chain.sniHosts;
    const match = [...names, ...chain.subnets.map((subnet) => networkText(subnet))].sort().join(',');
    if (entry.taken.has(match)) continue;
    entry.taken.add(match);
    entry.chains.push(chain);
  }
}

function networkText(subnet: string): string {
  const cidr = parseCidr(subnet);
  return cidr ? networkOf(cidr) : subnet;
}

function buildListener(view: ProxyView, entry: Entry): Listener {
  const name = listenerName(entry.bind, entry.port);
  const wildcard = entry.bind === WILDCARD || entry.bind === WILDCARD_V6;
  // On an address of its own HTTP need not be told from anything.
  const sniffs = entry.routes !== undefined && (wildcard || entry.protocol !== 'http');
  const tcp = entry.chains.map((chain) => ({ match: l4ChainMatch(chain), filters: tcpFilters(view, 'outbound', chain.targets) }));
  // Beside an HTTP chain a chain that asks for nothing is never found (Envoy does not go back from "raw_buffer"): it must be the default.
  const fallThrough = sniffs ? tcp.find((chain) => !chain.match) : undefined;
  const chains: FilterChain[] = tcp.filter((chain) => chain !== fallThrough).map(({ match, filters }) => create(FilterChainSchema, { ...(match && { filterChainMatch: match }), filters }));
  if (entry.routes !== undefined)
    chains.push(create(FilterChainSchema, {
      ...(sniffs && { filterChainMatch: { transportProtocol: 'raw_buffer', applicationProtocols: [...plaintextHttpAlpns(view.proxy.headers)] } }),
      filters: [httpConnectionManager(view, { direction: 'outbound', listener: name, routes: { rds: entry.routes } })],
    }));
  const needsNames = entry.chains.some((chain) => chain.sniHosts.length > 0 || chain.targets.some((target) => sniDynamicDnsFilter(view, target.cluster)));
  const listener = create(ListenerSchema, {
    name, address: socketAddress(entry.bind, entry.port), trafficDirection: TrafficDirection.OUTBOUND, bindToPort: entry.opened || view.proxy.interceptionMode === 'NONE',
    continueOnListenerFiltersTimeout: true, listenerFiltersTimeout: duration(view.snapshot.mesh.protocolDetectionTimeoutMs),
    listenerFilters: [...(sniffs || needsNames ? [tlsInspector()] : []), ...(sniffs ? [httpInspector()] : [])],
    filterChains: chains, accessLog: listenerAccessLogs(view.snapshot.mesh),
  });
  if (fallThrough) listener.defaultFilterChain = create(FilterChainSchema, { filters: fallThrough.filters });
  // Traffic to strangers on a port that the mesh also uses. A listener that applications connect to would only call itself.
  else if (!entry.opened && chains.every((chain) => chain.filterChainMatch)) listener.defaultFilterChain = passthroughChain(view);
  return listener;
}

function passthroughChain(view: ProxyView): FilterChain {
  return create(FilterChainSchema, { name: PASSTHROUGH_FILTER_CHAIN, filterChainMatch: {}, filters: tcpFilters(view, 'outbound', [{ cluster: outsideCluster(view), weight: 100 }]) });
}

function outsideCluster(view: ProxyView): string {
  // What is not HTTP carries no name to look up.
  return view.outboundPolicy === 'REGISTRY_ONLY' ? BLACK_HOLE_CLUSTER : PASSTHROUGH_CLUSTER;
}

function virtualOutbound(view: ProxyView): Listener {
  const { mesh } = view.snapshot;
  const dynamic = view.outboundPolicy === 'ALLOW_ANY_DYNAMIC_DNS';
  return create(ListenerSchema, {
    name: VIRTUAL_OUTBOUND, address: socketAddress(wildcardOf(view), mesh.proxyListenPort), trafficDirection: TrafficDirection.OUTBOUND,
    useOriginalDst: true, ...(view.proxy.interceptionMode === 'TPROXY' && { transparent: true }), accessLog: listenerAccessLogs(mesh),
    ...(dynamic && { listenerFilters: [tlsInspector(), httpInspector()], continueOnListenerFiltersTimeout: true, listenerFiltersTimeout: duration(mesh.protocolDetectionTimeoutMs) }),
    filterChains: [
      // Somebody who calls the redirection port itself would loop for ever.
      create(FilterChainSchema, { name: VIRTUAL_OUTBOUND_BLACKHOLE, filterChainMatch: { destinationPort: mesh.proxyListenPort }, filters: tcpFilters(view, 'outbound', [{ cluster: BLACK_HOLE_CLUSTER, weight: 100 }]) }),
      ...(dynamic ? [catchAllHttpChain(view)] : []),
      create(FilterChainSchema, { name: VIRTUAL_OUTBOUND_CATCHALL_TCP, filters: tcpFilters(view, 'outbound', [{ cluster: outsideCluster(view), weight: 100 }]) }),
    ],
  });
}

/** Plaintext HTTP on ports that the mesh does not know goes to the host it names. */
function catchAllHttpChain(view: ProxyView): FilterChain {
  return create(FilterChainSchema, {
    name: VIRTUAL_OUTBOUND_CATCHALL_HTTP, filterChainMatch: { transportProtocol: 'raw_buffer', applicationProtocols: [...plaintextHttpAlpns(view.proxy.headers)] },
    filters: [httpConnectionManager(view, { direction: 'outbound', listener: VIRTUAL_OUTBOUND, routes: { inline: routeConfiguration(ALLOW_ANY_DYNAMIC_DNS, [catchAllVirtualHost(view)]) } })],
  });
}

/** The explicit proxy of `meshConfig.proxyHttpPort`. */
function httpProxyListener(view: ProxyView): Listener[] {
  const port = view.snapshot.mesh.proxyHttpPort;
  if (!port) return [];
  const name = listenerName('127.0.0.1', port);
  return [create(ListenerSchema, {
    name, address: socketAddress('127.0.0.1', port), trafficDirection: TrafficDirection.OUTBOUND,
    filterChains: [create(FilterChainSchema, { filters: [httpConnectionManager(view, { direction: 'outbound', listener: name, routes: { rds: HTTP_PROXY_ROUTES } })] })],
  })];
}
