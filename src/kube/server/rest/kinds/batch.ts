/** Jobs and cron jobs. */
import type { KubeObject } from '../../../../objects/meta.ts';
import { parseSchedule } from '../../../cron.ts';
import { at, equal, isObject, numberAt, own, textAt } from '../../json.ts';
import { forbiddenField, invalidValue, required, type Cause } from '../../status.ts';
import type { Draft } from '../context.ts';
import type { Strategy } from '../strategy.ts';
import { checkImmutable, checkPodTemplate, defaultPodSpec } from './pod-spec.ts';

/** Labels by which a job finds its pods; the old ones without a prefix are still what people select by. */
export const JOB_LABELS = { uid: ['batch.kubernetes.io/controller-uid', 'controller-uid'], name: ['batch.kubernetes.io/job-name', 'job-name'] } as const;

function defaultJobSpec(spec: unknown): void {
  if (!isObject(spec)) return;
  if (spec['completions'] === undefined && spec['parallelism'] === undefined) spec['completions'] = 1;
  spec['parallelism'] ??= 1;
  spec['backoffLimit'] ??= 6;
  defaultPodSpec(at(spec, 'template', 'spec'));
}

function checkJobSpec(spec: unknown, path: string): Cause[] {
  const causes: Cause[] = [];
  for (const field of ['parallelism', 'completions', 'backoffLimit', 'activeDeadlineSeconds', 'ttlSecondsAfterFinished']) {
    const value = numberAt(spec, field);
    if (value !== undefined && value < 0) causes.push(invalidValue(`${path}.${field}`, value, 'must be greater than or equal to 0'));
  }
  if (textAt(spec, 'completionMode') === 'Indexed' && own(spec, 'completions') === undefined) causes.push(required(`${path}.completions`, 'when completion mode is Indexed'));
  causes.push(...checkPodTemplate(own(spec, 'template'), `${path}.template`));
  const policy = textAt(spec, 'template', 'spec', 'restartPolicy');
  if (policy !== 'OnFailure' && policy !== 'Never') causes.push(required(`${path}.template.spec.restartPolicy`, 'valid values: "OnFailure", "Never"'));
  return causes;
}

/** Jobs choose their pods by their own uid, unless they say `manualSelector`. */
function labelByUid(draft: Draft): void {
  const spec = draft['spec'];
  if (!isObject(spec) || spec['manualSelector'] === true || !isObject(spec['template'])) return;
  const uid = textAt(draft.metadata, 'uid');
  const template = spec['template'];
  const metadata = (template['metadata'] ??= {}) as Record<string, unknown>;
  const labels = { ...(own(metadata, 'labels') as Record<string, string> | undefined) };
  for (const key of JOB_LABELS.uid) labels[key] = uid;
  for (const key of JOB_LABELS.name) labels[key] = textAt(draft.metadata, 'name');
  metadata['labels'] = labels;
  spec['selector'] = { matchLabels: { [JOB_LABELS.uid[0]]: uid } };
}

/** Jobs. */
export const JOB_STRATEGY: Strategy = {
  generation: true,
  fields: { 'status.successful': (object) => String(numberAt(object, 'status', 'succeeded') ?? 0) },
  defaults: (draft) => defaultJobSpec(draft['spec']),
  prepareCreate: labelByUid,
  validate(draft, old) {
    const spec = draft['spec'];
    const causes = checkJobSpec(spec, 'spec');
    if (old) causes.push(...checkJobUpdate(spec, old));
    else if (own(spec, 'manualSelector') === true && !isObject(own(spec, 'selector'))) causes.push(required('spec.selector'));
    return causes;
  },
};

function checkJobUpdate(spec: unknown, old: KubeObject): Cause[] {
  const fixed = ['selector', 'completionMode', ...(at(old, 'spec', 'suspend') === true ? [] : ['template']), ...(textAt(spec, 'completionMode') === 'Indexed' ? [] : ['completions'])];
  return fixed.flatMap((field) => checkImmutable(own(spec, field), at(old, 'spec', field), `spec.${field}`, equal));
}

/** Cron jobs. */
export const CRON_JOB_STRATEGY: Strategy = {
  generation: true,
  defaults: (draft) => defaultJobSpec(at(draft, 'spec', 'jobTemplate', 'spec')),
  validate(draft) {
    const causes: Cause[] = [];
    const name = textAt(draft.metadata, 'name');
    // The jobs' names add eleven characters.
    if (name.length > 52) causes.push(invalidValue('metadata.name', name, 'must be no more than 52 characters'));
    const schedule = textAt(draft, 'spec', 'schedule');
    if (schedule === '') causes.push(required('spec.schedule'));
    else {
      const parsed = parseSchedule(schedule);
      if (typeof parsed === 'string') causes.push(invalidValue('spec.schedule', schedule, parsed));
      if (/TZ=/.test(schedule)) causes.push(invalidValue('spec.schedule', schedule, 'cannot use TZ or CRON_TZ in schedule, use timeZone field instead'));
    }
    const zone = at(draft, 'spec', 'timeZone');
    if (typeof zone === 'string' && !isTimeZone(zone)) causes.push(invalidValue('spec.timeZone', zone, `unknown time zone ${zone}`));
    if (own(at(draft, 'spec', 'jobTemplate', 'spec'), 'selector') !== undefined) causes.push(forbiddenField('spec.jobTemplate.spec.selector', '`selector` will be auto-generated'));
    return [...causes, ...checkJobSpec(at(draft, 'spec', 'jobTemplate', 'spec'), 'spec.jobTemplate.spec')];
  },
};

function isTimeZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return zone !== '';
  } catch {
    return false;
  }
}
