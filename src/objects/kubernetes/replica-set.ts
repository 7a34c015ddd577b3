import type { LabelSelector, SpecObject } from '../meta.ts';
import { REPLICA_SET, REPLICATION_CONTROLLER } from '../resource-types.ts';
import { defineKind } from '../schema/define-kind.ts';
import { int, int64, map, obj, req, str, type Infer } from '../schema/dsl.ts';
import { conditions, labelSelector } from './meta-schema.ts';
import { podTemplate, type PodTemplate } from './pod.ts';

const spec = obj({ replicas: int({ default: 1 }), minReadySeconds: int(), selector: req(labelSelector), template: podTemplate });
const status = obj({
  replicas: int(),
  fullyLabeledReplicas: int(),
  readyReplicas: int(),
  availableReplicas: int(),
  terminatingReplicas: int(),
  observedGeneration: int64(),
  conditions,
});

/** ReplicaSetSpec. */
export interface ReplicaSetSpec {
  readonly replicas?: number;
  readonly minReadySeconds?: number;
  readonly selector: LabelSelector;
  readonly template?: PodTemplate;
}
/** ReplicaSetStatus. */
export type ReplicaSetStatus = Infer<typeof status>;
/** A replica set. @see https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/replica-set-v1/ */
export type ReplicaSet = SpecObject<ReplicaSetSpec, ReplicaSetStatus>;

export const REPLICA_SET_KIND = defineKind(REPLICA_SET, {
  shortNames: ['rs'],
  categories: ['all'],
  status: true,
  scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas', labelSelectorPath: '.spec.selector' },
  fields: { spec, status },
});

const controllerSpec = obj({ replicas: int({ default: 1 }), minReadySeconds: int(), selector: map(str(), { 'x-kubernetes-map-type': 'atomic' }), template: podTemplate });

/** The forerunner of replica sets; stored and shown, nothing acts on it. @see https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/replication-controller-v1/ */
export const REPLICATION_CONTROLLER_KIND = defineKind(REPLICATION_CONTROLLER, {
  shortNames: ['rc'],
  categories: ['all'],
  status: true,
  scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas', labelSelectorPath: '.spec.selector' },
  fields: { spec: controllerSpec, status },
});
