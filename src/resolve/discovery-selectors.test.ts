import { expect, it } from 'vitest';
import type { KubeObject } from '../objects/meta.ts';
import { resolve } from './resolve.ts';

const namespace = (name: string, labels: Record<string, string>): KubeObject => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
const service = (ns: string): KubeObject => ({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'a', namespace: ns }, spec: { clusterIP: '10.96.0.1', ports: [{ port: 80 }] } }) as KubeObject;
const objects = [namespace('istio-system', {}), namespace('prod', { env: 'prod' }), namespace('dev', { env: 'dev' }), ...['istio-system', 'prod', 'dev'].map(service)];
const found = (discoverySelectors: unknown) => resolve({ objects, meshConfig: { discoverySelectors } }).snapshot.services.map((entry) => entry.namespace).sort();

it.each([
  ['none', undefined, ['dev', 'istio-system', 'prod']],
  ['a label', [{ matchLabels: { env: 'prod' } }], ['istio-system', 'prod']],
  ['any of several', [{ matchLabels: { env: 'prod' } }, { matchExpressions: [{ key: 'env', operator: 'In', values: ['dev'] }] }], ['dev', 'istio-system', 'prod']],
  ['all of one', [{ matchLabels: { env: 'prod' }, matchExpressions: [{ key: 'env', operator: 'NotIn', values: ['prod'] }] }], ['istio-system']],
  ['absence', [{ matchExpressions: [{ key: 'env', operator: 'Exists' }] }], ['dev', 'istio-system', 'prod']],
])('%s', (_, selectors, expected) => expect(found(selectors)).toEqual(expected));
