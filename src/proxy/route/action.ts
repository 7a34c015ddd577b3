/** What a route does with a request: forward, redirect, answer. */
import type { Any } from '@bufbuild/protobuf/wkt';
import { eachWithin, within } from '../config/config-error.ts';
import { durationMs, fractionOf } from '../config/scalars.ts';
import { RouteAction_ClusterNotFoundResponseCode as NotFoundCode, type DirectResponseAction, type Route, type RouteAction as RouteActionMessage, type RouteAction_RequestMirrorPolicy as Mirror, type RetryPolicy } from '../../xds/gen/envoy/config/route/v3/route_components_pb.ts';
import { compileHashPolicies } from './hash-policy.ts';
import { compileHeaderMutations } from './header-mutations.ts';
import { compilePathRewrite, type PathMatch } from './path-match.ts';
import { compileRedirect } from './redirect.ts';
import { compileRetryPolicy } from './retry-policy.ts';
import type { ClusterChoice, MirrorPolicy, RouteAction } from './route-table.ts';

/** Decodes one per-filter config; undefined = a filter that is not here. Throws a sentence for a config that cannot be obeyed. */
export type FilterConfigParser = (typeUrl: string, bytes: Uint8Array) => unknown;

/** What the levels above a route give it. */
export interface Inherited {
  readonly parseFilterConfig: FilterConfigParser;
  readonly retryPolicy: RetryPolicy | undefined;
  readonly mirrors: readonly Mirror[];
  /** Default 4096. */
  readonly maxDirectResponseBytes: number;
}

/** Envoy's route timeout when none is given. */
const DEFAULT_TIMEOUT_MS = 15_000;

/** Compiles the action of a route. Throws ConfigError. */
export function compileAction(route: Route, match: PathMatch, inherited: Inherited): RouteAction {
  const { action } = route;
  switch (action.case) {
    case 'route':
      return within('route', () => compileForward(action.value, match, inherited));
    case 'redirect':
      return within('redirect', () => compileRedirect(action.value, match));
    case 'directResponse':
      return within('direct_response', () => compileDirectResponse(action.value, inherited.maxDirectResponseBytes));
    case 'nonForwardingAction':
      return { kind: 'non-forwarding' };
    case 'filterAction':
      throw new Error('filter_action is not supported');
    case undefined:
      throw new Error('a route needs an action');
  }
}

function compileForward(action: RouteActionMessage, match: PathMatch, inherited: Inherited): RouteAction {
  const clusters = compileClusters(action, inherited.parseFilterConfig);
  const host = action.hostRewriteSpecifier;
  if (host.case === 'hostRewriteHeader' || host.case === 'hostRewritePathRegex') throw new Error(`${host.case === 'hostRewriteHeader' ? 'host_rewrite_header' : 'host_rewrite_path_regex'} is not supported`);
  if (action.pathRewritePolicy) throw new Error(`path_rewrite_policy ${action.pathRewritePolicy.name} is not supported`);
  return {
    kind: 'forward',
    ...clusters,
    rewritePath: compilePathRewrite(action, match),
    hostRewrite: host.case === 'hostRewriteLiteral' && host.value ? host.value : undefined,
    autoHostRewrite: host.case === 'autoHostRewrite' && host.value.value,
    timeoutMs: durationMs(action.timeout) ?? DEFAULT_TIMEOUT_MS,
    maxStreamDurationMs: durationMs(action.maxStreamDuration?.maxStreamDuration) ?? 0,
    maxGrpcTimeoutMs: durationMs(action.maxStreamDuration?.grpcTimeoutHeaderMax ?? action.maxGrpcTimeout),
    idleTimeoutMs: durationMs(action.idleTimeout),
    retry: within('retry_policy', () => compileRetryPolicy(action.retryPolicy ?? inherited.retryPolicy)),
    mirrors: compileMirrors(action.requestMirrorPolicies.length ? action.requestMirrorPolicies : inherited.mirrors),
    hash: within('hash_policy', () => compileHashPolicies(action.hashPolicy)),
    upgrades: new Map(action.upgradeConfigs.map((upgrade) => [upgrade.upgradeType.toLowerCase(), upgrade.enabled !== false])),
    terminateConnect: within('upgrade_configs', () => compileConnect(action)),
    clusterNotFoundStatus: clusterNotFoundStatus(action.clusterNotFoundResponseCode),
  };
}

function compileConnect(action: RouteActionMessage): Extract<RouteAction, { kind: 'forward' }>['terminateConnect'] {
  for (const { upgradeType, connectConfig } of action.upgradeConfigs) {
    if (!connectConfig) continue;
    if (upgradeType.toUpperCase() !== 'CONNECT') throw new Error(`connect_config is for CONNECT, not for ${upgradeType}`);
    if (connectConfig.proxyProtocolConfig) throw new Error('connect_config.proxy_protocol_config is not supported');
    return { andPost: connectConfig.allowPost };
  }
  return undefined;
}

function clusterNotFoundStatus(code: NotFoundCode): number {
  return code === NotFoundCode.NOT_FOUND ? 404 : code === NotFoundCode.INTERNAL_SERVER_ERROR ? 500 : 503;
}

interface Clusters {
  readonly clusters: readonly ClusterChoice[];
  readonly clusterHeader: string | undefined;
  readonly totalWeight: number;
}

function compileClusters(action: RouteActionMessage, parse: FilterConfigParser): Clusters {
  const specifier = action.clusterSpecifier;
  switch (specifier.case) {
    case 'cluster':
      if (specifier.value === '') throw new Error('cluster is empty');
      return { clusters: [{ cluster: specifier.value, weight: 1, request: undefined, response: undefined, hostRewrite: undefined, typedPerFilterConfig: new Map() }], clusterHeader: undefined, totalWeight: 1 };
    case 'clusterHeader':
      return { clusters: [], clusterHeader: specifier.value.toLowerCase(), totalWeight: 0 };
    case 'weightedClusters': {
      const clusters = eachWithin('weighted_clusters.clusters', specifier.value.clusters, (entry): ClusterChoice => {
        if (entry.clusterHeader) throw new Error('cluster_header in a weighted cluster is not supported');
        return {
          cluster: entry.name,
          weight: entry.weight ?? 0,
          request: compileHeaderMutations(entry.requestHeadersToAdd, entry.requestHeadersToRemove),
          response: compileHeaderMutations(entry.responseHeadersToAdd, entry.responseHeadersToRemove),
          hostRewrite: entry.hostRewriteSpecifier.value || undefined,
          typedPerFilterConfig: compileFilterConfigs(entry.typedPerFilterConfig, parse),
        };
      });
      const totalWeight = clusters.reduce((sum, { weight }) => sum + weight, 0);
      if (totalWeight === 0) throw new Error('the sum of weights in weighted_clusters must be greater than 0');
      if (totalWeight > 0xffff_ffff) throw new Error('the sum of weights in weighted_clusters is over 4294967295');
      return { clusters, clusterHeader: undefined, totalWeight };
    }
    default:
      throw new Error(specifier.case ? `${specifier.case} is not supported` : 'a route action needs a cluster');
  }
}

/** Per-filter configs by filter name. Throws ConfigError with the filter's name. */
export function compileFilterConfigs(configs: Readonly<Record<string, Any>>, parse: FilterConfigParser): ReadonlyMap<string, unknown> {
  const compiled = new Map<string, unknown>();
  for (const [name, any] of Object.entries(configs)) {
    const config = within(`typed_per_filter_config["${name}"]`, () => parse(any.typeUrl, any.value));
    if (config !== undefined) compiled.set(name, config);
  }
  return compiled;
}

function compileMirrors(mirrors: readonly Mirror[]): readonly MirrorPolicy[] {
  return eachWithin('request_mirror_policies', mirrors, (mirror) => {
    if (mirror.cluster === '') throw new Error('cluster_header in a mirror policy is not supported');
    return { cluster: mirror.cluster, fraction: mirror.runtimeFraction ? fractionOf(mirror.runtimeFraction.defaultValue) : 1 };
  });
}

function compileDirectResponse(action: DirectResponseAction, maxBytes: number): RouteAction {
  const source = action.body?.specifier;
  if (source?.case === 'filename' || source?.case === 'environmentVariable') throw new Error(`a body from ${source.case === 'filename' ? 'a file' : 'an environment variable'} is not supported`);
  const body = source?.case === 'inlineBytes' ? new TextDecoder().decode(source.value) : (source?.value ?? '');
  if (Buffer.byteLength(body) > maxBytes) throw new Error(`the body is ${Buffer.byteLength(body)} bytes, the limit is ${maxBytes}`);
  if (action.status < 200 || action.status >= 600) throw new Error(`status ${action.status} is not in 200–599`);
  return { kind: 'direct', status: action.status, body };
}
