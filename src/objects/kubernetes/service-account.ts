import type { KubeObject } from '../meta.ts';
import { SERVICE_ACCOUNT } from '../resource-types.ts';
import { AGE, defineKind } from '../schema/define-kind.ts';
import { bool, list, type Infer } from '../schema/dsl.ts';
import { localObjectReference, objectReference, type ObjectReferenceFields } from './meta-schema.ts';

/** Who a pod is. @see https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/service-account-v1/ */
export interface ServiceAccount extends KubeObject {
  readonly secrets?: readonly ObjectReferenceFields[];
  readonly imagePullSecrets?: readonly Infer<typeof localObjectReference>[];
  readonly automountServiceAccountToken?: boolean;
}

export const SERVICE_ACCOUNT_KIND = defineKind(SERVICE_ACCOUNT, {
  shortNames: ['sa'],
  columns: [AGE],
  fields: {
    secrets: list(objectReference, { mapKeys: ['name'] }),
    imagePullSecrets: list(localObjectReference, { atomic: true }),
    automountServiceAccountToken: bool(),
  },
});
