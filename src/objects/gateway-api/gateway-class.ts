import type { SpecObject } from '../meta.ts';
import { GATEWAY_CLASS } from '../resource-types.ts';
import { list, obj, req, str, type Infer } from '../schema/dsl.ts';
import { gatewayConditions, group, kindName, namespaceName, objectName } from './common.ts';
import { defineGatewayApiKind } from './define-gateway-api-kind.ts';

const spec = obj({
  controllerName: req(str({ minLength: 1, maxLength: 253 })),
  parametersRef: obj({ group: req(group), kind: req(kindName), name: req(objectName), namespace: namespaceName }),
  description: str({ maxLength: 64 }),
});
const status = obj({ conditions: gatewayConditions, supportedFeatures: list(obj({ name: req(str()) }), { mapKeys: ['name'] }) });

/** Who serves the Gateways of a class. @see https://gateway-api.sigs.k8s.io/api-types/gatewayclass/ */
export type GatewayClass = SpecObject<Infer<typeof spec>, Infer<typeof status>>;
export const GATEWAY_CLASS_KIND = defineGatewayApiKind(GATEWAY_CLASS, {
  spec, status, versions: ['v1', 'v1beta1'], shortNames: ['gc'],
  columns: [
    { name: 'Controller', type: 'string', jsonPath: '.spec.controllerName' },
    { name: 'Accepted', type: 'string', jsonPath: '.status.conditions[?(@.type=="Accepted")].status' },
  ],
  columnsAfter: [{ name: 'Description', type: 'string', jsonPath: '.spec.description', priority: 1 }],
});
