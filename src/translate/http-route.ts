import { create } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import { HeaderValueOption_HeaderAppendAction, HeaderValueOptionSchema, type HeaderValueOption } from '../xds/gen/envoy/config/core/v3/base_pb.ts';
import {
  RedirectAction_RedirectResponseCode, RedirectActionSchema, RouteAction_ClusterNotFoundResponseCode, RouteAction_HashPolicySchema, RouteActionSchema, RouteSchema, WeightedCluster_ClusterWeightSchema,
  type RedirectAction, type Route, type RouteAction, type RouteAction_HashPolicy,
} from '../xds/gen/envoy/config/route/v3/route_components_pb.ts';
import { policyForPort } from '../model/destination-rule.ts';
import { destinationRuleFor, type ProxyView } from '../model/view.ts';
import type { Destination, HeaderOperations, HttpMatch, HttpRoute, Redirect, VirtualService } from '../model/virtual-service.ts';
import { selects } from '../model/workload.ts';
import { CORS_FILTER, corsRouteConfig } from './filters/cors.ts';
import { FAULT_FILTER, faultRouteConfig } from './filters/fault.ts';
import { fractionalPercent } from './fraction.ts';
import { DEFAULT_ROUTE, hostWithPort, outboundClusterName, parseClusterName } from './names.ts';
import { duration } from './proto.ts';
import { retryPolicy } from './retry.ts';
import { isCatchAll, routeMatch } from './route-match.ts';

/** Where a VirtualService's routes are put: decides which match blocks count and what destinations without a port mean. */
export interface RouteScope {
  /** `mesh` or `ns/name` of the gateway. */
  readonly gateway: string;
  /** Port callers connect to (listener port of a sidecar, server port of a gateway). */
  readonly port: number;
}

/** The Envoy routes of a VirtualService in order, up to its first catch-all. */
export function virtualServiceRoutes(view: ProxyView, rule: VirtualService, scope: RouteScope): Route[] {
  const routes: Route[] = [];
  for (const http of rule.http) {
    const matches: readonly (HttpMatch | undefined)[] = http.matches.length > 0 ? http.matches.filter((match) => concerns(view, rule, match, scope)) : [undefined];
    for (const match of matches) {
      const route = buildRoute(view, rule, http, match, scope);
      routes.push(route);
      if (isCatchAll(route.match!)) return routes;
    }
  }
  return routes;
}

/** Does any route of the VirtualService concern this proxy? */
export function hasRoutes(view: ProxyView, rule: VirtualService, scope: RouteScope): boolean {
  return rule.http.some((http) => http.matches.length === 0 || http.matches.some((match) => concerns(view, rule, match, scope)));
}

/** The selectors of a match block: they choose proxies and ports, not requests. A match that names gateways is not asked for its source. */
function concerns(view: ProxyView, rule: VirtualService, match: HttpMatch, scope: RouteScope): boolean {
  if (match.port !== 0 && match.port !== scope.port) return false;
  if (match.gateways.length > 0) return match.gateways.includes(scope.gateway);
  if (!rule.gateways.includes(scope.gateway)) return false;
  if (match.sourceNamespace && match.sourceNamespace !== view.proxy.namespace) return false;
  return selects(match.sourceLabels, view.proxy.labels);
}

function buildRoute(view: ProxyView, rule: VirtualService, http: HttpRoute, match: HttpMatch | undefined, scope: RouteScope): Route {
  const route = create(RouteSchema, {
    name: match?.name ? `${http.name}.${match.name}` : http.name,
    match: routeMatch(match),
    metadata: { filterMetadata: { istio: { config: rule.origin } } },
    statPrefix: match?.statPrefix ?? '',
  });
  const perFilter: Record<string, Any> = {};
  if (http.cors) perFilter[CORS_FILTER] = corsRouteConfig(http.cors);
  if (http.fault) perFilter[FAULT_FILTER] = faultRouteConfig(http.fault);
  route.typedPerFilterConfig = perFilter;
  putHeaders(route, http.request, http.response);
  const { action } = http;
  if (action.kind === 'redirect') route.action = { case: 'redirect', value: redirectAction(action.redirect, scope.port) };
  else if (action.kind === 'direct-response')
    route.action = create(RouteSchema, { action: { case: 'directResponse', value: { status: action.status, ...(action.body !== undefined && { body: { specifier: { case: 'inlineString', value: action.body } } }) } } }).action;
  else route.action = { case: 'route', value: forwardAction(view, http, match, scope) };
  route.decorator = { $typeName: 'envoy.config.route.v3.Decorator', operation: operationOf(route, rule.name, scope.port) };
  return route;
}

/** Order in Envoy: overwrite, append, remove. `host`/`:authority` are a host rewrite instead, other pseudo headers are ignored. */
function putHeaders(target: HeaderCarrier, request: HeaderOperations, response: HeaderOperations): void {
  target.requestHeadersToAdd = headerOptions(request);
  target.requestHeadersToRemove = request.remove.filter(isOrdinary);
  target.responseHeadersToAdd = headerOptions(response);
  target.responseHeadersToRemove = response.remove.filter(isOrdinary);
}

interface HeaderCarrier {
  requestHeadersToAdd: HeaderValueOption[];
  requestHeadersToRemove: string[];
  responseHeadersToAdd: HeaderValueOption[];
  responseHeadersToRemove: string[];
}

function isOrdinary(name: string): boolean {
  return !name.startsWith(':') && name.toLowerCase() !== 'host';
}

function headerOptions(operations: HeaderOperations): HeaderValueOption[] {
  const option = (appendAction: HeaderValueOption_HeaderAppendAction) => ([key, value]: readonly [string, string]) => create(HeaderValueOptionSchema, { header: { key, value }, appendAction });
  return [
    ...operations.set.filter(([name]) => isOrdinary(name)).map(option(HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD)),
    ...operations.add.filter(([name]) => isOrdinary(name)).map(option(HeaderValueOption_HeaderAppendAction.APPEND_IF_EXISTS_OR_ADD)),
  ];
}

function authorityOf(operations: HeaderOperations): string | undefined {
  return operations.set.find(([name]) => name === ':authority' || name.toLowerCase() === 'host')?.[1];
}

function forwardAction(view: ProxyView, http: HttpRoute, match: HttpMatch | undefined, scope: RouteScope): RouteAction {
  const destinations = http.action.kind === 'route' ? http.action.destinations : [];
  const hash = destinations.map((entry) => hashPolicyOf(view, entry.destination, scope.port)).find((policy) => policy !== undefined);
  const action = create(RouteActionSchema, {
    timeout: duration(http.timeoutMs ?? 0),
    // Also the cap of grpc-timeout; 0 = whatever the caller says.
    maxGrpcTimeout: duration(http.timeoutMs ?? 0),
    requestMirrorPolicies: http.mirrors.map((mirror) => ({
      cluster: destinationCluster(view, mirror.destination, scope.port), runtimeFraction: { defaultValue: fractionalPercent(mirror.percent) }, traceSampled: false,
    })),
    hashPolicy: hash ? [hash] : [],
    ...(http.missingDestinationStatus === 500 && { clusterNotFoundResponseCode: RouteAction_ClusterNotFoundResponseCode.INTERNAL_SERVER_ERROR }),
  });
  const retries = retryPolicy(http.retries, view.snapshot.mesh.defaultRetries, hash !== undefined);
  if (retries) action.retryPolicy = retries;
  const single = destinations.length === 1 ? destinations[0] : undefined;
  if (single && isPlain(single.request) && isPlain(single.response)) action.clusterSpecifier = { case: 'cluster', value: destinationCluster(view, single.destination, scope.port) };
  else
    action.clusterSpecifier = create(RouteActionSchema, {
      clusterSpecifier: {
        case: 'weightedClusters',
        value: {
          clusters: destinations.map((entry) => {
            const weight = create(WeightedCluster_ClusterWeightSchema, { name: destinationCluster(view, entry.destination, scope.port), weight: entry.weight });
            putHeaders(weight, entry.request, entry.response);
            const host = authorityOf(entry.request);
            if (host !== undefined) weight.hostRewriteSpecifier = { case: 'hostRewriteLiteral', value: host };
            return weight;
          }),
        },
      },
    }).clusterSpecifier;
  putRewrite(action, http, match);
  return action;
}

function isPlain(operations: HeaderOperations): boolean {
  return operations.set.length === 0 && operations.add.length === 0 && operations.remove.length === 0;
}

function putRewrite(action: RouteAction, http: HttpRoute, match: HttpMatch | undefined): void {
  const { rewrite } = http;
  const authority = authorityOf(http.request) ?? rewrite?.authority;
  if (authority) action.hostRewriteSpecifier = { case: 'hostRewriteLiteral', value: authority };
  if (rewrite?.uriRegex) action.regexRewrite = create(RouteActionSchema, { regexRewrite: { pattern: { regex: rewrite.uriRegex.match }, substitution: rewrite.uriRegex.rewrite } }).regexRewrite!;
  else if (rewrite?.uri && match?.uri?.kind === 'segment-prefix' && rewrite.uri === '/')
    // `/foo/bar` → `/bar` and `/foo` → `/`: a plain prefix rewrite would leave two slashes.
    action.regexRewrite = create(RouteActionSchema, { regexRewrite: { pattern: { regex: `^${escapeRegex(match.uri.value)}(/?)(.*)` }, substitution: '/\\2' } }).regexRewrite!;
  else if (rewrite?.uri) action.prefixRewrite = rewrite.uri;
}

function escapeRegex(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

const REDIRECT_CODE: ReadonlyMap<number, RedirectAction_RedirectResponseCode> = new Map([
  [301, RedirectAction_RedirectResponseCode.MOVED_PERMANENTLY], [302, RedirectAction_RedirectResponseCode.FOUND], [303, RedirectAction_RedirectResponseCode.SEE_OTHER],
  [307, RedirectAction_RedirectResponseCode.TEMPORARY_REDIRECT], [308, RedirectAction_RedirectResponseCode.PERMANENT_REDIRECT],
]);

function redirectAction(redirect: Redirect, port: number): RedirectAction {
  const action = create(RedirectActionSchema, {
    hostRedirect: redirect.authority ?? '',
    responseCode: REDIRECT_CODE.get(redirect.code) ?? RedirectAction_RedirectResponseCode.MOVED_PERMANENTLY,
  });
  if (redirect.prefixRewrite !== undefined) action.pathRewriteSpecifier = { case: 'prefixRewrite', value: redirect.prefixRewrite };
  else if (redirect.uri !== undefined) action.pathRewriteSpecifier = { case: 'pathRedirect', value: redirect.uri };
  if (redirect.scheme !== undefined) action.schemeRewriteSpecifier = { case: 'schemeRedirect', value: redirect.scheme };
  if (typeof redirect.port === 'number') action.portRedirect = redirect.port;
  // The port of the scheme is what a proxy does by itself: the default port of the old scheme goes when the scheme changes.
  else if (redirect.port === 'from-request-port') action.portRedirect = port;
  return action;
}

/** Istio's cluster for a backend that may not be used: it does not exist. */
const UNKNOWN_SERVICE = 'UnknownService';

/** The cluster a destination means: its port, else the service's only one, else the port the caller used. An alias leads to what it stands for. */
export function destinationCluster(view: ProxyView, destination: Destination, listenerPort: number): string {
  if (destination.host === '') return UNKNOWN_SERVICE;
  const named = view.byHostname.get(destination.host);
  const service = named?.aliasOf ? view.byHostname.get(named.aliasOf) ?? named : named;
  const port = destination.port || (service?.ports.length === 1 ? service.ports[0]!.number : listenerPort);
  return outboundClusterName(port, destination.subset, service?.hostname ?? destination.host);
}

/** Consistent hashing of the destination's rule: Envoy wants the key on the route. */
export function hashPolicyOf(view: ProxyView, destination: Destination, listenerPort: number): RouteAction_HashPolicy | undefined {
  const service = view.byHostname.get(destination.host);
  const rule = destinationRuleFor(view, destination.host, service?.namespace);
  if (!rule) return undefined;
  const port = parseClusterName(destinationCluster(view, destination, listenerPort))?.port ?? listenerPort;
  const key = policyForPort(rule.policy, rule.subsets.find((subset) => subset.name === destination.subset)?.policy, port).loadBalancer?.consistentHash?.key;
  switch (key?.kind) {
    case undefined: return undefined;
    case 'header': return create(RouteAction_HashPolicySchema, { policySpecifier: { case: 'header', value: { headerName: key.name } } });
    case 'cookie': return create(RouteAction_HashPolicySchema, { policySpecifier: { case: 'cookie', value: { name: key.name, path: key.path, ...(key.ttlMs !== undefined && { ttl: duration(key.ttlMs) }) } } });
    case 'source-ip': return create(RouteAction_HashPolicySchema, { policySpecifier: { case: 'connectionProperties', value: { sourceIp: true } } });
    case 'query-parameter': return create(RouteAction_HashPolicySchema, { policySpecifier: { case: 'queryParameter', value: { name: key.name } } });
  }
}

/** The route of a service without a VirtualService. */
export function defaultRoute(view: ProxyView, cluster: string, host: string, port: number): Route {
  const hash = hashPolicyOf(view, { host, subset: '', port }, port);
  const action = create(RouteActionSchema, { clusterSpecifier: { case: 'cluster', value: cluster }, timeout: duration(0), maxGrpcTimeout: duration(0), hashPolicy: hash ? [hash] : [] });
  const retries = retryPolicy(undefined, view.snapshot.mesh.defaultRetries, hash !== undefined);
  if (retries) action.retryPolicy = retries;
  return create(RouteSchema, { name: DEFAULT_ROUTE, match: routeMatch(undefined), action: { case: 'route', value: action }, decorator: { operation: `${hostWithPort(host, port)}/*` } });
}

/** The span's name: `<host>:<port><path>` of the only destination, else `<VirtualService>:<port><path>`. */
function operationOf(route: Route, ruleName: string, port: number): string {
  const path = route.match?.pathSpecifier;
  const text = path?.case === 'prefix' ? `${path.value}*` : path?.case === 'path' ? path.value : path?.case === 'safeRegex' ? path.value.regex : '/*';
  const cluster = route.action.case === 'route' && route.action.value.clusterSpecifier.case === 'cluster' ? parseClusterName(route.action.value.clusterSpecifier.value) : undefined;
  return cluster ? `${cluster.host}:${cluster.port}${text}` : `${ruleName}:${port}${text}`;
}
