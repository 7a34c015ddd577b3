import type { LabelSelector, SpecObject } from '../meta.ts';
import { DEPLOYMENT } from '../resource-types.ts';
import { defineKind } from '../schema/define-kind.ts';
import { bool, having, int, int64, intOrString, obj, oneOf, req, type Infer } from '../schema/dsl.ts';
import { conditions, labelSelector } from './meta-schema.ts';
import { podTemplate, type PodTemplate } from './pod.ts';

const strategy = obj(
  {
    type: having(oneOf('RollingUpdate', 'Recreate'), { default: 'RollingUpdate' }),
    /** Numbers or percentages; default 25 % each, `maxUnavailable` rounded down, `maxSurge` up. */
    rollingUpdate: obj({ maxUnavailable: intOrString(), maxSurge: intOrString() }),
  },
  { 'x-kubernetes-patch-strategy': 'retainKeys', default: {} },
);

const spec = obj({
  replicas: int({ default: 1 }),
  selector: req(labelSelector),
  template: req(podTemplate),
  strategy,
  minReadySeconds: int(),
  revisionHistoryLimit: int({ default: 10 }),
  paused: bool(),
  progressDeadlineSeconds: int({ default: 600 }),
});
const status = obj({
  observedGeneration: int64(),
  replicas: int(),
  updatedReplicas: int(),
  readyReplicas: int(),
  availableReplicas: int(),
  unavailableReplicas: int(),
  terminatingReplicas: int(),
  conditions,
  collisionCount: int(),
});

/** DeploymentSpec. */
export interface DeploymentSpec extends Omit<Infer<typeof spec>, 'selector' | 'template'> {
  readonly selector: LabelSelector;
  readonly template: PodTemplate;
}
/** DeploymentStatus. */
export type DeploymentStatus = Infer<typeof status>;
/** A deployment. @see https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/deployment-v1/ */
export type Deployment = SpecObject<DeploymentSpec, DeploymentStatus>;

export const DEPLOYMENT_KIND = defineKind(DEPLOYMENT, {
  shortNames: ['deploy'],
  categories: ['all'],
  status: true,
  scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas', labelSelectorPath: '.spec.selector' },
  fields: { spec, status },
});
