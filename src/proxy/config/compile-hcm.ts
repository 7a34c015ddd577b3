/** HttpConnectionManager → HcmRuntime. */
import type { ExtensionConfigSource } from '../../xds/gen/envoy/config/core/v3/config_source_pb.ts';
import type { TrafficRecord } from '../../telemetry/traffic-record.ts';
import { unpackAny } from '../../xds/codec.ts';
import {
  HttpConnectionManager_CodecType as Codec, HttpConnectionManager_ForwardClientCertDetails as Forward, HttpConnectionManager_PathWithEscapedSlashesAction as Slashes,
  HttpConnectionManager_ServerHeaderTransformation as ServerHeader, type HttpConnectionManager, type HttpFilter,
} from '../../xds/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import { PluginConfigSchema } from '../../xds/gen/istio/stats/stats_pb.ts';
import { compileRouteConfiguration } from '../route/compile.ts';
import type { RouteTable } from '../route/route-table.ts';
import { compileAccessLoggers } from './access-loggers.ts';
import { filterConfigParser, PASSIVE_HTTP_FILTERS, type CompileContext } from './compile-context.ts';
import { compileTracing } from './compile-tracing.ts';
import { eachWithin, within } from './config-error.ts';
import type { HcmRuntime, HttpFilterRuntime, XfccMode } from './runtime.ts';
import { durationMs } from './scalars.ts';

const CODECS: Readonly<Record<Codec, HcmRuntime['codec'] | undefined>> = { [Codec.AUTO]: 'auto', [Codec.HTTP1]: 'http1', [Codec.HTTP2]: 'http2', [Codec.HTTP3]: undefined };
const XFCC: Readonly<Record<Forward, XfccMode>> = {
  [Forward.SANITIZE]: 'SANITIZE', [Forward.FORWARD_ONLY]: 'FORWARD_ONLY', [Forward.APPEND_FORWARD]: 'APPEND_FORWARD', [Forward.SANITIZE_SET]: 'SANITIZE_SET', [Forward.ALWAYS_FORWARD_ONLY]: 'ALWAYS_FORWARD_ONLY',
};
const SERVER: Readonly<Record<ServerHeader, HcmRuntime['serverHeaderTransformation']>> = { [ServerHeader.OVERWRITE]: 'OVERWRITE', [ServerHeader.APPEND_IF_ABSENT]: 'APPEND_IF_ABSENT', [ServerHeader.PASS_THROUGH]: 'PASS_THROUGH' };
const SLASHES: Readonly<Record<Slashes, HcmRuntime['escapedSlashes']>> = {
  [Slashes.IMPLEMENTATION_SPECIFIC_DEFAULT]: 'KEEP_UNCHANGED', [Slashes.KEEP_UNCHANGED]: 'KEEP_UNCHANGED', [Slashes.REJECT_REQUEST]: 'REJECT_REQUEST', [Slashes.UNESCAPE_AND_REDIRECT]: 'UNESCAPE_AND_REDIRECT', [Slashes.UNESCAPE_AND_FORWARD]: 'UNESCAPE_AND_FORWARD',
};

/**
 * Compiles a connection manager; RDS names are asked of `context.routes`. Throws ConfigError.
 * @see envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
 */
export function compileHcm(hcm: HttpConnectionManager, direction: TrafficRecord['direction'], context: CompileContext): HcmRuntime {
  const codec = CODECS[hcm.codecType];
  if (!codec) throw new Error('codec_type HTTP3 is not supported');
  if (hcm.localReplyConfig) throw new Error('local_reply_config is not supported');
  const filters = compileFilters(hcm.httpFilters, context);
  const log = compileAccessLoggers(hcm.accessLog, context);
  const { metrics } = filters;
  return {
    kind: 'hcm',
    statPrefix: hcm.statPrefix,
    direction,
    codec,
    routes: compileRoutes(hcm, context),
    httpFilters: filters.runtime,
    extensions: filters.runtime.some(({ discovered }) => discovered !== undefined) ? context.extensions : undefined,
    ...forwardingOf(hcm),
    ...pathsOf(hcm),
    ...limitsOf(hcm),
    serverName: hcm.serverName || 'envoy',
    serverHeaderTransformation: SERVER[hcm.serverHeaderTransformation] ?? 'OVERWRITE',
    upgrades: new Set(hcm.upgradeConfigs.filter(({ enabled }) => enabled !== false).map(({ upgradeType }) => upgradeType.toLowerCase())),
    allowConnect: hcm.http2ProtocolOptions?.allowConnect ?? false,
    acceptHttp10: hcm.httpProtocolOptions?.acceptHttp10 ?? false,
    preserveHeaderCase: hcm.httpProtocolOptions?.headerKeyFormat?.headerFormat.case === 'statefulFormatter',
    generateRequestId: hcm.generateRequestId ?? true,
    preserveExternalRequestId: hcm.preserveExternalRequestId,
    alwaysSetRequestIdInResponse: hcm.alwaysSetRequestIdInResponse,
    proxy100Continue: hcm.proxy100Continue,
    tracer: hcm.tracing && within('tracing', () => compileTracing(hcm.tracing!, context)),
    record: metrics ? (record) => { metrics.request(record); log(record); } : log,
  };
}

function compileRoutes(hcm: HttpConnectionManager, context: CompileContext): () => RouteTable | undefined {
  const specifier = hcm.routeSpecifier;
  switch (specifier.case) {
    case 'rds':
      if (specifier.value.routeConfigName === '') throw new Error('rds.route_config_name is empty');
      return context.routes(specifier.value.routeConfigName);
    case 'routeConfig': {
      const table = within('route_config', () => compileRouteConfiguration(specifier.value, { parseFilterConfig: filterConfigParser(context.filters) }));
      return () => table;
    }
    default:
      throw new Error(specifier.case ? `${specifier.case} is not supported` : 'a connection manager needs routes');
  }
}

interface CompiledFilters {
  readonly runtime: readonly HttpFilterRuntime[];
  /** Given when `istio.stats` is in the chain. */
  readonly metrics: ReturnType<CompileContext['istioMetrics']> | undefined;
}

function compileFilters(filters: readonly HttpFilter[], context: CompileContext): CompiledFilters {
  let metrics: CompiledFilters['metrics'];
  const runtime = eachWithin('http_filters', filters, (filter): HttpFilterRuntime | undefined => {
    if (filter.configType.case === 'configDiscovery') return discoveredFilter(filter.name, filter.configType.value, context);
    const typed = filter.configType.value;
    const typeUrl = typed?.typeUrl ?? '';
    const stats = unpackAny(typed, PluginConfigSchema);
    if (stats) metrics = context.istioMetrics({ disableHostHeaderFallback: stats.disableHostHeaderFallback });
    const factory = context.filters.get(typeUrl);
    if (typed && factory) return { name: filter.name, typeUrl, config: within(`["${filter.name}"]`, () => factory.parse(typeUrl, typed.value)) };
    if (PASSIVE_HTTP_FILTERS.has(typeUrl) || filter.isOptional) return undefined;
    throw new Error(`unknown HTTP filter ${filter.name} (${typeUrl || 'no config'})`);
  });
  const last = filters.at(-1)?.configType;
  if (last?.case !== 'typedConfig' || !last.value.typeUrl.endsWith('.Router')) throw new Error('http_filters must end with the router');
  return { runtime: runtime.filter((filter) => filter !== undefined), metrics };
}

/** A filter whose config comes by ECDS; `default_config` serves until it is there. @see envoy.config.core.v3.ExtensionConfigSource */
function discoveredFilter(name: string, source: ExtensionConfigSource, context: CompileContext): HttpFilterRuntime {
  const { extensions } = context;
  const { defaultConfig } = source;
  const fallback = defaultConfig && within(`["${name}"].config_discovery.default_config`, () => extensions.read(defaultConfig.typeUrl, defaultConfig.value));
  if (source.typeUrls.length === 0) throw new Error(`filter ${name}: config_discovery needs type_urls`);
  extensions.expect(name, source.typeUrls.map((type) => (type.includes('/') ? type : `type.googleapis.com/${type}`)));
  context.needExtension(name, !(fallback && source.applyDefaultConfigWithoutWarming));
  return { name, typeUrl: '', config: undefined, discovered: () => extensions.get(name) ?? fallback };
}

function forwardingOf(hcm: HttpConnectionManager): Pick<HcmRuntime, 'useRemoteAddress' | 'xffTrustedHops' | 'skipXffAppend' | 'xfcc' | 'xfccDetails'> {
  const details = hcm.setCurrentClientCertDetails;
  return {
    useRemoteAddress: hcm.useRemoteAddress ?? false,
    xffTrustedHops: hcm.xffNumTrustedHops,
    skipXffAppend: hcm.skipXffAppend,
    xfcc: XFCC[hcm.forwardClientCertDetails] ?? 'SANITIZE',
    xfccDetails: { subject: details?.subject ?? false, cert: details?.cert ?? false, chain: details?.chain ?? false, dns: details?.dns ?? false, uri: details?.uri ?? false },
  };
}

function pathsOf(hcm: HttpConnectionManager): Pick<HcmRuntime, 'normalizePath' | 'mergeSlashes' | 'escapedSlashes' | 'stripPort'> {
  return {
    normalizePath: hcm.normalizePath ?? false,
    mergeSlashes: hcm.mergeSlashes,
    escapedSlashes: SLASHES[hcm.pathWithEscapedSlashesAction] ?? 'KEEP_UNCHANGED',
    stripPort: hcm.stripPortMode.value ? 'any' : hcm.stripMatchingHostPort ? 'matching' : 'none',
  };
}

type Limits = 'maxRequestHeadersBytes' | 'maxHeadersCount' | 'streamIdleTimeoutMs' | 'requestTimeoutMs' | 'requestHeadersTimeoutMs' | 'maxStreamDurationMs' | 'idleTimeoutMs' | 'maxRequestsPerConnection';

/** Envoy's defaults: 60 KiB and 100 headers, 5 minutes of stream idleness, an hour of connection idleness. */
function limitsOf(hcm: HttpConnectionManager): Pick<HcmRuntime, Limits> {
  const common = hcm.commonHttpProtocolOptions;
  return {
    maxRequestHeadersBytes: (hcm.maxRequestHeadersKb ?? 60) * 1024,
    maxHeadersCount: common?.maxHeadersCount ?? 100,
    streamIdleTimeoutMs: durationMs(hcm.streamIdleTimeout) ?? 300_000,
    requestTimeoutMs: durationMs(hcm.requestTimeout) ?? 0,
    requestHeadersTimeoutMs: durationMs(hcm.requestHeadersTimeout) ?? 0,
    maxStreamDurationMs: durationMs(common?.maxStreamDuration) ?? 0,
    idleTimeoutMs: durationMs(common?.idleTimeout) ?? 3_600_000,
    maxRequestsPerConnection: common?.maxRequestsPerConnection ?? 0,
  };
}
