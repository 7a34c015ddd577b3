import type { ObjectMeta, SpecObject } from '../meta.ts';
import { PERSISTENT_VOLUME_CLAIM } from '../resource-types.ts';
import { defineKind } from '../schema/define-kind.ts';
import { as, having, list, map, obj, oneOf, quantity, req, str, type Infer } from '../schema/dsl.ts';
import { conditions, labelSelector, objectMeta } from './meta-schema.ts';

const spec = obj({
  accessModes: list(str(), { atomic: true }),
  selector: labelSelector,
  resources: obj({ limits: map(quantity()), requests: map(quantity()) }),
  volumeName: str(),
  storageClassName: str(),
  volumeMode: having(oneOf('Filesystem', 'Block'), { default: 'Filesystem' }),
  dataSource: obj({ apiGroup: str(), kind: req(str()), name: req(str()) }, { 'x-kubernetes-map-type': 'atomic' }),
  dataSourceRef: obj({ apiGroup: str(), kind: req(str()), name: req(str()), namespace: str() }),
  volumeAttributesClassName: str(),
});
const status = obj({
  phase: str(),
  accessModes: list(str(), { atomic: true }),
  capacity: map(quantity()),
  conditions,
  allocatedResources: map(quantity()),
  allocatedResourceStatuses: map(str()),
  currentVolumeAttributesClassName: str(),
});

/** A wish for storage. @see https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/persistent-volume-claim-v1/ */
export type PersistentVolumeClaim = SpecObject<Infer<typeof spec>, Infer<typeof status>>;
export const PERSISTENT_VOLUME_CLAIM_KIND = defineKind(PERSISTENT_VOLUME_CLAIM, { shortNames: ['pvc'], status: true, fields: { spec, status } });

/** What a StatefulSet makes claims from. */
export interface ClaimTemplate {
  readonly metadata: Partial<ObjectMeta>;
  readonly spec: Infer<typeof spec>;
}
/** What a StatefulSet makes claims from. */
export const claimTemplate = as<ClaimTemplate>(obj({ apiVersion: str(), kind: str(), metadata: objectMeta, spec, status }));
