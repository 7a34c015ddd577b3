/** Sidecars and Telemetries that select nothing, or the same pods as another. */
import type { Issue } from '../../base/issue.ts';
import type { Sidecar } from '../../objects/istio/sidecar.ts';
import type { Telemetry } from '../../objects/istio/telemetry.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { namespaceIsAmbient, podIsAmbient } from '../in-mesh.ts';
import { message, type MessageCode } from '../message.ts';
import type { ObjectSet } from '../object-set.ts';
import { hasLabels, selectorText } from '../selector.ts';

interface Selecting {
  readonly object: KubeObject;
  readonly labels: Readonly<Record<string, string>>;
  /** Field of the selector's labels. */
  readonly path: string;
}

export function analyzeSidecarSelectors(set: ObjectSet): readonly Issue[] {
  const all = set.of<Sidecar>('Sidecar').map((object) => ({ object, labels: object.spec.workloadSelector?.labels ?? {}, path: 'spec.workloadSelector.labels' }));
  const selecting = all.filter(hasSelector);
  const ambient = set.of<Pod>('Pod').filter(podIsAmbient);
  const idle = new Set(selecting.filter((one) => ambient.some((pod) => picks(one, pod))).map(({ object }) => object));
  return [
    ...unmatched(set, selecting),
    ...[...idle].map((object) => message('IST0167', object, 'spec.workloadSelector.labels', ['selected workload is in ambient mode, the policy has no impact'], 'use a waypoint, or sidecars for these pods')),
    ...overlapping(set, selecting, 'IST0110'),
    ...withoutSelector(all, 'IST0111').filter((issue) => !namespaceIsAmbient(set.namespace(issue.object.namespace ?? ''))),
    ...all.filter((one) => !hasSelector(one) && namespaceIsAmbient(set.namespace(one.object.metadata.namespace ?? ''))).map(({ object }) =>
      message('IST0167', object, 'metadata.namespace', ['namespace is in ambient mode, the policy has no impact'], 'use a waypoint, or sidecars for this namespace')),
  ];
}

export function analyzeTelemetrySelectors(set: ObjectSet): readonly Issue[] {
  const selecting = telemetries(set).filter(hasSelector);
  return [...unmatched(set, selecting), ...overlapping(set, selecting, 'IST0159')];
}

export function analyzeDefaultTelemetries(set: ObjectSet): readonly Issue[] {
  const byTarget = (object: KubeObject) => Boolean((object as Telemetry).spec.targetRef ?? (object as Telemetry).spec.targetRefs?.length);
  return withoutSelector(telemetries(set).filter(({ object }) => !byTarget(object)), 'IST0160');
}

function telemetries(set: ObjectSet): readonly Selecting[] {
  return set.of<Telemetry>('Telemetry').map((object) => ({ object, labels: object.spec.selector?.matchLabels ?? {}, path: 'spec.selector.matchLabels' }));
}

function hasSelector({ labels }: Selecting): boolean {
  return Object.keys(labels).length > 0;
}

function picks({ object, labels }: Selecting, pod: Pod): boolean {
  return (pod.metadata.namespace ?? '') === (object.metadata.namespace ?? '') && hasLabels(pod.metadata.labels, labels);
}

function unmatched(set: ObjectSet, selecting: readonly Selecting[]): readonly Issue[] {
  if (!set.knowsPods) return [];
  return selecting.filter((one) => !set.of<Pod>('Pod').some((pod) => picks(one, pod))).map(({ object, labels, path }) =>
    message('IST0101', object, path, ['selector', selectorText(labels)], 'use labels of pods in the same namespace'));
}

/** Several objects for one pod: which of them counts is not defined. */
function overlapping(set: ObjectSet, selecting: readonly Selecting[], code: MessageCode): readonly Issue[] {
  return set.of<Pod>('Pod').filter((pod) => !podIsAmbient(pod)).flatMap((pod) => {
    const found = selecting.filter((one) => picks(one, pod));
    if (found.length < 2) return [];
    const names = found.map(({ object }) => object.metadata.name);
    return found.map(({ object, path }) => message(code, object, path, [names, pod.metadata.namespace ?? '', pod.metadata.name], 'narrow the selectors, or merge the objects'));
  });
}

function withoutSelector(all: readonly Selecting[], code: MessageCode): readonly Issue[] {
  const byNamespace = new Map<string, KubeObject[]>();
  for (const { object } of all.filter((one) => !hasSelector(one))) {
    const namespace = object.metadata.namespace ?? '';
    byNamespace.set(namespace, [...(byNamespace.get(namespace) ?? []), object]);
  }
  return [...byNamespace].filter(([, objects]) => objects.length > 1).flatMap(([namespace, objects]) => objects.map((object) =>
    message(code, object, 'spec', [objects.map(({ metadata }) => metadata.name), namespace], 'keep one without selector in the namespace')));
}
