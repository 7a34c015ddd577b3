import { describe, expect, it } from 'vitest';
import { buildProxyIdentity } from '../node-metadata.ts';
import { parseAgentProxyConfig } from '../proxy-config.ts';
import { buildBootstrap } from './bootstrap.ts';
import type { BootstrapInput } from './input.ts';

interface Built {
  readonly node: { readonly cluster: string; readonly metadata: Readonly<Record<string, unknown>> };
  readonly layered_runtime: { readonly layers: readonly { readonly static_layer: Readonly<Record<string, unknown>> }[] };
  readonly stats_config: { readonly stats_matcher: { readonly inclusion_list: { readonly patterns: readonly Readonly<Record<string, unknown>>[] } } };
  readonly static_resources: { readonly clusters: readonly Readonly<Record<string, unknown>>[]; readonly listeners: readonly Readonly<Record<string, unknown>>[] };
  readonly tracing?: { readonly http: Readonly<Record<string, unknown>> };
  readonly stats_sinks?: readonly unknown[];
}

function build(config: Readonly<Record<string, unknown>>, rest: Partial<BootstrapInput> & { readonly env?: Record<string, string>; readonly podLabels?: Record<string, string> } = {}): Built {
  const proxyConfig = parseAgentProxyConfig(JSON.stringify(config));
  const { env = {}, podLabels = {}, ...input } = rest;
  const identity = buildProxyIdentity({ id: 'sidecar~10.0.0.1~a.b~b.svc', env, podLabels, podAnnotations: {}, instanceIps: ['10.0.0.1'], proxyConfig, agent: {} });
  return buildBootstrap({
    identity, proxyConfig, annotations: {}, instanceIps: ['10.0.0.1'], ipv6Only: false, prometheusPort: 15090, readinessPort: 15021, secureMetricsPort: 0, secureMergedMetricsPort: 0,
    xdsSocket: '/x', sdsSocket: '/s', outlierLogPath: '', lightstepTokenPath: '', compliancePolicy: '', socketMark: 0, countActiveConnections: false, meta: identity.metadata, ...input,
  }) as unknown as Built;
}

const clusterOf = (built: Built, name: string): Readonly<Record<string, unknown>> | undefined => built.static_resources.clusters.find((one) => one['name'] === name);
const tlsOf = (built: Built, name: string): unknown => (clusterOf(built, name)?.['transport_socket'] as { typed_config: unknown } | undefined)?.typed_config;

describe('buildBootstrap', () => {
  it('sends spans to Datadog, on the node where it says so', () => {
    const built = build({ serviceCluster: 'shop', tracing: { datadog: { address: '$(HOST_IP):8126' } } }, { hostIp: '192.0.2.7' });
    expect(built.tracing?.http).toMatchObject({ name: 'envoy.tracers.datadog', typed_config: { collector_cluster: 'datadog_agent', service_name: 'shop' } });
    expect(JSON.stringify(clusterOf(built, 'datadog_agent'))).toContain('"address":"192.0.2.7","port_value":8126');
  });

  it.each([
    [{}, undefined],
    [{ mode: 'DISABLE' }, undefined],
    [{ mode: 'SIMPLE', sni: 'z' }, { sni: 'z' }],
    [{ mode: 'ISTIO_MUTUAL' }, { sni: 'tracer' }],
  ])('takes TLS to the collector only from a mode: %o', (tlsSettings, expected) => {
    const context = tlsOf(build({ tracing: { zipkin: { address: 'z:1' }, tlsSettings } }), 'zipkin');
    if (expected === undefined) expect(context).toBeUndefined();
    else expect(context).toMatchObject(expected);
  });

  it('offers the mesh protocol to services of the mesh, and keeps connections alive', () => {
    const built = build({ envoyMetricsService: { address: '[fd00::1]:15000', tlsSettings: { mode: 'ISTIO_MUTUAL' }, tcpKeepalive: { probes: 3, time: '10s', interval: '0.5s' } }, envoyAccessLogService: {} });
    expect(tlsOf(built, 'envoy_metrics_service')).toMatchObject({ sni: 'envoy_metrics_service', common_tls_context: { alpn_protocols: ['istio', 'h2'] } });
    expect(clusterOf(built, 'envoy_metrics_service')?.['upstream_connection_options']).toEqual({ tcp_keepalive: { keepalive_probes: 3, keepalive_time: 10 } });
    expect(JSON.stringify(clusterOf(built, 'envoy_metrics_service'))).toContain('"address":"fd00::1"');
    expect(clusterOf(built, 'envoy_accesslog_service')).toBeUndefined();
    expect(build({ envoyMetricsService: {} }).stats_sinks).toBeUndefined();
  });

  it('takes a runtime flag back for an empty value', () => {
    const flags = build({ runtimeValues: { 're2.max_program_size.error_level': '', own: 'true' } }).layered_runtime.layers[0]!.static_layer;
    expect(flags).not.toHaveProperty(['re2.max_program_size.error_level']);
    expect(flags['own']).toBe(true);
  });

  it('prefers an annotation to the list of the ProxyConfig', () => {
    const config = { proxyStatsMatcher: { inclusionPrefixes: ['mine'], inclusionSuffixes: ['{pod_ip}_end'] } };
    const patterns = build(config, { annotations: { 'sidecar.istio.io/statsInclusionPrefixes': 'yours' } }).stats_config.stats_matcher.inclusion_list.patterns;
    expect(patterns).toContainEqual({ prefix: 'yours' });
    expect(patterns).not.toContainEqual({ prefix: 'mine' });
    expect(patterns).toContainEqual({ suffix: '10.0.0.1_end' });
  });

  it('listens in both families, and can keep metrics local', () => {
    const built = build({ proxyMetadata: { METRICS_LOCALHOST_ACCESS_ONLY: 'true' } }, { dualStack: true, instanceIps: ['fd00::2', '10.0.0.1'] });
    const addresses = built.static_resources.listeners.map((one) => [one['address'], ...((one['additional_addresses'] as { address: unknown }[]).map(({ address }) => address))].map((address) => (address as { socket_address: { address: string } }).socket_address.address));
    expect(addresses).toEqual([['::1', '127.0.0.1'], ['::', '0.0.0.0']]);
  });

  it.each([
    [{ tracingServiceName: 'CANONICAL_NAME_ONLY' }, { 'app.kubernetes.io/name': 'web' }, 'web'],
    [{ tracingServiceName: 'CANONICAL_NAME_AND_NAMESPACE' }, { app: 'web' }, 'web.prod'],
    [{ tracingServiceName: 'APP_LABEL_AND_NAMESPACE' }, { app: 'web' }, 'web.prod'],
    [{ serviceCluster: 'own' }, { app: 'web' }, 'own'],
  ])('names the service by %o', (config, podLabels, name) => expect(build(config, { podLabels, env: { POD_NAMESPACE: 'prod' } }).node.cluster).toBe(name));

  it('lets the pod speak for itself about labels', () => {
    const { metadata } = build({ proxyMetadata: { ISTIO_META_CLUSTER_ID: 'c1', OTHER: 'x' } }, { podLabels: { app: 'pod', 'pod-template-hash': 'abc' }, env: { ISTIO_METAJSON_LABELS: '{"app":"env","tier":"t"}' } }).node;
    expect(metadata['LABELS']).toEqual({ app: 'pod', tier: 't' });
    expect(metadata['CLUSTER_ID']).toBe('c1');
    expect(metadata).not.toHaveProperty('OTHER');
  });
});
