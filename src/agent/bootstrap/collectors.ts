// Where spans go: the tracer of the bootstrap and its cluster.
import type { AgentProxyConfig } from '../proxy-config.ts';
import { dnsCluster, grpcCluster, sdsSecret, typed, type JsonMap } from './parts.ts';

interface Tracing {
  readonly zipkin?: { readonly address?: string };
  readonly lightstep?: { readonly address?: string; readonly accessToken?: string };
  readonly tlsSettings?: Readonly<Record<string, unknown>>;
}

function tracingOf(config: AgentProxyConfig): Tracing {
  return (config.tracing ?? {}) as Tracing;
}

/** `tracing.http` of the bootstrap; undefined when nobody collects. */
export function tracingConfig(config: AgentProxyConfig, lightstepTokenPath: string): JsonMap | undefined {
  const { zipkin, lightstep } = tracingOf(config);
  if (zipkin?.address)
    return typed('envoy.tracers.zipkin', 'envoy.config.trace.v3.ZipkinConfig', {
      collector_cluster: 'zipkin', collector_endpoint: '/api/v2/spans', collector_endpoint_version: 'HTTP_JSON', trace_id_128bit: true, shared_span_context: false,
    });
  if (lightstep?.address) return typed('envoy.tracers.lightstep', 'envoy.config.trace.v3.LightstepConfig', { collector_cluster: 'lightstep', access_token_file: lightstepTokenPath });
  return undefined;
}

/** The cluster the tracer sends to. */
export function collectorCluster(config: AgentProxyConfig): JsonMap | undefined {
  const { zipkin, lightstep, tlsSettings } = tracingOf(config);
  const base = zipkin?.address ? { ...dnsCluster('zipkin', zipkin.address), dns_refresh_rate: '30s' } : lightstep?.address ? grpcCluster('lightstep', lightstep.address) : undefined;
  return base && tlsSettings && tlsSettings['mode'] !== 'DISABLE' ? { ...base, transport_socket: tlsToSds(tlsSettings, lightstep ? ['h2'] : []) } : base;
}

/** Istio's ClientTLSSettings with files, as a TLS context whose files the agent serves over SDS. */
export function tlsToSds(settings: Readonly<Record<string, unknown>>, alpn: readonly string[]): JsonMap {
  const text = (name: string): string => (typeof settings[name] === 'string' ? settings[name] : '');
  const names = (settings['subjectAltNames'] as readonly string[] | undefined) ?? [];
  const context = {
    ...(alpn.length > 0 ? { alpn_protocols: alpn } : {}),
    ...(settings['mode'] === 'MUTUAL' ? { tls_certificate_sds_secret_configs: [sdsSecret(`file-cert:${text('clientCertificate')}~${text('privateKey')}`)] } : {}),
    ...(settings['mode'] === 'ISTIO_MUTUAL' ? { tls_certificate_sds_secret_configs: [sdsSecret('default')] } : {}),
    combined_validation_context: {
      default_validation_context: names.length > 0 ? { match_typed_subject_alt_names: names.map((exact) => ({ san_type: 'URI', matcher: { exact } })) } : {},
      ...(settings['mode'] === 'ISTIO_MUTUAL'
        ? { validation_context_sds_secret_config: sdsSecret('ROOTCA') }
        : text('caCertificates') === '' ? {} : { validation_context_sds_secret_config: sdsSecret(`file-root:${text('caCertificates')}`) }),
    },
  };
  return typed('envoy.transport_sockets.tls', 'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', { ...(text('sni') === '' ? {} : { sni: text('sni') }), common_tls_context: context });
}
