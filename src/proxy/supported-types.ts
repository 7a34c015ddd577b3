import { PASSIVE_HTTP_FILTERS } from './config/compile-context.ts';
import { NETWORK_FILTERS } from './filters/network-registry.ts';
import { HTTP_FILTERS } from './filters/registry.ts';

/** Network and listener filters that the compilers know without a factory. */
const BUILT_IN = [
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', 'envoy.tcp.metadataexchange.config.MetadataExchange', 'stats.PluginConfig',
  'envoy.extensions.filters.listener.original_dst.v3.OriginalDst', 'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector', 'envoy.extensions.filters.listener.http_inspector.v3.HttpInspector',
  'envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol',
];

/** Full names of the messages that configure the filters this proxy has: what it tells the control plane, so that patches for others are not sent. */
export const SUPPORTED_TYPES: readonly string[] = [...new Set([...HTTP_FILTERS.keys(), ...PASSIVE_HTTP_FILTERS, ...NETWORK_FILTERS.keys()].map((url) => url.slice(url.lastIndexOf('/') + 1))), ...BUILT_IN];
