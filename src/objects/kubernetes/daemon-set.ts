import type { KubeObject, LabelSelector, SpecObject } from '../meta.ts';
import { CONTROLLER_REVISION, DAEMON_SET } from '../resource-types.ts';
import { defineKind } from '../schema/define-kind.ts';
import { anyObject, having, int, int64, intOrString, obj, oneOf, req, type Infer } from '../schema/dsl.ts';
import { conditions, labelSelector } from './meta-schema.ts';
import { podTemplate, type PodTemplate } from './pod.ts';

const spec = obj({
  selector: req(labelSelector),
  template: req(podTemplate),
  updateStrategy: obj({ type: having(oneOf('RollingUpdate', 'OnDelete'), { default: 'RollingUpdate' }), rollingUpdate: obj({ maxUnavailable: intOrString(), maxSurge: intOrString() }) }, { default: {} }),
  minReadySeconds: int(),
  revisionHistoryLimit: int({ default: 10 }),
});
const status = obj({
  currentNumberScheduled: int(),
  numberMisscheduled: int(),
  desiredNumberScheduled: int(),
  numberReady: int(),
  observedGeneration: int64(),
  updatedNumberScheduled: int(),
  numberAvailable: int(),
  numberUnavailable: int(),
  collisionCount: int(),
  conditions,
});

/** DaemonSetSpec. */
export interface DaemonSetSpec extends Omit<Infer<typeof spec>, 'selector' | 'template'> {
  readonly selector: LabelSelector;
  readonly template: PodTemplate;
}
/** A pod on every node. @see https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/daemon-set-v1/ */
export type DaemonSet = SpecObject<DaemonSetSpec, Infer<typeof status>>;
export const DAEMON_SET_KIND = defineKind(DAEMON_SET, { shortNames: ['ds'], categories: ['all'], status: true, fields: { spec, status } });

/** A template that a StatefulSet or DaemonSet had. @see https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/controller-revision-v1/ */
export interface ControllerRevision extends KubeObject {
  readonly revision: number;
  /** A patch of the owner that brings the template back. */
  readonly data?: Readonly<Record<string, unknown>>;
}
export const CONTROLLER_REVISION_KIND = defineKind(CONTROLLER_REVISION, { fields: { data: anyObject(), revision: int64() }, required: ['revision'] });
