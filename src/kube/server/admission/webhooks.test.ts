import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { KubeObject } from '../../../objects/meta.ts';
import { CONFIG_MAP, MUTATING_WEBHOOK_CONFIGURATION, NAMESPACE, POD, VALIDATING_WEBHOOK_CONFIGURATION } from '../../../objects/resource-types.ts';
import { createPki } from '../auth/pki.ts';
import { startTestServer, type TestServer } from '../testing.ts';

interface Review {
  readonly request: { readonly uid: string; readonly operation: string; readonly object: KubeObject; readonly oldObject?: KubeObject; readonly dryRun?: boolean; readonly namespace: string; readonly kind: { readonly kind: string; readonly version: string } };
}
type Answer = (review: Review) => Record<string, unknown> | undefined;

const pki = createPki({ names: ['hook.system.svc'], nowMs: Date.now() });
const caBundle = Buffer.from(pki.ca.certPem).toString('base64');
let webhook: Server;
let server: TestServer;
let answer: Answer = () => ({ allowed: true });
let reviews: Review[] = [];

beforeAll(async () => {
  webhook = createServer({ cert: pki.serving.certPem, key: pki.serving.keyPem }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const review = JSON.parse(Buffer.concat(chunks).toString()) as Review;
      reviews.push(review);
      const given = answer(review);
      if (given) response.end(JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: { uid: review.request.uid, ...given } }));
    });
  });
  await new Promise<void>((resolve) => webhook.listen(0, '127.0.0.1', resolve));
  const { port } = webhook.address() as AddressInfo;
  const dial = async ({ name }: { name: string }) => {
    if (name !== 'hook') throw new Error(`service "${name}" not found`);
    return { host: '127.0.0.1', port };
  };
  server = await startTestServer({ dial });
});
afterAll(async () => {
  await server.close();
  webhook.close();
  webhook.closeAllConnections();
});
afterEach(async () => {
  reviews = [];
  answer = () => ({ allowed: true });
  await server.client.delete(MUTATING_WEBHOOK_CONFIGURATION, 'w');
  await server.client.delete(VALIDATING_WEBHOOK_CONFIGURATION, 'w');
});

const rules = (resource: string, group = '') => [{ apiGroups: [group], apiVersions: ['v1'], resources: [resource], operations: ['CREATE', 'UPDATE'] }];
async function configure(more: object, kind: 'Mutating' | 'Validating' = 'Mutating', service = 'hook'): Promise<void> {
  const hook = { name: 'inject.example.com', clientConfig: { service: { namespace: 'system', name: service, path: '/inject' }, caBundle }, sideEffects: 'None', admissionReviewVersions: ['v1'], rules: rules('pods'), timeoutSeconds: 1, ...more };
  const type = kind === 'Mutating' ? MUTATING_WEBHOOK_CONFIGURATION : VALIDATING_WEBHOOK_CONFIGURATION;
  await server.client.create(type, { apiVersion: 'admissionregistration.k8s.io/v1', kind: type.kind, metadata: { name: 'w' }, webhooks: [hook] } as KubeObject);
}
let count = 0;
const pod = (labels: Record<string, string> = {}): KubeObject => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name: `p${count++}`, namespace: 'default', labels }, spec: { containers: [{ name: 'app', image: 'a' }] } }) as KubeObject;
const patchOf = (patch: unknown) => ({ allowed: true, patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') });

describe('mutating', () => {
  test('changes a pod; the new container gets defaults and the token volume', async () => {
    answer = () => patchOf([{ op: 'add', path: '/spec/containers/-', value: { name: 'istio-proxy', image: 'proxyv2' } }, { op: 'add', path: '/metadata/annotations', value: { 'sidecar.istio.io/status': '{}' } }]);
    await configure({});
    const created = (await server.client.create(POD, pod())) as unknown as { spec: { containers: { name: string; imagePullPolicy: string; volumeMounts: { mountPath: string }[] }[] } };
    expect(created).toMatchObject({ metadata: { annotations: { 'sidecar.istio.io/status': '{}' } } });
    expect(created.spec.containers[1]).toMatchObject({ name: 'istio-proxy', imagePullPolicy: 'Always', volumeMounts: [{ mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' }] });
    expect(reviews[0]!.request).toMatchObject({ operation: 'CREATE', namespace: 'default', kind: { kind: 'Pod', version: 'v1' }, object: { spec: { serviceAccountName: 'default' } } });
  });

  test('is asked only for what its selectors and rules choose', async () => {
    await configure({
      namespaceSelector: { matchLabels: { 'istio-injection': 'enabled' } },
      objectSelector: { matchExpressions: [{ key: 'sidecar.istio.io/inject', operator: 'NotIn', values: ['false'] }] },
    });
    await server.client.create(POD, pod());
    expect(reviews).toHaveLength(0);
    await server.client.mergePatch(NAMESPACE, 'default', undefined, { metadata: { labels: { 'istio-injection': 'enabled' } } });
    await server.client.create(POD, pod({ 'sidecar.istio.io/inject': 'false' }));
    expect(reviews).toHaveLength(0);
    await server.client.create(CONFIG_MAP, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c', namespace: 'default' } });
    expect(reviews).toHaveLength(0);
    await server.client.create(POD, pod());
    expect(reviews).toHaveLength(1);
  });

  test.each([
    ['refuses with its message', () => ({ allowed: false, status: { message: 'no' } }), 400, 'admission webhook "inject.example.com" denied the request: no'],
    ['refuses with a code', () => ({ allowed: false, status: { message: 'no', code: 403, reason: 'Forbidden' } }), 403, 'admission webhook "inject.example.com" denied the request: no'],
    ['refuses without a word', () => ({ allowed: false }), 400, 'admission webhook "inject.example.com" denied the request without explanation'],
    ['never answers', () => undefined, 500, 'Internal error occurred: failed calling webhook "inject.example.com": failed to call webhook: Post "https://hook.system.svc:443/inject?timeout=1s": context deadline exceeded'],
    ['sends a patch that does not fit', () => patchOf([{ op: 'remove', path: '/nope' }]), 500, 'failed calling webhook "inject.example.com"'],
  ])('%s', async (_name, given, code, message) => {
    answer = given;
    await configure({});
    await expect(server.client.create(POD, pod())).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
  });

  test('a service that does not exist fails the request, or is passed over', async () => {
    await configure({}, 'Mutating', 'nobody');
    await expect(server.client.create(POD, pod())).rejects.toMatchObject({ code: 500, message: expect.stringContaining('service "nobody" not found') });
    await server.client.mergePatch(MUTATING_WEBHOOK_CONFIGURATION, 'w', undefined, JSON.parse(JSON.stringify({ webhooks: [{ name: 'inject.example.com', clientConfig: { service: { namespace: 'system', name: 'nobody' }, caBundle }, sideEffects: 'None', admissionReviewVersions: ['v1'], rules: rules('pods'), failurePolicy: 'Ignore' }] })));
    await server.client.create(POD, pod());
  });

  test('one that asks for it sees what those after it have changed, once', async () => {
    const named = (name: string, more: object) => ({ name: `${name}.example.com`, clientConfig: { service: { namespace: 'system', name: 'hook', path: `/${name}` }, caBundle }, sideEffects: 'None', admissionReviewVersions: ['v1'], rules: rules('pods'), timeoutSeconds: 1, ...more });
    await server.client.create(MUTATING_WEBHOOK_CONFIGURATION, { apiVersion: 'admissionregistration.k8s.io/v1', kind: 'MutatingWebhookConfiguration', metadata: { name: 'w' }, webhooks: [named('first', { reinvocationPolicy: 'IfNeeded' }), named('never', {}), named('adds', {})] } as KubeObject);
    answer = ({ request }) => (reviews.length === 3 ? patchOf([{ op: 'add', path: '/metadata/labels', value: { added: String(Object.keys(request.object.metadata.labels ?? {}).length) } }]) : { allowed: true });
    await server.client.create(POD, pod());
    expect(reviews).toHaveLength(4);
    expect(reviews[3]!.request.object.metadata.labels).toEqual({ added: '0' });
    reviews = [];
    answer = () => ({ allowed: true });
    await server.client.create(POD, pod());
    expect(reviews).toHaveLength(3);
  });

  test('conditions keep a webhook from being called', async () => {
    await configure({ matchConditions: [{ name: 'wanted', expression: "has(object.metadata.labels) && 'wanted' in object.metadata.labels" }] });
    await server.client.create(POD, pod());
    expect(reviews).toHaveLength(0);
    await server.client.create(POD, pod({ wanted: 'yes' }));
    expect(reviews).toHaveLength(1);
    await server.client.mergePatch(MUTATING_WEBHOOK_CONFIGURATION, 'w', undefined, { webhooks: [{ name: 'inject.example.com', clientConfig: { service: { namespace: 'system', name: 'hook' }, caBundle }, sideEffects: 'None', admissionReviewVersions: ['v1'], rules: rules('pods'), matchConditions: [{ name: 'broken', expression: 'object.nope == 1' }] }] });
    await expect(server.client.create(POD, pod())).rejects.toMatchObject({ code: 403, message: expect.stringContaining('No such key: nope') });
    await expect(server.client.mergePatch(MUTATING_WEBHOOK_CONFIGURATION, 'w', undefined, { webhooks: [{ name: 'inject.example.com', clientConfig: { service: { namespace: 'system', name: 'hook' }, caBundle }, sideEffects: 'None', admissionReviewVersions: ['v1'], rules: rules('pods'), matchConditions: [{ name: 'wrong', expression: 'object.' }] }] })).rejects.toMatchObject({ code: 422, message: expect.stringContaining('webhooks[0].matchConditions[0].expression: Invalid value: "object.": compilation failed') });
  });

  test('is asked about deletes when it wants to be', async () => {
    const { name, namespace } = (await server.client.create(POD, pod())).metadata;
    await configure({ rules: [{ ...rules('pods')[0]!, operations: ['DELETE'] }] });
    answer = () => ({ allowed: false, status: { message: 'stay' } });
    await expect(server.client.delete(POD, name, namespace)).rejects.toMatchObject({ message: 'admission webhook "inject.example.com" denied the request: stay' });
    expect(reviews[0]!.request).toMatchObject({ operation: 'DELETE', object: null, oldObject: { metadata: { name } } });
  });

  test('a dry run says so', async () => {
    await configure({ sideEffects: 'NoneOnDryRun' });
    await server.client.create(POD, pod(), { dryRun: true });
    expect(reviews[0]!.request).toMatchObject({ dryRun: true });
  });

  test('a certificate of another authority is refused', async () => {
    const other = createPki({ names: ['x'], nowMs: Date.now() });
    await configure({ clientConfig: { service: { namespace: 'system', name: 'hook' }, caBundle: Buffer.from(other.ca.certPem).toString('base64') } });
    await expect(server.client.create(POD, pod())).rejects.toMatchObject({ code: 500, message: expect.stringContaining('failed to verify certificate') });
  });
});

test('validating: sees the stored form and may refuse', async () => {
  answer = ({ request }) => ({ allowed: request.object.metadata.labels?.['bad'] === undefined, status: { message: 'bad label' }, warnings: ['watch out'] });
  await configure({}, 'Validating');
  await server.client.create(POD, pod());
  expect(reviews[0]!.request.object.metadata.uid).toBeDefined();
  await expect(server.client.create(POD, pod({ bad: 'yes' }))).rejects.toMatchObject({ message: 'admission webhook "inject.example.com" denied the request: bad label' });
  const over = await server.fetch('/api/v1/namespaces/default/pods', { method: 'POST', body: JSON.stringify(pod()), headers: { 'content-type': 'application/json' } });
  expect(over.headers['warning']).toBe('299 - "watch out"');
});
