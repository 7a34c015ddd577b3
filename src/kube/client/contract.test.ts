/**
 * What the mesh relies on of an API server, the same cases for each: the embedded one over HTTPS, the embedded one in process, and any server whose
 * kubeconfig KUBECONFIG_UNDER_TEST names. Everything happens in a namespace of its own.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { KubeObject } from '../../objects/meta.ts';
import { CONFIG_MAP, DEPLOYMENT, NAMESPACE, POD, SERVICE_ACCOUNT } from '../../objects/resource-types.ts';
import { startTestServer, type TestServer } from '../server/testing.ts';
import type { KubeClient, WatchEvent } from './client.ts';
import { createHttpsClient } from './https-client.ts';
import { createInformer, type InformerEvent } from './informer.ts';
import { readKubeConfig } from './kube-config.ts';

interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}
interface Target {
  readonly name: string;
  /** Why it cannot be tested. */
  readonly missing?: string;
  readonly open: () => Promise<{ readonly client: KubeClient; readonly close: () => Promise<void> | void }>;
}

const underTest = process.env['KUBECONFIG_UNDER_TEST'];
const overHttps = (path: string, pageSize = 3): ReturnType<typeof createHttpsClient> => createHttpsClient(readKubeConfig({ path }), { pageSize });
const TARGETS: readonly Target[] = [
  {
    name: 'embedded, over HTTPS',
    async open() {
      const server: TestServer = await startTestServer();
      const client = overHttps(server.environment.KUBECONFIG);
      return { client, close: () => (client.close(), server.close()) };
    },
  },
  {
    name: 'embedded, in process',
    async open() {
      const server = await startTestServer();
      return { client: server.client, close: () => server.close() };
    },
  },
  {
    name: 'the server of KUBECONFIG_UNDER_TEST',
    ...(underTest ? {} : { missing: 'KUBECONFIG_UNDER_TEST is not set' }),
    async open() {
      const client = overHttps(underTest!);
      return { client, close: () => client.close() };
    },
  },
];
for (const { name, missing } of TARGETS) if (missing) process.stderr.write(`skipped: contract with ${name}, because ${missing}\n`);

const namespace = `meltemi-contract-${process.pid}-${Date.now().toString(36)}`;
const map = (name: string, data: Record<string, string> = {}, labels?: Record<string, string>): ConfigMap => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace, ...(labels ? { labels } : {}) }, data });

async function until(what: () => boolean): Promise<void> {
  for (let tries = 0; tries < 200 && !what(); tries++) await new Promise((resolve) => setTimeout(resolve, 25));
  expect(what()).toBe(true);
}

/** Events of one object type from a version on, until `count` have come. */
async function events(client: KubeClient, resourceVersion: string, count: number, change: () => Promise<void>, labelSelector?: string): Promise<string[]> {
  const end = new AbortController();
  const seen: string[] = [];
  const note = ({ type, object }: WatchEvent<ConfigMap>): void => void (type === 'BOOKMARK' || seen.push(`${type} ${object.metadata.name} ${object.data?.['n'] ?? ''}`.trim()));
  const watching = (async () => {
    for await (const event of client.watch<ConfigMap>(CONFIG_MAP, { namespace, resourceVersion, signal: end.signal, ...(labelSelector ? { labelSelector } : {}) })) note(event);
  })();
  await change();
  await until(() => seen.length >= count);
  end.abort();
  await watching;
  return seen;
}

describe.each(TARGETS)('$name', ({ missing, open }) => {
  let client: KubeClient;
  let close: () => Promise<void> | void;
  beforeAll(async () => {
    if (missing) return;
    ({ client, close } = await open());
    await client.create(NAMESPACE, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  });
  afterAll(async () => {
    if (missing) return;
    await client.delete(NAMESPACE, namespace);
    await close();
  });
  const check = test.skipIf(missing);

  check('what does not exist is undefined, and deleting it is fine', async () => {
    expect(await client.get(CONFIG_MAP, 'none', namespace)).toBeUndefined();
    await client.delete(CONFIG_MAP, 'none', namespace);
  });

  check('objects are made once', async () => {
    const made = await client.create(CONFIG_MAP, map('once', { n: '1' }));
    expect(made).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { uid: expect.any(String), resourceVersion: expect.any(String), creationTimestamp: expect.any(String) } });
    expect(await client.get(CONFIG_MAP, 'once', namespace)).toMatchObject({ kind: 'ConfigMap', apiVersion: 'v1', data: { n: '1' } });
    await expect(client.create(CONFIG_MAP, map('once'))).rejects.toMatchObject({ code: 409, reason: 'AlreadyExists' });
    await expect(client.create(CONFIG_MAP, { ...map('x'), metadata: { name: 'x', namespace: `${namespace}-not` } })).rejects.toMatchObject({ code: 404, reason: 'NotFound' });
    await expect(client.create(CONFIG_MAP, map('Not_A_Name'))).rejects.toMatchObject({ code: 422, reason: 'Invalid', details: { causes: [{ field: 'metadata.name' }] } });
  });

  check('an update of an old version is a conflict', async () => {
    const first = await client.create<ConfigMap>(CONFIG_MAP, map('versions', { n: '1' }));
    const second = await client.update<ConfigMap>(CONFIG_MAP, { ...first, data: { n: '2' } });
    expect(second.metadata.resourceVersion).not.toBe(first.metadata.resourceVersion);
    await expect(client.update<ConfigMap>(CONFIG_MAP, { ...first, data: { n: '3' } })).rejects.toMatchObject({ code: 409, reason: 'Conflict' });
    const same = await client.update<ConfigMap>(CONFIG_MAP, second);
    expect(same.metadata.resourceVersion).toBe(second.metadata.resourceVersion);
  });

  check('merge patches add, replace and remove', async () => {
    await client.create(CONFIG_MAP, map('patched', { a: '1', b: '2' }));
    expect(await client.mergePatch<ConfigMap>(CONFIG_MAP, 'patched', namespace, { data: { a: null, c: '3' } })).toMatchObject({ data: { b: '2', c: '3' } });
    await expect(client.mergePatch(CONFIG_MAP, 'nobody', namespace, {})).rejects.toMatchObject({ code: 404 });
  });

  check('apply makes, takes over and takes away what it does not name any more', async () => {
    await client.apply(CONFIG_MAP, map('applied', { a: '1', b: '1' }), { fieldManager: 'one' });
    await client.apply(CONFIG_MAP, map('applied', { c: '1' }), { fieldManager: 'two' });
    const after = await client.apply<ConfigMap>(CONFIG_MAP, map('applied', { a: '2' }), { fieldManager: 'one' });
    expect(after.data).toEqual({ a: '2', c: '1' });
    expect((await client.apply<ConfigMap>(CONFIG_MAP, map('applied', { a: '3' }), { fieldManager: 'two' })).data).toEqual({ a: '3' });
  });

  check('a dry run changes nothing', async () => {
    expect(await client.create<ConfigMap>(CONFIG_MAP, map('dry', { n: '1' }), { dryRun: true })).toMatchObject({ data: { n: '1' } });
    expect(await client.get(CONFIG_MAP, 'dry', namespace)).toBeUndefined();
  });

  check('lists are whole, in pages too, and can be chosen from', async () => {
    for (const index of [1, 2, 3, 4, 5, 6, 7]) await client.create(CONFIG_MAP, map(`list-${index}`, {}, { odd: String(index % 2 === 1), list: 'yes' }));
    const names = async (labelSelector: string) => (await client.list(CONFIG_MAP, { namespace, labelSelector })).items.map((item) => item.metadata.name);
    expect(await names('list=yes')).toEqual([1, 2, 3, 4, 5, 6, 7].map((index) => `list-${index}`));
    expect(await names('list,odd in (true)')).toEqual(['list-1', 'list-3', 'list-5', 'list-7']);
    expect(await names('list,odd!=true')).toEqual(['list-2', 'list-4', 'list-6']);
    const one = await client.list(CONFIG_MAP, { namespace, fieldSelector: 'metadata.name=list-3' });
    expect(one.items).toMatchObject([{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'list-3' } }]);
    expect(one.resourceVersion).not.toBe('');
  });

  check('a watch tells every change after a version, in order', async () => {
    const { resourceVersion } = await client.list(CONFIG_MAP, { namespace });
    const change = async (): Promise<void> => {
      await client.create(CONFIG_MAP, map('watched', { n: '1' }));
      for (const n of ['2', '3']) await client.mergePatch(CONFIG_MAP, 'watched', namespace, { data: { n } });
      await client.delete(CONFIG_MAP, 'watched', namespace);
    };
    const wanted = ['ADDED watched 1', 'MODIFIED watched 2', 'MODIFIED watched 3', 'DELETED watched 3'];
    expect(await events(client, resourceVersion, 4, change)).toEqual(wanted);
    // Again from the same version: it is told what happened meanwhile.
    expect(await events(client, resourceVersion, 4, async () => {})).toEqual(wanted);
  });

  check('a watch with a selector sees objects come and go', async () => {
    const { resourceVersion } = await client.list(CONFIG_MAP, { namespace });
    const change = async (): Promise<void> => {
      await client.create(CONFIG_MAP, map('moving', { n: '1' }));
      await client.mergePatch(CONFIG_MAP, 'moving', namespace, { metadata: { labels: { in: 'yes' } } });
      await client.mergePatch(CONFIG_MAP, 'moving', namespace, { metadata: { labels: { in: null } } });
    };
    expect(await events(client, resourceVersion, 2, change, 'in=yes')).toEqual(['ADDED moving 1', 'DELETED moving 1']);
  });

  check('a version nobody gave out is refused, not waited for', async () => {
    const end = new AbortController();
    const first = client.watch(CONFIG_MAP, { namespace, resourceVersion: '1', signal: end.signal })[Symbol.asyncIterator]().next();
    // Old versions are either still known or too old; nothing else.
    const outcome = await Promise.race([first.then(() => 'event', (thrown: { readonly code?: number }) => thrown.code), new Promise((resolve) => setTimeout(resolve, 500, 'quiet'))]);
    end.abort();
    expect(['event', 'quiet', 410]).toContain(outcome);
  });

  check('status is written apart from the rest', async () => {
    const labels = { app: 'contract' };
    const spec = { replicas: 0, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'example.com/none:1' }] } } };
    await client.create(DEPLOYMENT, { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd', namespace }, spec } as KubeObject);
    const written = await client.mergePatch(DEPLOYMENT, 'd', namespace, { spec: { replicas: 9 }, status: { conditions: [{ type: 'Contract', status: 'True', lastTransitionTime: '2024-01-01T00:00:00Z', lastUpdateTime: '2024-01-01T00:00:00Z', reason: 'R', message: 'm' }] } }, { subresource: 'status' });
    expect(written).toMatchObject({ spec: { replicas: 0 }, metadata: { generation: 1 } });
    expect(await client.mergePatch(DEPLOYMENT, 'd', namespace, { spec: { replicas: 0 } }, { subresource: 'scale' })).toMatchObject({ kind: 'Scale' });
  });

  check('finalizers hold an object until they are gone', async () => {
    await client.create(CONFIG_MAP, { ...map('held'), metadata: { name: 'held', namespace, finalizers: ['example.com/wait'] } });
    await client.delete(CONFIG_MAP, 'held', namespace);
    expect((await client.get(CONFIG_MAP, 'held', namespace))?.metadata.deletionTimestamp).toBeDefined();
    await client.mergePatch(CONFIG_MAP, 'held', namespace, { metadata: { finalizers: null } });
    expect(await client.get(CONFIG_MAP, 'held', namespace)).toBeUndefined();
  });

  check('preconditions are obeyed', async () => {
    await client.create(CONFIG_MAP, map('guarded'));
    await expect(client.delete(CONFIG_MAP, 'guarded', namespace, { preconditions: { uid: '0' } })).rejects.toMatchObject({ code: 409 });
  });

  check('tokens are issued for accounts', async () => {
    await client.create(SERVICE_ACCOUNT, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'sa', namespace } });
    const answer = await client.post<{ status: { token: string } }>(`/api/v1/namespaces/${namespace}/serviceaccounts/sa/token`, { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { audiences: ['istio-ca'], expirationSeconds: 600 } });
    const review = await client.post<{ status: { authenticated: boolean; user: { username: string } } }>('/apis/authentication.k8s.io/v1/tokenreviews', { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token: answer.status.token, audiences: ['istio-ca'] } });
    expect(review.status).toMatchObject({ authenticated: true, user: { username: `system:serviceaccount:${namespace}:sa` } });
  });

  check('an informer is complete, and told of what is made anew under an old name', async () => {
    const end = new AbortController();
    await client.create(CONFIG_MAP, map('informed', { n: '1' }, { informer: 'yes' }));
    const informer = createInformer<ConfigMap>(client, CONFIG_MAP, { namespace, labelSelector: 'informer=yes', signal: end.signal });
    const seen: string[] = [];
    informer.onEvent((event: InformerEvent<ConfigMap>) => seen.push(`${event.type} ${event.object.metadata.name} ${event.object.data?.['n'] ?? ''}`));
    await informer.synced;
    expect([...informer.items().keys()]).toEqual([`${namespace}/informed`]);
    await client.mergePatch(CONFIG_MAP, 'informed', namespace, { data: { n: '2' } });
    await client.delete(CONFIG_MAP, 'informed', namespace);
    await client.create(CONFIG_MAP, map('informed', { n: '3' }, { informer: 'yes' }));
    await until(() => seen.length >= 4);
    end.abort();
    expect(seen).toEqual(['added informed 1', 'updated informed 2', 'deleted informed 2', 'added informed 3']);
  });

  check('kinds that are not served are not found', async () => {
    await expect(client.list({ group: 'nothing.example.com', version: 'v1', kind: 'Nothing', plural: 'nothings', namespaced: true }, { namespace })).rejects.toMatchObject({ code: 404 });
    await expect(client.list(POD, { namespace, labelSelector: 'a in (' })).rejects.toMatchObject({ code: 400 });
  });
});
