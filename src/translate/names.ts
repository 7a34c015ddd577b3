/** Resource names, exactly Istio's: tools and EnvoyFilters depend on them. @see features.md §3.2 */

export const BLACK_HOLE_CLUSTER = 'BlackHoleCluster';
export const PASSTHROUGH_CLUSTER = 'PassthroughCluster';
export const INBOUND_PASSTHROUGH_CLUSTER = 'InboundPassthroughCluster';
export const ALLOW_ANY_DYNAMIC_DNS_CLUSTER = 'AllowAnyDynamicDNSCluster';
export const SDS_CLUSTER = 'sds-grpc';
export const VIRTUAL_OUTBOUND = 'virtualOutbound';
export const VIRTUAL_INBOUND = 'virtualInbound';
export const VIRTUAL_INBOUND_BLACKHOLE = 'virtualInbound-blackhole';
export const VIRTUAL_INBOUND_CATCHALL_HTTP = 'virtualInbound-catchall-http';
export const VIRTUAL_OUTBOUND_BLACKHOLE = 'virtualOutbound-blackhole';
export const VIRTUAL_OUTBOUND_CATCHALL_TCP = 'virtualOutbound-catchall-tcp';
export const VIRTUAL_OUTBOUND_CATCHALL_HTTP = 'virtualOutbound-catchall-http';
export const PASSTHROUGH_FILTER_CHAIN = 'PassthroughFilterChain';
export const ALLOW_ANY = 'allow_any';
export const BLOCK_ALL = 'block_all';
export const ALLOW_ANY_DYNAMIC_DNS = 'allow_any_dynamic_dns';
export const DEFAULT_ROUTE = 'default';
/** SDS names of the workload's certificate and of the mesh's roots. */
export const WORKLOAD_SECRET = 'default';
export const ROOT_SECRET = 'ROOTCA';
/** RDS name of the explicit HTTP proxy listener. */
export const HTTP_PROXY_ROUTES = 'http_proxy';

/** `outbound|9080|v1|reviews.default.svc.cluster.local`. */
export function outboundClusterName(port: number, subset: string, host: string): string {
  return `outbound|${port}|${subset}|${host}`;
}

/** `inbound|9080||`: the workload's port, never the service's. */
export function inboundClusterName(targetPort: number): string {
  return `inbound|${targetPort}||`;
}

/** The SNI of Istio's mutual TLS: `outbound_.9080_.v1_.reviews.default.svc.cluster.local`. */
export function sniOf(port: number, subset: string, host: string): string {
  return `outbound_.${port}_.${subset}_.${host}`;
}

/** The parts of a cluster name, or undefined for the special ones. */
export function parseClusterName(name: string): { readonly direction: 'outbound' | 'inbound'; readonly port: number; readonly subset: string; readonly host: string } | undefined {
  // Gateways that pass TLS through by its server name have clusters named by it.
  const [direction, port, subset, host] = name.includes('|') ? name.split('|') : name.split('_.');
  if ((direction !== 'outbound' && direction !== 'inbound') || !/^\d+$/.test(port ?? '') || subset === undefined || host === undefined) return undefined;
  return { direction, port: Number(port), subset, host };
}

/** `0.0.0.0_9080`, `10.96.0.5_443`. */
export function listenerName(bind: string, port: number): string {
  return `${bind}_${port}`;
}

/** `<host>:<port>`; IPv6 hosts in brackets. */
export function hostWithPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Route name of a gateway's HTTP port: `http.8080`, with the bind when there is one. */
export function gatewayHttpRouteName(port: number, bind: string): string {
  return bind && bind !== '0.0.0.0' ? `http.${port}.${bind}` : `http.${port}`;
}

/** Route name of one terminated HTTPS server. */
export function gatewayHttpsRouteName(port: number, portName: string, gateway: string, namespace: string, bind: string): string {
  const name = `https.${port}.${portName}.${gateway}.${namespace}`;
  return bind && bind !== '0.0.0.0' ? `${name}.${bind}` : name;
}
