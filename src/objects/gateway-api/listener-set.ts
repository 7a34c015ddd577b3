import type { PrinterColumn } from '../kind.ts';
import type { SpecObject } from '../meta.ts';
import { LISTENER_SET, X_LISTENER_SET } from '../resource-types.ts';
import { having, int, list, obj, req, type Infer } from '../schema/dsl.ts';
import { gatewayConditions, group, kindName, LISTENER, listenerStatus, namespaceName, objectName } from './common.ts';
import { defineGatewayApiKind } from './define-gateway-api-kind.ts';

/** Port 0 (or none) means the protocol's own: 80 or 443. */
const entry = obj({ ...LISTENER, port: int({ minimum: 0, maximum: 65_535, default: 0 }) });
/** A listener of a ListenerSet. */
export type ListenerEntry = Infer<typeof entry>;
const spec = obj({
  parentRef: req(obj({ group: having(group, { default: 'gateway.networking.k8s.io' }), kind: having(kindName, { default: 'Gateway' }), name: req(objectName), namespace: namespaceName })),
  listeners: req(list(entry, { mapKeys: ['name'] }, { minItems: 1, maxItems: 64 })),
});
const status = obj({ conditions: gatewayConditions, listeners: list(listenerStatus, { mapKeys: ['name'] }) });

/** More listeners for a Gateway, owned by somebody else. @see https://gateway-api.sigs.k8s.io/geps/gep-1713/ */
export type ListenerSet = SpecObject<Infer<typeof spec>, Infer<typeof status>>;

const columns: readonly PrinterColumn[] = ['Accepted', 'Programmed'].map((type) => ({ name: type, type: 'string', jsonPath: `.status.conditions[?(@.type=="${type}")].status` }));
export const LISTENER_SET_KIND = defineGatewayApiKind(LISTENER_SET, { spec, status, shortNames: ['lset'], columns });
export const X_LISTENER_SET_KIND = defineGatewayApiKind(X_LISTENER_SET, { spec, status, shortNames: ['xlset'], columns });
