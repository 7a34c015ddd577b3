import { create } from '@bufbuild/protobuf';
import { ApiVersion } from '../../xds/gen/envoy/config/core/v3/config_source_pb.ts';
import { GrpcServiceSchema, type GrpcService } from '../../xds/gen/envoy/config/core/v3/grpc_service_pb.ts';
import { ExtAuthzSchema as HttpExtAuthzSchema, HttpServiceSchema, type ExtAuthz as HttpExtAuthz, type HttpService } from '../../xds/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.ts';
import { ExtAuthzSchema as TcpExtAuthzSchema, type ExtAuthz as TcpExtAuthz } from '../../xds/gen/envoy/extensions/filters/network/ext_authz/v3/ext_authz_pb.ts';
import { ListStringMatcherSchema, type ListStringMatcher } from '../../xds/gen/envoy/type/matcher/v3/string_pb.ts';
import type { ExtAuthzProvider } from '../../model/ext-authz-provider.ts';
import { outboundClusterName } from '../names.ts';
import { duration } from '../proto.ts';
import { metadataMatcher, prefixText, textMatcher, textValue } from './matchers.ts';

/** Prefix of the names of CUSTOM rules: ext_authz runs for requests whose shadow rules left such a name behind. */
export const EXT_AUTHZ_PREFIX = 'istio-ext-authz-';
export const EXT_AUTHZ_STAT_PREFIX = 'istio_ext_authz_';

/** A service a provider may name. */
export interface AuthorizerService {
  readonly hostname: string;
  readonly namespace: string;
}

/** A provider whose service was found. */
export interface Authorizer {
  readonly provider: ExtAuthzProvider;
  readonly hostname: string;
  readonly cluster: string;
}

/** The provider of a name with its service; undefined when it is unknown, wrong, or its service is not visible: its policies must deny then. */
export function findAuthorizer(name: string, providers: readonly ExtAuthzProvider[], services: Iterable<AuthorizerService>): Authorizer | undefined {
  const provider = providers.find((candidate) => candidate.name === name);
  if (!provider || provider.problem !== undefined || providers.some((other) => other.name === name && other.problem !== undefined)) return undefined;
  const slash = provider.service.indexOf('/');
  const namespace = slash < 0 ? undefined : provider.service.slice(0, slash);
  const hostname = provider.service.slice(slash + 1);
  const namespaces = new Set<string>();
  for (const service of services) if (service.hostname === hostname && !hostname.startsWith('*') && (namespace === undefined || service.namespace === namespace)) namespaces.add(service.namespace);
  // Without a namespace the host must say which service is meant.
  return namespaces.size === 1 ? { provider, hostname, cluster: outboundClusterName(provider.port, '', hostname) } : undefined;
}

/** Asks the authorizer for requests that the CUSTOM rules before it matched. */
export function httpExtAuthz(authorizer: Authorizer): HttpExtAuthz {
  const { provider } = authorizer;
  return create(HttpExtAuthzSchema, {
    services: provider.protocol === 'http' ? { case: 'httpService', value: httpService(authorizer) } : { case: 'grpcService', value: grpcService(authorizer) },
    transportApiVersion: ApiVersion.V3, failureModeAllow: provider.failOpen, clearRouteCache: provider.clearRouteCache,
    ...(provider.statusOnError !== undefined && { statusOnError: { code: provider.statusOnError } }),
    ...(provider.body && { withRequestBody: { ...provider.body } }),
    filterEnabledMetadata: enabledBy('envoy.filters.http.rbac', provider.name),
  });
}

/** The same for connections; undefined: an HTTP authorizer cannot judge them. */
export function tcpExtAuthz(authorizer: Authorizer): TcpExtAuthz | undefined {
  const { provider } = authorizer;
  if (provider.protocol === 'http') return undefined;
  return create(TcpExtAuthzSchema, {
    statPrefix: 'tcp.', grpcService: grpcService(authorizer), transportApiVersion: ApiVersion.V3, failureModeAllow: provider.failOpen,
    filterEnabledMetadata: enabledBy('envoy.filters.network.rbac', provider.name),
  });
}

function enabledBy(filter: string, provider: string) {
  return metadataMatcher(filter, [`${EXT_AUTHZ_STAT_PREFIX}shadow_effective_policy_id`], textValue(prefixText(EXT_AUTHZ_PREFIX + provider)));
}

function grpcService({ provider, hostname, cluster }: Authorizer): GrpcService {
  // The cluster's name would be the authority, and its "|" is no host.
  return create(GrpcServiceSchema, { targetSpecifier: { case: 'envoyGrpc', value: { clusterName: cluster, authority: hostname } }, timeout: duration(provider.timeoutMs) });
}

function httpService({ provider, hostname, cluster }: Authorizer): HttpService {
  const allowedHeaders = headerList(provider.headersInCheck);
  const upstream = headerList(provider.headersToUpstreamOnAllow);
  const denied = headerList(provider.headersToDownstreamOnDeny);
  const allowed = headerList(provider.headersToDownstreamOnAllow);
  return create(HttpServiceSchema, {
    serverUri: { uri: `http://${hostname}`, httpUpstreamType: { case: 'cluster', value: cluster }, timeout: duration(provider.timeoutMs) },
    pathPrefix: provider.pathPrefix,
    ...((allowedHeaders || provider.additionalHeaders.length > 0) && {
      authorizationRequest: { ...(allowedHeaders && { allowedHeaders }), headersToAdd: provider.additionalHeaders.map(([key, value]) => ({ key, value })) },
    }),
    ...((upstream || denied || allowed) && {
      authorizationResponse: { ...(upstream && { allowedUpstreamHeaders: upstream }), ...(denied && { allowedClientHeaders: denied }), ...(allowed && { allowedClientHeadersOnSuccess: allowed }) },
    }),
  });
}

function headerList(names: readonly string[]): ListStringMatcher | undefined {
  return names.length === 0 ? undefined : create(ListStringMatcherSchema, { patterns: names.map((name) => textMatcher(name, true)) });
}
