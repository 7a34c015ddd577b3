import { describe, expect, it } from 'vitest';
import type { Container } from '../../objects/kubernetes/container.ts';
import type { Pod } from '../../objects/kubernetes/pod.ts';
import type { Service } from '../../objects/kubernetes/service.ts';
import { formatMap, parseQuantity, podField, resourceField } from './downward.ts';
import { buildEnv, expand, type EnvSources } from './env.ts';

const pod: Pod = {
  apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'default', uid: 'u', labels: { app: 'x' }, annotations: { 'a/b': 'l1\nl2 "q"' } },
  spec: { containers: [{ name: 'other', image: 'i', resources: { limits: { cpu: '1500m' } } }], serviceAccountName: 'sa' },
};
const service: Service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'my-db', namespace: 'default' }, spec: { clusterIP: '10.96.0.9', ports: [{ name: 'sql-x', port: 3306, protocol: 'TCP' }] } };
const sources: EnvSources = {
  pod, podIP: '10.244.0.7', node: { cpuCores: 2, memoryBytes: 3 * 2 ** 30 },
  configMap: (name) => (name === 'cm' ? { K: 'v', constructor: 'c' } : undefined),
  secret: (name) => (name === 's' ? { P: 'w' } : undefined),
  services: [service],
};
const env = (container: Partial<Container>) => {
  const result = buildEnv({ name: 'c', image: 'i', ...container }, { IMAGE: 'yes', OVER: 'image' }, sources);
  return result.ok ? result.env : result.message;
};

describe('buildEnv', () => {
  it('layers image, services, envFrom and env', () => {
    expect(env({ envFrom: [{ prefix: 'X_', configMapRef: { name: 'cm' } }, { secretRef: { name: 's' } }], env: [{ name: 'OVER', value: 'env' }] })).toMatchObject({
      IMAGE: 'yes', OVER: 'env', X_K: 'v', X_constructor: 'c', P: 'w', HOSTNAME: 'p', MY_DB_SERVICE_HOST: '10.96.0.9', MY_DB_PORT_3306_TCP: 'tcp://10.96.0.9:3306', MY_DB_SERVICE_PORT_SQL_X: '3306',
    });
  });
  it('takes fields, resources and keys', () => {
    expect(env({ env: [
      { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
      { name: 'CPU', valueFrom: { resourceFieldRef: { containerName: 'other', resource: 'limits.cpu' } } },
      { name: 'K', valueFrom: { configMapKeyRef: { name: 'cm', key: 'K' } } },
      { name: 'GONE', valueFrom: { secretKeyRef: { name: 'none', key: 'x', optional: true } } },
      { name: 'URL', value: 'http://$(IP):$(MY_DB_SERVICE_PORT)/$(LATER)$$(IP)' },
      { name: 'LATER', value: 'x' },
    ] })).toMatchObject({ IP: '10.244.0.7', CPU: '2', K: 'v', URL: 'http://10.244.0.7:3306/$(LATER)$(IP)' });
  });
  it.each([
    [{ envFrom: [{ configMapRef: { name: 'none' } }] }, 'configmap "none" not found'],
    [{ env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 's', key: 'no' } } }] }, "couldn't find key no in Secret default/s"],
    [{ env: [{ name: 'A', valueFrom: { configMapKeyRef: { name: 'cm', key: 'toString' } } }] }, "couldn't find key toString in ConfigMap default/cm"],
    [{ env: [{ name: 'A', valueFrom: { fieldRef: { fieldPath: 'spec.secret' } } }] }, 'env "A": unsupported fieldPath: spec.secret'],
  ])('says why not: %j', (container, message) => expect(env(container)).toBe(message));
});

it.each([['$$', '$'], ['$(A)', '1'], ['$$(A)', '$(A)'], ['$(B)', '$(B)'], ['$A', '$A'], ['$(A', '$(A']])('expand %s', (text, expected) => expect(expand(text, new Map([['A', '1']]))).toBe(expected));

it.each([['500m', 0.5], ['1Gi', 2 ** 30], ['1e3', 1000], [2, 2], ['1.5', 1.5], ['k', undefined], ['', undefined], ['1KB', undefined]])('parseQuantity %s', (text, expected) => expect(parseQuantity(text)).toBe(expected));

it.each([
  ['limits.cpu', '1', '2'],
  ['limits.cpu', '1m', '1500'],
  ['limits.memory', '1Mi', '3072'],
  ['requests.cpu', '1m', '1500'],
  ['requests.memory', undefined, '0'],
  ['limits', undefined, undefined],
])('resourceField %s by %s', (resource, divisor, expected) => expect(resourceField(pod, pod.spec.containers[0]!, { resource, ...(divisor ? { divisor } : {}) }, sources.node)).toBe(expected));

it('writes maps as the downward API does', () => {
  expect(formatMap({ b: '2', a: 'x\n"y"' })).toBe('a="x\\n\\"y\\""\nb="2"');
  expect(podField(pod, 'ip', "metadata.annotations['a/b']")).toBe('l1\nl2 "q"');
  expect(podField(pod, 'ip', "metadata.labels['toString']")).toBe('');
  expect(podField(pod, 'ip', 'spec.serviceAccountName')).toBe('sa');
});
