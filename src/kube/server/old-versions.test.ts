/** Versions and kinds of the past, as old files use them. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CUSTOM_RESOURCE_DEFINITION, INGRESS, MESH_POLICY } from '../../objects/resource-types.ts';
import { LEGACY_KINDS } from '../../objects/istio/legacy/kinds.ts';
import { SMI_KINDS } from '../../objects/smi/kinds.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { crdOf } from './api/crd.ts';
import { startTestServer, type TestServer } from './testing.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
  for (const info of [...LEGACY_KINDS, ...SMI_KINDS]) await server.client.apply(CUSTOM_RESOURCE_DEFINITION, crdOf(info), { fieldManager: 'install' });
});
afterAll(() => server.close());

const ingress = (apiVersion: string, spec: unknown, name = 'i'): KubeObject => ({ apiVersion, kind: 'Ingress', metadata: { name, namespace: 'default' }, spec }) as KubeObject;
const OLD = { backend: { serviceName: 'web', servicePort: 'http' }, rules: [{ host: 'a', http: { paths: [{ path: '/', backend: { serviceName: 'web', servicePort: 80 } }] } }] };

test('an Ingress of v1beta1 is stored as v1', async () => {
  await server.client.create({ ...INGRESS, version: 'v1beta1' }, ingress('networking.k8s.io/v1beta1', OLD));
  expect(await server.client.get(INGRESS, 'i', 'default')).toMatchObject({
    apiVersion: 'networking.k8s.io/v1',
    spec: { defaultBackend: { service: { name: 'web', port: { name: 'http' } } }, rules: [{ http: { paths: [{ pathType: 'ImplementationSpecific', backend: { service: { name: 'web', port: { number: 80 } } } }] } }] },
  });
});

test('v1 does not know the fields of v1beta1, and says what they are called now', async () => {
  await expect(server.client.create(INGRESS, ingress('networking.k8s.io/v1', OLD, 'new'))).rejects.toThrow(/defaultBackend|pathType/);
});

test('kinds that Istio gave up are served', async () => {
  await server.client.create(MESH_POLICY, { apiVersion: 'authentication.istio.io/v1alpha1', kind: 'MeshPolicy', metadata: { name: 'default' }, spec: { peers: [{ mtls: null }] } } as unknown as KubeObject);
  expect(await server.client.get(MESH_POLICY, 'default')).toMatchObject({ spec: { peers: [{ mtls: null }] } });
});

test('a field on the wrong level is refused with the object that was meant', async () => {
  const object = { apiVersion: 'v1', kind: 'Service', metadata: { name: 's', annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{}' } }, spec: { ports: [{ port: 80 }] }, selector: { app: 's' } };
  const send = (body: unknown) => server.fetch('/api/v1/namespaces/default/services?fieldValidation=Strict', { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } });
  const { status, body } = await send(object);
  expect(status).toBe(400);
  expect((JSON.parse(body) as { message: string }).message).toMatch(/unknown field "selector"\nIt was probably meant like this:[\s\S]*metadata:\n {2}name: s\nspec:\n {2}ports:\n {4}- port: 80\n {2}selector:\n {4}app: s\n$/);
  expect((await send({ ...object, colour: 'blue' })).body).not.toContain('meant');
});
