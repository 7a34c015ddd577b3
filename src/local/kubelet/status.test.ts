import { describe, expect, it } from 'vitest';
import type { Container } from '../../objects/kubernetes/container.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import { podStatus, qosClass, type ContainerRuntime, type PodRuntime } from './status.ts';

const T0 = '2026-01-01T00:00:00Z';
const T1 = '2026-01-01T00:00:09Z';
const base: ContainerRuntime = { state: {}, lastState: {}, ready: false, started: false, restartCount: 0 };
const running: ContainerRuntime = { ...base, state: { running: { startedAt: T0 } }, ready: true, started: true, containerID: 'meltemi://x' };
const exited = (exitCode: number): ContainerRuntime => ({ ...base, ready: exitCode === 0, state: { terminated: { exitCode, reason: exitCode ? 'Error' : 'Completed', startedAt: T0, finishedAt: T0, containerID: '' } } });
const waiting = (reason: string, last?: ContainerRuntime): ContainerRuntime => ({ ...base, state: { waiting: { reason } }, lastState: last ? { terminated: last.state.terminated! } : {} });

const pod = (spec: Partial<Pod['spec']> = {}): Pod => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: { containers: [{ name: 'a', image: 'i' }], ...spec } });
const runtime = (containers: Readonly<Record<string, ContainerRuntime>>, more: Partial<PodRuntime> = {}): PodRuntime => ({ podIP: '10.244.0.2', startTime: T0, containers: new Map(Object.entries(containers)), finished: false, ...more });
const condition = (status: ReturnType<typeof podStatus>, type: string) => status.conditions?.find((candidate) => candidate.type === type);
const init = (extra: Partial<Container> = {}): Container => ({ name: 'i', image: 'i', ...extra });

describe('phase', () => {
  it.each<[string, Pod, PodRuntime, string]>([
    ['nothing started', pod(), runtime({}), 'Pending'],
    ['running', pod(), runtime({ a: running }), 'Running'],
    ['image missing', pod(), runtime({ a: waiting('ErrImagePull') }), 'Pending'],
    ['crash loop', pod(), runtime({ a: waiting('CrashLoopBackOff', exited(1)) }), 'Running'],
    ['init runs', pod({ initContainers: [init()] }), runtime({ i: running }), 'Pending'],
    ['sidecar started', pod({ initContainers: [init({ restartPolicy: 'Always' })] }), runtime({ i: running, a: running }), 'Running'],
    ['one of two not yet', pod({ containers: [{ name: 'a', image: 'i' }, { name: 'b', image: 'i' }] }), runtime({ a: running }), 'Pending'],
    ['finished well', pod({ restartPolicy: 'Never' }), runtime({ a: exited(0) }, { finished: true }), 'Succeeded'],
    ['finished badly', pod({ restartPolicy: 'Never' }), runtime({ a: exited(2) }, { finished: true }), 'Failed'],
    ['init failed for good', pod({ restartPolicy: 'Never', initContainers: [init()] }), runtime({ i: exited(1) }, { finished: true }), 'Failed'],
    ['refused', pod(), runtime({}, { failure: { reason: 'X', message: 'y' }, finished: true }), 'Failed'],
  ])('%s', (_, object, state, phase) => expect(podStatus(object, state, T1).phase).toBe(phase));
});

describe('conditions', () => {
  it('names the containers that are not ready', () => {
    const status = podStatus(pod({ initContainers: [init({ restartPolicy: 'Always' })] }), runtime({ i: { ...running, ready: false }, a: running }), T1);
    expect(condition(status, 'Ready')).toMatchObject({ status: 'False', reason: 'ContainersNotReady', message: 'containers with unready status: [i]' });
    expect(condition(status, 'Initialized')?.status).toBe('True');
  });
  it('names the init containers that are not complete', () => {
    expect(condition(podStatus(pod({ initContainers: [init()] }), runtime({ i: running }), T1), 'Initialized')).toMatchObject({ status: 'False', message: 'containers with incomplete status: [i]' });
  });
  it('keeps the time of a transition and the conditions of others', () => {
    const first = podStatus(pod(), runtime({ a: running }), T0);
    const object: Pod = { ...pod(), status: { ...first, conditions: [...first.conditions!, { type: 'mine', status: 'True' }] } };
    const second = podStatus(object, runtime({ a: { ...running, ready: false } }), T1);
    expect(condition(second, 'PodScheduled')?.lastTransitionTime).toBe(T0);
    expect(condition(second, 'Ready')?.lastTransitionTime).toBe(T1);
    expect(condition(second, 'mine')?.status).toBe('True');
  });
  it('waits for readiness gates', () => {
    const object = pod({ readinessGates: [{ conditionType: 'g' }] });
    expect(condition(podStatus(object, runtime({ a: running }), T1), 'Ready')).toMatchObject({ status: 'False', reason: 'ReadinessGatesNotReady' });
    expect(condition(podStatus({ ...object, status: { conditions: [{ type: 'g', status: 'True' }] } }, runtime({ a: running }), T1), 'Ready')?.status).toBe('True');
  });
});

it.each([
  [{}, 'BestEffort'],
  [{ requests: { cpu: '1' } }, 'Burstable'],
  [{ limits: { cpu: '1', memory: '1Gi' } }, 'Guaranteed'],
  [{ limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '500m' } }, 'Burstable'],
])('qosClass %j', (resources, expected) => expect(qosClass(pod({ containers: [{ name: 'a', image: 'i', resources }] }))).toBe(expected));
