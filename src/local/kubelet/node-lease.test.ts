import { afterEach, beforeEach, expect, it } from 'vitest';
import { VirtualClock } from '../../base/clock.ts';
import type { KubeClient } from '../../kube/client/client.ts';
import { createApiServer, type ApiServer } from '../../kube/server/api-server.ts';
import { createPki } from '../../kube/server/auth/pki.ts';
import { openMemoryStore } from '../../kube/server/store/memory.ts';
import type { Lease } from '../../objects/kubernetes/lease.ts';
import { LEASE, NODE } from '../../objects/resource-types.ts';
import { ensureSystemObjects } from '../system-objects.ts';
import { NODE_NAME } from '../settings.ts';
import { registerNode } from './node.ts';
import { keepNodeLease } from './node-lease.ts';

let api: ApiServer;
let client: KubeClient;
let abort: AbortController;

beforeEach(async () => {
  api = createApiServer({ store: openMemoryStore(), pki: createPki({ names: ['localhost'], nowMs: Date.now() }) });
  await api.ready;
  client = api.client();
  await ensureSystemObjects(client);
  await registerNode(client, 'test');
  abort = new AbortController();
});

afterEach(async () => {
  abort.abort();
  await api.close();
});

const lease = () => client.get<Lease>(LEASE, NODE_NAME, 'kube-node-lease');

it('is there, belongs to the node, and is renewed, also after somebody deleted it', async () => {
  const clock = new VirtualClock(Date.parse('2026-01-01T00:00:00Z'));
  await keepNodeLease({ client, clock, signal: abort.signal });
  const node = await client.get(NODE, NODE_NAME);
  const first = await lease();
  expect(first).toMatchObject({ metadata: { ownerReferences: [{ kind: 'Node', uid: node!.metadata.uid }] }, spec: { holderIdentity: NODE_NAME, leaseDurationSeconds: 40, renewTime: '2026-01-01T00:00:00.000000Z' } });

  clock.advance(10_000);
  await expect.poll(async () => (await lease())?.spec?.renewTime).toBe('2026-01-01T00:00:10.000000Z');
  expect((await lease())?.metadata.uid).toBe(first?.metadata.uid);

  await client.delete(LEASE, NODE_NAME, 'kube-node-lease');
  clock.advance(10_000);
  await expect.poll(async () => (await lease())?.spec?.renewTime).toBe('2026-01-01T00:00:20.000000Z');

  abort.abort();
  clock.advance(60_000);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect((await lease())?.spec?.renewTime).toBe('2026-01-01T00:00:20.000000Z');
});
