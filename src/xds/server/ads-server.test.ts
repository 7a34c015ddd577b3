import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { Backoff } from '../../base/backoff.ts';
import { CertificateAuthority, createSelfSignedCa } from '../../identity/ca.ts';
import { parseCertificate } from '../../identity/certificate.ts';
import { createKeyAndCsr } from '../../identity/csr.ts';
import { formatSpiffeId } from '../../identity/spiffe.ts';
import { TYPE_URL, type EncodedResource, type ResourceUpdate } from '../ads.ts';
import { createAdsClient, type AdsClientEvent, type AdsClientOptions } from '../client/ads-client.ts';
import { requestCertificate } from '../client/certificate-client.ts';
import { create } from '@bufbuild/protobuf';
import { encodeResource } from '../codec.ts';
import { ClusterSchema } from '../gen/envoy/config/cluster/v3/cluster_pb.ts';
import { ClusterLoadAssignmentSchema } from '../gen/envoy/config/endpoint/v3/endpoint_pb.ts';
import type { NodeInfo } from '../wire.ts';
import { createAdsServer, type AdsServer } from './ads-server.ts';
import { authenticate, type AuthenticatorOptions } from './authenticate.ts';
import type { CertificateEvent } from './certificate-service.ts';
import type { AdsEvent } from './connection.ts';
import type { ResourceView } from './state-machine.ts';

const nowMs = Date.now();
const ca = new CertificateAuthority(createSelfSignedCa({ organization: 'cluster.local', nowMs }), nowMs);
const identity = { ...ca.issueServerCertificate({ dnsNames: ['istiod.istio-system.svc'], ttlMs: 3_600_000, nowMs }), rootsPem: ca.rootCertPem };
const directory = mkdtempSync(join(tmpdir(), 'meltemi-ads-'));
const node: NodeInfo = {
  id: 'sidecar~10.0.0.1~web-1.default~default.svc.cluster.local', cluster: 'web.default', metadata: { NAMESPACE: 'default', SERVICE_ACCOUNT: 'web', LABELS: { app: 'web' } },
  locality: { region: '', zone: '', subZone: '' }, extensions: [], userAgentName: 'test', userAgentVersion: '1',
};
const open: { close(): void }[] = [];
afterEach(() => {
  for (const thing of open.splice(0)) thing.close();
});

const cluster = (name: string, altStatName = '') => encodeResource(create(ClusterSchema, { name, altStatName }));
const endpoints = (clusterName: string) => encodeResource(create(ClusterLoadAssignmentSchema, { clusterName }));
const viewOf = (resources: readonly EncodedResource[]): ResourceView => ({
  version: String(resources.length),
  resources: (typeUrl) => new Map(resources.filter((resource) => resource.typeUrl === typeUrl).map((resource) => [resource.name, resource])),
});

function serve(options: { view?: () => ResourceView } = {}) {
  const events: AdsEvent[] = [];
  const certificateEvents: CertificateEvent[] = [];
  const auth: AuthenticatorOptions = {
    trustDomain: () => 'cluster.local',
    trustedRootsPem: () => ca.rootCertPem,
    reviewToken: (token) => {
      if (token === 'broken') return Promise.reject(new Error('no API'));
      return Promise.resolve(token.startsWith('good:') ? token.slice(5) : undefined);
    },
    now: () => Date.now(),
  };
  const server: AdsServer = createAdsServer({
    viewFor: options.view ?? (() => viewOf([cluster('a'), cluster('b')])),
    authenticate: (credentials) => authenticate(credentials, auth),
    certificates: { authority: () => ca, authenticate: (credentials) => authenticate(credentials, auth), now: () => Date.now(), onEvent: (event) => certificateEvents.push(event) },
    now: () => Date.now(),
    onEvent: (event) => events.push(event),
  });
  open.push(server);
  return { server, events, certificateEvents };
}

function client(port: number, options: Partial<AdsClientOptions> = {}) {
  const events: AdsClientEvent[] = [];
  const made = createAdsClient({ target: { host: '127.0.0.1', port }, node, backoff: new Backoff({ baseMs: 20, maxMs: 50 }), onEvent: (event) => events.push(event), ...options });
  open.push(made);
  return { client: made, events };
}

function tokenFile(token: string): string {
  const path = join(directory, `token-${Math.random().toString(36).slice(2)}`);
  writeFileSync(path, `${token}\n`);
  return path;
}

async function until<T>(read: () => T | undefined | false, what: string): Promise<T> {
  for (let i = 0; i < 500; i++) {
    const value = read();
    if (value) return value;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`timed out: ${what}`);
}

/** Subscribes to clusters and records the names known, as a proxy would. */
function record(ads: ReturnType<typeof client>['client'], verdict: (update: ResourceUpdate) => string | undefined = () => undefined) {
  const names = new Set<string>();
  const updates: ResourceUpdate[] = [];
  ads.subscribeAll(TYPE_URL.cluster, (update) => {
    updates.push(update);
    for (const resource of update.updated) names.add(resource.name);
    for (const name of update.removed) names.delete(name);
    return verdict(update);
  });
  return { names, updates };
}

describe.each(['delta', 'sotw'] as const)('%s in plaintext', (mode) => {
  it('delivers, pushes changes and removals, and reports who is in sync', async () => {
    let resources = [cluster('a'), cluster('b'), endpoints('a')];
    const { server } = serve({ view: () => viewOf(resources) });
    const { client: ads } = client(await server.listenPlaintext('127.0.0.1:0'), { mode });
    const clusters = record(ads);
    const seen: string[] = [];
    ads.subscribe(TYPE_URL.endpoint, ({ updated }) => void seen.push(...updated.map((resource) => resource.name))).setNames(new Set(['a']));
    await until(() => clusters.names.size === 2 && seen.length === 1, 'first resources');
    resources = [cluster('a', 'changed'), cluster('c')];
    server.push();
    await until(() => clusters.names.has('c') && !clusters.names.has('b'), 'the change');
    expect([...clusters.names].sort()).toEqual(['a', 'c']);
    const [connected] = server.clients();
    expect(connected).toMatchObject({ mode, node: { id: node.id, metadata: node.metadata }, connectionId: `${node.id}-1` });
    await until(() => connected!.status().every((row) => row.status === 'SYNCED'), 'ACKs');
  });

  it('hears the text of a NACK and goes on', async () => {
    let resources = [cluster('a')];
    const { server, events } = serve({ view: () => viewOf(resources) });
    const { client: ads } = client(await server.listenPlaintext('127.0.0.1:0'), { mode });
    const { updates } = record(ads, (update) => (update.updated.some((resource) => resource.name === 'bad') ? 'cluster bad: no such filter' : undefined));
    await until(() => updates.length === 1, 'first');
    resources = [cluster('a'), cluster('bad')];
    server.push();
    await until(() => events.find((event) => event.kind === 'nacked' && event.message === 'cluster bad: no such filter'), 'the NACK');
    expect(server.clients()[0]!.status()[0]).toMatchObject({ status: 'ERROR' });
    resources = [cluster('a'), cluster('good')];
    server.push();
    await until(() => server.clients()[0]!.status()[0]!.status === 'SYNCED', 'recovery');
  });

  it('survives a restart of the server', async () => {
    const first = serve();
    const port = await first.server.listenPlaintext('127.0.0.1:0');
    const { client: ads, events } = client(port, { mode });
    const { names, updates } = record(ads);
    await until(() => names.size === 2, 'first resources');
    first.server.close();
    await until(() => !ads.connected, 'the loss');
    const second = serve({ view: () => viewOf([cluster('a'), cluster('c')]) });
    await second.server.listenPlaintext(`127.0.0.1:${port}`);
    await until(() => names.has('c') && !names.has('b'), 'the new view');
    expect(updates.at(-1)!.updated.map((resource) => resource.name)).toEqual(mode === 'delta' ? ['c'] : ['a', 'c']);
    expect(events.some((event) => event.kind === 'disconnected')).toBe(true);
  });
});

describe('TLS', () => {
  const tls = { rootsPem: () => ca.rootCertPem, serverName: 'istiod.istio-system.svc' };

  it('knows a caller by its token', async () => {
    const { server } = serve();
    const { client: ads } = client(await server.listenTls('127.0.0.1:0', identity), { tls, tokenPath: tokenFile('good:system:serviceaccount:default:web') });
    const { names } = record(ads);
    await until(() => names.size === 2, 'resources');
    expect(server.clients()[0]!.spiffeId).toBe('spiffe://cluster.local/ns/default/sa/web');
  });

  it('knows a caller by its certificate', async () => {
    const spiffeId = formatSpiffeId({ trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'web' });
    const { csrPem, privateKeyPem } = createKeyAndCsr({ uri: spiffeId });
    const certificateChainPem = ca.signCsr(csrPem, { spiffeId, nowMs })[0]!;
    const { server } = serve();
    const { client: ads } = client(await server.listenTls('127.0.0.1:0', identity), { tls: { ...tls, clientCertificate: () => ({ privateKeyPem, certificateChainPem }) } });
    const { names } = record(ads);
    await until(() => names.size === 2, 'resources');
    expect(server.clients()[0]!.spiffeId).toBe(spiffeId);
  });

  it.each([
    ['no token', undefined, /16.*no bearer token/],
    ['a refused token', 'bad', /16.*refused by the API server/],
    ['a user that is no service account', 'good:kubernetes-admin', /16.*not a service account/],
    ['an API that cannot be asked', 'broken', /16.*could not be reviewed: no API/],
    ['the token of another namespace', 'good:system:serviceaccount:kube-system:web', /7.*not in namespace kube-system/],
    ['the token of another account', 'good:system:serviceaccount:default:other', /7.*service account web/],
  ])('refuses %s', async (_, token, reason) => {
    const { server } = serve();
    const { client: ads, events } = client(await server.listenTls('127.0.0.1:0', identity), { tls, ...(token !== undefined && { tokenPath: tokenFile(token) }) });
    const { names } = record(ads);
    const lost = await until(() => events.find((event) => event.kind === 'disconnected'), 'the refusal');
    expect((lost as { reason: string }).reason).toMatch(reason);
    expect([names.size, server.clients().length]).toEqual([0, 0]);
  });

  it('does not believe a certificate of a foreign CA', async () => {
    const foreign = new CertificateAuthority(createSelfSignedCa({ organization: 'cluster.local', nowMs }), nowMs);
    const spiffeId = formatSpiffeId({ trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'web' });
    const { csrPem, privateKeyPem } = createKeyAndCsr({ uri: spiffeId });
    const certificateChainPem = foreign.signCsr(csrPem, { spiffeId, nowMs })[0]!;
    const { server } = serve();
    const { client: ads, events } = client(await server.listenTls('127.0.0.1:0', identity), { tls: { ...tls, clientCertificate: () => ({ privateKeyPem, certificateChainPem }) } });
    record(ads);
    const lost = await until(() => events.find((event) => event.kind === 'disconnected'), 'the refusal');
    expect((lost as { reason: string }).reason).toMatch(/status 16/);
  });

  it('a client refuses a server with another root or name', async () => {
    const { server } = serve();
    const port = await server.listenTls('127.0.0.1:0', identity);
    for (const wrong of [{ ...tls, serverName: 'elsewhere.svc' }, { ...tls, rootsPem: () => createSelfSignedCa({ organization: 'x', nowMs }).rootCertPem }]) {
      const { client: ads, events } = client(port, { tls: wrong, tokenPath: tokenFile('good:system:serviceaccount:default:web') });
      record(ads);
      await until(() => events.some((event) => event.kind === 'disconnected'), 'the refusal');
      expect(ads.connected).toBe(false);
    }
  });

  it('signs a request with the name of the caller, and serves a rotated certificate', async () => {
    const { server, certificateEvents } = serve();
    const port = await server.listenTls('127.0.0.1:0', identity);
    const { csrPem } = createKeyAndCsr({ uri: 'spiffe://cluster.local/ns/kube-system/sa/root' });
    const ask = (options: object) => requestCertificate({ target: { host: '127.0.0.1', port }, tls, csrPem, tokenPath: tokenFile('good:system:serviceaccount:default:web'), ...options });
    server.rotate({ ...ca.issueServerCertificate({ dnsNames: ['rotated.svc'], ttlMs: 3_600_000, nowMs }), rootsPem: ca.rootCertPem });
    await expect(ask({})).rejects.toThrow('rotated.svc');
    const chain = await ask({ tls: { ...tls, serverName: 'rotated.svc' }, ttlMs: 3_600_000 });
    expect(parseCertificate(chain[0]!)).toMatchObject({ uris: ['spiffe://cluster.local/ns/default/sa/web'] });
    expect(chain.at(-1)).toBe(ca.rootCertPem);
    expect(certificateEvents).toMatchObject([{ kind: 'issued', ttlMs: 3_600_000 }]);
    await expect(ask({ tls: { ...tls, serverName: 'rotated.svc' }, csrPem: 'rubbish' })).rejects.toThrow(/status 3: CSR signing error/);
    await expect(ask({ tls: { ...tls, serverName: 'rotated.svc' }, ttlMs: 100 * 24 * 3_600_000 })).rejects.toThrow(/maximum of 7776000s/);
    await expect(ask({ tls: { ...tls, serverName: 'rotated.svc' }, tokenPath: tokenFile('bad') })).rejects.toThrow(/status 16/);
  });
});

it('one failing view leaves the others served', async () => {
  let broken = false;
  const { server, events } = serve({ view: () => {
    if (broken) throw new Error('translate: boom');
    return viewOf([cluster('a')]);
  } });
  const { client: ads } = client(await server.listenPlaintext('127.0.0.1:0'));
  const { names } = record(ads);
  await until(() => names.size === 1, 'resources');
  broken = true;
  server.push();
  expect(events.at(-1)).toMatchObject({ kind: 'view-failed' });
  expect(server.clients()).toHaveLength(1);
});

it('a slow reader gets the newest state, not every state in between', async () => {
  let generation = 0;
  const big = 'x'.repeat(300_000);
  const { server, events } = serve({ view: () => viewOf([cluster('a', `${generation}${big}`)]) });
  const { client: ads } = client(await server.listenPlaintext('127.0.0.1:0'));
  const { updates } = record(ads);
  await until(() => updates.length === 1, 'first');
  for (generation = 1; generation < 200; generation++) server.push();
  generation = 200;
  server.push();
  await until(() => updates.at(-1)!.updated[0]!.version === cluster('a', `200${big}`).version, 'the newest');
  expect(events.filter((event) => event.kind === 'responded').length).toBeLessThan(20);
});

it('rubbish on the stream ends only that stream', async () => {
  const { server, events } = serve();
  const port = await server.listenPlaintext('127.0.0.1:0');
  const { GrpcChannel } = await import('../client/grpc-channel.ts');
  const channel = new GrpcChannel({ target: { host: '127.0.0.1', port } });
  open.push(channel);
  const end = new Promise<unknown>((resolve) => {
    const call = channel.call('/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources', {}, { onMessage: () => {}, onEnd: resolve });
    call.send(Buffer.from([0xff, 0xff, 0xff]));
  });
  expect(String(await end)).toMatch(/status 3/);
  expect(events).toMatchObject([{ kind: 'refused' }]);
  rmSync(directory, { recursive: true, force: true });
});
