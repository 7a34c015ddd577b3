import { expect, it } from 'vitest';
import type { Node } from '../../objects/kubernetes/node.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import { misfitOf } from './scheduler.ts';

const node = (spec: NonNullable<Node['spec']>, labels: Readonly<Record<string, string>> = {}): Node => ({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'meltemi', labels }, spec });
const pod = (spec: Partial<Pod['spec']> = {}): Pod => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' }, spec: { containers: [], ...spec } });
const GPU = { key: 'gpu', value: 'yes', effect: 'NoSchedule' };

it.each<[string, Node | undefined, Pod, string | undefined]>([
  ['a plain node', node({}), pod(), undefined],
  ['no node', undefined, pod(), '0/0 nodes are available: the node is not registered yet.'],
  ['a cordoned node', node({ unschedulable: true }), pod(), '0/1 nodes are available: 1 node(s) were unschedulable.'],
  ['a cordoned node that is tolerated', node({ unschedulable: true, taints: [{ key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }] }), pod({ tolerations: [{ key: 'node.kubernetes.io/unschedulable', operator: 'Exists', effect: 'NoSchedule' }] }), undefined],
  ['a taint', node({ taints: [GPU] }), pod(), '0/1 nodes are available: 1 node(s) had untolerated taint {gpu: yes}.'],
  ['a tolerated taint', node({ taints: [GPU] }), pod({ tolerations: [{ key: 'gpu', value: 'yes' }] }), undefined],
  ['another value', node({ taints: [GPU] }), pod({ tolerations: [{ key: 'gpu', value: 'no' }] }), '0/1 nodes are available: 1 node(s) had untolerated taint {gpu: yes}.'],
  ['another effect', node({ taints: [GPU] }), pod({ tolerations: [{ key: 'gpu', operator: 'Exists', effect: 'NoExecute' }] }), '0/1 nodes are available: 1 node(s) had untolerated taint {gpu: yes}.'],
  ['everything is tolerated', node({ unschedulable: true, taints: [GPU] }), pod({ tolerations: [{ operator: 'Exists' }] }), undefined],
  ['a preference', node({ taints: [{ ...GPU, effect: 'PreferNoSchedule' }] }), pod(), undefined],
  ['a selector', node({}, { disk: 'hdd' }), pod({ nodeSelector: { disk: 'ssd' } }), "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."],
])('%s', (_, one, wanted, expected) => expect(misfitOf(wanted, one)).toBe(expected));
