/** Definitions with several versions, conversion webhooks, ratcheting, selectable fields; autoscalers in both versions. */
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { KubeObject } from '../../objects/meta.ts';
import { CUSTOM_RESOURCE_DEFINITION, NAMESPACE, VALIDATING_WEBHOOK_CONFIGURATION } from '../../objects/resource-types.ts';
import { createPki } from './auth/pki.ts';
import { startTestServer, type TestServer } from './testing.ts';

interface Size extends KubeObject {
  readonly spec: Record<string, unknown>;
}
interface Review {
  readonly request: { readonly uid: string; readonly desiredAPIVersion?: string; readonly objects?: readonly Size[]; readonly object?: Size };
}

const pki = createPki({ names: ['hook.system.svc'], nowMs: Date.now() });
const caBundle = Buffer.from(pki.ca.certPem).toString('base64');
let webhook: Server;
let server: TestServer;
let reviews: Review[] = [];
let failing: string | undefined;
let change: (object: Size) => Size = (object) => object;

/** v1 has `width` and `height`, v2 one text. */
function convert(object: Size, apiVersion: string): Size {
  const { spec } = object;
  if (apiVersion === 'things.example.com/v2') return { ...object, apiVersion, spec: { size: `${String(spec['width'])}x${String(spec['height'])}` } };
  const [width, height] = String(spec['size']).split('x').map(Number);
  return { ...object, apiVersion, spec: { width, height } };
}

beforeAll(async () => {
  webhook = createServer({ cert: pki.serving.certPem, key: pki.serving.keyPem }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const review = JSON.parse(Buffer.concat(chunks).toString()) as Review;
      reviews.push(review);
      const { uid, desiredAPIVersion, objects } = review.request;
      const convertedObjects = objects?.map((object) => change(convert(object, desiredAPIVersion!)));
      response.end(JSON.stringify({ response: objects ? { uid, result: failing === undefined ? { status: 'Success' } : { status: 'Failed', message: failing }, convertedObjects } : { uid, allowed: true } }));
    });
  });
  await new Promise<void>((resolve) => webhook.listen(0, '127.0.0.1', resolve));
  const { port } = webhook.address() as AddressInfo;
  server = await startTestServer({ dial: async () => ({ host: '127.0.0.1', port }) });
  await server.client.create(NAMESPACE, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'conv' } });
});
afterAll(async () => {
  await server.close();
  webhook.close();
  webhook.closeAllConnections();
});
beforeEach(() => {
  reviews = [];
  failing = undefined;
  change = (object) => object;
});

const numbers = { type: 'object', properties: { spec: { type: 'object', properties: { width: { type: 'integer' }, height: { type: 'integer' } } } } };
const sizes = { type: 'object', properties: { spec: { type: 'object', properties: { size: { type: 'string' } } } } };
const define = (more: object = {}, versions: readonly object[] = [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: numbers } }, { name: 'v2', served: true, storage: false, schema: { openAPIV3Schema: sizes }, selectableFields: [{ jsonPath: '.spec.size' }] }], name = 'size') =>
  server.client.create(CUSTOM_RESOURCE_DEFINITION, {
    apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition', metadata: { name: `${name}s.things.example.com` },
    spec: { group: 'things.example.com', scope: 'Namespaced', names: { plural: `${name}s`, kind: name[0]!.toUpperCase() + name.slice(1) }, versions, ...more },
  } as unknown as KubeObject);
const conversion = { strategy: 'Webhook', webhook: { conversionReviewVersions: ['v1'], clientConfig: { service: { namespace: 'system', name: 'hook', path: '/convert' }, caBundle } } };

async function call(method: string, path: string, body?: unknown, type = 'application/json'): Promise<{ status: number; body: Size & { readonly items: Size[]; readonly message: string } }> {
  const answer = await server.fetch(`/apis/things.example.com/${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }), headers: { 'content-type': type } });
  return { status: answer.status, body: JSON.parse(answer.body) as Size & { items: Size[]; message: string } };
}

describe('conversion webhooks', () => {
  beforeAll(() => define({ conversion }));
  const v2 = (name: string, size: string) => ({ apiVersion: 'things.example.com/v2', kind: 'Size', metadata: { name }, spec: { size } });

  test('objects are stored in one version and shown in every other', async () => {
    const made = await call('POST', 'v2/namespaces/conv/sizes', v2('a', '3x4'));
    expect(made).toMatchObject({ status: 201, body: { apiVersion: 'things.example.com/v2', spec: { size: '3x4' } } });
    expect((await call('GET', 'v1/namespaces/conv/sizes/a')).body).toMatchObject({ apiVersion: 'things.example.com/v1', spec: { width: 3, height: 4 } });
    await call('POST', 'v1/namespaces/conv/sizes', { apiVersion: 'things.example.com/v1', kind: 'Size', metadata: { name: 'b' }, spec: { width: 7, height: 8 } });
    reviews = [];
    const listed = await call('GET', 'v2/namespaces/conv/sizes');
    expect(listed.body.items.map((item) => item.spec['size'])).toEqual(['3x4', '7x8']);
    // One call for what is not known yet, none for what is.
    expect(reviews.length).toBeLessThanOrEqual(1);
    expect((await server.kubectl(['get', 'sizes.v2.things.example.com', '-n', 'conv', '-o', 'jsonpath={.items[*].spec.size}'])).stdout).toBe('3x4 7x8');
  });

  test('writes and patches are made in the version of the request', async () => {
    const patched = await call('PATCH', 'v2/namespaces/conv/sizes/a', { spec: { size: '5x6' } }, 'application/merge-patch+json');
    expect(patched.body.spec).toEqual({ size: '5x6' });
    expect((await call('GET', 'v1/namespaces/conv/sizes/a')).body.spec).toEqual({ width: 5, height: 6 });
    const live = (await call('GET', 'v2/namespaces/conv/sizes/a')).body;
    const put = await call('PUT', 'v2/namespaces/conv/sizes/a', { ...live, spec: { size: '1x2' } });
    expect(put.body).toMatchObject({ spec: { size: '1x2' }, metadata: { generation: 3, uid: live.metadata.uid } });
    const applied = await call('PATCH', 'v2/namespaces/conv/sizes/a?fieldManager=me&force=true', v2('a', '9x9'), 'application/apply-patch+yaml');
    expect(applied).toMatchObject({ status: 200, body: { spec: { size: '9x9' } } });
  });

  test('watches see converted objects in order', async () => {
    const { resourceVersion } = (await call('GET', 'v2/namespaces/conv/sizes')).body.metadata;
    const watch = server.fetch(`/apis/things.example.com/v2/namespaces/conv/sizes?watch=1&timeoutSeconds=1&resourceVersion=${resourceVersion}`);
    for (let n = 1; n <= 3; n++) await call('PATCH', 'v1/namespaces/conv/sizes/b', { spec: { width: n } }, 'application/merge-patch+json');
    const events = (await watch).body.trim().split('\n').map((line) => JSON.parse(line) as { type: string; object: Size });
    expect(events.map((event) => `${event.type} ${String(event.object.spec['size'])}`)).toEqual(['MODIFIED 1x8', 'MODIFIED 2x8', 'MODIFIED 3x8']);
  });

  test('webhooks that know another version get that one', async () => {
    await server.client.create(VALIDATING_WEBHOOK_CONFIGURATION, {
      apiVersion: 'admissionregistration.k8s.io/v1', kind: 'ValidatingWebhookConfiguration', metadata: { name: 'w' },
      webhooks: [{ name: 'sizes.example.com', clientConfig: { service: { namespace: 'system', name: 'hook' }, caBundle }, sideEffects: 'None', admissionReviewVersions: ['v1'], rules: [{ apiGroups: ['things.example.com'], apiVersions: ['v1'], resources: ['sizes'], operations: ['CREATE'] }] }],
    } as KubeObject);
    await call('POST', 'v2/namespaces/conv/sizes', v2('c', '1x9'));
    expect(reviews.find((review) => review.request.object)?.request.object).toMatchObject({ apiVersion: 'things.example.com/v1', spec: { width: 1, height: 9 } });
    await server.client.delete(VALIDATING_WEBHOOK_CONFIGURATION, 'w');
  });

  test('a failure says who failed; metadata but labels and annotations stay', async () => {
    failing = 'too big';
    expect(await call('POST', 'v2/namespaces/conv/sizes', v2('bad', '1x1'))).toMatchObject({ status: 500, body: { message: expect.stringContaining('conversion webhook for things.example.com/v2, Kind=Size failed: too big') } });
    failing = undefined;
    change = (object) => ({ ...object, metadata: { ...object.metadata, finalizers: ['x.example.com/y'], labels: { by: 'hook' } } });
    const made = await call('POST', 'v2/namespaces/conv/sizes', v2('d', '2x2'));
    expect(made.body.metadata.labels).toEqual({ by: 'hook' });
    expect(made.body.metadata.finalizers).toBeUndefined();
    change = (object) => ({ ...object, metadata: { ...object.metadata, name: 'other' } });
    expect((await call('POST', 'v2/namespaces/conv/sizes', v2('e', '2x2'))).body.message).toContain('metadata.name must not change');
  });
});

describe('definitions', () => {
  test.each([
    ['a conversion without a webhook', { conversion: { strategy: 'Webhook' } }, undefined, 'spec.conversion.webhook.clientConfig: Required value'],
    ['a conversion of unknown words', { conversion: { ...conversion, webhook: { ...conversion.webhook, conversionReviewVersions: ['v9'] } } }, undefined, 'must include at least one of v1'],
    ['a selectable field that is not there', {}, [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: numbers }, selectableFields: [{ jsonPath: '.spec.nope' }] }], 'does not point to a valid field'],
    ['a selectable object', {}, [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: numbers }, selectableFields: [{ jsonPath: '.spec' }] }], 'must point to a field of type string, boolean or integer'],
    ['two versions to store', {}, [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: numbers } }, { name: 'v2', served: true, storage: true, schema: { openAPIV3Schema: numbers } }], 'must have exactly one version marked as storage version'],
  ])('%s are refused', async (_name, more, versions, text) => {
    await expect(define(more, versions, 'bad')).rejects.toMatchObject({ code: 422, message: expect.stringContaining(text) });
  });

  test('another version to store is added to the stored versions, which must stay', async () => {
    const version = (name: string, storage: boolean) => ({ name, served: true, storage, schema: { openAPIV3Schema: numbers } });
    await define({}, [version('v1', true), version('v2', false)], 'moved');
    const path = 'moveds.things.example.com';
    const moved = await server.client.mergePatch(CUSTOM_RESOURCE_DEFINITION, path, undefined, { spec: { versions: [version('v1', false), version('v2', true)] } });
    expect((moved as unknown as { status: { storedVersions: string[] } }).status.storedVersions).toEqual(['v1', 'v2']);
    await expect(server.client.mergePatch(CUSTOM_RESOURCE_DEFINITION, path, undefined, { spec: { versions: [version('v2', true)] } })).rejects.toMatchObject({ message: expect.stringContaining('status.storedVersions[0]: Invalid value: "v1": must appear in spec.versions') });
  });

  test('fields can be selected', async () => {
    const schema = { type: 'object', properties: { spec: { type: 'object', properties: { color: { type: 'string' }, ready: { type: 'boolean' } } } } };
    await define({}, [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema }, selectableFields: [{ jsonPath: '.spec.color' }, { jsonPath: '.spec.ready' }] }], 'paint');
    for (const [name, spec] of [['a', { color: 'red', ready: true }], ['b', { color: 'blue' }], ['c', { color: 'red' }]] as const) await call('POST', 'v1/namespaces/conv/paints', { apiVersion: 'things.example.com/v1', kind: 'Paint', metadata: { name }, spec });
    const chosen = async (selector: string) => (await call('GET', `v1/namespaces/conv/paints?fieldSelector=${encodeURIComponent(selector)}`)).body.items.map((item) => item.metadata.name);
    expect(await chosen('spec.color=red')).toEqual(['a', 'c']);
    expect(await chosen('spec.color=red,spec.ready=true')).toEqual(['a']);
    expect(await chosen('spec.color!=red')).toEqual(['b']);
    expect((await call('GET', 'v1/namespaces/conv/paints?fieldSelector=spec.size%3D1')).status).toBe(400);
  });
});

describe('ratcheting', () => {
  const schemaOf = (more: object, rules: readonly object[] = []) => ({ type: 'object', properties: { spec: { type: 'object', properties: {
    name: { type: 'string', ...more }, other: { type: 'string' },
    list: { type: 'array', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['k'], items: { type: 'object', required: ['k'], properties: { k: { type: 'string' }, v: { type: 'string', ...more } } } },
    plain: { type: 'array', items: { type: 'string', ...more } },
    ruled: { type: 'object', properties: { x: { type: 'integer' }, y: { type: 'integer' } }, 'x-kubernetes-validations': rules },
  } } } });
  const versions = (more: object, rules?: readonly object[]) => [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schemaOf(more, rules) } }];
  const path = 'v1/namespaces/conv/ratchets/a';
  const patch = (spec: object) => call('PATCH', path, { spec }, 'application/merge-patch+json');
  const old = 'far too long';
  beforeAll(async () => {
    await define({}, versions({}), 'ratchet');
    await call('POST', 'v1/namespaces/conv/ratchets', { apiVersion: 'things.example.com/v1', kind: 'Ratchet', metadata: { name: 'a' }, spec: { name: old, list: [{ k: 'one', v: old }], plain: [old], ruled: { x: 5, y: 1 } } });
    await server.client.mergePatch(CUSTOM_RESOURCE_DEFINITION, 'ratchets.things.example.com', undefined, { spec: { versions: versions({ maxLength: 5 }, [{ rule: 'self.x < 3' }, { rule: 'self.y >= oldSelf.y' }]) } });
  });

  test.each([
    ['what did not change stays', { other: 'x' }, 200],
    ['an item with its key stays', { list: [{ k: 'one', v: old }, { k: 'two', v: 'short' }] }, 200],
    ['an item that changes is judged', { list: [{ k: 'one', v: `${old}!` }] }, 422],
    ['items without keys are judged with their list', { plain: [old, 'short'] }, 422],
    ['a change that is right', { name: 'short' }, 200],
    ['a change that is wrong', { name: 'wrong again' }, 422],
    ['rules judge what changes', { ruled: { y: 2 } }, 422],
    ['transition rules judge always', { ruled: { x: 1, y: 0 } }, 422],
    ['rules that hold', { ruled: { x: 1, y: 2 } }, 200],
  ])('%s', async (_name, spec, status) => {
    expect((await patch(spec)).status).toBe(status);
  });
});

test('autoscalers are one kind in two versions', async () => {
  const kubectl = async (...args: string[]) => (await server.kubectl(args)).stdout;
  expect(await kubectl('autoscale', 'deployment', 'web', '--min=2', '--max=5', '--cpu-percent=80')).toBe('');
  await server.kubectl(['create', 'deployment', 'web', '--image=a']);
  expect(await kubectl('autoscale', 'deployment', 'web', '--min=2', '--max=5', '--cpu-percent=80')).toBe('horizontalpodautoscaler.autoscaling/web autoscaled\n');
  expect(await kubectl('get', 'hpa', 'web', '-o', 'jsonpath={.apiVersion} {.spec.metrics[0].resource.target.averageUtilization}')).toBe('autoscaling/v2 80');
  expect(await kubectl('get', 'horizontalpodautoscalers.v1.autoscaling', 'web', '-o', 'jsonpath={.apiVersion} {.spec.targetCPUUtilizationPercentage} {.spec.metrics}')).toBe('autoscaling/v1 80 ');
  expect((await kubectl('get', 'hpa')).replaceAll(/ +/g, ' ')).toMatch(/^NAME REFERENCE TARGETS MINPODS MAXPODS REPLICAS AGE\nweb Deployment\/web cpu: <unknown>\/80% 2 5 0 /);
  await server.kubectl(['patch', 'hpa', 'web', '-p', '{"spec":{"metrics":[{"type":"Resource","resource":{"name":"memory","target":{"type":"AverageValue","averageValue":"1Gi"}}}]}}', '--type=merge']);
  const first = JSON.parse(await kubectl('get', 'horizontalpodautoscalers.v1.autoscaling', 'web', '-o', 'json')) as KubeObject;
  expect(first.metadata.annotations?.['autoscaling.alpha.kubernetes.io/metrics']).toContain('memory');
  const written = await server.fetch('/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers/web', { method: 'PUT', body: JSON.stringify(first), headers: { 'content-type': 'application/json' } });
  expect(written.status).toBe(200);
  expect(await kubectl('get', 'hpa', 'web', '-o', 'jsonpath={.spec.metrics[*].resource.name}')).toBe('memory');
});
