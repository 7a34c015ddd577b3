/** The columns of workloads. */
import { at, listAt, numberAt, own, textAt } from '../json.ts';
import { AGE, columns, integer, nameOf, wide, type KindTable } from './columns.ts';
import { age, containersAndImages, formatLabels, formatSelector, humanDuration, NONE, since } from './format.ts';

const count = (object: unknown, part: 'spec' | 'status', field: string): number => numberAt(object, part, field) ?? 0;
const template = (object: unknown): [string, string] => containersAndImages(at(object, 'spec', 'template', 'spec'));

/** The first true condition that says how a job stands. */
function jobStatus(job: unknown): string {
  const is = (type: string): boolean => listAt(job, 'status', 'conditions').some((one) => textAt(one, 'type') === type && textAt(one, 'status') === 'True');
  if (is('Complete')) return 'Complete';
  if (is('Failed')) return 'Failed';
  if (at(job, 'metadata', 'deletionTimestamp') !== undefined) return 'Terminating';
  return ['Suspended', 'FailureTarget', 'SuccessCriteriaMet'].find(is) ?? 'Running';
}

function completions(job: unknown): string {
  const done = count(job, 'status', 'succeeded');
  const wanted = numberAt(job, 'spec', 'completions');
  if (wanted !== undefined) return `${done}/${wanted}`;
  const parallel = count(job, 'spec', 'parallelism');
  return parallel > 1 ? `${done}/1 of ${parallel}` : `${done}/1`;
}

function jobDuration(job: unknown, nowMs: number): string {
  const start = Date.parse(textAt(job, 'status', 'startTime'));
  const end = Date.parse(textAt(job, 'status', 'completionTime'));
  return Number.isNaN(start) ? '' : humanDuration((Number.isNaN(end) ? nowMs : end) - start);
}

function controllerOf(object: unknown): string {
  const owner = listAt(object, 'metadata', 'ownerReferences').find((one) => own(one, 'controller') === true);
  if (!owner) return NONE;
  const group = textAt(owner, 'apiVersion').split('/')[0];
  return `${textAt(owner, 'kind').toLowerCase()}.${group}/${textAt(owner, 'name')}`;
}

export const WORKLOAD_TABLES: Readonly<Record<string, KindTable>> = {
  'apps/Deployment': {
    columns: columns('Ready', ...integer('Up-to-date', 'Available'), AGE, ...wide('Containers', 'Images', 'Selector')),
    cells: (one, now) => [
      nameOf(one), `${numberAt(one, 'status', 'readyReplicas') ?? 0}/${numberAt(one, 'spec', 'replicas') ?? 0}`, numberAt(one, 'status', 'updatedReplicas') ?? 0, numberAt(one, 'status', 'availableReplicas') ?? 0,
      age(one, now), ...containersAndImages(at(one, 'spec', 'template', 'spec')), formatSelector(at(one, 'spec', 'selector')),
    ],
  },
  'apps/ReplicaSet': {
    columns: columns(...integer('Desired', 'Current', 'Ready'), AGE, ...wide('Containers', 'Images', 'Selector')),
    cells: (one, now) => [
      nameOf(one), numberAt(one, 'spec', 'replicas') ?? 0, numberAt(one, 'status', 'replicas') ?? 0, numberAt(one, 'status', 'readyReplicas') ?? 0,
      age(one, now), ...containersAndImages(at(one, 'spec', 'template', 'spec')), formatSelector(at(one, 'spec', 'selector')),
    ],
  },
  '/ReplicationController': {
    columns: columns(...integer('Desired', 'Current', 'Ready'), AGE, ...wide('Containers', 'Images', 'Selector')),
    cells: (one, now) => [nameOf(one), count(one, 'spec', 'replicas'), count(one, 'status', 'replicas'), count(one, 'status', 'readyReplicas'), age(one, now), ...template(one), formatLabels(at(one, 'spec', 'selector'))],
  },
  'apps/StatefulSet': {
    columns: columns('Ready', AGE, ...wide('Containers', 'Images')),
    cells: (one, now) => [nameOf(one), `${count(one, 'status', 'readyReplicas')}/${count(one, 'spec', 'replicas')}`, age(one, now), ...template(one)],
  },
  'apps/DaemonSet': {
    columns: columns(...integer('Desired', 'Current', 'Ready', 'Up-to-date', 'Available'), 'Node Selector', AGE, ...wide('Containers', 'Images', 'Selector')),
    cells: (one, now) => [
      nameOf(one), ...['desiredNumberScheduled', 'currentNumberScheduled', 'numberReady', 'updatedNumberScheduled', 'numberAvailable'].map((field) => count(one, 'status', field)),
      formatLabels(at(one, 'spec', 'template', 'spec', 'nodeSelector')), age(one, now), ...template(one), formatSelector(at(one, 'spec', 'selector')),
    ],
  },
  'apps/ControllerRevision': { columns: columns('Controller', ...integer('Revision'), AGE), cells: (one, now) => [nameOf(one), controllerOf(one), numberAt(one, 'revision') ?? 0, age(one, now)] },
  'batch/Job': {
    columns: columns('Status', 'Completions', 'Duration', AGE, ...wide('Containers', 'Images', 'Selector')),
    cells: (one, now) => [nameOf(one), jobStatus(one), completions(one), jobDuration(one, now), age(one, now), ...template(one), formatSelector(at(one, 'spec', 'selector'))],
  },
  'batch/CronJob': {
    columns: columns('Schedule', 'Timezone', { name: 'Suspend', type: 'boolean' }, ...integer('Active'), 'Last Schedule', AGE, ...wide('Containers', 'Images', 'Selector')),
    cells: (one, now) => {
      const last = at(one, 'status', 'lastScheduleTime');
      const jobSpec = at(one, 'spec', 'jobTemplate', 'spec');
      return [
        nameOf(one), textAt(one, 'spec', 'schedule'), textAt(one, 'spec', 'timeZone') || NONE, at(one, 'spec', 'suspend') === true ? 'True' : 'False', listAt(one, 'status', 'active').length, last ? since(last, now) : NONE,
        age(one, now), ...containersAndImages(at(jobSpec, 'template', 'spec')), formatSelector(own(jobSpec, 'selector')),
      ];
    },
  },
};
