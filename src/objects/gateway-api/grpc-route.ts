import type { SpecObject } from '../meta.ts';
import { GRPC_ROUTE } from '../resource-types.ts';
import { list, obj, oneOf, oneOfDefault, req, str, type Infer } from '../schema/dsl.ts';
import { BACKEND_REFERENCE, hostname, localReference, parentReferences, routeStatus, sectionName, weight, type RouteStatus } from './common.ts';
import { defineGatewayApiKind } from './define-gateway-api-kind.ts';
import { headerFilter, mirrorFilter, sessionPersistence } from './http-route.ts';

const filter = obj({
  type: req(oneOf('RequestHeaderModifier', 'ResponseHeaderModifier', 'RequestMirror', 'ExtensionRef')),
  requestHeaderModifier: headerFilter, responseHeaderModifier: headerFilter, requestMirror: mirrorFilter, extensionRef: localReference,
});
const filters = list(filter, { atomic: true }, { maxItems: 16 });
const match = obj({
  method: obj({ type: oneOfDefault('Exact', 'RegularExpression'), service: str({ maxLength: 1024 }), method: str({ maxLength: 1024 }) }),
  headers: list(obj({ type: oneOfDefault('Exact', 'RegularExpression'), name: req(str({ minLength: 1, maxLength: 256 })), value: req(str({ minLength: 1, maxLength: 4096 })) }), { mapKeys: ['name'] }, { maxItems: 16 }),
});
/** Which calls a rule means. */
export type GrpcRouteMatch = Infer<typeof match>;
const rule = obj({
  name: sectionName,
  matches: list(match, { atomic: true }, { maxItems: 64 }),
  filters,
  backendRefs: list(obj({ ...BACKEND_REFERENCE, weight, filters }), { atomic: true }, { maxItems: 16 }),
  sessionPersistence,
});
/** One rule of a GRPCRoute. */
export type GrpcRouteRule = Infer<typeof rule>;
const spec = obj({ parentRefs: parentReferences, hostnames: list(hostname, { atomic: true }, { maxItems: 16 }), rules: list(rule, { atomic: true }, { maxItems: 16 }), useDefaultGateways: str() });

/** @see https://gateway-api.sigs.k8s.io/api-types/grpcroute/ */
export type KubernetesGrpcRoute = SpecObject<Infer<typeof spec>, RouteStatus>;
export const GRPC_ROUTE_KIND = defineGatewayApiKind(GRPC_ROUTE, {
  spec, status: routeStatus, columns: [{ name: 'Hostnames', type: 'string', jsonPath: '.spec.hostnames' }],
});
