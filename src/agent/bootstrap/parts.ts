// Small pieces of Envoy configuration.

/** JSON with proto field names. */
export type JsonMap = { readonly [key: string]: unknown };

/** An extension: name and config with its type. */
export function typed(name: string, type: string, config: JsonMap = {}): JsonMap {
  return { name, typed_config: { '@type': `type.googleapis.com/${type}`, ...config } };
}

const HTTP2: JsonMap = {
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
    '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions', explicit_http_config: { http2_protocol_options: {} },
  },
};

function endpoints(name: string, address: JsonMap): JsonMap {
  return { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] };
}

/** A TCP port of this machine. */
export function localCluster(name: string, address: string, port: number): JsonMap {
  return {
    name, alt_stat_name: `${name};`, type: 'STATIC', connect_timeout: '0.250s', lb_policy: 'ROUND_ROBIN',
    load_assignment: endpoints(name, { socket_address: { protocol: 'TCP', address, port_value: port } }),
  };
}

/** gRPC over a Unix socket of the agent. */
export function pipeCluster(name: string, path: string): JsonMap {
  return { name, alt_stat_name: `${name};`, type: 'STATIC', connect_timeout: '1s', lb_policy: 'ROUND_ROBIN', load_assignment: endpoints(name, { pipe: { path } }), typed_extension_protocol_options: HTTP2 };
}

/** Where names of collectors resolve to. */
export interface Resolution {
  /** Which addresses are looked up. */
  readonly family: 'V4_ONLY' | 'V6_ONLY' | 'ALL';
  /** What `$(HOST_IP)` stands for; empty leaves it. */
  readonly hostIp: string;
}

/** `host:port` or `[v6]:port` as Envoy's address. */
export function socketAddress(hostPort: string, hostIp: string): JsonMap {
  const colon = hostPort.lastIndexOf(':');
  const host = hostPort.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  return { socket_address: { address: host === '$(HOST_IP)' && hostIp !== '' ? hostIp : host, port_value: Number(hostPort.slice(colon + 1)) } };
}

/** HTTP/1.1 to `host:port`, resolved by name. */
export function dnsCluster(name: string, hostPort: string, resolution: Resolution): JsonMap {
  return {
    name, alt_stat_name: `${name};`, type: 'STRICT_DNS', respect_dns_ttl: true, dns_lookup_family: resolution.family, connect_timeout: '1s', lb_policy: 'ROUND_ROBIN',
    load_assignment: endpoints(name, socketAddress(hostPort, resolution.hostIp)),
  };
}

/** gRPC to `host:port`, resolved by name. */
export function grpcCluster(name: string, hostPort: string, resolution: Resolution): JsonMap {
  return { ...dnsCluster(name, hostPort, resolution), typed_extension_protocol_options: HTTP2 };
}

/** A secret of the agent. */
export function sdsSecret(name: string): JsonMap {
  return {
    name,
    sds_config: {
      api_config_source: { api_type: 'GRPC', set_node_on_first_message_only: true, transport_api_version: 'V3', grpc_services: [{ envoy_grpc: { cluster_name: 'sds-grpc' } }] },
      resource_api_version: 'V3',
    },
  };
}

export const ROUTER: JsonMap = typed('envoy.filters.http.router', 'envoy.extensions.filters.http.router.v3.Router');
