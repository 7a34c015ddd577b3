import { setMaxListeners } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import type { SpiffeId } from '../../identity/spiffe.ts';
import { crdOf } from '../../kube/server/api/crd.ts';
import { startTestServer, type TestServer } from '../../kube/server/testing.ts';
import { parseProxyNode } from '../../model/proxy-node.ts';
import type { WorkloadEntry } from '../../objects/istio/workload-entry.ts';
import type { WorkloadGroup } from '../../objects/istio/workload-group.ts';
import { KINDS } from '../../objects/registry.ts';
import { CUSTOM_RESOURCE_DEFINITION, WORKLOAD_ENTRY, WORKLOAD_GROUP } from '../../objects/resource-types.ts';
import type { ConnectedClient } from '../../xds/server/connection.ts';
import type { NodeInfo } from '../../xds/wire.ts';
import { entryNameOf, registrationProblem, workloadEntryOf } from './workload-entry-of.ts';
import { registrationSettings, registersWorkloads, WorkloadRegistrations } from './workload-registration.ts';

const GROUP: WorkloadGroup = {
  apiVersion: 'networking.istio.io/v1', kind: 'WorkloadGroup', metadata: { name: 'vm', namespace: 'default' },
  spec: { metadata: { labels: { app: 'vm', from: 'metadata' }, annotations: { team: 'a' } }, template: { serviceAccount: 'vm', ports: { http: 8080 }, labels: { from: 'template', tier: 'x' } } },
} as WorkloadGroup;

const nodeOf = (ip: string, metadata: Readonly<Record<string, unknown>> = {}): NodeInfo => ({
  id: `sidecar~${ip}~unknown.default~default.svc.cluster.local`, cluster: '', locality: { region: 'r1', zone: 'z1', subZone: '' }, extensions: [], userAgentName: 'envoy', userAgentVersion: '',
  metadata: { NAMESPACE: 'default', AUTO_REGISTER_GROUP: 'vm', ...metadata },
});
const proxyOf = (ip: string, metadata: Readonly<Record<string, unknown>> = {}) => parseProxyNode(nodeOf(ip, metadata))!;

test.each([
  ['10.0.0.1', '', 'vm-10.0.0.1'], ['2001:db8::1', '', 'vm-2001-db8--1'], ['10.0.0.1', 'net-1', 'vm-10.0.0.1-net-1'],
])('the entry of %s on network "%s" is called %s', (ip, network, name) => {
  expect(entryNameOf(proxyOf(ip, { NETWORK: network }))).toBe(name);
});

test('of a name that is too long the end stays', () => {
  const name = entryNameOf(proxyOf('10.0.0.1', { AUTO_REGISTER_GROUP: 'a'.repeat(253) }));
  expect(name).toHaveLength(253);
  expect(name.endsWith('a-10.0.0.1')).toBe(true);
});

test('labels of the proxy win over the group\'s metadata, those over the template; locality, network and probe come from the proxy', () => {
  const node = proxyOf('10.0.0.1', { NETWORK: 'n', LABELS: { from: 'proxy', 'istio-locality': 'r1/z1' }, PROXY_CONFIG: { readinessProbe: { httpGet: { port: 80 } } } });
  const entry = workloadEntryOf(GROUP, node, 'istiod-1', '2026-01-01T00:00:00Z');
  expect(entry.spec).toEqual({ serviceAccount: 'vm', ports: { http: 8080 }, address: '10.0.0.1', network: 'n', locality: 'r1/z1', labels: { app: 'vm', from: 'proxy', tier: 'x', 'istio-locality': 'r1.z1' } });
  expect(entry.metadata.annotations).toEqual({
    team: 'a', 'istio.io/autoRegistrationGroup': 'vm', 'istio.io/workloadController': 'istiod-1', 'istio.io/connectedAt': '2026-01-01T00:00:00Z', 'proxy.istio.io/health-checks-enabled': 'true',
  });
});

test('who may register', () => {
  expect(registrationProblem(undefined, proxyOf('10.0.0.1'), 'vm')).toMatch(/does not exist/);
  expect(registrationProblem(GROUP, proxyOf('10.0.0.1'), 'other')).toMatch(/service account vm/);
  expect(registrationProblem(GROUP, proxyOf('10.0.0.1'), 'vm')).toBeUndefined();
});

test('settings', () => {
  expect([registersWorkloads({}), registersWorkloads({ PILOT_ENABLE_WORKLOAD_ENTRY_AUTOREGISTRATION: 'false' })]).toEqual([true, false]);
  expect(registrationSettings({ PILOT_WORKLOAD_ENTRY_GRACE_PERIOD: '1m' })).toEqual({ graceMs: 60_000, healthChecks: true });
});

let api: TestServer;
const abort = new AbortController();
setMaxListeners(0, abort.signal);
beforeAll(async () => {
  api = await startTestServer();
  for (const info of KINDS.filter((kind) => kind.custom && kind.group === 'networking.istio.io')) await api.client.create(CUSTOM_RESOURCE_DEFINITION, crdOf(info));
});
afterAll(async () => {
  abort.abort();
  await api.close();
});

const clientOf = (ip: string, account = 'vm'): ConnectedClient => ({ connectionId: `c-${ip}`, node: nodeOf(ip), mode: 'delta', spiffeId: `spiffe://cluster.local/ns/default/sa/${account}` as SpiffeId, peerAddress: '', connectedAtMs: 0, view: undefined, status: () => [] });
const entry = (ip: string) => api.client.get<WorkloadEntry>(WORKLOAD_ENTRY, `vm-${ip}`, 'default');
const condition = async (ip: string) => (await entry(ip))?.status?.conditions?.map(({ type, status, message }) => ({ type, status, message }));

test('an entry comes with its workload, follows its health, and goes when it stays away', async () => {
  const registrations = new WorkloadRegistrations({ client: api.client, clock: systemClock, signal: abort.signal, podName: 'istiod-1', systemNamespace: 'istio-system', graceMs: 1200, healthChecks: true });
  await expect.poll(() => registrations.checkNode(nodeOf('10.0.0.1'))).toMatch(/does not exist/);
  await api.client.create(WORKLOAD_GROUP, GROUP);
  await expect.poll(() => registrations.checkNode(nodeOf('10.0.0.1'))).toBeUndefined();
  expect(registrations.checkNode(nodeOf('10.0.0.9', { AUTO_REGISTER_GROUP: '' }))).toBeUndefined();

  const client = clientOf('10.0.0.1');
  registrations.onEvent({ kind: 'connected', client });
  registrations.onEvent({ kind: 'health', client, problem: 'refused' });
  await expect.poll(() => condition('10.0.0.1')).toEqual([{ type: 'Healthy', status: 'False', message: 'refused' }]);
  registrations.onEvent({ kind: 'health', client, problem: undefined });
  await expect.poll(() => condition('10.0.0.1')).toEqual([{ type: 'Healthy', status: 'True', message: undefined }]);

  const wrong = clientOf('10.0.0.2', 'other');
  registrations.onEvent({ kind: 'connected', client: wrong });
  registrations.onEvent({ kind: 'health', client: wrong, problem: undefined });

  // A reconnect within the grace period keeps it.
  registrations.onEvent({ kind: 'disconnected', client });
  await expect.poll(async () => (await entry('10.0.0.1'))?.metadata.annotations?.['istio.io/disconnectedAt']).toBeDefined();
  const again = clientOf('10.0.0.1');
  registrations.onEvent({ kind: 'connected', client: again });
  await expect.poll(async () => (await entry('10.0.0.1'))?.metadata.annotations?.['istio.io/disconnectedAt']).toBeUndefined();
  await new Promise((resolve) => setTimeout(resolve, 1500));
  expect(await entry('10.0.0.1')).toBeDefined();

  registrations.onEvent({ kind: 'disconnected', client: again });
  await expect.poll(() => entry('10.0.0.1'), { timeout: 5000 }).toBeUndefined();
  expect(await entry('10.0.0.2')).toBeUndefined();
}, 15_000);

test('entries written by hand stay as they are', async () => {
  const registrations = new WorkloadRegistrations({ client: api.client, clock: systemClock, signal: abort.signal, podName: 'istiod-1', systemNamespace: 'istio-system', graceMs: 100, healthChecks: true });
  await api.client.create(WORKLOAD_ENTRY, { apiVersion: 'networking.istio.io/v1', kind: 'WorkloadEntry', metadata: { name: 'vm-10.0.0.3', namespace: 'default' }, spec: { address: '10.0.0.3' } } as WorkloadEntry);
  await expect.poll(() => registrations.checkNode(nodeOf('10.0.0.3'))).toBeUndefined();
  const client = clientOf('10.0.0.3');
  registrations.onEvent({ kind: 'connected', client });
  registrations.onEvent({ kind: 'disconnected', client });
  await new Promise((resolve) => setTimeout(resolve, 400));
  expect((await entry('10.0.0.3'))?.metadata.annotations).toBeUndefined();
});
