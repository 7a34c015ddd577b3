/** What is said about the way to a backend: BackendTLSPolicy, XBackendTrafficPolicy and XBackend. */
import type { SpecObject } from '../meta.ts';
import { BACKEND_TLS_POLICY, X_BACKEND, X_BACKEND_TRAFFIC_POLICY } from '../resource-types.ts';
import { int, list, map, obj, oneOf, req, str, type Infer } from '../schema/dsl.ts';
import { gatewayConditions, gatewayDuration, group, kindName, objectName, parentReference, policyStatus, portNumber, preciseHostname, secretReference, sectionName, tlsValidation, type PolicyStatus } from './common.ts';
import { defineGatewayApiKind } from './define-gateway-api-kind.ts';
import { sessionPersistence } from './http-route.ts';

const TARGET = { group: req(group), kind: req(kindName), name: req(objectName) } as const;
const tlsSpec = obj({
  targetRefs: req(list(obj({ ...TARGET, sectionName }), { atomic: true }, { minItems: 1, maxItems: 16 })),
  validation: req(tlsValidation),
  options: map(str({ maxLength: 4096 }), { maxProperties: 16 }),
});
/** How a Gateway or a mesh client speaks TLS to a Service. @see https://gateway-api.sigs.k8s.io/api-types/backendtlspolicy/ */
export type BackendTlsPolicy = SpecObject<Infer<typeof tlsSpec>, PolicyStatus>;
export const BACKEND_TLS_POLICY_KIND = defineGatewayApiKind(BACKEND_TLS_POLICY, { spec: tlsSpec, status: policyStatus, versions: ['v1', 'v1alpha3'], shortNames: ['btlspolicy'] });

const trafficSpec = obj({
  targetRefs: req(list(obj(TARGET), { mapKeys: ['group', 'kind', 'name'] }, { minItems: 1, maxItems: 16 })),
  retryConstraint: obj({
    budget: obj({ percent: int({ minimum: 0, maximum: 100, default: 20 }), interval: gatewayDuration }, { default: { percent: 20, interval: '10s' } }),
    minRetryRate: obj({ count: int({ minimum: 1, maximum: 1_000_000 }), interval: gatewayDuration }, { default: { count: 10, interval: '1s' } }),
  }),
  sessionPersistence,
});
/** How much a Service is retried. */
export type BackendTrafficPolicy = SpecObject<Infer<typeof trafficSpec>, PolicyStatus>;
export const X_BACKEND_TRAFFIC_POLICY_KIND = defineGatewayApiKind(X_BACKEND_TRAFFIC_POLICY, { spec: trafficSpec, status: policyStatus, shortNames: ['xbtrafficpolicy'] });

const backendSpec = obj({
  type: req(oneOf('ExternalHostname')),
  externalHostname: obj({ hostname: req(preciseHostname) }),
  port: req(obj({ name: str({ maxLength: 63 }), port: req(portNumber) })),
  protocol: oneOf('TCP', 'HTTP', 'HTTP2', 'HTTP11', 'H2C', 'GRPC', 'MCP'),
  tls: obj({ mode: req(oneOf('None', 'ServerOnly', 'ClientAndServer')), clientCertificateRef: secretReference, validation: tlsValidation }),
});
const backendStatus = obj({
  parents: list(obj({ parentRef: req(parentReference), controllerName: req(str()), conditions: gatewayConditions }), { atomic: true }, { maxItems: 32 }),
});
/** A destination outside of the cluster that routes can name. */
export type GatewayBackend = SpecObject<Infer<typeof backendSpec>, Infer<typeof backendStatus>>;
export const X_BACKEND_KIND = defineGatewayApiKind(X_BACKEND, { spec: backendSpec, status: backendStatus, shortNames: ['xbackend'] });
