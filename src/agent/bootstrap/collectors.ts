// Where spans go: the tracer of the bootstrap and its cluster.
import type { AgentProxyConfig } from '../proxy-config.ts';
import { dnsCluster, grpcCluster, sdsSecret, typed, type JsonMap, type Resolution } from './parts.ts';

interface Tracing {
  readonly zipkin?: { readonly address?: string };
  readonly datadog?: { readonly address?: string };
  readonly lightstep?: { readonly address?: string; readonly accessToken?: string };
  readonly tlsSettings?: Readonly<Record<string, unknown>>;
}

function tracingOf(config: AgentProxyConfig): Tracing {
  return (config.tracing ?? {}) as Tracing;
}

/** `tracing.http` of the bootstrap; undefined when nobody collects. */
export function tracingConfig(config: AgentProxyConfig, lightstepTokenPath: string, serviceName: string): JsonMap | undefined {
  const { zipkin, lightstep, datadog } = tracingOf(config);
  if (zipkin?.address)
    return typed('envoy.tracers.zipkin', 'envoy.config.trace.v3.ZipkinConfig', {
      collector_cluster: 'zipkin', collector_endpoint: '/api/v2/spans', collector_endpoint_version: 'HTTP_JSON', trace_id_128bit: true, shared_span_context: false,
    });
  if (lightstep?.address) return typed('envoy.tracers.lightstep', 'envoy.config.trace.v3.LightstepConfig', { collector_cluster: 'lightstep', access_token_file: lightstepTokenPath });
  if (datadog?.address) return typed('envoy.tracers.datadog', 'envoy.config.trace.v3.DatadogConfig', { collector_cluster: 'datadog_agent', service_name: serviceName });
  return undefined;
}

/** The cluster the tracer sends to. */
export function collectorCluster(config: AgentProxyConfig, resolution: Resolution, meta: Readonly<Record<string, unknown>>): JsonMap | undefined {
  const { zipkin, lightstep, datadog, tlsSettings } = tracingOf(config);
  const base = zipkin?.address
    ? { ...dnsCluster('zipkin', zipkin.address, resolution), dns_refresh_rate: '30s' }
    : lightstep?.address ? grpcCluster('lightstep', lightstep.address, resolution) : datadog?.address ? dnsCluster('datadog_agent', datadog.address, resolution) : undefined;
  return base && { ...base, ...tlsToSds(tlsSettings, 'tracer', lightstep !== undefined, meta) };
}

/** Files that the environment names instead of those of the settings, by node metadata. */
const FILES: Readonly<Record<string, string>> = { clientCertificate: 'TLS_CLIENT_CERT_CHAIN', privateKey: 'TLS_CLIENT_KEY', caCertificates: 'TLS_CLIENT_ROOT_CERT' };

/** `transport_socket` of Istio's ClientTLSSettings, with files that the agent serves over SDS; nothing when it is plaintext (also when no mode is given). */
export function tlsToSds(settings: Readonly<Record<string, unknown>> | undefined, defaultSni: string, isHttp2: boolean, meta: Readonly<Record<string, unknown>>): JsonMap {
  const mode = settings?.['mode'];
  if (!settings || (mode !== 'SIMPLE' && mode !== 'MUTUAL' && mode !== 'ISTIO_MUTUAL')) return {};
  const text = (name: string): string => {
    const value = (Object.hasOwn(FILES, name) && meta[FILES[name]!]) || settings[name];
    return typeof value === 'string' ? value : '';
  };
  const alpn = !isHttp2 ? [] : mode === 'ISTIO_MUTUAL' ? ['istio', 'h2'] : ['h2'];
  const sni = text('sni') || (mode === 'ISTIO_MUTUAL' ? defaultSni : '');
  const names = (settings['subjectAltNames'] as readonly string[] | undefined) ?? [];
  const context = {
    ...(alpn.length > 0 ? { alpn_protocols: alpn } : {}),
    ...(mode === 'MUTUAL' ? { tls_certificate_sds_secret_configs: [sdsSecret(`file-cert:${text('clientCertificate')}~${text('privateKey')}`)] } : {}),
    ...(mode === 'ISTIO_MUTUAL' ? { tls_certificate_sds_secret_configs: [sdsSecret('default')] } : {}),
    combined_validation_context: {
      default_validation_context: names.length > 0 ? { match_typed_subject_alt_names: names.map((exact) => ({ san_type: 'URI', matcher: { exact } })) } : {},
      ...(mode === 'ISTIO_MUTUAL'
        ? { validation_context_sds_secret_config: sdsSecret('ROOTCA') }
        : text('caCertificates') === '' ? {} : { validation_context_sds_secret_config: sdsSecret(`file-root:${text('caCertificates')}`) }),
    },
  };
  return { transport_socket: typed('envoy.transport_sockets.tls', 'envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', { ...(sni === '' ? {} : { sni }), common_tls_context: context }) };
}
