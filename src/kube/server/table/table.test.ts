import { expect, test } from 'vitest';
import { humanDuration } from './format.ts';
import { compileJsonPath } from './json-path.ts';
import { podCells } from './pod.ts';

const NOW = Date.parse('2024-01-01T01:00:00Z');
const running = (name: string, more: object = {}) => ({ name, ready: true, restartCount: 0, state: { running: { startedAt: '2024-01-01T00:00:00Z' } }, ...more });
const waiting = (name: string, reason: string, more: object = {}) => ({ name, ready: false, restartCount: 0, state: { waiting: { reason } }, ...more });
const ended = (name: string, exitCode: number, reason?: string) => ({ name, ready: false, restartCount: 0, state: { terminated: { exitCode, reason } } });
const pod = (status: object, metadata: object = {}, spec: object = {}) => ({
  metadata: { name: 'p', creationTimestamp: '2024-01-01T00:55:00Z', ...metadata },
  spec: { containers: [{ name: 'a' }, { name: 'b' }], initContainers: [{ name: 'i' }, { name: 'j' }], ...spec },
  status: { phase: 'Pending', ...status },
});

test.each([
  ['pending', pod({}), '0/2', 'Pending', '0'],
  ['running', pod({ phase: 'Running', containerStatuses: [running('a'), running('b')] }), '2/2', 'Running', '0'],
  ['half ready', pod({ phase: 'Running', containerStatuses: [running('a'), running('b', { ready: false })] }), '1/2', 'Running', '0'],
  ['unknown image', pod({ containerStatuses: [waiting('a', 'ErrImagePull'), running('b')] }), '1/2', 'ErrImagePull', '0'],
  ['crashing', pod({ phase: 'Running', containerStatuses: [waiting('a', 'CrashLoopBackOff', { restartCount: 3, lastState: { terminated: { exitCode: 1, finishedAt: '2024-01-01T00:59:30Z' } } })] }), '0/2', 'CrashLoopBackOff', '3 (30s ago)'],
  ['first init container', pod({ initContainerStatuses: [running('i', { ready: false }), waiting('j', 'PodInitializing')] }), '0/2', 'Init:0/2', '0'],
  ['second init container', pod({ initContainerStatuses: [ended('i', 0, 'Completed'), running('j', { ready: false })] }), '0/2', 'Init:1/2', '0'],
  ['failing init container', pod({ initContainerStatuses: [ended('i', 1, 'Error')] }), '0/2', 'Init:Error', '0'],
  ['init container without an image', pod({ initContainerStatuses: [waiting('i', 'ImagePullBackOff')] }), '0/2', 'Init:ImagePullBackOff', '0'],
  ['init done, containers starting', pod({ initContainerStatuses: [ended('i', 0), ended('j', 0)], containerStatuses: [waiting('a', 'PodInitializing'), waiting('b', 'PodInitializing')] }), '0/2', 'PodInitializing', '0'],
  ['native sidecar', pod({ phase: 'Running', initContainerStatuses: [running('i', { started: true }), ended('j', 0)], containerStatuses: [running('a'), running('b')] }, {}, { initContainers: [{ name: 'i', restartPolicy: 'Always' }, { name: 'j' }] }), '3/3', 'Running', '0'],
  ['completed', pod({ phase: 'Succeeded', containerStatuses: [ended('a', 0, 'Completed'), ended('b', 0, 'Completed')] }), '0/2', 'Completed', '0'],
  ['one of two completed', pod({ phase: 'Running', containerStatuses: [ended('a', 0, 'Completed'), running('b')] }), '1/2', 'NotReady', '0'],
  ['exit code', pod({ phase: 'Failed', containerStatuses: [ended('a', 3)] }), '0/2', 'ExitCode:3', '0'],
  ['terminating', pod({ phase: 'Running', containerStatuses: [running('a'), running('b')] }, { deletionTimestamp: '2024-01-01T01:00:00Z' }), '2/2', 'Terminating', '0'],
  ['evicted', pod({ phase: 'Failed', reason: 'Evicted' }), '0/2', 'Evicted', '0'],
])('pod: %s', (_name, object, ready, status, restarts) => {
  expect(podCells(object, NOW).slice(0, 5)).toEqual(['p', ready, status, restarts, '5m']);
});

test.each([[0, '0s'], [-5000, '<invalid>'], [119_000, '119s'], [120_000, '2m'], [185_000, '3m5s'], [3_600_000, '60m'], [3 * 3_600_000, '3h'], [3 * 3_600_000 + 60_000, '3h1m'], [50 * 3_600_000, '2d2h'], [10 * 86_400_000, '10d'], [800 * 86_400_000, '2y70d']])('%d ms is %s', (ms, text) => {
  expect(humanDuration(ms)).toBe(text);
});

test.each([
  ['.spec.hosts', [['a', 'b']]],
  ['.spec.hosts[0]', ['a']],
  ['.spec.hosts[*]', ['a', 'b']],
  ["$.metadata.labels['x.y/z']", ['1']],
  ['.metadata.labels.x\\.y/z', ['1']],
  ['.status.conditions[?(@.type=="Ready")].status', ['True']],
  ['.spec.missing.deeper', []],
])('JSONPath %s', (path, expected) => {
  const object = { metadata: { labels: { 'x.y/z': '1' } }, spec: { hosts: ['a', 'b'] }, status: { conditions: [{ type: 'A', status: 'False' }, { type: 'Ready', status: 'True' }] } };
  expect(compileJsonPath(path)!(object)).toEqual(expected);
});
