import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { FilterSchema, type Filter } from '../xds/gen/envoy/config/listener/v3/listener_components_pb.ts';
import { Tracing_HttpSchema } from '../xds/gen/envoy/config/trace/v3/http_tracer_pb.ts';
import { ZipkinConfig_CollectorEndpointVersion, ZipkinConfigSchema } from '../xds/gen/envoy/config/trace/v3/zipkin_pb.ts';
import type { RouteConfiguration } from '../xds/gen/envoy/config/route/v3/route_pb.ts';
import {
  HttpConnectionManager_ForwardClientCertDetails, HttpConnectionManager_PathWithEscapedSlashesAction, HttpConnectionManager_ServerHeaderTransformation, HttpConnectionManager_TracingSchema, HttpConnectionManagerSchema,
  type HttpConnectionManager_Tracing, type HttpFilter,
} from '../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import { PreserveCaseFormatterConfigSchema } from '../xds/gen/envoy/extensions/http/header_formatters/preserve_case/v3/preserve_case_pb.ts';
import type { ProxyHeaders } from '../model/proxy-headers.ts';
import type { ProxyView } from '../model/view.ts';
import { accessLogs } from './access-log.ts';
import { securityHttpFilters } from './authz/view-filters.ts';
import { dynamicDnsHttpFilter, usesDynamicDns } from './dynamic-dns.ts';
import { alpnHttpFilter } from './filters/alpn.ts';
import { corsHttpFilter } from './filters/cors.ts';
import { faultHttpFilter } from './filters/fault.ts';
import { grpcStatsHttpFilter } from './filters/grpc-stats.ts';
import { grpcWebHttpFilter } from './filters/grpc-web.ts';
import { metadataExchangeHttpFilter } from './filters/metadata-exchange.ts';
import { routerHttpFilter } from './filters/router.ts';
import { statsHttpFilter } from './filters/stats.ts';
import { outboundClusterName } from './names.ts';
import { adsSource, duration, pack } from './proto.ts';

export type HttpDirection = 'inbound' | 'outbound' | 'gateway';

export interface ManagerOptions {
  readonly direction: HttpDirection;
  /** Listener the manager stands in, for `stat_prefix`. */
  readonly listener: string;
  /** The port speaks gRPC-Web. Default false. */
  readonly grpcWeb?: boolean;
  readonly routes: { readonly rds: string } | { readonly inline: RouteConfiguration };
}

/** One HTTP connection manager with the filters of its direction. @see features.md §3.3–3.5 */
export function httpConnectionManager(view: ProxyView, options: ManagerOptions): Filter {
  const { mesh } = view.snapshot;
  const gateway = options.direction === 'gateway';
  const init: MessageInitShape<typeof HttpConnectionManagerSchema> = {
    statPrefix: `${options.direction === 'inbound' ? 'inbound' : 'outbound'}_${options.listener};`,
    routeSpecifier: 'rds' in options.routes ? { case: 'rds', value: { configSource: adsSource(), routeConfigName: options.routes.rds } } : { case: 'routeConfig', value: options.routes.inline },
    httpFilters: httpFilters(view, options.direction, options.grpcWeb ?? false),
    // Envoy's own default name is what outbound answers have always carried in Istio.
    serverName: view.proxy.headers.server || (options.direction === 'outbound' ? '' : 'istio-envoy'),
    ...(view.proxy.headers.server === '' && { serverHeaderTransformation: HttpConnectionManager_ServerHeaderTransformation.PASS_THROUGH }),
    useRemoteAddress: gateway,
    ...(gateway && { xffNumTrustedHops: view.proxy.headers.trustedProxies }),
    ...(view.proxy.headers.requestIdDisabled && { generateRequestId: false }),
    ...http1Options(view.proxy.headers),
    ...clientCertificateOf(options.direction, view.proxy.headers),
    upgradeConfigs: [{ upgradeType: 'websocket' }],
    streamIdleTimeout: duration(0),
    normalizePath: mesh.pathNormalization !== 'NONE',
    mergeSlashes: mesh.pathNormalization === 'MERGE_SLASHES' || mesh.pathNormalization === 'DECODE_AND_MERGE_SLASHES',
    pathWithEscapedSlashesAction: mesh.pathNormalization === 'DECODE_AND_MERGE_SLASHES'
      ? HttpConnectionManager_PathWithEscapedSlashesAction.UNESCAPE_AND_FORWARD : HttpConnectionManager_PathWithEscapedSlashesAction.KEEP_UNCHANGED,
    accessLog: accessLogs(mesh),
  };
  const trace = tracing(view);
  if (trace) init.tracing = trace;
  return create(FilterSchema, { name: 'envoy.filters.network.http_connection_manager', configType: { case: 'typedConfig', value: pack(HttpConnectionManagerSchema, init) } });
}

function http1Options(headers: ProxyHeaders): Pick<MessageInitShape<typeof HttpConnectionManagerSchema>, 'httpProtocolOptions'> {
  if (!headers.preserveHttp1HeaderCase && !headers.acceptHttp10) return {};
  const format = { headerFormat: { case: 'statefulFormatter' as const, value: { name: 'preserve_case', typedConfig: pack(PreserveCaseFormatterConfigSchema) } } };
  return { httpProtocolOptions: { acceptHttp10: headers.acceptHttp10, ...(headers.preserveHttp1HeaderCase && { headerKeyFormat: format }) } };
}

/** A gateway replaces what strangers say about certificates, a server's sidecar appends, a client's says nothing; a ProxyConfig may ask for other. */
function clientCertificateOf(direction: HttpDirection, headers: ProxyHeaders): Pick<MessageInitShape<typeof HttpConnectionManagerSchema>, 'forwardClientCertDetails' | 'setCurrentClientCertDetails'> {
  const usual = direction === 'gateway' ? 'SANITIZE_SET' : direction === 'inbound' ? 'APPEND_FORWARD' : 'SANITIZE';
  const mode = direction === 'outbound' ? usual : headers.forwardClientCert ?? usual;
  const details = headers.clientCertDetails;
  return {
    forwardClientCertDetails: HttpConnectionManager_ForwardClientCertDetails[mode],
    ...(direction !== 'outbound' && { setCurrentClientCertDetails: {
      subject: details.subject ?? true, uri: details.uri ?? true, dns: details.dns ?? true, cert: details.cert ?? direction === 'gateway', chain: details.chain ?? false,
    } }),
  };
}

/** The chain of each direction, top to bottom. @see features.md C8, §3.4 */
function httpFilters(view: ProxyView, direction: HttpDirection, grpcWeb: boolean): HttpFilter[] {
  const istio = view.proxy.istioFilters;
  return [
    ...(istio ? [metadataExchangeHttpFilter(direction === 'inbound' ? 'inbound' : 'outbound')] : []),
    // A sidecar judges what comes in; what its own workload sends is the other side's business.
    ...(direction === 'outbound' ? [] : securityHttpFilters(view)),
    ...(grpcWeb ? [grpcWebHttpFilter()] : []),
    grpcStatsHttpFilter(),
    // Inbound speaks to the application, which knows nothing of Istio's ALPNs.
    ...(istio && direction !== 'inbound' ? [alpnHttpFilter()] : []),
    faultHttpFilter(),
    corsHttpFilter(),
    ...(istio ? [statsHttpFilter(direction)] : []),
    ...(direction !== 'inbound' && usesDynamicDns(view) ? [dynamicDnsHttpFilter(view)] : []),
    routerHttpFilter(),
  ];
}

/** Sampling and tags; spans go to the Zipkin service when the mesh has it (Envoy refuses a collector cluster that does not exist). */
function tracing(view: ProxyView): HttpConnectionManager_Tracing | undefined {
  const { mesh } = view.snapshot;
  if (!mesh.enableTracing || !mesh.tracing) return undefined;
  const percent = (value: number) => ({ value });
  const labels = view.proxy.labels;
  const tag = (name: string, value: string) => ({ tag: name, type: { case: 'literal' as const, value: { value } } });
  const message = create(HttpConnectionManager_TracingSchema, {
    clientSampling: percent(100), randomSampling: percent(mesh.tracing.sampling), overallSampling: percent(100),
    ...(mesh.tracing.maxPathTagLength !== 256 && { maxPathTagLength: mesh.tracing.maxPathTagLength }),
    customTags: [
      tag('istio.canonical_revision', labels['service.istio.io/canonical-revision'] ?? labels['version'] ?? 'latest'),
      tag('istio.canonical_service', labels['service.istio.io/canonical-name'] ?? labels['app'] ?? 'unknown'),
      tag('istio.cluster_id', view.proxy.clusterId),
      tag('istio.mesh_id', mesh.trustDomain),
      tag('istio.namespace', view.proxy.namespace),
    ],
  });
  const collector = collectorOf(view);
  if (collector)
    message.provider = create(Tracing_HttpSchema, {
      name: 'envoy.tracers.zipkin',
      configType: {
        case: 'typedConfig',
        value: pack(ZipkinConfigSchema, {
          collectorCluster: collector.cluster, collectorEndpoint: '/api/v2/spans', traceId128bit: true, collectorEndpointVersion: ZipkinConfig_CollectorEndpointVersion.HTTP_JSON,
          collectorHostname: collector.hostname, sharedSpanContext: false,
        }),
      },
    });
  return message;
}

function collectorOf(view: ProxyView): { readonly cluster: string; readonly hostname: string } | undefined {
  const address = view.snapshot.mesh.tracing?.zipkinAddress ?? '';
  const colon = address.lastIndexOf(':');
  if (colon < 0) return undefined;
  const host = address.slice(0, colon);
  const port = Number(address.slice(colon + 1));
  const service = [host, `${host}.svc.${view.snapshot.mesh.domainSuffix}`, `${host}.${view.snapshot.mesh.domainSuffix}`].map((name) => view.byHostname.get(name)).find(Boolean);
  if (!service?.ports.some((candidate) => candidate.number === port)) return undefined;
  return { cluster: outboundClusterName(port, '', service.hostname), hostname: address };
}
