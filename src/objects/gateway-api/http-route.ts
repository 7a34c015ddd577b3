import type { SpecObject } from '../meta.ts';
import { HTTP_ROUTE } from '../resource-types.ts';
import { bool, having, int, list, obj, oneOf, oneOfDefault, req, str, type Infer } from '../schema/dsl.ts';
import { BACKEND_REFERENCE, backendObjectReference, gatewayDuration, hostname, localReference, parentReferences, portNumber, preciseHostname, routeStatus, sectionName, weight, type RouteStatus } from './common.ts';
import { defineGatewayApiKind } from './define-gateway-api-kind.ts';

const headerName = str({ minLength: 1, maxLength: 256, pattern: "^[A-Za-z0-9!#$%&'*+\\-.^_\\x60|~]+$" });
const header = obj({ name: req(headerName), value: req(str({ minLength: 1, maxLength: 4096 })) });
/** Header operations; the first entry of a name counts. */
export const headerFilter = obj({
  set: list(header, { mapKeys: ['name'] }, { maxItems: 16 }),
  add: list(header, { mapKeys: ['name'] }, { maxItems: 16 }),
  remove: list(str(), { set: true }, { maxItems: 16 }),
});
/** Header operations. */
export type HeaderFilter = Infer<typeof headerFilter>;
const pathModifier = obj({ type: req(oneOf('ReplaceFullPath', 'ReplacePrefixMatch')), replaceFullPath: str({ maxLength: 1024 }), replacePrefixMatch: str({ maxLength: 1024 }) });
/** A copy of the request for somebody else. */
export const mirrorFilter = obj({
  backendRef: req(backendObjectReference),
  percent: int({ minimum: 0, maximum: 100 }),
  fraction: obj({ numerator: req(int({ minimum: 0 })), denominator: int({ minimum: 1, default: 100 }) }),
});
/** A copy of the request for somebody else. */
export type MirrorFilter = Infer<typeof mirrorFilter>;
const redirect = obj({
  scheme: oneOf('http', 'https'), hostname: preciseHostname, path: pathModifier, port: portNumber,
  statusCode: having(int(), { default: 302, enum: [301, 302, 303, 307, 308] }),
});
const cors = obj({
  allowOrigins: list(str({ minLength: 1, maxLength: 253 }), { set: true }, { maxItems: 64 }),
  allowCredentials: bool(),
  allowMethods: list(str(), { set: true }, { maxItems: 9 }),
  allowHeaders: list(str(), { set: true }, { maxItems: 64 }),
  exposeHeaders: list(str(), { set: true }, { maxItems: 64 }),
  maxAge: int({ minimum: 1, default: 5 }),
});
const rewrite = obj({ hostname: preciseHostname, path: pathModifier });
const filter = obj({
  type: req(oneOf('RequestHeaderModifier', 'ResponseHeaderModifier', 'RequestMirror', 'RequestRedirect', 'URLRewrite', 'ExtensionRef', 'CORS', 'ExternalAuth')),
  requestHeaderModifier: headerFilter, responseHeaderModifier: headerFilter, requestMirror: mirrorFilter,
  requestRedirect: redirect,
  urlRewrite: rewrite,
  cors, extensionRef: localReference,
  externalAuth: obj({ protocol: req(oneOf('HTTP', 'GRPC')), backendRef: req(backendObjectReference) }, { 'x-kubernetes-preserve-unknown-fields': true }),
});
/** Something done to requests on their way. */
export type HttpRouteFilter = Infer<typeof filter>;
const filters = list(filter, { atomic: true }, { maxItems: 16 });
const valueMatch = obj({ type: oneOfDefault('Exact', 'RegularExpression'), name: req(headerName), value: req(str({ minLength: 1, maxLength: 4096 })) });
const match = obj({
  path: obj({ type: oneOfDefault('PathPrefix', 'Exact', 'RegularExpression'), value: str({ maxLength: 1024, default: '/' }) }, { default: { type: 'PathPrefix', value: '/' } }),
  headers: list(valueMatch, { mapKeys: ['name'] }, { maxItems: 16 }),
  queryParams: list(valueMatch, { mapKeys: ['name'] }, { maxItems: 16 }),
  method: oneOf('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'),
});
/** Which requests a rule means; all parts must hold. */
export type HttpRouteMatch = Infer<typeof match>;
const backend = obj({ ...BACKEND_REFERENCE, weight, filters });
/** A backend with its own filters. */
export type HttpBackendReference = Infer<typeof backend>;
/** Session persistence is stored; the data plane does not do it yet. */
export const sessionPersistence = obj({
  sessionName: str({ maxLength: 128 }), absoluteTimeout: gatewayDuration, idleTimeout: gatewayDuration, type: oneOfDefault('Cookie', 'Header'),
  cookieConfig: obj({ lifetimeType: oneOfDefault('Session', 'Permanent') }),
});
const rule = obj({
  name: sectionName,
  matches: list(match, { atomic: true }, { maxItems: 64, default: [{ path: { type: 'PathPrefix', value: '/' } }] }),
  filters,
  backendRefs: list(backend, { atomic: true }, { maxItems: 16 }),
  timeouts: obj({ request: gatewayDuration, backendRequest: gatewayDuration }),
  retry: obj({ codes: list(int({ minimum: 400, maximum: 599 }), { atomic: true }), attempts: int(), backoff: gatewayDuration }),
  sessionPersistence,
});
/** One rule of an HTTPRoute. */
export type HttpRouteRule = Infer<typeof rule>;
const spec = obj({ parentRefs: parentReferences, hostnames: list(hostname, { atomic: true }, { maxItems: 16 }), rules: list(rule, { atomic: true }, { maxItems: 16, default: [{ matches: [{ path: { type: 'PathPrefix', value: '/' } }] }] }), useDefaultGateways: str() });

/** @see https://gateway-api.sigs.k8s.io/api-types/httproute/ */
export type KubernetesHttpRoute = SpecObject<Infer<typeof spec>, RouteStatus>;
export const HTTP_ROUTE_KIND = defineGatewayApiKind(HTTP_ROUTE, {
  spec, status: routeStatus, versions: ['v1', 'v1beta1'], columns: [{ name: 'Hostnames', type: 'string', jsonPath: '.spec.hostnames' }],
});
