/** TcpProxy → TcpProxyRuntime. */
import type { IstioMetrics } from '../../telemetry/istio-metrics.ts';
import type { TrafficRecord } from '../../telemetry/traffic-record.ts';
import type { TcpProxy, TcpProxy_TunnelingConfig as Tunneling } from '../../xds/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.ts';
import { compileAccessLoggers } from './access-loggers.ts';
import type { CompileContext } from './compile-context.ts';
import { within } from './config-error.ts';
import type { TcpProxyRuntime, TunnelRuntime } from './runtime.ts';
import { durationMs } from './scalars.ts';

/** `metrics`: given when `istio.stats` is in the chain. Throws ConfigError. @see envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy */
export function compileTcpProxy(proxy: TcpProxy, direction: TrafficRecord['direction'], metrics: IstioMetrics | undefined, context: CompileContext): TcpProxyRuntime {
  const specifier = proxy.clusterSpecifier;
  const clusters = specifier.case === 'weightedClusters' ? specifier.value.clusters.map(({ name, weight }) => ({ name, weight })) : [{ name: specifier.value ?? '', weight: 1 }];
  const totalWeight = clusters.reduce((sum, { weight }) => sum + weight, 0);
  if (clusters.some(({ name }) => name === '') || totalWeight === 0) throw new Error('tcp_proxy needs a cluster, or clusters with weights');
  const log = compileAccessLoggers(proxy.accessLog, context);
  return {
    kind: 'tcp',
    statPrefix: proxy.statPrefix,
    direction,
    clusters,
    totalWeight,
    tunnel: proxy.tunnelingConfig && within('tunneling_config', () => compileTunnel(proxy.tunnelingConfig!)),
    idleTimeoutMs: durationMs(proxy.idleTimeout) ?? 3_600_000,
    maxConnectAttempts: proxy.maxConnectAttempts ?? 1,
    hashSourceIp: proxy.hashPolicy.some(({ policySpecifier }) => policySpecifier.case === 'sourceIp'),
    progress: metrics && (({ phase, receivedBytes, sentBytes, record }) => (phase === 'open' ? metrics.opened(record()) : metrics.bytes(record(), receivedBytes, sentBytes))),
    record: metrics ? (record) => { metrics.closed(record); log(record); } : log,
  };
}

function compileTunnel(tunnel: Tunneling): TunnelRuntime {
  if (tunnel.hostname.includes('%')) throw new Error(`hostname "${tunnel.hostname}" with a format is not supported`);
  if (tunnel.headersToAdd.length > 0) throw new Error('headers_to_add is not supported');
  if (tunnel.postPath !== '' && !tunnel.usePost) throw new Error("can't use post_path without use_post");
  return { hostname: tunnel.hostname, postPath: tunnel.usePost ? tunnel.postPath || '/' : undefined };
}
