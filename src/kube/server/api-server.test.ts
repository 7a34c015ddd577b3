import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { KubeObject } from '../../objects/meta.ts';
import { CLUSTER_ROLE_BINDING, CONFIG_MAP, NAMESPACE, POD, SERVICE, SERVICE_ACCOUNT } from '../../objects/resource-types.ts';
import type { WatchEvent } from '../client/client.ts';
import type { Environment } from './rest/context.ts';
import { deleteOldEvents } from './rest/expire-events.ts';
import { openMemoryStore } from './store/memory.ts';
import { startTestServer, type TestServer } from './testing.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const configMap = (name: string, data: Record<string, string> = {}): KubeObject & { data: Record<string, string> } => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' }, data });
const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';
const json = { 'content-type': 'application/json' };

describe('requests', () => {
  test.each([
    ['no credentials', '/api', { anonymous: true }, 401, 'Unauthorized'],
    ['a made-up token', '/api', { anonymous: true, headers: { authorization: 'Bearer a.b.c' } }, 401, 'Unauthorized'],
    ['an unknown path', '/nope', {}, 404, 'NotFound'],
    ['an unknown resource', '/api/v1/nopes', {}, 404, 'NotFound'],
    ['an encoded slash in a name', `${CONFIG_MAPS}/a%2fb`, {}, 404, 'NotFound'],
    ['broken JSON', CONFIG_MAPS, { method: 'POST', body: '{', headers: json }, 400, 'BadRequest'],
    ['deep nesting', CONFIG_MAPS, { method: 'POST', body: '['.repeat(100_000), headers: json }, 400, 'BadRequest'],
    ['deep nesting in YAML', CONFIG_MAPS, { method: 'POST', body: '- '.repeat(3000), headers: { 'content-type': 'application/yaml' } }, 400, 'BadRequest'],
    ['another kind', CONFIG_MAPS, { method: 'POST', body: '{"kind":"Secret","apiVersion":"v1"}', headers: json }, 400, 'BadRequest'],
    ['an unknown media type', CONFIG_MAPS, { method: 'POST', body: 'x', headers: { 'content-type': 'text/plain' } }, 415, 'UnsupportedMediaType'],
    ['broken protobuf', CONFIG_MAPS, { method: 'POST', body: Buffer.from('k8s\0\xff\xff\xff', 'latin1'), headers: { 'content-type': 'application/vnd.kubernetes.protobuf' } }, 400, 'BadRequest'],
    ['a table nobody knows', CONFIG_MAPS, { headers: { accept: 'text/html' } }, 406, 'NotAcceptable'],
    ['a watch of the past', `${CONFIG_MAPS}?watch=1&resourceVersion=0001x`, {}, 400, 'BadRequest'],
    ['exec', '/api/v1/namespaces/default/pods/x/exec', { method: 'POST' }, 405, 'MethodNotAllowed'],
  ])('%s', async (_name, path, options, status, reason) => {
    const answer = await server.fetch(path, options);
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.body)).toMatchObject({ kind: 'Status', status: 'Failure', reason, code: status });
  });

  test('a body over 3 MiB', async () => {
    const answer = await server.fetch(CONFIG_MAPS, { method: 'POST', body: 'x'.repeat(3 * 1024 * 1024 + 1), headers: json });
    expect(answer.status).toBe(413);
  });

  test('health and version need no credentials', async () => {
    for (const path of ['/healthz', '/livez', '/readyz', '/version']) expect((await server.fetch(path, { anonymous: true })).status).toBe(200);
  });

  test('fields named like properties of Object.prototype are data', async () => {
    const body = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"proto","labels":{"constructor":"a"}},"data":{"__proto__":"x","toString":"y"}}';
    expect((await server.fetch(CONFIG_MAPS, { method: 'POST', body, headers: json })).status).toBe(201);
    expect(({} as { x?: string }).x).toBeUndefined();
    const stored = JSON.parse((await server.fetch(`${CONFIG_MAPS}/proto`)).body) as { data: object };
    expect(Object.keys(stored.data).sort()).toEqual(['__proto__', 'toString']);
    expect((await server.fetch('/apis/__proto__/v1/constructor')).status).toBe(404);
  });

  test('a certificate of another authority is refused', async () => {
    const other = await startTestServer();
    const status = await new Promise<string>((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port: server.port, ca: server.pki.ca.certPem, cert: other.pki.admin.certPem, key: other.pki.admin.keyPem }, () => socket.write('GET /api HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'));
      socket.on('data', (data) => resolve(data.toString().split('\r\n')[0]!));
      socket.on('error', reject);
    });
    expect(status).toBe('HTTP/1.1 401 Unauthorized');
    await other.close();
  });
});

test('large answers are compressed for those who ask, small ones never', async () => {
  for (let index = 0; index < 3; index++) await server.client.create(CONFIG_MAP, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: `large-${index}`, namespace: 'default' }, data: { text: 'x'.repeat(60_000) } } as never);
  const path = '/api/v1/namespaces/default/configmaps';
  expect((await server.fetch(path)).headers['content-encoding']).toBeUndefined();
  const packed = await server.fetch(path, { headers: { 'accept-encoding': 'gzip' } });
  expect(packed.headers['content-encoding']).toBe('gzip');
  expect(Number(packed.headers['content-length'])).toBeLessThan(10_000);
  expect((await server.fetch(`${path}/large-0`, { headers: { 'accept-encoding': 'gzip' } })).headers['content-encoding']).toBeUndefined();
  expect((await server.fetch(path, { headers: { 'accept-encoding': 'gzip;q=0' } })).headers['content-encoding']).toBeUndefined();
  for (let index = 0; index < 3; index++) await server.client.delete(CONFIG_MAP, `large-${index}`, 'default');
});

describe('the in-process client', () => {
  test('creates, reads, updates with a version, deletes', async () => {
    const { client } = server;
    const created = await client.create(CONFIG_MAP, configMap('a', { x: '1' }));
    await expect(client.create(CONFIG_MAP, configMap('a'))).rejects.toMatchObject({ code: 409, reason: 'AlreadyExists' });
    const updated = await client.update(CONFIG_MAP, { ...created, data: { x: '2' } });
    await expect(client.update(CONFIG_MAP, { ...created, data: { x: '3' } })).rejects.toMatchObject({ code: 409, reason: 'Conflict' });
    expect(await client.update(CONFIG_MAP, updated)).toBe(await client.get(CONFIG_MAP, 'a', 'default'));
    await client.delete(CONFIG_MAP, 'a', 'default');
    await client.delete(CONFIG_MAP, 'a', 'default');
    expect(await client.get(CONFIG_MAP, 'a', 'default')).toBeUndefined();
  });

  test('loses no change when many patch one object at a time', async () => {
    const { client } = server;
    await client.create(CONFIG_MAP, configMap('busy'));
    await Promise.all(Array.from({ length: 20 }, (_, index) => client.mergePatch(CONFIG_MAP, 'busy', 'default', { data: { [`k${index}`]: 'v' } })));
    expect(Object.keys((await client.get<ReturnType<typeof configMap>>(CONFIG_MAP, 'busy', 'default'))!.data)).toHaveLength(20);
  });

  test('watches with a selector: leaving it is a deletion', async () => {
    const { client } = server;
    const { resourceVersion } = await client.list(CONFIG_MAP);
    const abort = new AbortController();
    const seen: string[] = [];
    const watching = (async () => {
      for await (const event of client.watch(CONFIG_MAP, { namespace: 'default', labelSelector: 'watched', resourceVersion, signal: abort.signal }) as AsyncIterable<WatchEvent<KubeObject>>) {
        seen.push(`${event.type} ${event.object.metadata.name}`);
        if (seen.length === 4) abort.abort();
      }
    })();
    await client.create(CONFIG_MAP, configMap('w'));
    await client.mergePatch(CONFIG_MAP, 'w', 'default', { metadata: { labels: { watched: 'yes' } } });
    await client.mergePatch(CONFIG_MAP, 'w', 'default', { data: { a: 'b' } });
    await client.mergePatch(CONFIG_MAP, 'w', 'default', { metadata: { labels: { watched: null } } });
    await client.mergePatch(CONFIG_MAP, 'w', 'default', { metadata: { labels: { watched: 'again' } } });
    await watching;
    expect(seen).toEqual(['ADDED w', 'MODIFIED w', 'DELETED w', 'ADDED w']);
  });

  test('keeps an object with a finalizer until it is gone', async () => {
    const { client } = server;
    await client.create(CONFIG_MAP, { ...configMap('held'), metadata: { name: 'held', namespace: 'default', finalizers: ['example.com/hold'] } });
    await client.delete(CONFIG_MAP, 'held', 'default');
    expect((await client.get(CONFIG_MAP, 'held', 'default'))?.metadata.deletionTimestamp).toBeDefined();
    await client.mergePatch(CONFIG_MAP, 'held', 'default', { metadata: { finalizers: null } });
    expect(await client.get(CONFIG_MAP, 'held', 'default')).toBeUndefined();
  });

  test('ends a namespace in two steps', async () => {
    const { client } = server;
    const namespace = await client.create(NAMESPACE, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'ending' } });
    expect(namespace).toMatchObject({ spec: { finalizers: ['kubernetes'] }, status: { phase: 'Active' }, metadata: { labels: { 'kubernetes.io/metadata.name': 'ending' } } });
    await client.delete(NAMESPACE, 'ending');
    const ending = (await client.get(NAMESPACE, 'ending'))!;
    expect(ending).toMatchObject({ status: { phase: 'Terminating' } });
    await expect(client.create(CONFIG_MAP, { ...configMap('x'), metadata: { name: 'x', namespace: 'ending' } })).rejects.toMatchObject({ code: 403 });
    await client.update(NAMESPACE, { ...ending, spec: { finalizers: [] } } as KubeObject, { subresource: 'finalize' });
    expect(await client.get(NAMESPACE, 'ending')).toBeUndefined();
  });

  test('gives addresses to services, keeps them, and refuses taken ones', async () => {
    const { client } = server;
    const service = (name: string, spec: object): KubeObject => ({ apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'default' }, spec: { ports: [{ port: 80 }], ...spec } }) as KubeObject;
    const dns = await client.create(SERVICE, service('dns', { clusterIP: '10.96.0.10' }));
    expect(dns).toMatchObject({ spec: { clusterIP: '10.96.0.10', clusterIPs: ['10.96.0.10'], ipFamilies: ['IPv4'], ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }] } });
    await expect(client.create(SERVICE, service('thief', { clusterIP: '10.96.0.10' }))).rejects.toMatchObject({ code: 422, message: expect.stringContaining('provided IP is already allocated') });
    await expect(client.create(SERVICE, service('far', { clusterIP: '192.0.2.1' }))).rejects.toMatchObject({ code: 422 });
    expect(await client.create(SERVICE, service('headless', { clusterIP: 'None' }))).toMatchObject({ spec: { clusterIP: 'None' } });
    const many = await Promise.all(Array.from({ length: 30 }, (_, index) => client.create(SERVICE, service(`s${index}`, {}))));
    expect(new Set(many.map((one) => (one as unknown as { spec: { clusterIP: string } }).spec.clusterIP)).size).toBe(30);
    const replaced = await client.update(SERVICE, service('s0', { ports: [{ port: 81 }] }));
    expect((replaced as unknown as { spec: { clusterIP: string } }).spec.clusterIP).toBe((many[0] as unknown as { spec: { clusterIP: string } }).spec.clusterIP);
  });

  test('issues tokens bound to a pod and knows them again until the pod is gone', async () => {
    const { client } = server;
    const pod = await client.create(POD, { apiVersion: 'v1', kind: 'Pod', metadata: { generateName: 'token-', namespace: 'default' }, spec: { containers: [{ name: 'a', image: 'a' }] } } as unknown as KubeObject);
    const bound = { kind: 'Pod', apiVersion: 'v1', name: pod.metadata.name, uid: pod.metadata.uid };
    const issued = await client.post<{ status: { token: string } }>('/api/v1/namespaces/default/serviceaccounts/default/token', { spec: { audiences: ['istio-ca'], expirationSeconds: 600, boundObjectRef: bound } });
    const review = (audiences: string[]) => client.post<{ status: { authenticated?: boolean; user: { username?: string } } }>('/apis/authentication.k8s.io/v1/tokenreviews', { spec: { token: issued.status.token, audiences } });
    expect((await review(['istio-ca'])).status).toMatchObject({ authenticated: true, user: { username: 'system:serviceaccount:default:default', extra: { 'authentication.kubernetes.io/pod-name': [pod.metadata.name] } } });
    expect((await review([])).status.authenticated).toBeUndefined();
    const headers = { authorization: `Bearer ${issued.status.token}` };
    expect((await server.fetch('/api/v1/pods', { anonymous: true, headers })).status).toBe(401);
    const own = await client.post<{ status: { token: string } }>('/api/v1/namespaces/default/serviceaccounts/default/token', { spec: { boundObjectRef: bound } });
    const allowed = { anonymous: true, headers: { authorization: `Bearer ${own.status.token}` } };
    expect((await server.fetch('/api/v1/pods', allowed)).status).toBe(403);
    await client.create(CLUSTER_ROLE_BINDING, { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRoleBinding', metadata: { name: 'sees' }, roleRef: { kind: 'ClusterRole', name: 'view' }, subjects: [{ kind: 'Group', name: 'system:serviceaccounts' }] } as never);
    expect((await server.fetch('/api/v1/pods', allowed)).status).toBe(200);
    await client.delete(POD, pod.metadata.name, 'default');
    expect((await server.fetch('/api/v1/pods', allowed)).status).toBe(401);
    expect((await review(['istio-ca'])).status.authenticated).toBeUndefined();
    await expect(client.post('/api/v1/namespaces/default/serviceaccounts/nobody/token', { spec: {} })).rejects.toMatchObject({ code: 404 });
  });

  test('mounts the token volume, and waits for the account of a new namespace', async () => {
    const { client } = server;
    await client.create(NAMESPACE, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'late' } });
    const creating = client.create(POD, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'late' }, spec: { containers: [{ name: 'a', image: 'a' }] } } as KubeObject);
    await new Promise((resolve) => setTimeout(resolve, 60));
    await client.create(SERVICE_ACCOUNT, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: 'late' } });
    expect(await creating).toMatchObject({
      spec: { serviceAccountName: 'default', containers: [{ volumeMounts: [{ mountPath: '/var/run/secrets/kubernetes.io/serviceaccount', readOnly: true }], imagePullPolicy: 'Always' }] },
      status: { phase: 'Pending', qosClass: 'BestEffort' },
    });
  });

  test('lists in pages', async () => {
    const first = JSON.parse((await server.fetch('/api/v1/services?limit=5')).body) as { items: unknown[]; metadata: { continue: string; remainingItemCount: number } };
    expect(first.items).toHaveLength(5);
    const rest = JSON.parse((await server.fetch(`/api/v1/services?continue=${first.metadata.continue}`)).body) as { items: unknown[] };
    expect(rest.items).toHaveLength(first.metadata.remainingItemCount);
  });
});

test('events are forgotten an hour after they were last seen', async () => {
  const store = openMemoryStore();
  let now = Date.parse('2024-01-01T00:00:00Z');
  const env = { store, now: () => now } as unknown as Environment;
  const event = (name: string, lastTimestamp: string): KubeObject => ({ apiVersion: 'v1', kind: 'Event', metadata: { name, namespace: 'default', creationTimestamp: '2024-01-01T00:00:00Z' }, lastTimestamp }) as KubeObject;
  await store.put('/core/events/default/old', event('old', '2024-01-01T00:00:00Z'), 0);
  await store.put('/core/events/default/repeated', event('repeated', '2024-01-01T00:30:00Z'), 0);
  now += 3_600_001;
  await deleteOldEvents(env);
  expect(store.list('/core/events/').map((entry) => entry.object.metadata.name)).toEqual(['repeated']);
});

test('watches over HTTP end with the server, and nothing is lost in between', async () => {
  const other = await startTestServer();
  const { resourceVersion } = await other.client.list(CONFIG_MAP);
  const streaming = other.fetch(`/api/v1/configmaps?watch=1&allowWatchBookmarks=1&resourceVersion=${resourceVersion}`);
  await other.client.create(CONFIG_MAP, configMap('one'));
  await new Promise((resolve) => setTimeout(resolve, 100));
  await other.client.create(CONFIG_MAP, configMap('two'));
  await new Promise((resolve) => setTimeout(resolve, 50));
  await other.close();
  const lines = (await streaming).body.trim().split('\n').map((line) => JSON.parse(line) as { type: string; object: KubeObject });
  expect(lines.map((line) => `${line.type} ${line.object.metadata.name}`)).toEqual(['ADDED one', 'ADDED two', 'BOOKMARK ']);
});
