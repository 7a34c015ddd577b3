/** RouteConfiguration → RouteTable. */
import type { Metadata } from '../../xds/gen/envoy/config/core/v3/base_pb.ts';
import type { RouteConfiguration } from '../../xds/gen/envoy/config/route/v3/route_pb.ts';
import { VirtualHost_TlsRequirementType as TlsRequirement, type Route, type RouteMatch, type VirtualHost } from '../../xds/gen/envoy/config/route/v3/route_components_pb.ts';
import { eachWithin, within } from '../config/config-error.ts';
import { fractionOf } from '../config/scalars.ts';
import { compileMetadataMatcher, type DynamicMetadata } from '../filters/dynamic-metadata.ts';
import type { RequestHead } from '../http/message.ts';
import { compileAction, compileFilterConfigs, type FilterConfigParser } from './action.ts';
import { DomainIndex, withoutPort } from './domain-index.ts';
import { compileHeaderMatcher, compileQueryMatcher, parseQuery, requestHeaderSource } from './header-match.ts';
import { compileHeaderMutations } from './header-mutations.ts';
import { compileRateLimits } from './rate-limits.ts';
import { compilePathMatch, withoutQuery, type PathMatch } from './path-match.ts';
import type { HeaderMutations, LookupOptions, RouteEntry, RouteLookup, RouteTable } from './route-table.ts';

export interface RouteCompileOptions {
  readonly parseFilterConfig: FilterConfigParser;
}

/** A request as matchers see it; parts are worked out once per lookup. */
interface MatchInput {
  readonly head: RequestHead;
  readonly path: string;
  readonly random: number;
  readonly metadata: DynamicMetadata | undefined;
}

/** One condition of a route beside its path; `text` is for traces. */
interface Condition {
  readonly holds: (input: MatchInput) => boolean;
  readonly text: string;
}

interface CompiledRoute {
  readonly path: PathMatch;
  readonly conditions: readonly Condition[];
  readonly entry: RouteEntry;
  /** The answer that names it. */
  readonly found: RouteLookup;
}

interface CompiledHost {
  readonly name: string;
  readonly requireTls: boolean;
  readonly routes: readonly CompiledRoute[];
}

/** Mutations and filter configs of the table, which every route inherits. */
interface TableLevel {
  readonly config: RouteConfiguration;
  readonly request: HeaderMutations | undefined;
  readonly response: HeaderMutations | undefined;
  readonly filters: ReadonlyMap<string, unknown>;
  readonly options: RouteCompileOptions;
}

/**
 * Compiles a table for matching. Throws ConfigError with the path of the field that cannot be obeyed; nothing is half compiled.
 * @see envoy.config.route.v3.RouteConfiguration
 */
export function compileRouteConfiguration(config: RouteConfiguration, options: RouteCompileOptions): RouteTable {
  if (config.vhds) throw new Error('vhds is not supported');
  const level: TableLevel = {
    config,
    options,
    request: compileHeaderMutations(config.requestHeadersToAdd, config.requestHeadersToRemove),
    response: compileHeaderMutations(config.responseHeadersToAdd, config.responseHeadersToRemove),
    filters: compileFilterConfigs(config.typedPerFilterConfig, options.parseFilterConfig),
  };
  const index = new DomainIndex<CompiledHost>();
  for (const host of config.virtualHosts) {
    within(`virtual_hosts["${host.name}"]`, () => {
      const compiled = compileHost(host, level);
      for (const domain of host.domains) index.add(domain, compiled);
    });
  }
  const ignorePort = config.ignorePortInHostMatching;
  return { name: config.name, lookup: (head, options) => lookup(index, ignorePort, head, options) };
}

function lookup(index: DomainIndex<CompiledHost>, ignorePort: boolean, head: RequestHead, { secure, random, metadata, trace }: LookupOptions): RouteLookup {
  const host = ignorePort ? withoutPort(head.authority) : head.authority;
  const virtualHost = index.value(host);
  if (!virtualHost) {
    trace?.(`no virtual host has a domain for "${host}"`);
    return { kind: 'none' };
  }
  trace?.(`virtual host "${virtualHost.name}" by domain "${index.find(host)?.by}"`);
  if (virtualHost.requireTls && !secure) {
    trace?.('the virtual host requires TLS and the request is plaintext');
    return { kind: 'tls-redirect' };
  }
  const input: MatchInput = { head, path: withoutQuery(head.path), random, metadata };
  for (const route of virtualHost.routes) {
    const miss = firstMiss(route, input);
    if (miss === undefined) {
      trace?.(`route "${route.entry.name}" matches: ${route.path.text}`);
      return route.found;
    }
    trace?.(`route "${route.entry.name}" does not match: ${miss}`);
  }
  return { kind: 'none' };
}

function firstMiss(route: CompiledRoute, input: MatchInput): string | undefined {
  if (!route.path.matches(input.path, input.head.method)) return route.path.text;
  for (const condition of route.conditions) if (!condition.holds(input)) return condition.text;
  return undefined;
}

function compileHost(host: VirtualHost, table: TableLevel): CompiledHost {
  if (host.domains.length === 0) throw new Error('domains is empty');
  if (host.matcher) throw new Error('matcher is not supported');
  const { options } = table;
  const hostLevel = {
    request: compileHeaderMutations(host.requestHeadersToAdd, host.requestHeadersToRemove),
    response: compileHeaderMutations(host.responseHeadersToAdd, host.responseHeadersToRemove),
    filters: compileFilterConfigs(host.typedPerFilterConfig, options.parseFilterConfig),
  };
  const routes = eachWithin('routes', host.routes, (route): CompiledRoute => {
    const path = within('match', () => compilePathMatch(requireMatch(route)));
    const conditions = within('match', () => compileConditions(requireMatch(route)));
    const action = compileAction(route, path, {
      parseFilterConfig: options.parseFilterConfig,
      retryPolicy: host.retryPolicy,
      mirrors: host.requestMirrorPolicies.length ? host.requestMirrorPolicies : table.config.requestMirrorPolicies,
      maxDirectResponseBytes: table.config.maxDirectResponseBodySizeBytes ?? 4096,
    });
    const filters = compileFilterConfigs(route.typedPerFilterConfig, options.parseFilterConfig);
    const entry: RouteEntry = {
      name: route.name,
      virtualHost: host.name,
      action,
      request: inOrder(table, compileHeaderMutations(route.requestHeadersToAdd, route.requestHeadersToRemove), hostLevel.request, table.request),
      response: inOrder(table, compileHeaderMutations(route.responseHeadersToAdd, route.responseHeadersToRemove), hostLevel.response, table.response),
      rateLimits: rateLimitsOf(route, host),
      typedPerFilterConfig: new Map([...table.filters, ...hostLevel.filters, ...filters]),
      decorator: route.decorator?.operation ?? '',
      origin: istioConfigOf(route.metadata),
      attemptCount: { request: host.includeRequestAttemptCount, response: host.includeAttemptCountInResponse },
      samplingPercent: route.tracing?.randomSampling && fractionOf(route.tracing.randomSampling) * 100,
    };
    return { path, conditions, entry, found: { kind: 'found', route: entry } };
  });
  // No address counts as internal by default, so EXTERNAL_ONLY asks of everybody what ALL asks.
  return { name: host.name, requireTls: host.requireTls !== TlsRequirement.NONE, routes };
}

function rateLimitsOf(route: Route, host: VirtualHost): RouteEntry['rateLimits'] {
  const action = route.action.case === 'route' ? route.action.value : undefined;
  const own = compileRateLimits(action?.rateLimits ?? []);
  return own.length === 0 || action?.includeVhRateLimits === true ? [...own, ...compileRateLimits(host.rateLimits)] : own;
}

function requireMatch(route: Route): RouteMatch {
  if (!route.match) throw new Error('missing');
  return route.match;
}

/** Route, virtual host, table; the other way round with `most_specific_header_mutations_wins`. */
function inOrder(table: TableLevel, ...levels: (HeaderMutations | undefined)[]): readonly HeaderMutations[] {
  const present = levels.filter((level) => level !== undefined);
  return table.config.mostSpecificHeaderMutationsWins ? present.reverse() : present;
}

function compileConditions(match: RouteMatch): Condition[] {
  if (match.tlsContext) throw new Error('tls_context is not supported');
  const conditions: Condition[] = [];
  if (match.runtimeFraction) {
    const fraction = fractionOf(match.runtimeFraction.defaultValue);
    conditions.push({ holds: ({ random }) => random < fraction, text: `runtime_fraction ${fraction}` });
  }
  if (match.grpc) conditions.push({ holds: ({ head }) => isGrpc(head), text: 'grpc' });
  conditions.push(
    ...eachWithin('headers', match.headers, (matcher): Condition => {
      const matches = compileHeaderMatcher(matcher);
      return { holds: ({ head }) => matches(requestHeaderSource(head)), text: `header "${matcher.name}"` };
    }),
    ...eachWithin('query_parameters', match.queryParameters, (matcher): Condition => {
      const matches = compileQueryMatcher(matcher);
      return { holds: ({ head }) => matches(parseQuery(head.path)), text: `query parameter "${matcher.name}"` };
    }),
    ...eachWithin('dynamic_metadata', match.dynamicMetadata, (matcher): Condition => {
      const matches = compileMetadataMatcher(matcher);
      return { holds: ({ metadata }) => matches(metadata), text: `metadata of ${matcher.filter}` };
    }),
  );
  return conditions;
}

/** `application/grpc`, `application/grpc+proto`, … @see Envoy's Grpc::Common::hasGrpcContentType */
function isGrpc(head: RequestHead): boolean {
  return /^application\/grpc(?:$|[+;])/.test(head.headers.get('content-type') ?? '');
}

/** The object that made a route: `istio.config` metadata, '' when there is none. */
function istioConfigOf(metadata: Metadata | undefined): string {
  const config = metadata && Object.hasOwn(metadata.filterMetadata, 'istio') ? metadata.filterMetadata['istio']?.['config'] : undefined;
  return typeof config === 'string' ? config : '';
}
