/** What a Job's pods mean for it: how it stands, and which pods to start or end. Pure. @see https://kubernetes.io/docs/concepts/workloads/controllers/job/ */
import type { Job } from '../../objects/kubernetes/job.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import { isPodReady } from './pods.ts';

/** The annotation and label of a pod of an indexed job. */
export const COMPLETION_INDEX = 'batch.kubernetes.io/job-completion-index';
/** After a failure the next pod waits this long, doubled with every further failure. */
const BACKOFF_MS = 10_000;
const MAX_BACKOFF_MS = 360_000;

export interface JobPlan {
  readonly succeeded: number;
  readonly failed: number;
  readonly active: readonly Pod[];
  readonly ready: number;
  /** Indexes that are done, of an indexed job. */
  readonly completedIndexes: readonly number[];
  /** Why the job is over; undefined while it is not. */
  readonly over?: { readonly type: 'Complete' | 'Failed'; readonly reason: string; readonly message: string };
  /** Pods to end: too many, or the job is over or suspended. */
  readonly end: readonly Pod[];
  /** Pods to start, by index; undefined for a job without indexes. */
  readonly start: readonly (number | undefined)[];
  /** Milliseconds until something may have to be done without any pod changing. */
  readonly againMs?: number;
}

const isFinished = (pod: Pod): boolean => pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
const indexOf = (pod: Pod): number => Number(pod.metadata.annotations?.[COMPLETION_INDEX] ?? -1);

/** Looks at all pods of a job at a time. */
export function planJob(job: Job, pods: readonly Pod[], nowMs: number): JobPlan {
  const { spec, status } = job;
  const active = pods.filter((pod) => !isFinished(pod) && pod.metadata.deletionTimestamp === undefined);
  const done = pods.filter((pod) => pod.status?.phase === 'Succeeded');
  const failedPods = pods.filter((pod) => pod.status?.phase === 'Failed');
  const indexed = spec.completionMode === 'Indexed';
  const completedIndexes = indexed ? [...new Set(done.map(indexOf))].filter((index) => index >= 0 && index < (spec.completions ?? 0)).sort((a, b) => a - b) : [];
  // Finished pods may be deleted; what was counted stays counted.
  const succeeded = indexed ? completedIndexes.length : Math.max(done.length, status?.succeeded ?? 0);
  const failed = Math.max(failedPods.length, status?.failed ?? 0);
  const facts = { succeeded, failed, active, ready: active.filter(isPodReady).length, completedIndexes };
  const over = overReason(job, facts, nowMs);
  if (over) return { ...facts, over, end: active, start: [] };
  if (spec.suspend === true) return { ...facts, end: active, start: [] };
  const waitMs = backoffLeft(failedPods, nowMs);
  const { end, start } = balance(job, facts, indexed);
  const deadlineMs = deadlineLeft(job, nowMs);
  const timers = [...(start.length > 0 && waitMs > 0 ? [waitMs] : []), ...(deadlineMs === undefined ? [] : [deadlineMs])];
  return { ...facts, end, start: waitMs > 0 ? [] : start, ...(timers.length > 0 ? { againMs: Math.min(...timers) } : {}) };
}

type Facts = Pick<JobPlan, 'succeeded' | 'failed' | 'active' | 'completedIndexes'>;

function overReason(job: Job, { succeeded, failed, active }: Facts, nowMs: number): JobPlan['over'] {
  const { spec } = job;
  const restarts = spec.template.spec?.restartPolicy === 'OnFailure' ? active.reduce((sum, pod) => sum + restartsOf(pod), 0) : 0;
  const limit = spec.backoffLimit ?? 6;
  if (failed > limit || (restarts > 0 && failed + restarts > limit)) return { type: 'Failed', reason: 'BackoffLimitExceeded', message: 'Job has reached the specified backoff limit' };
  const left = deadlineLeft(job, nowMs);
  if (left !== undefined && left <= 0) return { type: 'Failed', reason: 'DeadlineExceeded', message: 'Job was active longer than specified deadline' };
  // Without a number, a job is done when one pod says so and the others have followed.
  const done = spec.completions === undefined ? succeeded > 0 && active.length === 0 : succeeded >= spec.completions;
  return done ? { type: 'Complete', reason: 'CompletionsReached', message: 'Reached expected number of succeeded pods' } : undefined;
}

function restartsOf(pod: Pod): number {
  return [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])].reduce((sum, one) => sum + one.restartCount, 0);
}

function deadlineLeft({ spec, status }: Job, nowMs: number): number | undefined {
  if (spec.activeDeadlineSeconds === undefined || !status?.startTime || spec.suspend === true) return undefined;
  return Date.parse(status.startTime) + spec.activeDeadlineSeconds * 1000 - nowMs;
}

function backoffLeft(failed: readonly Pod[], nowMs: number): number {
  if (failed.length === 0) return 0;
  const last = Math.max(...failed.map(finishedMs));
  return last + Math.min(MAX_BACKOFF_MS, BACKOFF_MS * 2 ** (failed.length - 1)) - nowMs;
}

function finishedMs(pod: Pod): number {
  const times = (pod.status?.containerStatuses ?? []).map((one) => Date.parse(one.state?.terminated?.finishedAt ?? '')).filter((ms) => !Number.isNaN(ms));
  return times.length > 0 ? Math.max(...times) : Date.parse(pod.metadata.creationTimestamp ?? '') || 0;
}

function balance({ spec }: Job, { succeeded, active, completedIndexes }: Facts, indexed: boolean): { end: readonly Pod[]; start: readonly (number | undefined)[] } {
  const parallel = spec.parallelism ?? 1;
  const wanted = spec.completions === undefined ? (succeeded > 0 ? active.length : parallel) : Math.min(parallel, spec.completions - succeeded);
  if (active.length > wanted) {
    // Those that got least far go first.
    const byAge = [...active].sort((a, b) => Number(isPodReady(a)) - Number(isPodReady(b)) || (b.metadata.creationTimestamp ?? '').localeCompare(a.metadata.creationTimestamp ?? ''));
    return { end: byAge.slice(0, active.length - wanted), start: [] };
  }
  const count = wanted - active.length;
  if (!indexed) return { end: [], start: Array.from({ length: count }, () => undefined) };
  const taken = new Set([...completedIndexes, ...active.map(indexOf)]);
  const free = Array.from({ length: spec.completions ?? 0 }, (_, index) => index).filter((index) => !taken.has(index));
  return { end: [], start: free.slice(0, count) };
}

/** `0-2,5`: indexes as a Job's status says them. */
export function formatIndexes(indexes: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const index of indexes) {
    const last = runs.at(-1);
    if (last && last[1] === index - 1) last[1] = index;
    else runs.push([index, index]);
  }
  return runs.map(([from, to]) => (from === to ? String(from) : to === from + 1 ? `${from},${to}` : `${from}-${to}`)).join(',');
}
