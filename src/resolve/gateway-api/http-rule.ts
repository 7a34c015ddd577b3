/** One rule of an HTTPRoute → Istio HTTP routes, one per match. */
import type { HttpRouteFilter, HttpRouteMatch, HttpRouteRule } from '../../objects/gateway-api/http-route.ts';
import type { RuleContext } from './backend.ts';
import { joinErrors } from './condition.ts';
import { parseDurationMs } from '../../base/duration.ts';
import { headersOf, isWeightless, mirrorsOf, unsupportedFilter, valueMatch, weightedDestinations, withoutUndefined, type Json, type RuleResult } from './rule-parts.ts';

const SUPPORTED: ReadonlySet<string> = new Set(['RequestHeaderModifier', 'ResponseHeaderModifier', 'RequestRedirect', 'RequestMirror', 'URLRewrite', 'CORS']);
/** Errors that are worth a try whenever a rule asks for retries. */
const RETRY_ON = ['connect-failure', 'refused-stream', 'unavailable', 'cancelled'];
/** Istio's own number of retries. */
const DEFAULT_ATTEMPTS = 2;
/** No backend is the server's mistake. */
const NO_BACKEND_STATUS = 500;

/** `name` is what the route is called when its rule has no name. */
export function convertHttpRule(context: RuleContext, rule: HttpRouteRule, name: string): readonly RuleResult[] {
  const matches: readonly (HttpRouteMatch | undefined)[] = rule.matches && rule.matches.length > 0 ? rule.matches : [undefined];
  return matches.map((match) => convertMatch(context, rule, rule.name ?? name, match));
}

function convertMatch(context: RuleContext, rule: HttpRouteRule, name: string, match: HttpRouteMatch | undefined): RuleResult {
  const filters = rule.filters ?? [];
  const unsupported = filters.find(({ type }) => !SUPPORTED.has(type));
  if (unsupported) return { route: undefined, error: unsupportedFilter(unsupported.type) };
  const redirect = redirectOf(filters);
  const { mirrors, error: mirrorError } = mirrorsOf(context, filters);
  const retries = retriesOf(rule);
  const base = {
    name, match: match && [matchOf(match)], headers: headersOf(filters), redirect, mirrors: mirrors.length > 0 ? mirrors : undefined, rewrite: rewriteOf(filters), corsPolicy: corsOf(filters),
    retries, timeout: timeoutOf(rule, retries !== undefined),
  };
  const backends = rule.backendRefs ?? [];
  if (isWeightless(backends) && !redirect) return { route: withoutUndefined({ ...base, directResponse: { status: NO_BACKEND_STATUS } }), error: mirrorError };
  const built = weightedDestinations(context, backends);
  if (built.fatal) return { route: undefined, error: built.error! };
  return { route: withoutUndefined({ ...base, route: built.destinations.length > 0 ? built.destinations : undefined }), error: joinErrors(built.error, mirrorError) };
}

function lastFilter<K extends keyof HttpRouteFilter>(filters: readonly HttpRouteFilter[], type: HttpRouteFilter['type'], field: K): HttpRouteFilter[K] | undefined {
  return filters.filter((filter) => filter.type === type).map((filter) => filter[field]).findLast((found) => found !== undefined);
}

function redirectOf(filters: readonly HttpRouteFilter[]): Json | undefined {
  const redirect = lastFilter(filters, 'RequestRedirect', 'requestRedirect');
  if (!redirect) return undefined;
  const { path } = redirect;
  return withoutUndefined({
    redirectCode: redirect.statusCode, authority: redirect.hostname, scheme: redirect.scheme, port: redirect.port,
    // The port of the request is kept, unless a scheme says better.
    derivePort: redirect.port !== undefined ? undefined : redirect.scheme !== undefined ? 'FROM_PROTOCOL_DEFAULT' : 'FROM_REQUEST_PORT',
    uri: path?.type === 'ReplaceFullPath' ? path.replaceFullPath : path ? `%PREFIX()%${path.replacePrefixMatch ?? ''}` : undefined,
  });
}

function rewriteOf(filters: readonly HttpRouteFilter[]): Json | undefined {
  const rewrite = lastFilter(filters, 'URLRewrite', 'urlRewrite');
  if (!rewrite) return undefined;
  const { path } = rewrite;
  const prefix = path?.type === 'ReplacePrefixMatch' ? path.replacePrefixMatch ?? '' : undefined;
  const result = withoutUndefined({
    uri: prefix === undefined ? undefined : prefix.replace(/\/$/, '') || '/',
    uriRegexRewrite: path?.type === 'ReplaceFullPath' ? { match: '/.*', rewrite: path.replaceFullPath ?? '' } : undefined,
    authority: rewrite.hostname,
  });
  return Object.keys(result).length > 0 ? result : undefined;
}

/** Origins: `*` is everybody, a `*` inside is any text. */
function corsOf(filters: readonly HttpRouteFilter[]): Json | undefined {
  const cors = lastFilter(filters, 'CORS', 'cors');
  if (!cors) return undefined;
  const some = <T>(list: readonly T[] | undefined) => (list && list.length > 0 ? list : undefined);
  const origin = (text: string): Json => (text === '*' ? { regex: '.*' } : text.includes('*') ? { regex: text.split('*').map((part) => part.replace(/[\\^$.+?()[\]{}|]/g, '\\$&')).join('.*') } : { exact: text });
  return withoutUndefined({
    allowOrigins: some(cors.allowOrigins?.filter(Boolean).map(origin)), allowCredentials: cors.allowCredentials === true ? true : undefined,
    allowMethods: some(cors.allowMethods), allowHeaders: some(cors.allowHeaders), exposeHeaders: some(cors.exposeHeaders),
    maxAge: cors.maxAge ? `${cors.maxAge}s` : undefined,
  });
}

function retriesOf({ retry, timeouts }: HttpRouteRule): Json | undefined {
  if (!retry) return undefined;
  const attempts = retry.attempts ?? DEFAULT_ATTEMPTS;
  return withoutUndefined({
    attempts, retryOn: attempts === 0 ? undefined : [...RETRY_ON, ...(retry.codes ?? []).map(String)].join(','),
    backoff: retry.backoff === undefined ? undefined : seconds(retry.backoff), perTryTimeout: positive(timeouts?.backendRequest),
  });
}

/** Without retries the time for the backend is the time for the request. */
function timeoutOf({ timeouts }: HttpRouteRule, retries: boolean): string | undefined {
  const backend = retries ? undefined : positive(timeouts?.backendRequest);
  return backend ?? positive(timeouts?.request);
}

/** A duration as protobuf writes it; undefined for none and for zero, which turns a timeout off. */
function positive(text: string | undefined): string | undefined {
  const ms = text === undefined ? undefined : parseDurationMs(text);
  return ms ? `${ms / 1000}s` : undefined;
}

function seconds(text: string): string {
  return `${(parseDurationMs(text) ?? 0) / 1000}s`;
}

function matchOf(match: HttpRouteMatch): Json {
  const values = (entries: HttpRouteMatch['headers']) => (entries && entries.length > 0 ? Object.fromEntries(entries.map((entry) => [entry.name, valueMatch(entry)])) : undefined);
  return withoutUndefined({ uri: pathMatch(match.path), headers: values(match.headers), queryParams: values(match.queryParams), method: match.method && { exact: match.method } });
}

/** A prefix means whole segments, which Istio's object does not say: the route semantics of its annotation do. */
function pathMatch(path: HttpRouteMatch['path']): Json {
  const value = path?.value ?? '/';
  if (path?.type === 'Exact') return { exact: value };
  if (path?.type === 'RegularExpression') return { regex: value };
  return { prefix: value === '/' ? '/' : value.replace(/\/$/, '') };
}
