/** What a kubeconfig may say: against the embedded server, which checks it all. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { CONFIG_MAP, POD } from '../../objects/resource-types.ts';
import { startTestServer, type TestServer } from '../server/testing.ts';
import { kubeconfigOf } from '../server/auth/pki.ts';
import { createHttpsClient, type HttpsKubeClient } from './https-client.ts';
import { parseKubeConfig, readKubeConfig } from './kube-config.ts';

interface Config {
  readonly clusters: { readonly cluster: Record<string, unknown> }[];
  readonly users: { user: Record<string, unknown> }[];
}

let server: TestServer;
let folder: string;
let clients: HttpsKubeClient[] = [];

beforeAll(async () => {
  server = await startTestServer();
  await server.kubectl(['create', 'clusterrolebinding', 'viewers', '--clusterrole=view', '--serviceaccount=default:default', '--group=viewers']);
});
afterAll(() => server.close());
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'kube-config-'))));
afterEach(() => {
  clients.forEach((client) => client.close());
  clients = [];
  rmSync(folder, { recursive: true, force: true });
});

/** A client of the administrator's kubeconfig after a change. */
function clientOf(change: (config: Config) => void): HttpsKubeClient {
  const config = parse(kubeconfigOf(server.pki, `https://127.0.0.1:${server.port}`)) as Config;
  change(config);
  const path = join(folder, 'config');
  writeFileSync(path, JSON.stringify(config));
  const client = createHttpsClient(readKubeConfig({ path }));
  clients.push(client);
  return client;
}
const whoami = async (client: HttpsKubeClient): Promise<unknown> => (await client.post<{ status: { userInfo: unknown } }>('/apis/authentication.k8s.io/v1/selfsubjectreviews', { kind: 'SelfSubjectReview', apiVersion: 'authentication.k8s.io/v1' })).status.userInfo;
const tokenOf = async (seconds = 600): Promise<string> =>
  (await server.client.post<{ status: { token: string } }>('/api/v1/namespaces/default/serviceaccounts/default/token', { kind: 'TokenRequest', apiVersion: 'authentication.k8s.io/v1', spec: { expirationSeconds: seconds } })).status.token;
function script(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}
const credential = (status: object, version = 'v1'): string => JSON.stringify({ apiVersion: `client.authentication.k8s.io/${version}`, kind: 'ExecCredential', status });

describe('impersonation', () => {
  test('requests are made as somebody else', async () => {
    const client = clientOf(({ users }) => Object.assign(users[0]!.user, { as: 'jane', 'as-groups': ['viewers', 'others'], 'as-uid': '7', 'as-user-extra': { 'example.com/Reason': ['tests'] } }));
    expect(await whoami(client)).toEqual({ username: 'jane', uid: '7', groups: ['viewers', 'others', 'system:authenticated'], extra: { 'example.com/reason': ['tests'] } });
    await client.list(POD);
    await expect(client.create(CONFIG_MAP, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x', namespace: 'default' } })).rejects.toMatchObject({ code: 403 });
  });
  test('groups without a user are refused', () => expect(() => clientOf(({ users }) => Object.assign(users[0]!.user, { 'as-groups': ['a'] }))).toThrow('without impersonating a user'));
});

describe('exec plugins', () => {
  const withExec = (exec: object): HttpsKubeClient => clientOf(({ users }) => void (users[0]!.user = { exec: { apiVersion: 'client.authentication.k8s.io/v1', ...exec } }));

  test('a token is asked for once and kept, with requests at the same time', async () => {
    const count = join(folder, 'count');
    const client = withExec({ command: script('plugin', `echo x >> ${count}; echo '${credential({ token: await tokenOf() })}'`) });
    await Promise.all([whoami(client), whoami(client), whoami(client)]);
    expect(await whoami(client)).toMatchObject({ username: 'system:serviceaccount:default:default' });
    expect((await import('node:fs')).readFileSync(count, 'utf8')).toBe('x\n');
  });
  test('an expired token is asked for again', async () => {
    const count = join(folder, 'count');
    const client = withExec({ command: script('plugin', `echo x >> ${count}; echo '${credential({ token: await tokenOf(), expirationTimestamp: new Date(Date.now() + 2000).toISOString() })}'`) });
    await whoami(client);
    await whoami(client);
    expect((await import('node:fs')).readFileSync(count, 'utf8')).toBe('x\nx\n');
  });
  test('a certificate of a plugin', async () => {
    const { certPem, keyPem } = server.pki.admin;
    const client = withExec({ command: script('plugin', `cat <<'EOF'\n${credential({ clientCertificateData: certPem, clientKeyData: keyPem })}\nEOF`) });
    expect(await whoami(client)).toMatchObject({ username: 'kubernetes-admin' });
  });
  test('the plugin is told of the cluster, its arguments and variables', async () => {
    const out = join(folder, 'info');
    const client = withExec({ command: script('plugin', `echo "$1 $EXTRA $KUBERNETES_EXEC_INFO" > ${out}; echo '${credential({ token: await tokenOf() })}'`), args: ['one'], env: [{ name: 'EXTRA', value: 'two' }], provideClusterInfo: true });
    await whoami(client);
    const [one, two, info] = (await import('node:fs')).readFileSync(out, 'utf8').split(' ');
    expect([one, two]).toEqual(['one', 'two']);
    expect(JSON.parse(info!)).toMatchObject({ kind: 'ExecCredential', spec: { interactive: false, cluster: { server: `https://127.0.0.1:${server.port}`, 'certificate-authority-data': expect.any(String) } } });
  });
  test.each([
    ['is not there', { command: '/nowhere/plugin', installHint: 'Install it with care.' }, 'it is not installed. Install it with care.'],
    ['fails', { script: 'echo no luck >&2; exit 3' }, 'no luck'],
    ['answers in another version', { script: `echo '${credential({ token: 'x' }, 'v1beta1')}'` }, 'it answered in client.authentication.k8s.io/v1beta1'],
    ['answers nothing of use', { script: `echo '${credential({})}'` }, 'neither a token nor a certificate'],
  ])('one that %s', async (_name, exec, text) => {
    const { script: body, ...rest } = exec as { script?: string };
    await expect(whoami(withExec({ ...rest, ...(body === undefined ? {} : { command: script('plugin', body) }) }))).rejects.toThrow(text);
  });
  test('one that wants a terminal is refused at once', () => expect(() => withExec({ command: 'x', interactiveMode: 'Always' })).toThrow('wants a terminal'));
  test('one of an old version is refused at once', () => expect(() => withExec({ command: 'x', apiVersion: 'client.authentication.k8s.io/v1alpha1' })).toThrow('must be client.authentication.k8s.io/v1'));
});

describe('files that are renewed', () => {
  test('a refused token is read again', async () => {
    const file = join(folder, 'token');
    writeFileSync(file, 'stale');
    const client = clientOf(({ users }) => void (users[0]!.user = { tokenFile: file }));
    await expect(whoami(client)).rejects.toMatchObject({ code: 401 });
    writeFileSync(file, await tokenOf());
    expect(await whoami(client)).toMatchObject({ username: 'system:serviceaccount:default:default' });
  });
  test('a refused client certificate is read again', async () => {
    const [cert, key] = [join(folder, 'cert'), join(folder, 'key')];
    const { createPki } = await import('../server/auth/pki.ts');
    const other = createPki({ names: ['x'], nowMs: Date.now() });
    writeFileSync(cert, other.admin.certPem);
    writeFileSync(key, other.admin.keyPem);
    const client = clientOf(({ users }) => void (users[0]!.user = { 'client-certificate': cert, 'client-key': key }));
    await expect(whoami(client)).rejects.toMatchObject({ code: 401 });
    writeFileSync(cert, server.pki.admin.certPem);
    writeFileSync(key, server.pki.admin.keyPem);
    expect(await whoami(client)).toMatchObject({ username: 'kubernetes-admin' });
  });
});

describe('proxy-url', () => {
  let proxy: Server;
  let asked: string[];
  let allow = true;
  beforeAll(async () => {
    proxy = createServer();
    proxy.on('connect', (request, socket, head: Buffer) => {
      asked.push(`${request.url} ${request.headers['proxy-authorization'] ?? ''}`.trim());
      if (!allow) return void socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
      const [host, port] = request.url!.split(':');
      const upstream = connect(Number(port), host, () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        upstream.write(head);
        upstream.pipe(socket).pipe(upstream);
      });
      upstream.on('error', () => socket.destroy());
      socket.on('error', () => upstream.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => void proxy.close());
  beforeEach(() => {
    asked = [];
    allow = true;
  });
  const through = (credentials = ''): HttpsKubeClient => clientOf(({ clusters }) => void (clusters[0]!.cluster['proxy-url'] = `http://${credentials}127.0.0.1:${(proxy.address() as AddressInfo).port}`));

  test('requests go through its tunnel, which is used again', async () => {
    const client = through('me:secret@');
    expect(await whoami(client)).toMatchObject({ username: 'kubernetes-admin' });
    await whoami(client);
    expect(asked).toEqual([`127.0.0.1:${server.port} Basic ${Buffer.from('me:secret').toString('base64')}`]);
  });
  test('a proxy that refuses is named', async () => {
    allow = false;
    await expect(whoami(through())).rejects.toThrow(/proxy 127\.0\.0\.1:\d+: it refused to connect to 127\.0\.0\.1:\d+: 403 Forbidden/);
  });
  test('other kinds of proxies are refused at once', () => expect(() => clientOf(({ clusters }) => void (clusters[0]!.cluster['proxy-url'] = 'socks5://127.0.0.1:1'))).toThrow('only http and https proxies'));
});

test('a file that is none', () => expect(() => parseKubeConfig('', '/')).toThrow('not a kubeconfig'));
