import { fromBinary } from '@bufbuild/protobuf';
import { ExtAuthzPerRouteSchema, ExtAuthzSchema, type BufferSettings, type ExtAuthz, type HttpService } from '../../../xds/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.ts';
import type { ListStringMatcher } from '../../../xds/gen/envoy/type/matcher/v3/string_pb.ts';
import { compileGrpcTarget, type GrpcTarget } from '../../authorization/grpc-check.ts';
import { durationMs } from '../../config/scalars.ts';
import { compileStringMatcher } from '../../route/string-match.ts';
import { compileMetadataMatcher, type DynamicMetadata } from '../dynamic-metadata.ts';

export type NameTest = (name: string) => boolean;

export interface HttpTarget {
  readonly cluster: string;
  readonly timeoutMs: number;
  readonly pathPrefix: string;
  readonly headersToAdd: readonly (readonly [name: string, value: string])[];
  /** Headers of the answer that go to the upstream when it allows, replacing or beside those of the request. */
  readonly toUpstream: NameTest;
  readonly appendToUpstream: NameTest;
  readonly toClientOnSuccess: NameTest;
  readonly toClientOnDenial: NameTest;
}

export interface ExtAuthzConfig {
  readonly kind: 'filter';
  readonly service: { readonly kind: 'http'; readonly target: HttpTarget } | { readonly kind: 'grpc'; readonly target: GrpcTarget };
  /** Request headers that the authorizer is shown. */
  readonly shows: NameTest;
  readonly enabledBy: (metadata: DynamicMetadata) => boolean;
  readonly failureModeAllow: boolean;
  readonly failureModeAllowHeaderAdd: boolean;
  readonly statusOnError: number;
  readonly clearRouteCache: boolean;
  readonly body: BodyRule | undefined;
  readonly certificate: boolean;
  readonly tlsSession: boolean;
}

export interface BodyRule {
  readonly maxBytes: number;
  readonly allowPartial: boolean;
  readonly asBytes: boolean;
}

export interface ExtAuthzRouteConfig {
  readonly kind: 'route';
  readonly disabled: boolean;
  readonly contextExtensions: Readonly<Record<string, string>>;
  readonly withoutBody: boolean;
}

export const PER_ROUTE_TYPE = 'type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute';

/** Always shown to an HTTP authorizer. */
const ALWAYS_SHOWN = new Set([':authority', ':method', ':path', 'authorization']);
const NONE: NameTest = () => false;
const ALL: NameTest = () => true;

/** @throws Error for what cannot be obeyed. @see envoy.extensions.filters.http.ext_authz.v3.ExtAuthz */
export function parseExtAuthz(typeUrl: string, bytes: Uint8Array): ExtAuthzConfig | ExtAuthzRouteConfig {
  if (typeUrl === PER_ROUTE_TYPE) {
    const { override } = fromBinary(ExtAuthzPerRouteSchema, bytes);
    const settings = override.case === 'checkSettings' ? override.value : undefined;
    if (settings?.withRequestBody !== undefined) throw new Error('with_request_body of a route is not supported');
    return { kind: 'route', disabled: override.case === 'disabled' && override.value, contextExtensions: settings?.contextExtensions ?? {}, withoutBody: settings?.disableRequestBodyBuffering ?? false };
  }
  const config = fromBinary(ExtAuthzSchema, bytes);
  if (config.filterEnabled !== undefined || config.denyAtDisable !== undefined || config.decoderHeaderMutationRules !== undefined) throw new Error('filter_enabled, deny_at_disable and decoder_header_mutation_rules are not supported');
  return {
    kind: 'filter', service: serviceOf(config), shows: shownBy(config), enabledBy: config.filterEnabledMetadata === undefined ? () => true : compileMetadataMatcher(config.filterEnabledMetadata),
    failureModeAllow: config.failureModeAllow, failureModeAllowHeaderAdd: config.failureModeAllowHeaderAdd, statusOnError: config.statusOnError?.code || 403, clearRouteCache: config.clearRouteCache,
    body: bodyRule(config.withRequestBody), certificate: config.includePeerCertificate, tlsSession: config.includeTlsSession,
  };
}

function serviceOf({ services }: ExtAuthz): ExtAuthzConfig['service'] {
  if (services.case === 'httpService') return { kind: 'http', target: httpTarget(services.value) };
  if (services.case === 'grpcService') return { kind: 'grpc', target: compileGrpcTarget(services.value) };
  throw new Error('a service is needed');
}

function httpTarget(service: HttpService): HttpTarget {
  const upstream = service.serverUri?.httpUpstreamType;
  if (upstream?.case !== 'cluster' || upstream.value === '') throw new Error('http_service.server_uri needs a cluster');
  const response = service.authorizationResponse;
  return {
    cluster: upstream.value, timeoutMs: durationMs(service.serverUri?.timeout) ?? 200, pathPrefix: service.pathPrefix,
    headersToAdd: (service.authorizationRequest?.headersToAdd ?? []).map(({ key, value }) => [key.toLowerCase(), value] as const),
    toUpstream: nameTest(response?.allowedUpstreamHeaders, NONE), appendToUpstream: nameTest(response?.allowedUpstreamHeadersToAppend, NONE), toClientOnSuccess: nameTest(response?.allowedClientHeadersOnSuccess, NONE),
    toClientOnDenial: withFixed(nameTest(response?.allowedClientHeaders, ALL)),
  };
}

function withFixed(test: NameTest): NameTest {
  return (name) => name === 'www-authenticate' || name === 'location' || test(name);
}

function shownBy(config: ExtAuthz): NameTest {
  const http = config.services.case === 'httpService' ? config.services.value : undefined;
  const allowed = nameTest(config.allowedHeaders ?? http?.authorizationRequest?.allowedHeaders, http === undefined ? ALL : NONE);
  const disallowed = nameTest(config.disallowedHeaders, NONE);
  return (name) => !disallowed(name) && (allowed(name) || (http !== undefined && ALWAYS_SHOWN.has(name)));
}

function nameTest(list: ListStringMatcher | undefined, without: NameTest): NameTest {
  if (list === undefined) return without;
  const tests = list.patterns.map(compileStringMatcher);
  return (name) => tests.some((test) => test(name));
}

function bodyRule(settings: BufferSettings | undefined): BodyRule | undefined {
  return settings && { maxBytes: settings.maxRequestBytes, allowPartial: settings.allowPartialMessage, asBytes: settings.packAsBytes };
}
