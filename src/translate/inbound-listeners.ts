import { create } from '@bufbuild/protobuf';
import { TrafficDirection, type TransportSocket } from '../xds/gen/envoy/config/core/v3/base_pb.ts';
import { FilterChainMatchSchema, FilterChainSchema, type FilterChain } from '../xds/gen/envoy/config/listener/v3/listener_components_pb.ts';
import { ListenerSchema, type Listener } from '../xds/gen/envoy/config/listener/v3/listener_pb.ts';
import { RouteSchema } from '../xds/gen/envoy/config/route/v3/route_components_pb.ts';
import { RouteConfigurationSchema, type RouteConfiguration } from '../xds/gen/envoy/config/route/v3/route_pb.ts';
import type { ServerTls } from '../model/gateway.ts';
import { isIpv6 } from '../model/hostname.ts';
import type { MtlsMode } from '../model/peer-authentication.ts';
import { listenerProtocolOf, type ListenerProtocol, type Protocol } from '../model/protocol.ts';
import type { ProxyView } from '../model/view.ts';
import { listenerAccessLogs } from './access-log.ts';
import { httpConnectionManager } from './http-connection-manager.ts';
import { httpInspector, originalDst, tlsInspector } from './inspectors.ts';
import { BLACK_HOLE_CLUSTER, DEFAULT_ROUTE, INBOUND_PASSTHROUGH_CLUSTER, inboundClusterName, listenerName, VIRTUAL_INBOUND, VIRTUAL_INBOUND_BLACKHOLE, VIRTUAL_INBOUND_CATCHALL_HTTP } from './names.ts';
import { duration, socketAddress } from './proto.ts';
import { inboundRetryPolicy } from './retry.ts';
import { tcpFilters } from './tcp-proxy.ts';
import { ALL_MTLS_ALPNS, mutualDownstreamTls, MTLS_HTTP_ALPNS, MTLS_TCP_ALPNS, plaintextHttpAlpns, serverTls } from './tls.ts';

/** One port of the workload (or the passthrough for all others). */
interface InboundPort {
  /** Destination port that the chains match; undefined = any. */
  readonly port: number | undefined;
  readonly protocol: Protocol;
  readonly cluster: string;
  /** Names of the TCP chains and of the HTTP chains. */
  readonly tcpName: string;
  readonly httpName: string;
  /** Inline route table, span operation. */
  readonly routeName: string;
  readonly operation: string;
  readonly statPrefix: string;
  readonly mode: MtlsMode;
  /** TLS the Sidecar resource terminates instead of the mesh's. */
  readonly tls: ServerTls | undefined;
}

/** How one filter chain tells its connections and what it does with them. */
interface ChainShape {
  readonly transport?: 'tls' | 'raw_buffer';
  readonly alpns?: readonly string[];
  readonly mtls: boolean;
  readonly kind: 'http' | 'tcp';
}

/** `virtualInbound`: everything that iptables hands to 15006. @see features.md §3.3 */
export function inboundListeners(view: ProxyView): Listener[] {
  const { mesh } = view.snapshot;
  const ports = inboundPorts(view);
  const blackhole = create(FilterChainSchema, {
    name: VIRTUAL_INBOUND_BLACKHOLE, filterChainMatch: { destinationPort: mesh.proxyInboundListenPort },
    filters: tcpFilters(view, 'inbound', [{ cluster: BLACK_HOLE_CLUSTER, weight: 100 }], { statPrefix: BLACK_HOLE_CLUSTER }),
  });
  const passthrough = passthroughPorts(view, ports);
  const all = [...passthrough, ...ports];
  return [create(ListenerSchema, {
    name: VIRTUAL_INBOUND, address: socketAddress(view.proxy.ipAddresses.every(isIpv6) ? '::' : '0.0.0.0', mesh.proxyInboundListenPort),
    trafficDirection: TrafficDirection.INBOUND, continueOnListenerFiltersTimeout: true, listenerFiltersTimeout: duration(mesh.protocolDetectionTimeoutMs),
    ...(view.proxy.interceptionMode === 'TPROXY' && { transparent: true }), accessLog: listenerAccessLogs(mesh),
    listenerFilters: [
      originalDst(),
      // Bytes are looked at only where a decision needs them: a server that speaks first must not wait for its client.
      tlsInspector(all.flatMap((port) => (port.port !== undefined && !needsTlsInspector(port) ? [port.port] : []))),
      httpInspector(all.flatMap((port) => (port.port !== undefined && listenerProtocolOf(port.protocol) !== 'auto' ? [port.port] : []))),
    ],
    filterChains: [blackhole, ...all.flatMap((port) => chainsOf(view, port))],
  })];
}

function needsTlsInspector(port: InboundPort): boolean {
  return port.mode !== 'DISABLE' || port.tls !== undefined || listenerProtocolOf(port.protocol) === 'auto';
}

function modeOf(view: ProxyView, port: number): MtlsMode {
  return view.mtls.ports.get(port) ?? view.mtls.mode;
}

/** The workload's ports: from the Sidecar's ingress when it has one, else from the services it belongs to; the oldest service of a port wins. */
function inboundPorts(view: ProxyView): readonly InboundPort[] {
  const ingress = view.sidecar?.ingress ?? [];
  if (ingress.length > 0)
    return ingress.map((listener) => {
      const { number, protocol } = listener.port;
      const name = listenerName(listener.bind || view.proxy.ipAddresses[0] || '0.0.0.0', number);
      const mode = modeOf(view, number);
      const host = view.inbound.find((target) => target.targetPort === number)?.service.hostname ?? 'inbound';
      // The Sidecar's own TLS holds only where the mesh asks for none.
      return { port: number, protocol, cluster: inboundClusterName(number), tcpName: name, httpName: name, routeName: inboundClusterName(number), operation: `${host}:${number}/*`, statPrefix: name, mode, tls: mode === 'DISABLE' ? listener.tls : undefined };
    });
  const seen = new Map<number, InboundPort>();
  for (const { service, port, targetPort } of view.inbound) {
    if (seen.has(targetPort)) continue;
    const name = listenerName(view.proxy.ipAddresses.every(isIpv6) ? '::' : '0.0.0.0', targetPort);
    seen.set(targetPort, {
      port: targetPort, protocol: port.protocol, cluster: inboundClusterName(targetPort), tcpName: name, httpName: name,
      routeName: inboundClusterName(targetPort), operation: `${service.hostname}:${port.number}/*`, statPrefix: name, mode: modeOf(view, targetPort), tls: undefined,
    });
  }
  return [...seen.values()];
}

/** Ports nobody declared: sniffed and handed to the application, under the workload's mode; ports with a mode of their own get chains of their own. */
function passthroughPorts(view: ProxyView, declared: readonly InboundPort[]): readonly InboundPort[] {
  const known = new Set(declared.map((port) => port.port));
  const make = (port: number | undefined, mode: MtlsMode): InboundPort => ({
    port, protocol: 'Auto', cluster: INBOUND_PASSTHROUGH_CLUSTER, tcpName: VIRTUAL_INBOUND, httpName: VIRTUAL_INBOUND_CATCHALL_HTTP,
    routeName: INBOUND_PASSTHROUGH_CLUSTER, operation: ':0/*', statPrefix: INBOUND_PASSTHROUGH_CLUSTER, mode, tls: undefined,
  });
  return [make(undefined, view.mtls.mode), ...[...view.mtls.ports].filter(([port]) => !known.has(port)).map(([port, mode]) => make(port, mode))];
}

/** The table of §3.3: declared protocol × mode → chains. */
function shapesOf(protocol: ListenerProtocol, mode: MtlsMode, plainAlpns: readonly string[]): readonly ChainShape[] {
  if (protocol === 'http') {
    if (mode === 'STRICT') return [{ transport: 'tls', mtls: true, kind: 'http' }];
    if (mode === 'PERMISSIVE') return [{ transport: 'tls', alpns: ALL_MTLS_ALPNS, mtls: true, kind: 'http' }, { transport: 'raw_buffer', mtls: false, kind: 'http' }];
    return [{ mtls: false, kind: 'http' }];
  }
  if (protocol === 'tcp') {
    if (mode === 'STRICT') return [{ transport: 'tls', mtls: true, kind: 'tcp' }];
    if (mode === 'PERMISSIVE') return [{ transport: 'tls', alpns: ALL_MTLS_ALPNS, mtls: true, kind: 'tcp' }, { transport: 'tls', mtls: false, kind: 'tcp' }, { transport: 'raw_buffer', mtls: false, kind: 'tcp' }];
    return [{ mtls: false, kind: 'tcp' }];
  }
  const mtlsHttp: ChainShape = { transport: 'tls', alpns: MTLS_HTTP_ALPNS, mtls: true, kind: 'http' };
  const plainHttp: ChainShape = { transport: 'raw_buffer', alpns: plainAlpns, mtls: false, kind: 'http' };
  if (mode === 'STRICT') return [mtlsHttp, { transport: 'tls', mtls: true, kind: 'tcp' }];
  // Two TCP chains, because Envoy does not go back from "raw_buffer" to a chain that asks for nothing.
  if (mode === 'DISABLE') return [plainHttp, { transport: 'raw_buffer', mtls: false, kind: 'tcp' }, { mtls: false, kind: 'tcp' }];
  return [
    mtlsHttp, plainHttp, { transport: 'tls', alpns: MTLS_TCP_ALPNS, mtls: true, kind: 'tcp' },
    { transport: 'raw_buffer', mtls: false, kind: 'tcp' }, { transport: 'tls', mtls: false, kind: 'tcp' },
  ];
}

function chainsOf(view: ProxyView, port: InboundPort): FilterChain[] {
  const protocol = listenerProtocolOf(port.protocol);
  if (port.tls) {
    // TLS of the Sidecar resource: what is inside is HTTP only when the port says HTTPS.
    const kind = port.protocol === 'HTTPS' || protocol === 'http' ? 'http' : 'tcp';
    return [buildChain(view, port, { transport: 'tls', mtls: false, kind }, serverTls(view.snapshot.mesh, port.tls, kind))];
  }
  return shapesOf(protocol, port.mode, plaintextHttpAlpns(view.proxy.headers)).map((shape) => buildChain(view, port, shape, shape.mtls ? mutualDownstreamTls(view.snapshot.mesh, shape.kind) : undefined));
}

function buildChain(view: ProxyView, port: InboundPort, shape: ChainShape, transportSocket: TransportSocket | undefined): FilterChain {
  return create(FilterChainSchema, {
    name: shape.kind === 'http' ? port.httpName : port.tcpName,
    filterChainMatch: create(FilterChainMatchSchema, {
      ...(port.port !== undefined && { destinationPort: port.port }), transportProtocol: shape.transport ?? '', applicationProtocols: [...(shape.alpns ?? [])],
    }),
    filters: shape.kind === 'http'
      ? [httpConnectionManager(view, { direction: 'inbound', listener: port.statPrefix, grpcWeb: port.protocol === 'GRPC-Web', routes: { inline: inboundRoutes(view, port) } })]
      : tcpFilters(view, 'inbound', [{ cluster: port.cluster, weight: 100 }], { statPrefix: port.cluster }),
    ...(transportSocket && { transportSocket }),
  });
}

/** One host, one route, no timeout: VirtualServices are the caller's business. */
function inboundRoutes(view: ProxyView, port: InboundPort): RouteConfiguration {
  const grpc = port.protocol === 'GRPC' || port.protocol === 'GRPC-Web';
  const retries = grpc ? undefined : inboundRetryPolicy(view.snapshot.mesh.defaultInboundRetries);
  const route = create(RouteSchema, {
    name: DEFAULT_ROUTE, match: { pathSpecifier: { case: 'prefix', value: '/' } }, decorator: { operation: port.operation },
    action: {
      case: 'route',
      value: {
        clusterSpecifier: { case: 'cluster', value: port.cluster }, timeout: duration(0),
        maxStreamDuration: { maxStreamDuration: duration(0), grpcTimeoutHeaderMax: duration(0) }, ...(retries && { retryPolicy: retries }),
      },
    },
  });
  const name = port.port === undefined || port.cluster === INBOUND_PASSTHROUGH_CLUSTER ? 'inbound|http|0' : `inbound|http|${port.port}`;
  return create(RouteConfigurationSchema, { name: port.routeName, validateClusters: false, virtualHosts: [{ name, domains: ['*'], routes: [route] }] });
}
