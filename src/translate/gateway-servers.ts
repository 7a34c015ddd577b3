import type { Gateway, Server } from '../model/gateway.ts';
import { isHttp } from '../model/protocol.ts';
import type { ProxyView } from '../model/view.ts';
import { gatewayHttpRouteName, gatewayHttpsRouteName } from './names.ts';

/** One server of one Gateway on the port it really listens on. */
export interface GatewayServer {
  readonly gateway: Gateway;
  readonly server: Server;
  /** `ns/name`. */
  readonly gatewayName: string;
  readonly port: number;
}

export interface GatewayPort {
  readonly bind: string;
  readonly port: number;
  readonly kind: 'http' | 'tls' | 'tcp';
  readonly servers: readonly GatewayServer[];
}

/** Opts a Service out of translating Gateway ports (Istio's label). */
const NO_TRANSLATION = 'experimental.istio.io/disable-gateway-port-translation';

/**
 * All servers of the Gateways on this router, oldest first, grouped by the address they listen on. Plain HTTP servers share a port; so do TLS servers with
 * different hosts, and one server without TLS that comes after them; anything else on a taken port is dropped, as Istio does (the analyzers say so).
 */
export function gatewayPorts(view: ProxyView): readonly GatewayPort[] {
  const ports = new Map<string, { bind: string; port: number; kind: GatewayPort['kind']; servers: GatewayServer[]; hosts: Set<string> }>();
  for (const gateway of view.gateways)
    for (const server of gateway.servers)
      for (const port of listenPorts(view, gateway, server.port.number)) {
        const kind = kindOf(server);
        const bind = server.bind || '0.0.0.0';
        const key = `${bind}:${port}`;
        const entry = ports.get(key) ?? { bind, port, kind, servers: [], hosts: new Set<string>() };
        const plainBesideTls = entry.kind === 'tls' && kind !== 'tls' && entry.servers.every((other) => kindOf(other.server) === 'tls');
        if (entry.kind !== kind && !plainBesideTls) continue;
        // Nothing tells two servers of plain TCP apart.
        if (kind === 'tcp' && entry.kind === 'tcp' && entry.servers.length > 0) continue;
        if (kind === 'tls') {
          if (server.hosts.some(({ host }) => entry.hosts.has(host))) continue;
          for (const { host } of server.hosts) entry.hosts.add(host);
        }
        entry.servers.push({ gateway, server, gatewayName: `${gateway.namespace}/${gateway.name}`, port });
        ports.set(key, entry);
      }
  return [...ports.values()];
}

/** What tells connections of a server apart: nothing (`tcp`), its host header or its TLS server name. */
export function kindOf(server: Server): GatewayPort['kind'] {
  if (server.port.protocol === 'HTTPS' || server.port.protocol === 'TLS') return 'tls';
  if (isHttp(server.port.protocol)) return server.tls && !server.tls.httpsRedirect ? 'tls' : 'http';
  return 'tcp';
}

/** A gateway between networks: it hands mutual TLS on to the service its server name says. */
export function passesTlsByName(view: ProxyView): boolean {
  return view.proxy.type === 'router' && view.gateways.some((gateway) => gateway.servers.some((server) => server.tls?.mode === 'AUTO_PASSTHROUGH'));
}

/** Does a TLS server decrypt, so that its traffic is HTTP or bytes we see? */
export function terminates(server: Server): boolean {
  const mode = server.tls?.mode;
  return mode !== undefined && mode !== 'PASSTHROUGH' && mode !== 'AUTO_PASSTHROUGH';
}

/** A TLS server whose decrypted traffic is HTTP. */
export function isHttpsServer(server: Server): boolean {
  return terminates(server) && (server.port.protocol === 'HTTPS' || isHttp(server.port.protocol));
}

/**
 * The ports a Gateway port means in the pod: the target port of the Service port of that number. Chosen by selector, the first Service counts and a port no
 * Service has is taken as it is; chosen by Service, only its own ports exist.
 */
function listenPorts(view: ProxyView, gateway: Gateway, number: number): readonly number[] {
  const bySelector = gateway.services.length === 0;
  const targets = view.inbound.filter(({ service, port }) => port.number === number
    && (bySelector ? service.labels[NO_TRANSLATION] === undefined : gateway.services.includes(service.hostname)));
  if (bySelector) return [targets[0]?.targetPort ?? number];
  return [...new Set(targets.map((target) => target.targetPort))].sort((a, b) => a - b);
}

/** RDS name of a server's routes. */
export function routeNameOf(entry: GatewayServer): string {
  const { server, gateway, port } = entry;
  if (isHttpsServer(server)) return gatewayHttpsRouteName(server.port.number, server.port.name, gateway.name, gateway.namespace, server.bind);
  return gatewayHttpRouteName(port, server.bind);
}
