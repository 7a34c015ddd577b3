import type { LabelSelector, ObjectMeta, SpecObject } from '../meta.ts';
import { CRON_JOB, JOB } from '../resource-types.ts';
import { defineKind } from '../schema/define-kind.ts';
import { as, bool, having, int, int64, list, obj, oneOf, req, str, time, type Infer } from '../schema/dsl.ts';
import { conditions, labelSelector, objectMeta, objectReference } from './meta-schema.ts';
import { podTemplate, type PodTemplate } from './pod.ts';

const onExitCodes = obj({ containerName: str(), operator: req(str()), values: list(int(), { set: true }) });
const failurePolicyRule = obj({ action: req(str()), onExitCodes, onPodConditions: list(obj({ type: req(str()), status: req(str()) }), { atomic: true }) });
const spec = obj({
  parallelism: int(),
  completions: int(),
  activeDeadlineSeconds: int64(),
  podFailurePolicy: obj({ rules: req(list(failurePolicyRule, { atomic: true })) }),
  successPolicy: obj({ rules: req(list(obj({ succeededIndexes: str(), succeededCount: int() }), { atomic: true })) }),
  backoffLimit: int(),
  backoffLimitPerIndex: int(),
  maxFailedIndexes: int(),
  selector: labelSelector,
  manualSelector: bool(),
  template: req(podTemplate),
  ttlSecondsAfterFinished: int(),
  completionMode: having(oneOf('NonIndexed', 'Indexed'), { default: 'NonIndexed' }),
  suspend: bool({ default: false }),
  podReplacementPolicy: str(),
  managedBy: str(),
});
const status = obj({
  conditions: having(conditions, { 'x-kubernetes-list-type': 'atomic' }),
  startTime: time(),
  completionTime: time(),
  active: int(),
  succeeded: int(),
  failed: int(),
  terminating: int(),
  completedIndexes: str(),
  failedIndexes: str(),
  uncountedTerminatedPods: obj({ succeeded: list(str(), { set: true }), failed: list(str(), { set: true }) }),
  ready: int(),
});

/** JobSpec. */
export interface JobSpec extends Omit<Infer<typeof spec>, 'selector' | 'template'> {
  readonly selector?: LabelSelector;
  readonly template: PodTemplate;
}
/** JobStatus. */
export type JobStatus = Infer<typeof status>;
/** Pods that run to completion. @see https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/job-v1/ */
export type Job = SpecObject<JobSpec, JobStatus>;
export const JOB_KIND = defineKind(JOB, { categories: ['all'], status: true, fields: { spec, status } });

/** What a CronJob makes jobs from. */
export interface JobTemplate {
  readonly metadata?: Partial<ObjectMeta>;
  readonly spec: JobSpec;
}
const cronSpec = obj({
  schedule: req(str()),
  timeZone: str(),
  startingDeadlineSeconds: int64(),
  concurrencyPolicy: having(oneOf('Allow', 'Forbid', 'Replace'), { default: 'Allow' }),
  suspend: bool({ default: false }),
  jobTemplate: req(as<JobTemplate>(obj({ metadata: objectMeta, spec }))),
  successfulJobsHistoryLimit: int({ default: 3 }),
  failedJobsHistoryLimit: int({ default: 1 }),
});
const cronStatus = obj({ active: list(objectReference, { atomic: true }), lastScheduleTime: time(), lastSuccessfulTime: time() });

/** Jobs by the clock. @see https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/cron-job-v1/ */
export type CronJob = SpecObject<Infer<typeof cronSpec>, Infer<typeof cronStatus>>;
export const CRON_JOB_KIND = defineKind(CRON_JOB, { shortNames: ['cj'], categories: ['all'], status: true, fields: { spec: cronSpec, status: cronStatus } });
