/** TCPRoute, UDPRoute and TLSRoute: bytes to backends, by port or by server name. */
import type { SpecObject } from '../meta.ts';
import { TCP_ROUTE, TLS_ROUTE, UDP_ROUTE } from '../resource-types.ts';
import { list, obj, req, str, type Infer } from '../schema/dsl.ts';
import { backendReference, hostname, parentReferences, routeStatus, sectionName, type RouteStatus } from './common.ts';
import { defineGatewayApiKind } from './define-gateway-api-kind.ts';

const rule = obj({ name: sectionName, backendRefs: list(backendReference, { atomic: true }, { maxItems: 16 }) });
/** One rule of an L4 route. */
export type L4RouteRule = Infer<typeof rule>;
const rules = list(rule, { atomic: true }, { minItems: 1, maxItems: 16 });
const spec = obj({ parentRefs: parentReferences, rules: req(rules), useDefaultGateways: str() });
const tlsSpec = obj({ parentRefs: parentReferences, hostnames: list(hostname, { atomic: true }, { maxItems: 16 }), rules: req(rules), useDefaultGateways: str() });

/** @see https://gateway-api.sigs.k8s.io/api-types/tcproute/ */
export type KubernetesTcpRoute = SpecObject<Infer<typeof spec>, RouteStatus>;
/** @see https://gateway-api.sigs.k8s.io/api-types/tlsroute/ */
export type KubernetesTlsRoute = SpecObject<Infer<typeof tlsSpec>, RouteStatus>;

export const TCP_ROUTE_KIND = defineGatewayApiKind(TCP_ROUTE, { spec, status: routeStatus, versions: ['v1', 'v1alpha2'] });
/** Stored only: the mesh does not carry UDP. */
export const UDP_ROUTE_KIND = defineGatewayApiKind(UDP_ROUTE, { spec, status: routeStatus, versions: ['v1', 'v1alpha2'] });
export const TLS_ROUTE_KIND = defineGatewayApiKind(TLS_ROUTE, {
  spec: tlsSpec, status: routeStatus, versions: ['v1', 'v1alpha3', 'v1alpha2'], columns: [{ name: 'Hostnames', type: 'string', jsonPath: '.spec.hostnames' }],
});
