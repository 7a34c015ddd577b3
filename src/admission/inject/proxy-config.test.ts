import { expect, test } from 'vitest';
import { applyingProxyConfigs, podProxyConfig, type PodProxyConfig } from './proxy-config.ts';
import { defaultInjectionValues } from './defaults.ts';
import { injectPod } from './inject-pod.ts';
import type { Container, InjectionMeshConfig, JsonObject, ProxyConfigObject } from './types.ts';

const MESH: InjectionMeshConfig = { defaultConfig: { concurrency: 1, drainDuration: '10s', proxyMetadata: { FROM: 'default', DEFAULT: 'yes' } } };

const object = (name: string, namespace: string, spec: ProxyConfigObject['spec'], created = '2026-01-01T00:00:00Z'): ProxyConfigObject => ({ metadata: { name, namespace, creationTimestamp: created }, ...(spec && { spec }) });

const ROOT = object('mesh', 'istio-system', { concurrency: 2, environmentVariables: { FROM: 'mesh', MESH: 'yes' } });
const NAMESPACE = object('namespace', 'app', { concurrency: 3, environmentVariables: { FROM: 'namespace', NAMESPACE: 'yes' } });
const WORKLOAD = object('workload', 'app', { selector: { matchLabels: { app: 'a' } }, concurrency: 0, environmentVariables: { FROM: 'workload', WORKLOAD: 'yes' }, image: { imageType: 'debug' } });

function configOf(objects: readonly ProxyConfigObject[], labels: Readonly<Record<string, string>>, annotation?: string, namespace = 'app'): PodProxyConfig {
  const result = podProxyConfig(MESH, annotation, applyingProxyConfigs(objects, { namespace, labels }, 'istio-system'));
  if (typeof result === 'string') throw new Error(result);
  return result;
}

test('each reach is stronger than the wider one, and the annotation stands between the namespace and the workload', () => {
  const all = [WORKLOAD, NAMESPACE, ROOT];
  expect(configOf([], {}).concurrency).toBe(1);
  expect(configOf([ROOT], {}).concurrency).toBe(2);
  expect(configOf(all, { app: 'b' }).concurrency).toBe(3);
  expect(configOf(all, { app: 'b' }, 'concurrency: 4').concurrency).toBe(4);
  const strongest = configOf(all, { app: 'a' }, 'concurrency: 4\nproxyMetadata: {FROM: annotation, ANNOTATION: "yes"}');
  expect(strongest.concurrency).toBe(0);
  expect(strongest.proxyMetadata).toEqual({ FROM: 'workload', DEFAULT: 'yes', MESH: 'yes', NAMESPACE: 'yes', ANNOTATION: 'yes', WORKLOAD: 'yes' });
  expect(strongest.image).toEqual({ imageType: 'debug' });
  expect(strongest.own['drainDuration']).toBe('10s');
});

test('a selector in the root namespace reaches only pods there; other namespaces do not count', () => {
  const selective = object('selective', 'istio-system', { selector: { matchLabels: { app: 'a' } }, concurrency: 7 });
  expect(configOf([selective], { app: 'a' }).concurrency).toBe(1);
  expect(configOf([selective, ROOT], { app: 'a' }, undefined, 'istio-system').concurrency).toBe(7);
  expect(configOf([object('other', 'elsewhere', { concurrency: 9 })], {}).concurrency).toBe(1);
});

test('of two with the same reach the older holds', () => {
  expect(configOf([object('a', 'app', { concurrency: 5 }, '2026-02-01T00:00:00Z'), object('b', 'app', { concurrency: 6 }, '2026-01-01T00:00:00Z')], {}).concurrency).toBe(6);
});

test('label names of objects are not found in prototypes', () => {
  expect(applyingProxyConfigs([object('x', 'app', { selector: { matchLabels: { constructor: 'x' } } })], { namespace: 'app', labels: {} }, 'istio-system').workload).toBeUndefined();
});

test('injection obeys it: environment, image and PROXY_CONFIG', () => {
  const result = injectPod({ metadata: { name: 'a', namespace: 'app', labels: { app: 'a' } }, spec: { containers: [{ name: 'main', image: 'app' }] } }, { values: defaultInjectionValues('1.2.3'), meshConfig: {}, proxyConfigs: [WORKLOAD] });
  if (result.kind !== 'injected') throw new Error(result.kind);
  const proxy = [...(result.pod.spec?.containers ?? []), ...(result.pod.spec?.initContainers ?? [])].find(({ name }) => name === 'istio-proxy') as Container & { readonly env: readonly JsonObject[] };
  const env = new Map(proxy.env.map((one) => [one['name'], one['value']]));
  expect(env.get('WORKLOAD')).toBe('yes');
  expect(JSON.parse(String(env.get('PROXY_CONFIG')))).toMatchObject({ concurrency: 0, proxyMetadata: { WORKLOAD: 'yes' }, image: { imageType: 'debug' } });
  expect(proxy.image).toMatch(/-debug$/);
});
