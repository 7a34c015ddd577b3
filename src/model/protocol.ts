/** What a port speaks, as Istio names it. `Auto` = decided per connection by the inspectors. */
export type Protocol = 'HTTP' | 'HTTP2' | 'GRPC' | 'GRPC-Web' | 'HTTPS' | 'TLS' | 'TCP' | 'Mongo' | 'MySQL' | 'Redis' | 'UDP' | 'Auto';

/** How the proxy must treat a protocol: as HTTP, as bytes, or by sniffing. */
export type ListenerProtocol = 'http' | 'tcp' | 'auto';

const HTTP: ReadonlySet<Protocol> = new Set<Protocol>(['HTTP', 'HTTP2', 'GRPC', 'GRPC-Web']);

export function isHttp(protocol: Protocol): boolean {
  return HTTP.has(protocol);
}

/** HTTP/2 is spoken to the upstream without being negotiated. */
export function isHttp2(protocol: Protocol): boolean {
  return protocol === 'HTTP2' || protocol === 'GRPC' || protocol === 'GRPC-Web';
}

/** TLS that the proxy does not terminate: routed by SNI. */
export function isTls(protocol: Protocol): boolean {
  return protocol === 'HTTPS' || protocol === 'TLS';
}

export function listenerProtocolOf(protocol: Protocol): ListenerProtocol {
  if (protocol === 'Auto') return 'auto';
  return isHttp(protocol) ? 'http' : 'tcp';
}

const BY_NAME: ReadonlyMap<string, Protocol> = new Map<string, Protocol>([
  ['http', 'HTTP'], ['http2', 'HTTP2'], ['grpc', 'GRPC'], ['grpc-web', 'GRPC-Web'], ['https', 'HTTPS'], ['tls', 'TLS'], ['tcp', 'TCP'],
  ['mongo', 'Mongo'], ['mysql', 'MySQL'], ['redis', 'Redis'], ['udp', 'UDP'],
]);

const BY_APP_PROTOCOL: ReadonlyMap<string, Protocol> = new Map<string, Protocol>([
  ['kubernetes.io/h2c', 'HTTP2'], ['kubernetes.io/ws', 'HTTP'], ['kubernetes.io/wss', 'HTTPS'],
]);

/** Ports whose servers speak first: sniffing would wait for ever, so they are TCP unless named otherwise. */
const SERVER_FIRST: ReadonlySet<number> = new Set([25, 53, 3306, 27017]);

/** The protocol that a text names (`HTTP`, `grpc-web`), case-insensitive; undefined when it names none. */
export function parseProtocol(text: string): Protocol | undefined {
  return BY_NAME.get(text.toLowerCase());
}

/**
 * Istio's protocol selection: `appProtocol`, then the port name's prefix (`grpc-web` before `grpc`), then well-known ports, else sniffing.
 * @see https://istio.io/latest/docs/ops/configuration/traffic-management/protocol-selection/
 */
export function selectProtocol(port: { readonly number: number; readonly name?: string; readonly appProtocol?: string; readonly transport?: string }): Protocol {
  if (port.transport?.toUpperCase() === 'UDP') return 'UDP';
  if (port.appProtocol) {
    const known = BY_APP_PROTOCOL.get(port.appProtocol.toLowerCase()) ?? parseProtocol(port.appProtocol);
    if (known) return known;
  }
  const name = (port.name ?? '').toLowerCase();
  const byName = parseProtocol(name) ?? (name.startsWith('grpc-web-') ? 'GRPC-Web' : parseProtocol(name.split('-')[0] ?? ''));
  if (byName) return byName;
  return SERVER_FIRST.has(port.number) ? 'TCP' : 'Auto';
}
