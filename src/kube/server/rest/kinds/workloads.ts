import type { KubeObject } from '../../../../objects/meta.ts';
import { at, equal, isObject, listAt, numberAt, own, textAt } from '../../json.ts';
import { matcherOf } from '../../selectors.ts';
import { forbiddenField, GoMap, invalidValue, required, type Cause } from '../../status.ts';
import type { Draft } from '../context.ts';
import type { Strategy } from '../strategy.ts';
import { checkImmutable, checkTemplate, defaultPodSpec } from './pod-spec.ts';

function checkWorkload(draft: Draft, old: KubeObject | undefined): Cause[] {
  const spec = draft['spec'];
  const causes: Cause[] = [];
  const selector = own(spec, 'selector') as Parameters<typeof matcherOf>[0];
  const labels = at(spec, 'template', 'metadata', 'labels') as Record<string, string> | undefined;
  if (!selector) causes.push(required('spec.selector'));
  else if (Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions ?? []).length === 0) causes.push(invalidValue('spec.selector', selector, `empty selector is invalid for ${draft.kind.toLowerCase()}`));
  else if (!matcherOf(selector)(labels ?? {})) causes.push(invalidValue('spec.template.metadata.labels', new GoMap(labels ?? {}), '`selector` does not match template `labels`'));
  causes.push(...checkTemplate(spec));
  if (old) causes.push(...checkImmutable(selector, at(old, 'spec', 'selector'), 'spec.selector', equal));
  return causes;
}

function defaultTemplate(draft: Draft): void {
  defaultPodSpec(at(draft, 'spec', 'template', 'spec'));
}

/** Deployments. */
export const DEPLOYMENT_STRATEGY: Strategy = {
  generation: true,
  defaults(draft) {
    defaultTemplate(draft);
    const strategy = at(draft, 'spec', 'strategy');
    if (!isObject(strategy)) return;
    if (textAt(strategy, 'type') === 'RollingUpdate') {
      const rolling = (strategy['rollingUpdate'] ??= {}) as Record<string, unknown>;
      rolling['maxUnavailable'] ??= '25%';
      rolling['maxSurge'] ??= '25%';
    }
  },
  validate(draft, old) {
    const causes = checkWorkload(draft, old);
    const strategy = at(draft, 'spec', 'strategy');
    if (textAt(strategy, 'type') === 'Recreate' && own(strategy, 'rollingUpdate') !== undefined) {
      causes.push({ reason: 'FieldValueForbidden', message: 'Forbidden: may not be specified when strategy `type` is \'Recreate\'', field: 'spec.strategy.rollingUpdate' });
    }
    return causes;
  },
};

/** ReplicaSets. */
export const REPLICA_SET_STRATEGY: Strategy = {
  generation: true,
  fields: { 'status.replicas': (object) => String(numberAt(object, 'status', 'replicas') ?? 0) },
  defaults: defaultTemplate,
  validate: checkWorkload,
};

/** What of a StatefulSet may change. */
const CHANGEABLE = ['replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy', 'minReadySeconds'];

/** StatefulSets. */
export const STATEFUL_SET_STRATEGY: Strategy = {
  generation: true,
  defaults(draft) {
    defaultTemplate(draft);
    const strategy = at(draft, 'spec', 'updateStrategy');
    if (isObject(strategy) && textAt(strategy, 'type') === 'RollingUpdate') strategy['rollingUpdate'] = { partition: 0, ...(own(strategy, 'rollingUpdate') as object | undefined) };
    for (const claim of listAt(draft, 'spec', 'volumeClaimTemplates')) if (isObject(claim)) Object.assign(claim, { apiVersion: 'v1', kind: 'PersistentVolumeClaim', status: { phase: 'Pending' } });
  },
  validate(draft, old) {
    const causes = checkWorkload(draft, old);
    const fixed = (object: unknown): unknown => Object.fromEntries(Object.entries((own(object, 'spec') ?? {}) as object).filter(([name]) => !CHANGEABLE.includes(name)));
    if (old && !equal(fixed(draft), fixed(old))) {
      causes.push(forbiddenField('spec', "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"));
    }
    return causes;
  },
};

/** DaemonSets. */
export const DAEMON_SET_STRATEGY: Strategy = {
  generation: true,
  defaults(draft) {
    defaultTemplate(draft);
    const strategy = at(draft, 'spec', 'updateStrategy');
    if (isObject(strategy) && textAt(strategy, 'type') === 'RollingUpdate') strategy['rollingUpdate'] = { maxUnavailable: 1, maxSurge: 0, ...(own(strategy, 'rollingUpdate') as object | undefined) };
  },
  validate: checkWorkload,
};
