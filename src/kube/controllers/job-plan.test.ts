import { expect, test } from 'vitest';
import type { Job, JobSpec, JobStatus } from '../../objects/kubernetes/job.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import { COMPLETION_INDEX, formatIndexes, planJob } from './job-plan.ts';
import { dueTimes } from './cron-job.ts';
import { parseSchedule, type Schedule } from '../cron.ts';

const NOW = Date.parse('2026-01-01T12:00:00Z');
const ago = (seconds: number): string => new Date(NOW - seconds * 1000).toISOString();
const job = (spec: Partial<JobSpec>, status?: JobStatus): Job => ({ apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'j' }, spec: { parallelism: 1, completions: 1, backoffLimit: 6, template: { spec: { restartPolicy: 'Never', containers: [] } }, ...spec } as JobSpec, ...(status ? { status } : {}) });
let count = 0;
const pod = (phase: 'Running' | 'Succeeded' | 'Failed', more: { index?: number; finished?: number; restarts?: number } = {}): Pod => ({
  apiVersion: 'v1', kind: 'Pod', metadata: { name: `p${count}`, uid: `${count++}`, creationTimestamp: ago(600), ...(more.index === undefined ? {} : { annotations: { [COMPLETION_INDEX]: String(more.index) } }) }, spec: { containers: [] },
  status: { phase, containerStatuses: [{ name: 'c', ready: false, restartCount: more.restarts ?? 0, image: '', imageID: '', ...(more.finished === undefined ? {} : { state: { terminated: { exitCode: 1, finishedAt: ago(more.finished) } } }) }] },
});
const times = (n: number, phase: 'Running' | 'Succeeded' | 'Failed', more = {}): Pod[] => Array.from({ length: n }, () => pod(phase, more));

test.each<[string, Job, Pod[], Partial<Record<'start' | 'end' | 'succeeded' | 'failed', number>> & { over?: string }]>([
  ['a new job starts one pod', job({}), [], { start: 1 }],
  ['parallelism bounds what runs', job({ parallelism: 3, completions: 5 }), times(1, 'Succeeded'), { start: 3, succeeded: 1 }],
  ['the rest bounds it too', job({ parallelism: 3, completions: 5 }), times(4, 'Succeeded'), { start: 1 }],
  ['enough is enough', job({ parallelism: 2, completions: 2 }), [...times(2, 'Succeeded'), ...times(1, 'Running')], { over: 'Complete CompletionsReached', end: 1 }],
  ['a work queue starts no more after the first success', job({ parallelism: 3, completions: undefined } as never), [...times(1, 'Succeeded'), ...times(2, 'Running')], { start: 0 }],
  ['and is done when all have ended', job({ parallelism: 3, completions: undefined } as never), times(3, 'Succeeded'), { over: 'Complete CompletionsReached' }],
  ['a failure is tried again after ten seconds, not before', job({}), times(1, 'Failed', { finished: 5 }), { start: 0, failed: 1 }],
  ['then it is', job({}), times(1, 'Failed', { finished: 11 }), { start: 1 }],
  ['the wait doubles', job({}), times(2, 'Failed', { finished: 11 }), { start: 0 }],
  ['too many failures', job({ backoffLimit: 1 }), times(2, 'Failed', { finished: 99 }), { over: 'Failed BackoffLimitExceeded' }],
  ['restarts count with OnFailure', job({ backoffLimit: 2, template: { spec: { restartPolicy: 'OnFailure', containers: [] } } } as never), times(1, 'Running', { restarts: 3 }), { over: 'Failed BackoffLimitExceeded', end: 1 }],
  ['a deadline', job({ activeDeadlineSeconds: 60 }, { startTime: ago(61) }), times(1, 'Running'), { over: 'Failed DeadlineExceeded', end: 1 }],
  ['a suspended job runs nothing', job({ suspend: true }), times(1, 'Running'), { start: 0, end: 1 }],
  ['fewer at a time', job({ parallelism: 1, completions: 5 }), times(3, 'Running'), { end: 2 }],
  ['what was counted stays counted when its pod is deleted', job({ completions: 3 }, { succeeded: 2 }), [], { start: 1, succeeded: 2 }],
])('%s', (_name, one, pods, expected) => {
  const plan = planJob(one, pods, NOW);
  const { over, ...counts } = expected;
  expect(plan.over && `${plan.over.type} ${plan.over.reason}`).toBe(over);
  const seen = { start: plan.start.length, end: plan.end.length, succeeded: plan.succeeded, failed: plan.failed };
  expect(seen).toMatchObject(counts);
});

test('indexed jobs start the indexes that are neither done nor running', () => {
  const plan = planJob(job({ completionMode: 'Indexed', completions: 5, parallelism: 3 }), [pod('Succeeded', { index: 0 }), pod('Running', { index: 2 }), pod('Succeeded', { index: 0 })], NOW);
  expect(plan.start).toEqual([1, 3]);
  expect(plan.completedIndexes).toEqual([0]);
});

test.each([[[0, 1, 2, 5], '0-2,5'], [[1, 2], '1,2'], [[], '']])('indexes %j are %s', (indexes, text) => expect(formatIndexes(indexes)).toBe(text));

test('a cron job that slept runs once, for the last time it missed', () => {
  const hourly = parseSchedule('@hourly') as Schedule;
  expect(dueTimes(hourly, NOW - 10 * 3_600_000 - 1, NOW + 60_000)).toEqual({ due: NOW, next: NOW + 3_600_000 });
  expect(dueTimes(hourly, NOW, NOW + 60_000)).toEqual({ next: NOW + 3_600_000 });
  const always = parseSchedule('* * * * *') as Schedule;
  expect(dueTimes(always, NOW - 365 * 86_400_000, NOW + 30_000)).toEqual({ due: NOW, next: NOW + 60_000 });
});
