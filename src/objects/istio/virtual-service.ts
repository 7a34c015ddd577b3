import type { SpecObject } from '../meta.ts';
import { VIRTUAL_SERVICE } from '../resource-types.ts';
import { AGE } from '../schema/define-kind.ts';
import { bool, duration, int, list, map, obj, oneOf, req, str, uint, type Infer } from '../schema/dsl.ts';
import { destination, exportTo, httpBody, httpRetry, percent, stringMatch, uintValue, type IstioStatus } from './common.ts';
import { defineIstioKind, NETWORKING_VERSIONS } from './define-istio-kind.ts';

const headerOperations = obj({ set: map(str()), add: map(str()), remove: list(str()) });
const headers = obj({ request: headerOperations, response: headerOperations });
/** Header changes; order: set, add, remove. */
export type Headers = Infer<typeof headers>;
export type HeaderOperations = Infer<typeof headerOperations>;

const httpMatchRequest = obj({
  name: str(),
  uri: stringMatch,
  scheme: stringMatch,
  method: stringMatch,
  authority: stringMatch,
  /** Names in lower case; an empty match means present. */
  headers: map(stringMatch),
  port: uint(),
  sourceLabels: map(str()),
  gateways: list(str()),
  queryParams: map(stringMatch),
  /** For `exact` and `prefix` only. */
  ignoreUriCase: bool(),
  withoutHeaders: map(stringMatch),
  sourceNamespace: str(),
  statPrefix: str(),
});
/** Conditions of an HTTP route; fields AND, blocks OR. @see https://istio.io/latest/docs/reference/config/networking/virtual-service/#HTTPMatchRequest */
export type HTTPMatchRequest = Infer<typeof httpMatchRequest>;

const httpRouteDestination = obj({ destination: req(destination), weight: int(), headers });
export type HTTPRouteDestination = Infer<typeof httpRouteDestination>;

const httpRedirect = obj({
  uri: str(),
  authority: str(),
  port: uint(),
  derivePort: oneOf('FROM_PROTOCOL_DEFAULT', 'FROM_REQUEST_PORT'),
  scheme: str(),
  /** 301 (default), 302, 303, 307, 308. */
  redirectCode: uint(),
  prefixRewrite: str(),
});
export type HTTPRedirect = Infer<typeof httpRedirect>;

const httpDirectResponse = obj({ status: req(uint()), body: httpBody });
export type HTTPDirectResponse = Infer<typeof httpDirectResponse>;

const httpRewrite = obj({ uri: str(), authority: str(), uriRegexRewrite: obj({ match: str(), rewrite: str() }) });
export type HTTPRewrite = Infer<typeof httpRewrite>;

const httpFaultInjection = obj({
  delay: obj({
    /** Deprecated, whole percents. */
    percent: int(),
    fixedDelay: duration(),
    /** Not implemented by Istio. */
    exponentialDelay: duration(),
    percentage: percent,
  }),
  abort: obj({
    /** Removed from Istio's API years ago, still in people's files; whole percents. */
    percent: int(),
    percentage: percent,
    httpStatus: int(),
    /** By name, `UNAVAILABLE`. */
    grpcStatus: str(),
    /** Not implemented by Istio. */
    http2Error: str(),
  }),
});
export type HTTPFaultInjection = Infer<typeof httpFaultInjection>;

const corsPolicy = obj({
  /** Deprecated. */
  allowOrigin: list(str()),
  allowOrigins: list(stringMatch),
  allowMethods: list(str()),
  allowHeaders: list(str()),
  exposeHeaders: list(str()),
  maxAge: duration(),
  allowCredentials: bool({ nullable: true }),
  unmatchedPreflights: oneOf('UNSPECIFIED', 'FORWARD', 'IGNORE'),
});
export type CorsPolicy = Infer<typeof corsPolicy>;

const mirrorPolicy = obj({ destination: req(destination), percentage: percent });
export type HTTPMirrorPolicy = Infer<typeof mirrorPolicy>;

const httpRoute = obj({
  name: str(),
  match: list(httpMatchRequest),
  route: list(httpRouteDestination),
  redirect: httpRedirect,
  directResponse: httpDirectResponse,
  delegate: obj({ name: str(), namespace: str() }),
  rewrite: httpRewrite,
  timeout: duration(),
  retries: httpRetry,
  fault: httpFaultInjection,
  mirror: destination,
  mirrors: list(mirrorPolicy),
  /** Deprecated, and its older spelling. */
  mirrorPercent: uintValue(),
  mirror_percent: uintValue(),
  mirrorPercentage: percent,
  corsPolicy,
  headers,
});
/** One HTTP route. @see https://istio.io/latest/docs/reference/config/networking/virtual-service/#HTTPRoute */
export type HTTPRoute = Infer<typeof httpRoute>;

const routeDestination = obj({ destination: req(destination), weight: int() });
/** A destination of a TCP or TLS route. */
export type RouteDestination = Infer<typeof routeDestination>;

const l4Match = {
  destinationSubnets: list(str()),
  port: uint(),
  sourceLabels: map(str()),
  gateways: list(str()),
  sourceNamespace: str(),
};
const tlsMatch = obj({ sniHosts: req(list(str())), ...l4Match });
export type TLSMatchAttributes = Infer<typeof tlsMatch>;
const l4MatchAttributes = obj({ ...l4Match, sourceSubnet: str() });
export type L4MatchAttributes = Infer<typeof l4MatchAttributes>;
const tlsRoute = obj({ match: req(list(tlsMatch)), route: list(routeDestination) });
export type TLSRoute = Infer<typeof tlsRoute>;
const tcpRoute = obj({ match: list(l4MatchAttributes), route: list(routeDestination) });
export type TCPRoute = Infer<typeof tcpRoute>;

const spec = obj({ hosts: list(str()), gateways: list(str()), http: list(httpRoute), tls: list(tlsRoute), tcp: list(tcpRoute), exportTo });
/** @see https://istio.io/latest/docs/reference/config/networking/virtual-service/ */
export type VirtualServiceSpec = Infer<typeof spec>;
export type VirtualService = SpecObject<VirtualServiceSpec, IstioStatus>;

export const VIRTUAL_SERVICE_KIND = defineIstioKind(VIRTUAL_SERVICE, {
  ...NETWORKING_VERSIONS,
  shortNames: ['vs'],
  spec,
  columns: [
    { name: 'Gateways', type: 'string', jsonPath: '.spec.gateways', description: 'The names of gateways and sidecars that should apply these routes' },
    { name: 'Hosts', type: 'string', jsonPath: '.spec.hosts', description: 'The destination hosts to which traffic is being sent' },
    AGE,
  ],
});
