import type { SpecObject } from '../meta.ts';
import { REFERENCE_GRANT } from '../resource-types.ts';
import { list, obj, req, type Infer } from '../schema/dsl.ts';
import { group, kindName, namespaceName, objectName } from './common.ts';
import { defineGatewayApiKind } from './define-gateway-api-kind.ts';

const spec = obj({
  from: req(list(obj({ group: req(group), kind: req(kindName), namespace: req(namespaceName) }), { atomic: true }, { minItems: 1, maxItems: 16 })),
  to: req(list(obj({ group: req(group), kind: req(kindName), name: objectName }), { atomic: true }, { minItems: 1, maxItems: 16 })),
});

/** Lets objects of other namespaces refer to objects of this one. @see https://gateway-api.sigs.k8s.io/api-types/referencegrant/ */
export type ReferenceGrant = SpecObject<Infer<typeof spec>>;
export const REFERENCE_GRANT_KIND = defineGatewayApiKind(REFERENCE_GRANT, { spec, versions: ['v1', 'v1beta1'], shortNames: ['refgrant'] });
