/** What kubectl shows of a pod, from what its containers do. Pure. */
import type { Container } from '../../objects/kubernetes/container.ts';
import type { ContainerState, ContainerStatus, Pod, PodStatus } from '../../objects/kubernetes/pod.ts';
import { NODE_IP } from '../settings.ts';
import { isSidecar, allContainers } from './pod.ts';

/** One container as its runner knows it. */
export interface ContainerRuntime {
  readonly state: ContainerState;
  readonly lastState: ContainerState;
  /** Passed its readiness probe (or has none and runs). */
  readonly ready: boolean;
  /** Passed its startup probe and postStart hook. */
  readonly started: boolean;
  readonly restartCount: number;
  readonly containerID?: string;
}

export interface PodRuntime {
  /** Absent until the network is there. */
  readonly podIP?: string;
  readonly startTime: string;
  /** By container name; a container that is not here has not been started. */
  readonly containers: ReadonlyMap<string, ContainerRuntime>;
  /** All processes of the pod have ended or will not start again. */
  readonly finished: boolean;
  /** A reason of the pod's own (`Evicted`), with the phase Failed. */
  readonly failure?: { readonly reason: string; readonly message: string };
}

type Condition = NonNullable<PodStatus['conditions']>[number];

/** The pod's status at `now` (RFC 3339); conditions that did not change keep their transition time, conditions of others stay. */
export function podStatus(pod: Pod, runtime: PodRuntime, now: string): PodStatus {
  const inits = pod.spec.initContainers ?? [];
  const initStatuses = inits.map((container) => containerStatus(container, runtime, 'PodInitializing'));
  const initialized = inits.every((container) => isInitialized(container, runtime.containers.get(container.name)));
  const statuses = pod.spec.containers.map((container) => containerStatus(container, runtime, inits.length > 0 && !initialized ? 'PodInitializing' : 'ContainerCreating'));
  const phase = runtime.failure ? 'Failed' : phaseOf(pod, statuses, initStatuses, initialized, runtime);
  const ip = runtime.podIP;
  return {
    ...(pod.metadata.generation === undefined ? {} : { observedGeneration: pod.metadata.generation }),
    phase,
    ...runtime.failure,
    conditions: conditionsOf(pod, { initialized, phase, statuses, initStatuses, hasNetwork: ip !== undefined && !runtime.finished, now }),
    hostIP: NODE_IP,
    hostIPs: [{ ip: NODE_IP }],
    ...(ip === undefined ? {} : { podIP: ip, podIPs: [{ ip }] }),
    startTime: runtime.startTime,
    ...(inits.length > 0 ? { initContainerStatuses: initStatuses } : {}),
    containerStatuses: statuses,
    qosClass: qosClass(pod),
  };
}

/** True when the containers after this init container may start. */
function isInitialized(container: Container, runtime: ContainerRuntime | undefined): boolean {
  if (!runtime) return false;
  return isSidecar(container) ? runtime.started || runtime.state.terminated !== undefined : runtime.state.terminated?.exitCode === 0;
}

function containerStatus(container: Container, runtime: PodRuntime, waitingReason: string): ContainerStatus {
  const own = runtime.containers.get(container.name);
  return {
    name: container.name,
    state: own?.state ?? { waiting: { reason: waitingReason } },
    lastState: own?.lastState ?? {},
    ready: own?.ready ?? false,
    restartCount: own?.restartCount ?? 0,
    image: container.image ?? '',
    imageID: own?.containerID ? `meltemi://${container.image ?? ''}` : '',
    ...(own?.containerID ? { containerID: own.containerID } : {}),
    started: own?.started ?? false,
  };
}

/** @see https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase */
function phaseOf(pod: Pod, statuses: readonly ContainerStatus[], inits: readonly ContainerStatus[], initialized: boolean, runtime: PodRuntime): 'Pending' | 'Running' | 'Succeeded' | 'Failed' {
  if (runtime.finished) {
    const main = statuses.every((status) => status.state?.terminated?.exitCode === 0);
    return initialized && main ? 'Succeeded' : 'Failed';
  }
  const ran = (status: ContainerStatus) => status.state?.running !== undefined || status.state?.terminated !== undefined || status.lastState?.terminated !== undefined;
  if (!initialized && !statuses.some(ran)) return 'Pending';
  const restartPolicy = pod.spec.restartPolicy ?? 'Always';
  if (restartPolicy === 'Never' && inits.some((status) => status.state?.terminated && status.state.terminated.exitCode !== 0)) return 'Failed';
  return statuses.every(ran) ? 'Running' : 'Pending';
}

interface ConditionFacts {
  readonly initialized: boolean;
  readonly phase: string;
  readonly statuses: readonly ContainerStatus[];
  readonly initStatuses: readonly ContainerStatus[];
  readonly hasNetwork: boolean;
  readonly now: string;
}

function conditionsOf(pod: Pod, facts: ConditionFacts): readonly Condition[] {
  const completed = facts.phase === 'Succeeded' || facts.phase === 'Failed';
  const sidecars = new Set((pod.spec.initContainers ?? []).filter(isSidecar).map((container) => container.name));
  const watched = [...facts.initStatuses.filter((status) => sidecars.has(status.name)), ...facts.statuses];
  const unready = watched.filter((status) => !status.ready).map((status) => status.name);
  const incomplete = (pod.spec.initContainers ?? []).filter((container) => !facts.initStatuses.some((status) => status.name === container.name && (isSidecar(container) ? status.started : status.state?.terminated?.exitCode === 0)));
  const unreadyReason = completed ? { reason: facts.phase === 'Succeeded' ? 'PodCompleted' : 'PodFailed' } : { reason: 'ContainersNotReady', message: `containers with unready status: [${unready.join(' ')}]` };
  const containersReady = !completed && unready.length === 0;
  const gates = (pod.spec.readinessGates ?? []).filter((gate) => !pod.status?.conditions?.some((condition) => condition.type === gate.conditionType && condition.status === 'True'));
  const ready = containersReady && gates.length === 0;
  const gateReason = { reason: 'ReadinessGatesNotReady', message: gates.map((gate) => `corresponding condition of pod readiness gate "${gate.conditionType}" does not exist.`).join(', ') };
  const own: (Omit<Condition, 'lastTransitionTime'> & { readonly type: string })[] = [
    { type: 'PodReadyToStartContainers', status: facts.hasNetwork ? 'True' : 'False' },
    facts.initialized || completed
      ? { type: 'Initialized', status: 'True', ...(facts.phase === 'Succeeded' ? { reason: 'PodCompleted' } : {}) }
      : { type: 'Initialized', status: 'False', reason: 'ContainersNotInitialized', message: `containers with incomplete status: [${incomplete.map((container) => container.name).join(' ')}]` },
    { type: 'Ready', status: ready ? 'True' : 'False', ...(ready ? {} : containersReady ? gateReason : unreadyReason) },
    { type: 'ContainersReady', status: containersReady ? 'True' : 'False', ...(containersReady ? {} : unreadyReason) },
    { type: 'PodScheduled', status: 'True' },
  ];
  const before = pod.status?.conditions ?? [];
  const foreign = before.filter((condition) => !own.some((mine) => mine.type === condition.type));
  const stamped = own.map((condition): Condition => {
    const old = before.find((candidate) => candidate.type === condition.type);
    return { ...condition, lastTransitionTime: old?.status === condition.status && old.lastTransitionTime ? old.lastTransitionTime : facts.now };
  });
  return [...stamped, ...foreign];
}

/** @see https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/ */
export function qosClass(pod: Pod): 'Guaranteed' | 'Burstable' | 'BestEffort' {
  const all = allContainers(pod.spec).map((container) => container.resources ?? {});
  const has = (map: object | undefined) => map !== undefined && Object.keys(map).some((key) => key === 'cpu' || key === 'memory');
  if (!all.some((resources) => has(resources.limits) || has(resources.requests))) return 'BestEffort';
  const guaranteed = all.every(({ limits, requests }) => ['cpu', 'memory'].every((key) => {
    const limit = (limits as Record<string, string | number> | undefined)?.[key];
    const request = (requests as Record<string, string | number> | undefined)?.[key];
    return limit !== undefined && (request === undefined || String(request) === String(limit));
  }));
  return guaranteed ? 'Guaranteed' : 'Burstable';
}
