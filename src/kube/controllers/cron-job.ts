/** CronJob controller: makes a Job whenever the clock says so, and keeps a few finished ones. */
import type { CronJob, Job } from '../../objects/kubernetes/job.ts';
import { keyOf } from '../../objects/meta.ts';
import { CRON_JOB, JOB } from '../../objects/resource-types.ts';
import { ApiError } from '../client/client.ts';
import { nextTime, parseSchedule, type Schedule } from '../cron.ts';
import type { ControllerContext } from './context.ts';
import { recordEvent } from './events.ts';
import { endOf } from './job.ts';
import { controllerOf, controllerReference } from './pods.ts';
import { canonicalJson } from './rollout.ts';
import { createWorkQueue } from './work-queue.ts';

/** Clocks may jump, and timers hold 24 days at most. */
const MAX_WAIT_MS = 600_000;
/** More missed times than this, and the past is given up. */
const MAX_MISSED = 100;

const stampOf = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');

/** The latest time between `afterMs` and `nowMs` that a schedule names, and the first one to come. */
export function dueTimes(schedule: Schedule, afterMs: number, nowMs: number, timeZone?: string): { readonly due?: number; readonly next?: number } {
  let due: number | undefined;
  let next = nextTime(schedule, afterMs, timeZone);
  for (let missed = 0; next !== undefined && next <= nowMs; missed++) {
    due = next;
    // Long asleep: what counts is the last time before now, found from a day back.
    if (missed === MAX_MISSED) next = nextTime(schedule, Math.max(next, nowMs - 86_400_000), timeZone);
    else next = nextTime(schedule, next, timeZone);
  }
  return { ...(due === undefined ? {} : { due }), ...(next === undefined ? {} : { next }) };
}

export function startCronJobController(context: ControllerContext): void {
  new CronJobController(context);
}

class CronJobController {
  private readonly client;
  private readonly cronJobs;
  private readonly jobs;
  private readonly queue;

  constructor(context: ControllerContext) {
    this.client = context.client;
    this.cronJobs = context.informer<CronJob>(CRON_JOB);
    this.jobs = context.informer<Job>(JOB);
    this.queue = createWorkQueue('cronjob', (key) => this.reconcile(key), context.signal);
    this.cronJobs.onEvent(({ object }) => this.queue.add(keyOf(object)));
    this.jobs.onEvent(({ object }) => {
      const owner = controllerOf(object);
      if (owner?.kind === 'CronJob') this.queue.add(`${object.metadata.namespace}/${owner.name}`);
    });
  }

  private async reconcile(key: string): Promise<void> {
    const cron = this.cronJobs.items().get(key);
    if (!cron || cron.metadata.deletionTimestamp !== undefined) return;
    await this.jobs.synced;
    const owned = [...this.jobs.items().values()].filter((job) => controllerOf(job)?.uid === cron.metadata.uid);
    await this.trim(cron, owned);
    const started = await this.startDue(cron, owned);
    await this.updateStatus(cron, owned, started);
  }

  /** Makes the job of the latest time that has come, if it may; resolves to it. */
  private async startDue(cron: CronJob, owned: readonly Job[]): Promise<{ readonly atMs: number; readonly job: Job } | undefined> {
    const { spec } = cron;
    const schedule = parseSchedule(spec.schedule);
    if (typeof schedule === 'string' || spec.suspend === true) return undefined;
    const nowMs = Date.now();
    const sinceMs = Date.parse(cron.status?.lastScheduleTime ?? cron.metadata.creationTimestamp ?? '');
    const floorMs = spec.startingDeadlineSeconds === undefined ? sinceMs : Math.max(sinceMs, nowMs - spec.startingDeadlineSeconds * 1000);
    const { due, next } = dueTimes(schedule, floorMs, nowMs, spec.timeZone);
    if (next !== undefined) this.queue.addAfter(keyOf(cron), Math.min(Math.max(next - nowMs, 0) + 20, MAX_WAIT_MS));
    if (due === undefined) return undefined;
    const running = owned.filter((job) => !endOf(job));
    if (spec.concurrencyPolicy === 'Forbid' && running.length > 0) return undefined;
    if (spec.concurrencyPolicy === 'Replace') for (const job of running) await this.client.delete(JOB, job.metadata.name, job.metadata.namespace, { propagationPolicy: 'Background' });
    const job = await this.createJob(cron, due);
    recordEvent(this.client, 'cronjob-controller', cron, { reason: 'SuccessfulCreate', message: `Created job ${job.metadata.name}` });
    return { atMs: due, job };
  }

  private async createJob(cron: CronJob, atMs: number): Promise<Job> {
    const { metadata, spec } = cron.spec.jobTemplate;
    // The name follows from the time: one time makes one job, however often it is tried.
    const name = `${cron.metadata.name}-${Math.floor(atMs / 60_000)}`;
    const { namespace } = cron.metadata;
    try {
      return await this.client.create<Job>(JOB, {
        apiVersion: 'batch/v1', kind: 'Job', spec,
        metadata: {
          name, namespace: namespace!, ...(metadata?.labels ? { labels: metadata.labels } : {}),
          annotations: { ...metadata?.annotations, 'batch.kubernetes.io/cronjob-scheduled-timestamp': stampOf(atMs) }, ownerReferences: [controllerReference(cron)],
        },
      });
    } catch (thrown) {
      const existing = thrown instanceof ApiError && thrown.reason === 'AlreadyExists' ? await this.client.get<Job>(JOB, name, namespace) : undefined;
      if (!existing) throw thrown;
      return existing;
    }
  }

  private async trim(cron: CronJob, owned: readonly Job[]): Promise<void> {
    const limits = { Complete: cron.spec.successfulJobsHistoryLimit ?? 3, Failed: cron.spec.failedJobsHistoryLimit ?? 1 };
    for (const end of ['Complete', 'Failed'] as const) {
      const finished = owned.filter((job) => endOf(job) === end && job.metadata.deletionTimestamp === undefined).sort((a, b) => (a.status?.startTime ?? '').localeCompare(b.status?.startTime ?? ''));
      for (const job of finished.slice(0, Math.max(0, finished.length - limits[end]))) await this.client.delete(JOB, job.metadata.name, job.metadata.namespace, { propagationPolicy: 'Background' });
    }
  }

  private async updateStatus(cron: CronJob, owned: readonly Job[], started: { readonly atMs: number; readonly job: Job } | undefined): Promise<void> {
    const running = owned.filter((job) => !endOf(job) && job.metadata.deletionTimestamp === undefined);
    const all = started && !running.some((job) => job.metadata.uid === started.job.metadata.uid) ? [...running, started.job] : running;
    const successes = owned.filter((job) => endOf(job) === 'Complete').map((job) => job.status?.completionTime ?? '').sort();
    const lastSuccessfulTime = successes.at(-1) || cron.status?.lastSuccessfulTime;
    const lastScheduleTime = started ? stampOf(started.atMs) : cron.status?.lastScheduleTime;
    const status = {
      active: all.map((job) => ({ apiVersion: 'batch/v1', kind: 'Job', namespace: job.metadata.namespace, name: job.metadata.name, uid: job.metadata.uid })),
      ...(lastScheduleTime ? { lastScheduleTime } : {}),
      ...(lastSuccessfulTime ? { lastSuccessfulTime } : {}),
    };
    if (canonicalJson(status) !== canonicalJson({ active: [], ...cron.status })) await this.client.mergePatch(CRON_JOB, cron.metadata.name, cron.metadata.namespace, { status }, { subresource: 'status' });
  }
}
