/** One rule of a GRPCRoute → Istio HTTP routes, one per match: a call is a POST to `/<service>/<method>`. */
import type { GrpcRouteMatch, GrpcRouteRule } from '../../objects/gateway-api/grpc-route.ts';
import type { RuleContext } from './backend.ts';
import { headersOf, isWeightless, mirrorsOf, unsupportedFilter, valueMatch, weightedDestinations, withoutUndefined, type Json, type RuleResult } from './rule-parts.ts';

const SUPPORTED: ReadonlySet<string> = new Set(['RequestHeaderModifier', 'ResponseHeaderModifier', 'RequestMirror']);

/** `name` is what the route is called when its rule has no name. */
export function convertGrpcRule(context: RuleContext, rule: GrpcRouteRule, name: string): readonly RuleResult[] {
  const matches: readonly (GrpcRouteMatch | undefined)[] = rule.matches && rule.matches.length > 0 ? rule.matches : [undefined];
  return matches.map((match) => convertMatch(context, rule, rule.name ?? name, match));
}

function convertMatch(context: RuleContext, rule: GrpcRouteRule, name: string, match: GrpcRouteMatch | undefined): RuleResult {
  const filters = rule.filters ?? [];
  const unsupported = filters.find(({ type }) => !SUPPORTED.has(type));
  if (unsupported) return { route: undefined, error: unsupportedFilter(unsupported.type) };
  if (match?.method && !match.method.service && !match.method.method) return { route: undefined, error: { reason: 'InvalidConfiguration', message: 'gRPC match must have method or service defined' } };
  const { mirrors, error: mirrorError } = mirrorsOf(context, filters);
  if (mirrorError) return { route: undefined, error: mirrorError };
  const base = { name, match: match && [matchOf(match)], headers: headersOf(filters), mirrors: mirrors.length > 0 ? mirrors : undefined };
  const backends = rule.backendRefs ?? [];
  if (isWeightless(backends)) return { route: withoutUndefined({ ...base, directResponse: { status: 500 } }) };
  const built = weightedDestinations(context, backends);
  if (built.fatal) return { route: undefined, error: built.error! };
  return { route: withoutUndefined({ ...base, route: built.destinations }), error: built.error };
}

function matchOf(match: GrpcRouteMatch): Json {
  const headers = match.headers && match.headers.length > 0 ? Object.fromEntries(match.headers.map((entry) => [entry.name, valueMatch(entry)])) : undefined;
  return withoutUndefined({ uri: match.method && pathOf(match.method), headers });
}

function pathOf({ type, service, method }: NonNullable<GrpcRouteMatch['method']>): Json {
  if (!service) return { regex: `/[^/]+/${method}` };
  if (type === 'RegularExpression') return { regex: method ? `/${service}/${method}` : `/${service}/.+` };
  return method ? { exact: `/${service}/${method}` } : { prefix: `/${service}/` };
}
