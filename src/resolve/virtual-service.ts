import { decodeBase64Text } from '../base/base64.ts';
import { contentHash } from '../model/hash.ts';
import { visibilityOf, type Visibility } from '../model/visibility.ts';
import type { Destination, HttpAction, HttpMatch, L4Match, L4Route, NamedMatch, WeightedDestination } from '../model/virtual-service.ts';
import type { KubeObject } from '../objects/meta.ts';
import { createdMsOf, expandGateways, expandHost, namespaceOf, originOf, readSpec, type ResolveContext } from './context.ts';
import type { Cursor } from './cursor.ts';
import type { ReadHttpRoute, ReadVirtualService } from './delegate.ts';
import { readStringMatch } from './string-match.ts';
import { readCors, readFault, readHeaderOperations, readMirrors, readRedirect, readRetries, readRewrite } from './http-route.ts';

/** What is different about VirtualServices that are made from Gateway API's routes or from an Ingress. */
export interface GeneratedRoute {
  /** Status for destinations that do not exist; undefined = Envoy's 503. */
  readonly missingDestinationStatus?: number;
  /** Who may see it; undefined = as `exportTo` says. */
  readonly visibility?: Visibility;
}

/**
 * Reads a VirtualService; undefined (and issues) when it must be left out. Generated ones match prefixes by whole segments and may have destinations
 * without a host, which answer with the status for missing ones.
 */
export function resolveVirtualService(context: ResolveContext, object: KubeObject, generated?: GeneratedRoute): ReadVirtualService | undefined {
  const namespace = namespaceOf(object);
  return readSpec(context, object, (spec) => {
    const body = {
      kind: 'virtual-service' as const,
      name: object.metadata.name, namespace,
      hosts: spec.at('hosts').strings().map((host) => expandHost(context, host, namespace)),
      gateways: expandGateways(spec.at('gateways').strings(), namespace),
      http: spec.at('http').items().map((route) => readHttpRoute(context, route, namespace, generated)),
      tls: spec.at('tls').items().map((route) => readL4Route(context, route, namespace, generated)),
      tcp: spec.at('tcp').items().map((route) => readL4Route(context, route, namespace, generated)),
      ...(generated && { generated: true }),
      visibility: generated?.visibility ?? visibilityOf(spec.at('exportTo').strings(), namespace, context.mesh.virtualServiceExportTo),
      createdMs: createdMsOf(object), origin: originOf(object),
    };
    return { ...body, digest: contentHash(body) };
  });
}

function readHttpRoute(context: ResolveContext, route: Cursor, namespace: string, generated: GeneratedRoute | undefined): ReadHttpRoute {
  const headers = route.at('headers');
  const delegate = route.at('delegate');
  const timeoutMs = route.at('timeout').durationMs();
  return {
    name: route.at('name').string(),
    matches: route.at('match').items().map((match) => readHttpMatch(match, namespace, generated)),
    action: delegate.exists ? { kind: 'route', destinations: [] } : readAction(context, route, namespace, generated),
    ...(generated?.missingDestinationStatus !== undefined && { missingDestinationStatus: generated.missingDestinationStatus }),
    ...(delegate.exists && { delegate: { name: delegate.at('name').string(), namespace: delegate.at('namespace').string() } }),
    rewrite: readRewrite(route.at('rewrite')),
    timeoutMs: timeoutMs === 0 ? undefined : timeoutMs,
    retries: readRetries(route.at('retries')),
    fault: readFault(route.at('fault')),
    mirrors: readMirrors(route, (mirror) => readDestination(context, mirror, namespace)),
    cors: readCors(route.at('corsPolicy')),
    request: readHeaderOperations(headers.at('request')),
    response: readHeaderOperations(headers.at('response')),
  };
}

/** A redirect wins over a direct response, and that over destinations. */
function readAction(context: ResolveContext, route: Cursor, namespace: string, generated: GeneratedRoute | undefined): HttpAction {
  if (route.at('redirect').exists) return { kind: 'redirect', redirect: readRedirect(route.at('redirect')) };
  const direct = route.at('directResponse');
  if (direct.exists) {
    const body = direct.at('body');
    const bytes = body.at('bytes').text();
    return { kind: 'direct-response', status: direct.at('status').number() ?? 200, body: body.at('string').text() ?? (bytes === undefined ? undefined : decodeBase64Text(bytes)) };
  }
  const all = route.at('route').items().map((entry) => readWeighted(context, entry, namespace, generated));
  const single = all.length === 1 ? all.map((entry) => ({ ...entry, weight: 100 })) : all;
  const destinations = single.filter((entry) => entry.weight > 0);
  if (all.length > 0 && destinations.length === 0) route.at('route').fail('every destination has weight 0, so the route would send nowhere');
  // A fault without destinations is legal only when it always aborts; Envoy needs some action, so the abort's status stands in.
  if (all.length === 0) {
    const abort = route.at('fault').at('abort');
    if (!abort.exists) route.fail('needs a route, a redirect or a directResponse');
    return { kind: 'direct-response', status: abort.at('httpStatus').number() ?? 503, body: undefined };
  }
  return { kind: 'route', destinations };
}

function readWeighted(context: ResolveContext, entry: Cursor, namespace: string, generated: GeneratedRoute | undefined): WeightedDestination {
  const weight = entry.at('weight').number() ?? 0;
  if (weight < 0) entry.at('weight').fail('must not be negative');
  return {
    destination: readDestination(context, entry.at('destination'), namespace, generated !== undefined), weight,
    request: readHeaderOperations(entry.at('headers').at('request')), response: readHeaderOperations(entry.at('headers').at('response')),
  };
}

export function readDestination(context: ResolveContext, destination: Cursor, namespace: string, mayBeMissing = false): Destination {
  const host = destination.at('host').string();
  if (!host && !mayBeMissing) destination.at('host').fail('is required');
  return { host: expandHost(context, host, namespace), subset: destination.at('subset').string(), port: destination.at('port').at('number').number() ?? 0 };
}

function readHttpMatch(match: Cursor, namespace: string, generated: GeneratedRoute | undefined): HttpMatch {
  const named = (field: string): readonly NamedMatch[] => match.at(field).entries().map(([name, value]) => ({ name, match: readStringMatch(value) ?? { kind: 'present' } }));
  return {
    name: match.at('name').string(),
    uri: readStringMatch(match.at('uri'), generated ? 'segment-prefix' : 'prefix'), ignoreUriCase: match.at('ignoreUriCase').boolean() ?? false,
    scheme: readStringMatch(match.at('scheme')), method: readStringMatch(match.at('method')), authority: readStringMatch(match.at('authority')),
    headers: named('headers'), withoutHeaders: named('withoutHeaders'), queryParams: named('queryParams'),
    port: match.at('port').number() ?? 0,
    sourceLabels: match.at('sourceLabels').stringMap(), sourceNamespace: match.at('sourceNamespace').string(),
    gateways: match.at('gateways').exists ? expandGateways(match.at('gateways').strings(), namespace) : [],
    statPrefix: match.at('statPrefix').string(),
  };
}

function readL4Route(context: ResolveContext, route: Cursor, namespace: string, generated: GeneratedRoute | undefined): L4Route {
  const all = route.at('route').items().map((entry) => ({ destination: readDestination(context, entry.at('destination'), namespace, generated !== undefined), weight: entry.at('weight').number() ?? 0 }));
  const destinations = (all.length === 1 ? all.map((entry) => ({ ...entry, weight: 100 })) : all).filter((entry) => entry.weight > 0);
  if (destinations.length === 0) route.at('route').fail('needs a destination with a weight above 0');
  return { matches: route.at('match').items().map((match) => readL4Match(match, namespace)), destinations };
}

function readL4Match(match: Cursor, namespace: string): L4Match {
  return {
    sniHosts: match.at('sniHosts').strings().map((host) => host.toLowerCase()),
    destinationSubnets: match.at('destinationSubnets').strings(),
    port: match.at('port').number() ?? 0,
    sourceLabels: match.at('sourceLabels').stringMap(), sourceNamespace: match.at('sourceNamespace').string(),
    gateways: match.at('gateways').exists ? expandGateways(match.at('gateways').strings(), namespace) : [],
  };
}
