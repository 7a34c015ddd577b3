import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CertificateAuthority, createSelfSignedCa } from '../../identity/ca.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { NODE, POD, VIRTUAL_SERVICE } from '../../objects/resource-types.ts';
import { ApiError } from './client.ts';
import { createHttpsClient, type HttpsKubeClient } from './https-client.ts';
import { createInformer } from './informer.ts';
import { inClusterAccess, readKubeConfig } from './kube-config.ts';

interface Seen {
  readonly line: string;
  readonly type: string | undefined;
  readonly authorization: string | undefined;
  readonly body: unknown;
}
type Answer = (request: IncomingMessage, response: ServerResponse, body: unknown) => void;

const json = (response: ServerResponse, status: number, body: unknown): void => void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
const notFound = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'NotFound', code: 404, message: 'pods "x" not found' };

let directory: string;
let server: Server;
let seen: Seen[];
let answer: Answer;
let client: HttpsKubeClient;

const listener = (request: IncomingMessage, response: ServerResponse): void => {
  let text = '';
  request.on('data', (chunk: Buffer) => (text += chunk.toString()));
  request.on('end', () => {
    const body: unknown = text === '' ? undefined : JSON.parse(text);
    seen.push({ line: `${request.method} ${request.url}`, type: request.headers['content-type'], authorization: request.headers.authorization, body });
    answer(request, response, body);
  });
};

async function listen(target: Server): Promise<number> {
  await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve));
  return (target.address() as AddressInfo).port;
}

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'meltemi-client-'));
  seen = [];
  answer = (_, response, body) => json(response, 200, body ?? {});
  server = createServer(listener);
  const port = await listen(server);
  const config = { clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${port}/` } }], users: [{ name: 'u', user: { token: 't1' } }], contexts: [{ name: 'x', context: { cluster: 'c', user: 'u', namespace: 'home' } }], 'current-context': 'x' };
  const path = join(directory, 'config');
  writeFileSync(path, JSON.stringify(config));
  client = createHttpsClient(readKubeConfig({ path }), { timeoutMs: 5000 });
});
afterEach(async () => {
  client.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(directory, { recursive: true });
});

const pod: KubeObject = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a', namespace: 'ns' } };

test('lists come in pages; one that grows too old meanwhile is fetched whole', async () => {
  const page = (names: readonly string[], next?: string) => ({ items: names.map((name) => ({ ...pod, metadata: { name } })), metadata: { resourceVersion: '7', ...(next ? { continue: next } : {}) } });
  answer = (request, response) => json(response, 200, request.url!.includes('continue=two') ? page(['c']) : page(['a', 'b'], 'two'));
  expect((await client.list(POD, { namespace: 'ns' })).items.map((item) => item.metadata.name)).toEqual(['a', 'b', 'c']);
  answer = (request, response) => {
    if (request.url!.includes('continue=')) json(response, 410, { kind: 'Status', reason: 'Expired', code: 410 });
    else json(response, 200, request.url!.includes('limit=') ? page(['a'], 'two') : page(['x', 'y']));
  };
  expect((await client.list(POD, { namespace: 'ns' })).items.map((item) => item.metadata.name)).toEqual(['x', 'y']);
  answer = (_, response) => json(response, 410, { kind: 'Status', reason: 'Expired', code: 410 });
  await expect(client.list(POD)).rejects.toMatchObject({ code: 410 });
});

describe('requests', () => {
  test.each<[string, () => Promise<unknown>, Partial<Seen>]>([
    ['get', () => client.get(POD, 'a', 'ns'), { line: 'GET /api/v1/namespaces/ns/pods/a' }],
    ['get in the own namespace', () => client.get(POD, 'a'), { line: 'GET /api/v1/namespaces/home/pods/a' }],
    ['get cluster-scoped', () => client.get(NODE, 'n', 'ignored'), { line: 'GET /api/v1/nodes/n' }],
    ['list everywhere', () => client.list(VIRTUAL_SERVICE), { line: 'GET /apis/networking.istio.io/v1/virtualservices?limit=500' }],
    ['list selected', () => client.list(POD, { namespace: 'ns', labelSelector: 'a=b,c' }), { line: 'GET /api/v1/namespaces/ns/pods?labelSelector=a%3Db%2Cc&limit=500' }],
    ['create', () => client.create(POD, pod), { line: 'POST /api/v1/namespaces/ns/pods', type: 'application/json', body: pod }],
    ['update status', () => client.update(POD, pod, { subresource: 'status', fieldManager: 'm' }), { line: 'PUT /api/v1/namespaces/ns/pods/a/status?fieldManager=m', body: pod }],
    ['merge patch', () => client.mergePatch(POD, 'a', 'ns', { x: null }, { dryRun: true }), { line: 'PATCH /api/v1/namespaces/ns/pods/a?dryRun=All', type: 'application/merge-patch+json', body: { x: null } }],
    ['apply', () => client.apply(POD, { ...pod, metadata: { ...pod.metadata, managedFields: [] } }, { fieldManager: 'm' }), { line: 'PATCH /api/v1/namespaces/ns/pods/a?fieldManager=m&force=true', type: 'application/apply-patch+yaml', body: pod }],
    ['delete', () => client.delete(POD, 'a', 'ns', { propagationPolicy: 'Background' }), { line: 'DELETE /api/v1/namespaces/ns/pods/a', body: { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Background' } }],
    ['post', () => client.post('/apis/authentication.k8s.io/v1/tokenreviews', { a: 1 }), { line: 'POST /apis/authentication.k8s.io/v1/tokenreviews', body: { a: 1 } }],
    ['a hostile name', () => client.get(POD, '../../secrets', 'ns'), { line: 'GET /api/v1/namespaces/ns/pods/..%2F..%2Fsecrets' }],
  ])('%s', async (_, call, expected) => {
    await call();
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({ authorization: 'Bearer t1', ...expected });
  });

  test('items of lists know their kind', async () => {
    answer = (_, response) => json(response, 200, { kind: 'PodList', metadata: { resourceVersion: '7' }, items: [{ metadata: { name: 'a' } }] });
    expect(await client.list(POD)).toEqual({ items: [{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' } }], resourceVersion: '7' });
  });

  test('refusals', async () => {
    answer = (_, response) => json(response, 404, notFound);
    expect(await client.get(POD, 'x')).toBeUndefined();
    await expect(client.delete(POD, 'x')).resolves.toBeUndefined();
    await expect(client.update(POD, pod)).rejects.toMatchObject({ code: 404, reason: 'NotFound', message: 'pods "x" not found' });
    answer = (_, response) => void response.writeHead(502).end('<html>bad gateway</html>');
    await expect(client.list(POD)).rejects.toThrow(/HTTP 502: <html>bad gateway/);
    await expect(client.list(POD)).rejects.toBeInstanceOf(ApiError);
  });

  test('a server that is not there is named', async () => {
    const gone = createHttpsClient({ server: 'http://127.0.0.1:1', namespace: 'default', credentials: () => Promise.resolve({}) });
    await expect(gone.list(POD)).rejects.toThrow(/cannot reach the Kubernetes API at http:\/\/127.0.0.1:1: .*ECONNREFUSED/);
  });

  test('a server that does not answer in time', async () => {
    answer = () => {};
    const impatient = createHttpsClient({ server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, namespace: 'default', credentials: () => Promise.resolve({}) }, { timeoutMs: 50 });
    await expect(impatient.list(POD)).rejects.toThrow(/no answer within 50 ms/);
  });

  test('an unfinished answer ends in time as well', async () => {
    answer = (_, response) => void response.writeHead(200).write('{');
    const impatient = createHttpsClient({ server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, namespace: 'default', credentials: () => Promise.resolve({}) }, { timeoutMs: 50 });
    await expect(impatient.list(POD)).rejects.toThrow();
  });
});

test('an informer over a real socket: events in pieces, an end, an expiry', async () => {
  const versioned = (name: string, resourceVersion: string) => ({ ...pod, metadata: { name, namespace: 'ns', uid: name, resourceVersion } });
  const lists = [['a', '1'], ['b', '50']] as const;
  let listed = 0;
  let watched = 0;
  answer = (request, response) => {
    if (!request.url!.includes('watch=true')) {
      const [name, version] = lists[Math.min(listed++, 1)]!;
      return json(response, 200, { metadata: { resourceVersion: version }, items: [versioned(name, version)] });
    }
    response.writeHead(200);
    watched++;
    if (watched === 1) {
      const line = `${JSON.stringify({ type: 'ADDED', object: versioned('é', '10') })}\n`;
      const bytes = Buffer.from(line);
      const cut = bytes.indexOf(0xc3) + 1;
      response.write(bytes.subarray(0, cut));
      setTimeout(() => response.end(bytes.subarray(cut)), 20);
    } else if (watched === 2) response.end(`${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' } })}\n`);
  };
  const abort = new AbortController();
  const informer = createInformer(client, POD, { signal: abort.signal });
  const events: string[] = [];
  const done = new Promise<void>((resolve) => {
    informer.onEvent((event) => {
      events.push(`${event.type} ${event.object.metadata.name}`);
      if (event.object.metadata.name === 'b') resolve();
    });
  });
  await done;
  abort.abort();
  expect(events).toEqual(['added a', 'added é', 'deleted a', 'deleted é', 'added b']);
  expect(seen.map(({ line }) => /resourceVersion=(\d+)/.exec(line)?.[1] ?? 'list').slice(0, 4)).toEqual(['list', '1', '10', 'list']);
});

test('a pod’s token is read again after a refusal, over TLS with the mounted CA', async () => {
  const nowMs = Date.now();
  const ca = createSelfSignedCa({ organization: 'test', nowMs });
  const { certificateChainPem, privateKeyPem } = new CertificateAuthority(ca, nowMs).issueServerCertificate({ dnsNames: ['localhost'], ttlMs: 60_000, nowMs });
  let accepted = 'old';
  const tls = createTlsServer({ cert: certificateChainPem, key: privateKeyPem }, listener);
  const port = await listen(tls);
  try {
    answer = (request, response) => (request.headers.authorization === `Bearer ${accepted}` ? json(response, 200, { items: [] }) : json(response, 401, { kind: 'Status', reason: 'Unauthorized', code: 401, message: 'Unauthorized' }));
    for (const [name, text] of [['token', 'old\n'], ['ca.crt', ca.caCertPem], ['namespace', 'mine']] as const) writeFileSync(join(directory, name), text);
    const inPod = createHttpsClient(inClusterAccess({ directory, env: { KUBERNETES_SERVICE_HOST: 'localhost', KUBERNETES_SERVICE_PORT: String(port) } }));
    await inPod.list(POD);
    accepted = 'new';
    writeFileSync(join(directory, 'token'), 'new\n');
    await inPod.list(POD);
    expect(seen.map(({ authorization }) => authorization)).toEqual(['Bearer old', 'Bearer old', 'Bearer new']);
    inPod.close();
    const untrusting = createHttpsClient({ server: `https://localhost:${port}`, namespace: 'default', credentials: () => Promise.resolve({}) });
    await expect(untrusting.list(POD)).rejects.toThrow(/self-signed|unable to verify|certificate/);
    untrusting.close();
  } finally {
    tls.closeAllConnections();
    await new Promise((resolve) => tls.close(resolve));
  }
});
