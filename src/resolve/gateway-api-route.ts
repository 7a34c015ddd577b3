import { contentHash } from '../model/hash.ts';
import { PUBLIC } from '../model/visibility.ts';
import type { Destination, HttpAction, HttpMatch, HttpRoute, Mirror, Redirect, Rewrite, StringMatch, VirtualService, WeightedDestination } from '../model/virtual-service.ts';
import type { KubeObject } from '../objects/meta.ts';
import { createdMsOf, namespaceOf, originOf, readSpec, warn, type ResolveContext } from './context.ts';
import type { Cursor } from './cursor.ts';

const NO_HEADERS = { set: [], add: [], remove: [] } as const;
/** A backend that does not exist is the server's fault in Gateway API: 500, not Envoy's 503. */
const MISSING_BACKEND_STATUS = 500;

/**
 * An HTTPRoute whose parents are Services or ServiceEntries (Gateway API for meshes) → one VirtualService per parent. A route in its Service's namespace
 * (producer) holds for everybody; any other (consumer) only for its own namespace, where it goes first. Parents that are Gateways are reported.
 * @see https://gateway-api.sigs.k8s.io/mesh/service-facets/
 */
export function resolveMeshHttpRoute(context: ResolveContext, object: KubeObject): readonly VirtualService[] | undefined {
  const namespace = namespaceOf(object);
  return readSpec(context, object, (spec) => {
    const http = spec.at('rules').items().flatMap((rule) => readRule(context, rule, namespace)).sort((a, b) => precedence(b) - precedence(a));
    return spec.at('parentRefs').items().flatMap((parent) => {
      const host = parentHost(context, parent, namespace);
      if (!host) {
        warn(context, object, 'MLT0003', parent.path, `Parents of kind ${parent.at('kind').string('Gateway')} are not supported yet; only Service, ServiceEntry and Hostname are.`);
        return [];
      }
      const port = parent.at('port').number() ?? 0;
      const body = {
        kind: 'virtual-service' as const, name: object.metadata.name, namespace, hosts: [host.name], gateways: ['mesh'],
        http: port === 0 ? http : http.map((route) => ({ ...route, matches: route.matches.map((match) => ({ ...match, port })) })), tls: [], tcp: [],
        visibility: host.namespace === namespace ? PUBLIC : { public: false, namespaces: [namespace] },
        createdMs: createdMsOf(object), origin: originOf(object),
      };
      return [{ ...body, digest: contentHash(body) }];
    });
  });
}

function parentHost(context: ResolveContext, parent: Cursor, namespace: string): { readonly name: string; readonly namespace: string } | undefined {
  const kind = parent.at('kind').string('Gateway');
  const of = parent.at('namespace').string() || namespace;
  const name = parent.at('name').string();
  if (kind === 'Service') return { name: `${name}.${of}.svc.${context.mesh.domainSuffix}`, namespace: of };
  return kind === 'ServiceEntry' || kind === 'Hostname' ? { name, namespace: of } : undefined;
}

function backend(context: ResolveContext, reference: Cursor, namespace: string): Destination {
  const kind = reference.at('kind').string('Service');
  const name = reference.at('name').string();
  const of = reference.at('namespace').string() || namespace;
  return { host: kind === 'Service' ? `${name}.${of}.svc.${context.mesh.domainSuffix}` : name, subset: '', port: reference.at('port').number() ?? 0 };
}

function readRule(context: ResolveContext, rule: Cursor, namespace: string): readonly HttpRoute[] {
  const filters = rule.at('filters').items();
  const matches = rule.at('matches').items().map(readMatch);
  const timeoutMs = rule.at('timeouts').at('request').durationMs() ?? rule.at('timeouts').at('backendRequest').durationMs();
  const base = {
    name: rule.at('name').string(), rewrite: readRewrite(filters), timeoutMs: timeoutMs || undefined, retries: undefined, fault: undefined, cors: undefined,
    action: readAction(context, rule, filters, namespace), mirrors: filters.flatMap((filter) => readMirror(context, filter, namespace)),
    request: readHeaders(filters, 'requestHeaderModifier'), response: readHeaders(filters, 'responseHeaderModifier'),
  };
  // One route per match: precedence is decided match by match.
  return matches.length > 0 ? matches.map((match) => ({ ...base, matches: [match] })) : [{ ...base, matches: [] }];
}

function readAction(context: ResolveContext, rule: Cursor, filters: readonly Cursor[], namespace: string): HttpAction {
  const redirect = filters.find((filter) => filter.at('requestRedirect').exists);
  if (redirect) return { kind: 'redirect', redirect: readRedirect(redirect.at('requestRedirect')) };
  const all: readonly WeightedDestination[] = rule.at('backendRefs').items().map((reference) => ({
    destination: backend(context, reference, namespace), weight: reference.at('weight').number() ?? 1,
    request: readHeaders(reference.at('filters').items(), 'requestHeaderModifier'), response: readHeaders(reference.at('filters').items(), 'responseHeaderModifier'),
  }));
  const destinations = all.filter((entry) => entry.weight > 0);
  return destinations.length > 0 ? { kind: 'route', destinations } : { kind: 'direct-response', status: MISSING_BACKEND_STATUS, body: undefined };
}

function readHeaders(filters: readonly Cursor[], name: string) {
  const modifier = filters.map((filter) => filter.at(name)).find((found) => found.exists);
  if (!modifier) return NO_HEADERS;
  const pairs = (field: string) => modifier.at(field).items().map((entry) => [entry.at('name').string(), entry.at('value').string()] as const);
  return { set: pairs('set'), add: pairs('add'), remove: modifier.at('remove').strings() };
}

function readMirror(context: ResolveContext, filter: Cursor, namespace: string): readonly Mirror[] {
  const mirror = filter.at('requestMirror');
  if (!mirror.exists) return [];
  const fraction = mirror.at('fraction');
  const percent = fraction.exists ? (100 * (fraction.at('numerator').number() ?? 0)) / (fraction.at('denominator').number() ?? 100) : mirror.at('percent').number() ?? 100;
  return percent > 0 ? [{ destination: backend(context, mirror.at('backendRef'), namespace), percent }] : [];
}

function readRewrite(filters: readonly Cursor[]): Rewrite | undefined {
  const rewrite = filters.map((filter) => filter.at('urlRewrite')).find((found) => found.exists);
  if (!rewrite) return undefined;
  const path = rewrite.at('path');
  const full = path.at('replaceFullPath').text();
  return {
    uri: path.at('replacePrefixMatch').text(), uriRegex: full === undefined ? undefined : { match: '^/[^?]*', rewrite: full },
    authority: rewrite.at('hostname').text(),
  };
}

function readRedirect(redirect: Cursor): Redirect {
  const path = redirect.at('path');
  return {
    uri: path.at('replaceFullPath').text(), prefixRewrite: path.at('replacePrefixMatch').text(), authority: redirect.at('hostname').text(),
    port: redirect.at('port').positive() ?? (redirect.at('scheme').exists ? 'from-protocol-default' : undefined), scheme: redirect.at('scheme').text(),
    code: redirect.at('statusCode').positive() ?? 302,
  };
}

function readMatch(match: Cursor): HttpMatch {
  const named = (field: string) => match.at(field).items().map((entry) => ({ name: entry.at('name').string(), match: readValue(entry) }));
  const method = match.at('method').text();
  return {
    name: '', uri: readPath(match.at('path')), ignoreUriCase: false, scheme: undefined, method: method === undefined ? undefined : { kind: 'exact', value: method }, authority: undefined,
    headers: named('headers'), withoutHeaders: [], queryParams: named('queryParams'), port: 0, sourceLabels: {}, sourceNamespace: '', gateways: [], statPrefix: '',
  };
}

function readPath(path: Cursor): StringMatch | undefined {
  if (!path.exists) return undefined;
  const value = path.at('value').string('/');
  const type = path.at('type').string('PathPrefix');
  return type === 'Exact' ? { kind: 'exact', value } : type === 'RegularExpression' ? { kind: 'regex', value } : { kind: 'segment-prefix', value };
}

function readValue(entry: Cursor): StringMatch {
  const value = entry.at('value').string();
  return entry.at('type').string('Exact') === 'RegularExpression' ? { kind: 'regex', value } : { kind: 'exact', value };
}

/** Exact path, then the longest prefix, then a method, then more headers, then more query parameters. Sorting is stable, so the first rule wins ties. */
function precedence(route: HttpRoute): number {
  const match = route.matches[0];
  if (!match) return 0;
  const path = match.uri?.kind === 'exact' ? 4_000 : match.uri?.kind === 'regex' ? 3_500 : Math.min(3_000, match.uri?.kind === 'segment-prefix' ? match.uri.value.length : 1);
  return path * 1_000_000 + (match.method ? 100_000 : 0) + Math.min(match.headers.length, 99) * 100 + Math.min(match.queryParams.length, 99);
}
