import { labelSelector } from '../kubernetes/meta-schema.ts';
import type { SpecObject } from '../meta.ts';
import { KUBERNETES_GATEWAY } from '../resource-types.ts';
import { having, int, list, obj, oneOfDefault, req, str, type Infer } from '../schema/dsl.ts';
import { gatewayConditions, listener, listenerStatus, localReference, metadataMap, objectName, objectReference, portNumber, secretReference } from './common.ts';
import { defineGatewayApiKind } from './define-gateway-api-kind.ts';

const address = obj({ type: having(str({ minLength: 1, maxLength: 253 }), { default: 'IPAddress' }), value: str({ maxLength: 253 }) });
const frontendTls = obj({
  validation: obj({
    caCertificateRefs: req(list(objectReference, { atomic: true }, { minItems: 1, maxItems: 8 })),
    mode: oneOfDefault('AllowValidOnly', 'AllowInsecureFallback'),
  }),
});
/** TLS towards the clients of one port. */
export type FrontendTls = Infer<typeof frontendTls>;
const tls = obj({
  backend: obj({ clientCertificateRef: secretReference }),
  frontend: obj({ default: req(frontendTls), perPort: list(obj({ port: req(portNumber), tls: req(frontendTls) }), { mapKeys: ['port'] }, { maxItems: 64 }) }),
});
const spec = obj({
  gatewayClassName: req(objectName),
  listeners: list(listener, { mapKeys: ['name'] }, { maxItems: 64 }),
  addresses: list(address, { atomic: true }, { maxItems: 16 }),
  infrastructure: obj({ labels: metadataMap, annotations: metadataMap, parametersRef: localReference }),
  allowedListeners: obj({ namespaces: obj({ from: oneOfDefault('None', 'All', 'Selector', 'Same'), selector: labelSelector }, { default: { from: 'None' } }) }),
  tls,
  defaultScope: str(),
});
/** GatewaySpec. */
export type KubernetesGatewaySpec = Infer<typeof spec>;
const status = obj({
  addresses: list(obj({ type: having(str(), { default: 'IPAddress' }), value: req(str()) }), { atomic: true }),
  conditions: gatewayConditions,
  listeners: list(listenerStatus, { mapKeys: ['name'] }),
  attachedListenerSets: int(),
});
/** GatewayStatus. */
export type KubernetesGatewayStatus = Infer<typeof status>;

/** Gateway API's Gateway: listeners of one data plane. @see https://gateway-api.sigs.k8s.io/api-types/gateway/ */
export type KubernetesGateway = SpecObject<KubernetesGatewaySpec, KubernetesGatewayStatus>;
export const KUBERNETES_GATEWAY_KIND = defineGatewayApiKind(KUBERNETES_GATEWAY, {
  spec, status, versions: ['v1', 'v1beta1'], shortNames: ['gtw'],
  columns: [
    { name: 'Class', type: 'string', jsonPath: '.spec.gatewayClassName' },
    { name: 'Address', type: 'string', jsonPath: '.status.addresses[*].value' },
    { name: 'Programmed', type: 'string', jsonPath: '.status.conditions[?(@.type=="Programmed")].status' },
  ],
});
