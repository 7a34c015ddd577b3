import { describe, expect, test } from 'vitest';
import { defaultInjectionValues } from './inject/defaults.ts';
import { injectPod } from './inject/inject-pod.ts';
import { createJsonPatch, type JsonPatchOperation } from './inject/json-patch.ts';
import { canonicalQuantity } from './inject/quantity.ts';
import type { InjectionContext, Json, JsonObject, Pod } from './inject/types.ts';
import { handleInject } from './webhook.ts';
import { mutatingWebhookConfiguration } from './webhook-configuration.ts';

const context: InjectionContext = { values: defaultInjectionValues('1.2.3'), meshConfig: { trustDomain: 'cluster.local' } };
const reviews: Pod = {
  apiVersion: 'v1', kind: 'Pod',
  metadata: {
    generateName: 'reviews-v1-5b5d8f-', namespace: 'default', labels: { app: 'reviews', version: 'v1', 'pod-template-hash': '5b5d8f' },
    ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'reviews-v1-5b5d8f', uid: 'u', controller: true }],
  },
  spec: { serviceAccountName: 'bookinfo-reviews', containers: [{ name: 'reviews', image: 'x', ports: [{ containerPort: 9080 }], volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }] }], volumes: [{ name: 'tmp', emptyDir: {} }] },
};

/** RFC 6902, as far as the webhook uses it. */
function applyPatch(document: Json, patch: readonly JsonPatchOperation[]): Json {
  const result = structuredClone(document) as JsonObject;
  for (const { op, path, value } of patch) {
    const parts = path.split('/').slice(1).map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
    const last = parts.pop()!;
    const parent = parts.reduce<Record<string, Json>>((node, part) => node[part] as unknown as Record<string, Json>, result as unknown as Record<string, Json>);
    if (op === 'remove') delete parent[last];
    else parent[last] = value as Json;
  }
  return result;
}

describe('injectPod', () => {
  const result = injectPod(reviews, context);
  if (result.kind !== 'injected') throw new Error(JSON.stringify(result));

  test('a Bookinfo pod gets istio-init and istio-proxy of this version', () => {
    expect(result.pod.spec?.initContainers?.map((one) => [one.name, one.image])).toEqual([['istio-init', 'docker.io/meltemi/proxyv2:1.2.3']]);
    expect(result.pod.spec?.containers?.map((one) => one.name)).toEqual(['reviews', 'istio-proxy']);
    const env = result.pod.spec?.containers?.[1]?.['env'] as { name: string; value?: string }[];
    expect(Object.fromEntries(env.map(({ name, value }) => [name, value]))).toMatchObject({
      ISTIO_META_WORKLOAD_NAME: 'reviews-v1', ISTIO_META_OWNER: 'kubernetes://apis/apps/v1/namespaces/default/deployments/reviews-v1', ISTIO_META_APP_CONTAINERS: 'reviews', TRUST_DOMAIN: 'cluster.local',
    });
  });
  test('the patch turns the one into the other', () => expect(applyPatch(reviews as Json, result.patch)).toEqual(JSON.parse(JSON.stringify(result.pod))));
  test('a second injection changes nothing', () => {
    const again = injectPod(result.pod, context);
    expect(again.kind === 'injected' && again.patch).toEqual([]);
  });
  test.each([
    ['label says no', { ...reviews, metadata: { ...reviews.metadata, labels: { 'sidecar.istio.io/inject': 'false' } } }, 'skipped'],
    ['host network', { ...reviews, spec: { ...reviews.spec, hostNetwork: true } }, 'skipped'],
    ['bad annotation', { ...reviews, metadata: { annotations: { 'traffic.sidecar.istio.io/includeInboundPorts': 'x' } } }, 'failed'],
    ['bad proxy config', { ...reviews, metadata: { annotations: { 'proxy.istio.io/config': '{' } } }, 'failed'],
    ['unknown template', { ...reviews, metadata: { annotations: { 'inject.istio.io/templates': 'constructor' } } }, 'failed'],
    ['nothing at all', {}, 'injected'],
  ] as const)('%s', (_name, pod, kind) => expect(injectPod(pod as Pod, context).kind).toBe(kind));
});

describe('handleInject', () => {
  test('answers with a base64 patch', () => {
    const { response } = handleInject({ apiVersion: 'admission.k8s.io/v1', request: { uid: '7', namespace: 'default', object: reviews } }, context);
    expect(response).toMatchObject({ uid: '7', allowed: true, patchType: 'JSONPatch' });
    const patch = JSON.parse(Buffer.from(response.patch!, 'base64').toString()) as JsonPatchOperation[];
    expect(patch.length).toBeGreaterThan(3);
  });
  test.each([[{}], [{ request: {} }], [{ request: { uid: 'x', object: { metadata: { labels: 3 }, spec: { containers: { name: 'no list' } } } as unknown as JsonObject } }], [{ request: { uid: 'x', object: null } }], [{ request: { uid: 'x', object: [] as unknown as JsonObject } }]])('%j is refused, not thrown', (review) =>
    expect(handleInject(review, context).response.allowed).toBe(false));
});

test('createJsonPatch escapes pointers', () => expect(createJsonPatch({ 'a/b': 1 }, { 'a/b': 2, 'c~d': 3 })).toEqual([{ op: 'replace', path: '/a~1b', value: 2 }, { op: 'add', path: '/c~0d', value: 3 }]));

test.each([
  ['2000m', '2'], ['1024Mi', '1Gi'], ['100m', '100m'], ['1.5', '1500m'], ['0', '0'], ['1000', '1k'], ['0.5Gi', '0.5Gi'], ['x', 'x'],
])('canonicalQuantity %s', (text, expected) => expect(canonicalQuantity(text)).toBe(expected));

describe('mutatingWebhookConfiguration', () => {
  test('the default revision has four rules, others two', () => {
    const names = (revision: string): unknown => (mutatingWebhookConfiguration({ revision })['webhooks'] as JsonObject[]).map((one) => one['name']);
    expect(names('')).toEqual(['rev.namespace.sidecar-injector.istio.io', 'rev.object.sidecar-injector.istio.io', 'namespace.sidecar-injector.istio.io', 'object.sidecar-injector.istio.io']);
    expect(names('canary')).toEqual(['rev.namespace.sidecar-injector.istio.io', 'rev.object.sidecar-injector.istio.io']);
  });
});
