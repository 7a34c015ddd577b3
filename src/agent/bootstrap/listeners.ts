// Listeners that exist before any configuration arrives: metrics on 15090, readiness on 15021.
import { isIpv6First, type BootstrapInput } from './input.ts';
import { ROUTER, sdsSecret, typed, type JsonMap } from './parts.ts';

/** The static listeners, in Istio's order. */
export function staticListeners(input: BootstrapInput): JsonMap[] {
  const stats = [{ prefix: '/stats/prometheus', cluster: 'prometheus_stats' }];
  const merged = [{ prefix: '/stats/prometheus', cluster: 'agent' }, { prefix: '/metrics', cluster: 'agent' }];
  return [
    plainListener(input, input.prometheusPort, httpManager('stats', stats, compressors(input))),
    ...(input.secureMetricsPort ? [secureListener(input, input.secureMetricsPort, httpManager('secure_stats', stats, []))] : []),
    ...(input.secureMergedMetricsPort ? [secureListener(input, input.secureMergedMetricsPort, httpManager('secure_merged_stats', merged, []))] : []),
    plainListener(input, input.readinessPort, httpManager('agent', [{ prefix: '/healthz/ready', cluster: 'agent' }], [])),
  ];
}

function listenerBase(input: BootstrapInput, port: number): JsonMap {
  const [first, second] = isIpv6First(input) ? ['::', '0.0.0.0'] : ['0.0.0.0', '::'];
  // Metrics can be kept on this machine; readiness is asked for by the kubelet.
  const metadata = input.proxyConfig.raw['proxyMetadata'] as Readonly<Record<string, unknown>> | undefined;
  const local = port === input.prometheusPort && metadata?.['METRICS_LOCALHOST_ACCESS_ONLY'] === 'true';
  const at = (wildcard: string): JsonMap => ({ socket_address: { protocol: 'TCP', address: local ? (wildcard === '::' ? '::1' : '127.0.0.1') : wildcard, port_value: port } });
  // Whoever scrapes and probes must get through when the connection limit is reached.
  return { name: `${first}_${port}`, address: at(first!), ...(input.dualStack ? { additional_addresses: [{ address: at(second!) }] } : {}), ignore_global_conn_limit: true, bypass_overload_manager: true };
}

function plainListener(input: BootstrapInput, port: number, manager: JsonMap): JsonMap {
  return { ...listenerBase(input, port), filter_chains: [{ filters: [manager] }] };
}

function secureListener(input: BootstrapInput, port: number, manager: JsonMap): JsonMap {
  return {
    ...listenerBase(input, port),
    listener_filters: [typed('envoy.filters.listener.tls_inspector', 'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector')],
    filter_chains: [{
      filter_chain_match: { transport_protocol: 'tls' },
      filters: [manager],
      transport_socket: typed('envoy.transport_sockets.tls', 'envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
        common_tls_context: {
          tls_certificate_sds_secret_configs: [sdsSecret('default')],
          combined_validation_context: { default_validation_context: {}, validation_context_sds_secret_config: sdsSecret('ROOTCA') },
        },
        require_client_certificate: true,
      }),
    }],
  };
}

function httpManager(statPrefix: string, routes: readonly { readonly prefix: string; readonly cluster: string }[], filters: readonly JsonMap[]): JsonMap {
  return typed('envoy.filters.network.http_connection_manager', 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
    codec_type: 'AUTO', stat_prefix: statPrefix,
    route_config: { virtual_hosts: [{ name: 'backend', domains: ['*'], routes: routes.map(({ prefix, cluster }) => ({ match: { prefix }, route: { cluster } })) }] },
    http_filters: [...filters, ROUTER],
  });
}

/** Scrapes are compressed with whatever the scraper takes, unless `statsCompression` is off. */
function compressors(input: BootstrapInput): JsonMap[] {
  const annotation = input.annotations['sidecar.istio.io/statsCompression'];
  const wanted = annotation === undefined ? input.proxyConfig.raw['statsCompression'] !== false : annotation === 'true';
  if (!wanted) return [];
  const content = ['text/plain', 'application/vnd.google.protobuf', 'application/openmetrics-text', 'application/openmetrics-protobuf'];
  return [['brotli', 'Brotli'], ['zstd', 'Zstd'], ['gzip', 'Gzip']].map(([name, type]) =>
    typed(`envoy.filters.http.compressor.${name}`, 'envoy.extensions.filters.http.compressor.v3.Compressor', {
      compressor_library: typed(`stats_${name}`, `envoy.extensions.compression.${name}.compressor.v3.${type}`),
      response_direction_config: { common_config: { content_type: content } },
    }));
}
