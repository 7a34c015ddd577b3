import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findKind, KINDS } from '../../objects/registry.ts';
import { CUSTOM_RESOURCE_DEFINITION, SERVICE_ENTRY } from '../../objects/resource-types.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { ApiError } from '../client/client.ts';
import { crdOf } from './api/crd.ts';
import { clone, equal, isObject, shareUnchanged } from './json.ts';
import { openApiIndex } from './api/openapi.ts';
import { ResourceTable } from './api/resources.ts';
import { jsonPatch } from './patch/json-patch.ts';
import { mergePatch } from './patch/merge-patch.ts';
import { strategicMergePatch } from './patch/strategic.ts';
import { applyConfiguration, trackUpdate } from './patch/managed-fields.ts';
import { startTestServer, type TestServer } from './testing.ts';
import { toTable } from './table/table.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const container = { name: 'a', image: 'a:1', env: [{ name: 'A', value: 'b' }], ports: [{ containerPort: 80, name: 'http' }], volumeMounts: [{ name: 'v', mountPath: '/v' }] };
const template = { metadata: { labels: { app: 'x' } }, spec: { containers: [container], volumes: [{ name: 'v', configMap: { name: 'c' } }] } };
const GOOD: readonly (KubeObject & Record<string, unknown>)[] = [
  { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'x', namespace: 'default' }, spec: template.spec },
  { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'x', namespace: 'default' }, spec: { replicas: 1, selector: { matchLabels: { app: 'x' } }, template, strategy: { rollingUpdate: { maxSurge: 1 } } } },
  { apiVersion: 'v1', kind: 'Service', metadata: { name: 'x', namespace: 'default' }, spec: { type: 'NodePort', ports: [{ port: 80, name: 'http', nodePort: 30001 }], selector: { app: 'x' } } },
  { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'x', namespace: 'default' }, data: { a: 'Yg==' }, stringData: { c: 'd' } },
  { apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', metadata: { name: 'x', namespace: 'default' }, spec: { rules: [{ host: 'a', http: { paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 's', port: { number: 80 } } } }] } }] } },
  { apiVersion: 'admissionregistration.k8s.io/v1', kind: 'ValidatingWebhookConfiguration', metadata: { name: 'x' }, webhooks: [{ name: 'a.b.c', clientConfig: { url: 'https://127.0.0.1:1/x' }, sideEffects: 'None', admissionReviewVersions: ['v1'], rules: [{ apiGroups: ['none'], apiVersions: ['v1'], operations: ['*'], resources: ['none'] }] }] },
  crdOf(findKind('networking.istio.io', 'ServiceEntry')!) as unknown as KubeObject & Record<string, unknown>,
];
const strange = fc.oneof(fc.constantFrom<unknown>(null, '', 0, -1, 1e21, true, [], {}, [null], [[]], [{}], { a: null }, '__proto__', { constructor: 1 }), fc.jsonValue({ maxDepth: 3 }));

/** Puts a strange value somewhere into an object. */
function damage(object: unknown, path: readonly number[], value: unknown): unknown {
  if ((!isObject(object) && !Array.isArray(object)) || path.length === 0) return value;
  const keys = Object.keys(object);
  if (keys.length === 0) return value;
  const key = keys[path[0]! % keys.length]!;
  (object as Record<string, unknown>)[key] = damage((object as Record<string, unknown>)[key], path.slice(1), value);
  return object;
}
const damaged = fc.tuple(fc.nat(GOOD.length - 1), fc.array(fc.nat(20), { minLength: 1, maxLength: 9 }), strange).map(([index, path, value]) => ({ good: GOOD[index]!, bad: damage(clone(GOOD[index]), path, value) }));
const typeOf = (object: KubeObject) => {
  const info = KINDS.find((one) => one.kind === object.kind)!;
  return { group: info.group, version: info.versions[0]!, kind: info.kind, plural: info.plural, namespaced: info.namespaced };
};

/** The API's own refusals are expected; anything else, and a 500, is a bug. */
async function refusedInOrder(work: Promise<unknown>): Promise<void> {
  await work.catch((thrown: unknown) => {
    if (!(thrown instanceof ApiError)) throw thrown;
    expect(thrown.code, thrown.message).not.toBe(500);
  });
}

test('damaged objects are stored or refused, never a failure of the server', async () => {
  await fc.assert(
    fc.asyncProperty(damaged, async ({ good, bad }) => {
      const type = typeOf(good);
      const { client } = server;
      const object = (isObject(bad) ? bad : {}) as unknown as KubeObject;
      const body = { ...object, metadata: isObject(object.metadata) ? object.metadata : good.metadata };
      await refusedInOrder(client.create(type, { ...body, metadata: { ...(body.metadata as object), namespace: good.metadata.namespace } } as KubeObject));
      await refusedInOrder(client.mergePatch(type, good.metadata.name, good.metadata.namespace, bad));
      // A stored definition may be damaged too; its objects are refused or stored.
      if (good.kind === 'CustomResourceDefinition') {
        const entry = { apiVersion: 'networking.istio.io/v1', kind: 'ServiceEntry', metadata: { name: 'x', namespace: 'default' }, spec: { hosts: ['a'], ports: [{ number: 1, name: 'a' }], foo: { bar: null } } };
        await refusedInOrder(client.create(SERVICE_ENTRY, entry));
        const answer = await server.fetch('/apis/networking.istio.io/v1/serviceentries', { headers: { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' } });
        expect([200, 404], answer.body).toContain(answer.status);
        expect((await server.fetch('/openapi/v3')).status).toBe(200);
      }
      await refusedInOrder(client.apply(type, { ...body, metadata: { ...(body.metadata as object), name: good.metadata.name, namespace: good.metadata.namespace } } as KubeObject, { fieldManager: 'fuzz' }));
      await refusedInOrder(client.delete(type, good.metadata.name, good.metadata.namespace, { gracePeriodSeconds: 0 }));
    }),
    { numRuns: Number(process.env['FUZZ_RUNS'] ?? 400) },
  );
}, 60_000);

test('patches, tables and ownership take any value', () => {
  const table = new ResourceTable(KINDS);
  expect(Object.keys((openApiIndex(table) as { paths: object }).paths).length).toBeGreaterThan(10);
  fc.assert(
    fc.property(damaged, strange, ({ good, bad }, other) => {
      const info = findKind(good.apiVersion.includes('/') ? good.apiVersion.split('/')[0]! : '', good.kind)!;
      const resource = table.find(info.group, info.versions[0]!, info.plural)!;
      for (const work of [
        () => jsonPatch(good, [{ op: 'add', path: '/metadata/x', value: other }, { op: 'test', path: '/metadata/x', value: other }]),
        () => mergePatch(good, bad), () => strategicMergePatch(good, bad, info.schema), () => strategicMergePatch(bad, good, info.schema),
        () => applyConfiguration(good, isObject(bad) ? bad : {}, info.schema, { manager: 'a', apiVersion: 'v1', time: '' }, true),
        () => trackUpdate(bad, good, info.schema, { manager: 'a', apiVersion: 'v1', time: '' }),
        () => toTable(resource, [{ ...(isObject(bad) ? bad : {}), metadata: good.metadata } as unknown as KubeObject], {}, 'Metadata', 0),
      ]) {
        try {
          work();
        } catch (thrown) {
          if (!(thrown instanceof ApiError)) throw thrown;
        }
      }
      expect(good).toEqual(clone(good));
    }),
    { numRuns: 500 },
  );
});

test('sharing unchanged parts never changes the value', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), fc.jsonValue({ maxDepth: 4 }), (before, after) => {
      const wanted = JSON.stringify(after);
      const shared = shareUnchanged(before, clone(after));
      expect(equal(shared, after)).toBe(true);
      expect(equal(JSON.parse(wanted), after)).toBe(true);
    }),
  );
});

test('the definition of every custom kind is accepted', async () => {
  for (const info of KINDS.filter((one) => one.custom)) await server.client.apply(CUSTOM_RESOURCE_DEFINITION, crdOf(info), { fieldManager: 'install' });
});
