/** Job controller: starts pods until enough of them have succeeded, and removes finished jobs whose time to live is over. */
import type { Job } from '../../objects/kubernetes/job.ts';
import type { Pod, PodSpec } from '../../objects/kubernetes/pod.ts';
import { keyOf } from '../../objects/meta.ts';
import { JOB, POD } from '../../objects/resource-types.ts';
import type { ControllerContext } from './context.ts';
import { recordEvent } from './events.ts';
import { COMPLETION_INDEX, formatIndexes, planJob, type JobPlan } from './job-plan.ts';
import { createPod, OwnedPods } from './owned-pods.ts';
import { canonicalJson } from './rollout.ts';
import { createWorkQueue } from './work-queue.ts';

/** Timers hold 24 days at most; an hour is often enough to look again. */
const MAX_WAIT_MS = 3_600_000;
const COMPONENT = 'job-controller';

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastProbeTime?: string | null;
  readonly lastTransitionTime?: string | null;
}

/** How a job ended; undefined while it runs. */
export function endOf(job: Job): 'Complete' | 'Failed' | undefined {
  const found = job.status?.conditions?.find((one) => (one.type === 'Complete' || one.type === 'Failed') && one.status === 'True');
  return found?.type as 'Complete' | 'Failed' | undefined;
}

const stampOf = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');

export function startJobController(context: ControllerContext): void {
  new JobController(context);
}

class JobController {
  private readonly client;
  private readonly jobs;
  private readonly pods;
  private readonly queue;
  private readonly told = new WeakSet<Job>();

  constructor(context: ControllerContext) {
    this.client = context.client;
    this.jobs = context.informer<Job>(JOB);
    this.queue = createWorkQueue('job', (key) => this.reconcile(key), context.signal);
    this.pods = new OwnedPods(context, 'Job', (key) => this.queue.add(key));
    this.jobs.onEvent(({ object }) => this.queue.add(keyOf(object)));
  }

  private async reconcile(key: string): Promise<void> {
    const job = this.jobs.items().get(key);
    if (!job || job.metadata.deletionTimestamp !== undefined) return;
    if (endOf(job)) return this.expire(job);
    const waitMs = this.pods.pendingMs(job);
    if (waitMs > 0) return this.queue.addAfter(key, waitMs);
    const plan = planJob(job, this.pods.of(job), Date.now());
    if (plan.againMs !== undefined) this.queue.addAfter(key, Math.min(plan.againMs, MAX_WAIT_MS));
    // The status first: a start time must be there before the first deadline can be.
    await this.updateStatus(job, plan);
    await Promise.all(plan.end.map((pod) => this.client.delete(POD, pod.metadata.name, pod.metadata.namespace)));
    const created = await Promise.all(plan.start.map((index) => this.createPod(job, index)));
    if (created.length > 0) this.pods.expect(job, created);
    for (const pod of created) recordEvent(this.client, COMPONENT, job, { reason: 'SuccessfulCreate', message: `Created pod: ${pod.metadata.name}` });
    if (plan.over) this.tellEnd(job, plan.over);
  }

  private tellEnd(job: Job, over: NonNullable<JobPlan['over']>): void {
    // Until the watch has shown the end, the same object may come here again.
    if (this.told.has(job)) return;
    this.told.add(job);
    recordEvent(this.client, COMPONENT, job, over.type === 'Complete' ? { reason: 'Completed', message: 'Job completed' } : { type: 'Warning', reason: over.reason, message: over.message });
  }

  private async expire(job: Job): Promise<void> {
    const { ttlSecondsAfterFinished: ttl } = job.spec;
    if (ttl === undefined) return;
    const finished = job.status?.conditions?.find((one) => one.type === endOf(job))?.lastTransitionTime;
    const leftMs = Date.parse(finished ?? '') + ttl * 1000 - Date.now();
    if (leftMs > 0) this.queue.addAfter(keyOf(job), Math.min(leftMs, MAX_WAIT_MS));
    else await this.client.delete(JOB, job.metadata.name, job.metadata.namespace, { propagationPolicy: 'Foreground', preconditions: { uid: job.metadata.uid! } });
  }

  private createPod(job: Job, index: number | undefined): Promise<Pod> {
    const { name } = job.metadata;
    if (index === undefined) return createPod(this.client, job, job.spec.template, { generateName: `${name}-` });
    const text = String(index);
    return createPod(this.client, job, job.spec.template, {
      generateName: `${name}-${text}-`,
      labels: { [COMPLETION_INDEX]: text },
      annotations: { [COMPLETION_INDEX]: text },
      spec: (spec) => withIndex(spec, `${name}-${text}`, text),
    });
  }

  private async updateStatus(job: Job, plan: JobPlan): Promise<void> {
    const now = stampOf(Date.now());
    const before = job.status;
    const suspended = job.spec.suspend === true;
    const running = before?.startTime ?? (suspended ? undefined : now);
    const status = {
      conditions: conditionsOf(job, plan, now),
      ...(running && !suspended ? { startTime: running } : {}),
      ...(plan.over?.type === 'Complete' ? { completionTime: now } : {}),
      active: plan.over || suspended ? 0 : plan.active.length,
      ready: plan.over || suspended ? 0 : plan.ready,
      succeeded: plan.succeeded,
      failed: plan.failed,
      terminating: plan.over || suspended ? plan.active.length : 0,
      ...(job.spec.completionMode === 'Indexed' ? { completedIndexes: formatIndexes(plan.completedIndexes) } : {}),
    };
    const old = { ...before, conditions: before?.conditions ?? [] };
    if (canonicalJson(status) === canonicalJson(old)) return;
    await this.client.mergePatch(JOB, job.metadata.name, job.metadata.namespace, { status: suspended ? { ...status, startTime: null } : status }, { subresource: 'status' });
  }
}

function conditionsOf(job: Job, { over }: JobPlan, now: string): readonly Condition[] {
  const before = (job.status?.conditions ?? []) as readonly Condition[];
  const put = (list: readonly Condition[], type: string, status: 'True' | 'False', reason: string, message: string): readonly Condition[] => {
    const old = list.find((one) => one.type === type);
    if (old?.status === status) return list;
    return [...list.filter((one) => one !== old), { type, status, reason, message, lastProbeTime: now, lastTransitionTime: now }];
  };
  if (over) {
    const first = over.type === 'Complete' ? 'SuccessCriteriaMet' : 'FailureTarget';
    return put(put(before, first, 'True', over.reason, over.message), over.type, 'True', over.reason, over.message);
  }
  if (job.spec.suspend === true) return put(before, 'Suspended', 'True', 'JobSuspended', 'Job suspended');
  return before.some((one) => one.type === 'Suspended') ? put(before, 'Suspended', 'False', 'JobResumed', 'Job resumed') : before;
}

/** Host name and environment by which a pod of an indexed job knows its index. */
function withIndex(spec: PodSpec, hostname: string, index: string): PodSpec {
  const env = { name: 'JOB_COMPLETION_INDEX', value: index };
  const withEnv = <T extends { readonly name: string; readonly env?: readonly { readonly name: string }[] }>(list: readonly T[] | undefined): readonly T[] | undefined =>
    list?.map((container) => (container.env?.some((one) => one.name === env.name) ? container : { ...container, env: [...(container.env ?? []), env] }));
  const initContainers = withEnv(spec.initContainers);
  return { ...spec, hostname: spec.hostname ?? hostname, containers: withEnv(spec.containers)!, ...(initContainers ? { initContainers } : {}) };
}
