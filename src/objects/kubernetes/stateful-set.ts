import type { LabelSelector, SpecObject } from '../meta.ts';
import { STATEFUL_SET } from '../resource-types.ts';
import { defineKind } from '../schema/define-kind.ts';
import { having, int, int64, intOrString, list, obj, oneOf, req, str, type Infer } from '../schema/dsl.ts';
import { conditions, labelSelector } from './meta-schema.ts';
import { claimTemplate, type ClaimTemplate } from './persistent-volume-claim.ts';
import { podTemplate, type PodTemplate } from './pod.ts';

const retention = having(oneOf('Retain', 'Delete'), { default: 'Retain' });
const spec = obj({
  replicas: int({ default: 1 }),
  selector: req(labelSelector),
  template: req(podTemplate),
  volumeClaimTemplates: list(claimTemplate, { atomic: true }),
  serviceName: str(),
  podManagementPolicy: having(oneOf('OrderedReady', 'Parallel'), { default: 'OrderedReady' }),
  updateStrategy: obj({ type: having(oneOf('RollingUpdate', 'OnDelete'), { default: 'RollingUpdate' }), rollingUpdate: obj({ partition: int(), maxUnavailable: intOrString() }) }, { default: {} }),
  revisionHistoryLimit: int({ default: 10 }),
  minReadySeconds: int(),
  persistentVolumeClaimRetentionPolicy: obj({ whenDeleted: retention, whenScaled: retention }, { default: {} }),
  ordinals: obj({ start: int() }),
});
const status = obj({
  observedGeneration: int64(),
  replicas: int(),
  readyReplicas: int(),
  currentReplicas: int(),
  updatedReplicas: int(),
  availableReplicas: int(),
  currentRevision: str(),
  updateRevision: str(),
  collisionCount: int(),
  conditions,
});

/** StatefulSetSpec. */
export interface StatefulSetSpec extends Omit<Infer<typeof spec>, 'selector' | 'template' | 'volumeClaimTemplates'> {
  readonly selector: LabelSelector;
  readonly template: PodTemplate;
  readonly volumeClaimTemplates?: readonly ClaimTemplate[];
}
/** Pods with stable names and volumes. @see https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/stateful-set-v1/ */
export type StatefulSet = SpecObject<StatefulSetSpec, Infer<typeof status>>;

export const STATEFUL_SET_KIND = defineKind(STATEFUL_SET, {
  shortNames: ['sts'],
  categories: ['all'],
  status: true,
  scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas', labelSelectorPath: '.spec.selector' },
  fields: { spec, status },
});
