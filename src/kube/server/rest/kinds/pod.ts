import type { KubeObject } from '../../../../objects/meta.ts';
import { admitServiceAccount } from '../../admission/service-account.ts';
import { at, clone, equal, isObject, listAt, numberAt, own, textAt } from '../../json.ts';
import type { Cause } from '../../status.ts';
import type { Draft } from '../context.ts';
import type { Strategy } from '../strategy.ts';
import { checkPodSpec, defaultPodSpec, podUpdateForbidden } from './pod-spec.ts';

const field = (...path: string[]) => (object: KubeObject): string => textAt(object, ...path);

/** Pods: first status, what an update may change, and graceful deletion. */
export const POD_STRATEGY: Strategy = {
  fields: {
    'spec.nodeName': field('spec', 'nodeName'),
    'spec.restartPolicy': field('spec', 'restartPolicy'),
    'spec.schedulerName': field('spec', 'schedulerName'),
    'spec.serviceAccountName': field('spec', 'serviceAccountName'),
    'spec.hostNetwork': (object) => String(at(object, 'spec', 'hostNetwork') === true),
    'status.phase': field('status', 'phase'),
    'status.podIP': field('status', 'podIP'),
    'status.nominatedNodeName': field('status', 'nominatedNodeName'),
  },
  defaults: (draft) => defaultPodSpec(draft['spec']),
  admit: admitServiceAccount,
  prepareCreate(draft) {
    draft['status'] = { phase: 'Pending', qosClass: qosClass(draft) };
  },
  validate: (draft, old) => (old ? checkUpdate(draft, old) : checkPodSpec(draft['spec'], 'spec')),
  graceSeconds(object, asked) {
    const phase = textAt(object, 'status', 'phase');
    // Nothing runs, so there is nothing to wait for.
    if (textAt(object, 'spec', 'nodeName') === '' || phase === 'Succeeded' || phase === 'Failed') return 0;
    const wanted = asked ?? numberAt(object, 'spec', 'terminationGracePeriodSeconds') ?? 30;
    return wanted < 0 ? 1 : wanted;
  },
};

/** @see https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/ */
function qosClass(draft: Draft): string {
  const containers = [...listAt(draft, 'spec', 'initContainers'), ...listAt(draft, 'spec', 'containers')];
  const resources = containers.map((container) => ({ requests: at(container, 'resources', 'requests'), limits: at(container, 'resources', 'limits') }));
  const named = (list: unknown): boolean => isObject(list) && ('cpu' in list || 'memory' in list);
  if (!resources.some(({ requests, limits }) => named(requests) || named(limits))) return 'BestEffort';
  const guaranteed = resources.every(({ requests, limits }) => ['cpu', 'memory'].every((name) => own(limits, name) !== undefined && equal(own(limits, name), own(requests, name) ?? own(limits, name))));
  return guaranteed ? 'Guaranteed' : 'Burstable';
}

function checkUpdate(draft: Draft, old: KubeObject): Cause[] {
  const causes = checkPodSpec(draft['spec'], 'spec');
  const comparable = (object: unknown): unknown => {
    const spec = clone(own(object, 'spec')) as Record<string, unknown>;
    for (const list of ['containers', 'initContainers']) for (const container of listAt(spec, list)) delete (container as Record<string, unknown>)['image'];
    for (const name of ['activeDeadlineSeconds', 'tolerations', 'terminationGracePeriodSeconds', 'ephemeralContainers']) delete spec[name];
    // The first node is set by who schedules.
    if (textAt(old, 'spec', 'nodeName') === '') delete spec['nodeName'];
    return spec;
  };
  if (!equal(comparable(draft), comparable(old))) causes.push(podUpdateForbidden('spec'));
  return causes;
}
