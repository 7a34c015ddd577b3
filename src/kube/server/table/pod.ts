import { at, listAt, numberAt, own, textAt } from '../json.ts';
import { age, NONE, since } from './format.ts';

/** The cells of a pod's row. @see https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/ */
export function podCells(pod: unknown, nowMs: number): unknown[] {
  const summary = summarize(pod);
  const gates = listAt(pod, 'spec', 'readinessGates');
  const passed = gates.filter((gate) => conditionIs(pod, textAt(gate, 'conditionType'), 'True')).length;
  return [
    textAt(pod, 'metadata', 'name'),
    `${summary.ready}/${summary.total}`,
    summary.reason,
    summary.restarts !== 0 && summary.lastRestart !== '' ? `${summary.restarts} (${since(summary.lastRestart, nowMs)} ago)` : String(summary.restarts),
    age(pod, nowMs),
    textAt(pod, 'status', 'podIP') || NONE,
    textAt(pod, 'spec', 'nodeName') || NONE,
    textAt(pod, 'status', 'nominatedNodeName') || NONE,
    gates.length > 0 ? `${passed}/${gates.length}` : NONE,
  ];
}

interface Summary {
  reason: string;
  ready: number;
  total: number;
  restarts: number;
  /** Time of the newest restart, '' for none. */
  lastRestart: string;
}

function conditionIs(pod: unknown, type: string, status: string): boolean {
  return listAt(pod, 'status', 'conditions').some((one) => textAt(one, 'type') === type && textAt(one, 'status') === status);
}

function later(a: string, b: string): string {
  return a > b ? a : b;
}

/** Why a container ended: its reason, else its signal or exit code. */
function ending(terminated: unknown): string {
  const signal = numberAt(terminated, 'signal');
  return textAt(terminated, 'reason') || (signal ? `Signal:${signal}` : `ExitCode:${numberAt(terminated, 'exitCode') ?? 0}`);
}

function summarize(pod: unknown): Summary {
  const initSpecs = new Map(listAt(pod, 'spec', 'initContainers').map((one) => [textAt(one, 'name'), one]));
  const staysUp = (name: string): boolean => textAt(initSpecs.get(name), 'restartPolicy') === 'Always';
  const summary: Summary = {
    reason: textAt(pod, 'status', 'reason') || textAt(pod, 'status', 'phase'),
    ready: 0,
    total: listAt(pod, 'spec', 'containers').length + [...initSpecs.keys()].filter(staysUp).length,
    restarts: 0,
    lastRestart: '',
  };
  const sidecars = { restarts: 0, lastRestart: '' };
  const initializing = initStep(pod, summary, sidecars, staysUp, initSpecs.size);
  if (!initializing || conditionIs(pod, 'Initialized', 'True')) {
    summary.restarts = sidecars.restarts;
    summary.lastRestart = sidecars.lastRestart;
    mainStep(pod, summary);
  }
  if (at(pod, 'metadata', 'deletionTimestamp') !== undefined) {
    const phase = textAt(pod, 'status', 'phase');
    if (textAt(pod, 'status', 'reason') === 'NodeLost') summary.reason = 'Unknown';
    else if (phase !== 'Succeeded' && phase !== 'Failed') summary.reason = 'Terminating';
  }
  return summary;
}

/** Goes over the init containers up to the one that is not through; true when there is one. */
function initStep(pod: unknown, summary: Summary, sidecars: { restarts: number; lastRestart: string }, staysUp: (name: string) => boolean, count: number): boolean {
  for (const [index, status] of listAt(pod, 'status', 'initContainerStatuses').entries()) {
    const restarts = numberAt(status, 'restartCount') ?? 0;
    const finished = textAt(status, 'lastState', 'terminated', 'finishedAt');
    summary.restarts += restarts;
    summary.lastRestart = later(summary.lastRestart, finished);
    const sidecar = staysUp(textAt(status, 'name'));
    if (sidecar) {
      sidecars.restarts += restarts;
      sidecars.lastRestart = later(sidecars.lastRestart, finished);
    }
    const terminated = at(status, 'state', 'terminated');
    if (terminated !== undefined && numberAt(terminated, 'exitCode') === 0) continue;
    if (sidecar && own(status, 'started') === true) {
      if (own(status, 'ready') === true) summary.ready++;
      continue;
    }
    const waiting = textAt(status, 'state', 'waiting', 'reason');
    if (terminated !== undefined) summary.reason = `Init:${ending(terminated)}`;
    else if (waiting !== '' && waiting !== 'PodInitializing') summary.reason = `Init:${waiting}`;
    else summary.reason = `Init:${index}/${count}`;
    return true;
  }
  return false;
}

function mainStep(pod: unknown, summary: Summary): void {
  let running = false;
  for (const status of [...listAt(pod, 'status', 'containerStatuses')].reverse()) {
    summary.restarts += numberAt(status, 'restartCount') ?? 0;
    summary.lastRestart = later(summary.lastRestart, textAt(status, 'lastState', 'terminated', 'finishedAt'));
    const waiting = textAt(status, 'state', 'waiting', 'reason');
    const terminated = at(status, 'state', 'terminated');
    if (waiting !== '') summary.reason = waiting;
    else if (terminated !== undefined) summary.reason = ending(terminated);
    else if (own(status, 'ready') === true && at(status, 'state', 'running') !== undefined) {
      running = true;
      summary.ready++;
    }
  }
  // One container has ended and another runs: the pod as a whole is up.
  if (summary.reason === 'Completed' && running) summary.reason = conditionIs(pod, 'Ready', 'True') ? 'Running' : 'NotReady';
}
