import { setMaxListeners } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../base/clock.ts';
import { electLeader } from '../../kube/client/leader-election.ts';
import { crdOf } from '../../kube/server/api/crd.ts';
import { startTestServer, type TestServer } from '../../kube/server/testing.ts';
import type { KubernetesGateway } from '../../objects/gateway-api/gateway.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { KINDS } from '../../objects/registry.ts';
import { CUSTOM_RESOURCE_DEFINITION, DEPLOYMENT, GATEWAY_CLASS, HTTP_ROUTE, KUBERNETES_GATEWAY, NAMESPACE, SERVICE } from '../../objects/resource-types.ts';
import { DEFAULT_FEATURES } from '../../resolve/gateway-api/features.ts';
import { createGatewayDuties } from './gateway-duties.ts';
import { createKubeSource } from './kube-source.ts';
import { MeshEngine } from './mesh-engine.ts';
import { parseOptions, type ControlPlaneOptions } from './options.ts';

let api: TestServer;
const abort = new AbortController();
const { signal } = abort;
setMaxListeners(0, signal);
beforeAll(async () => {
  api = await startTestServer();
  for (const info of KINDS.filter((kind) => kind.custom)) await api.client.create(CUSTOM_RESOURCE_DEFINITION, crdOf(info));
  await api.client.create(NAMESPACE, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'istio-system' } });
});
afterAll(async () => {
  abort.abort();
  await api.close();
});

async function eventually<T>(get: () => Promise<T | undefined | false>): Promise<T> {
  for (const until = Date.now() + 8000; ; ) {
    const value = await get();
    if (value) return value;
    if (Date.now() > until) throw new Error('it did not happen');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function startIstiod(podName: string): Promise<void> {
  const options = parseOptions([], { POD_NAME: podName }) as ControlPlaneOptions;
  const { client } = api;
  const source = createKubeSource({ client, systemNamespace: 'istio-system', meshConfigMap: 'istio', signal });
  const duties = createGatewayDuties({ client, source, features: DEFAULT_FEATURES, options, clock: systemClock, signal, refresh: () => engine.refresh() });
  const engine: MeshEngine = new MeshEngine({ source, clock: systemClock, domainSuffix: 'cluster.local', clusterId: 'Kubernetes', rootNamespace: 'istio-system', onUpdate: () => {}, onStatuses: (statuses) => duties.update(statuses) });
  await engine.start();
  duties.start();
}

const object = (kind: string, name: string, spec: unknown): KubeObject => ({ apiVersion: 'gateway.networking.k8s.io/v1', kind, metadata: { name, namespace: 'default' }, spec }) as KubeObject;
const conditionOf = (gateway: KubernetesGateway | undefined, type: string) => gateway?.status?.conditions?.find((condition) => condition.type === type);

describe('two istiods and a Gateway', () => {
  it('deploy it once, say so, and are quiet afterwards', async () => {
    const { client } = api;
    await startIstiod('one');
    await startIstiod('two');
    await client.create(KUBERNETES_GATEWAY, object('Gateway', 'gw', { gatewayClassName: 'istio', infrastructure: { labels: { team: 'a' } }, listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }] }));
    await client.create(HTTP_ROUTE, object('HTTPRoute', 'r', { parentRefs: [{ name: 'gw' }] }));
    const get = () => client.get<KubernetesGateway>(KUBERNETES_GATEWAY, 'gw', 'default');
    const gateway = await eventually(async () => {
      const found = await get();
      return conditionOf(found, 'Programmed') && found!.status?.listeners?.[0]?.attachedRoutes === 1 && found;
    });
    expect(conditionOf(gateway, 'Accepted')).toMatchObject({ status: 'True', observedGeneration: 1, lastTransitionTime: expect.stringMatching(/^20\d\d-.*Z$/) });
    expect(await eventually(() => client.get(GATEWAY_CLASS, 'istio'))).toMatchObject({ spec: { controllerName: 'istio.io/gateway-controller' } });
    const deployment = await eventually(() => client.get(DEPLOYMENT, 'gw-istio', 'default'));
    expect(deployment.metadata).toMatchObject({ labels: { team: 'a', 'gateway.istio.io/managed': 'istio.io-gateway-controller' }, ownerReferences: [{ kind: 'Gateway', name: 'gw', uid: gateway.metadata.uid }] });
    expect(await eventually(() => client.get(SERVICE, 'gw-istio', 'default'))).toMatchObject({ spec: { type: 'LoadBalancer', ports: [{ port: 15021 }, { name: 'http', port: 80, appProtocol: 'http' }] } });
    await new Promise((resolve) => setTimeout(resolve, 600));
    const settled = (await get())?.metadata.resourceVersion;
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect((await get())?.metadata.resourceVersion).toBe(settled);
  });

  it('make anew what somebody removes, and leave alone what is not theirs', async () => {
    const { client } = api;
    await client.delete(SERVICE, 'gw-istio', 'default');
    await eventually(() => client.get(SERVICE, 'gw-istio', 'default'));
    await client.create(SERVICE, { apiVersion: 'v1', kind: 'Service', metadata: { name: 'mine-istio', namespace: 'default' }, spec: { ports: [{ port: 1 }] } } as KubeObject);
    await client.create(KUBERNETES_GATEWAY, object('Gateway', 'mine', { gatewayClassName: 'istio', listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }] }));
    await eventually(() => client.get(DEPLOYMENT, 'mine-istio', 'default'));
    await eventually(async () => conditionOf(await client.get<KubernetesGateway>(KUBERNETES_GATEWAY, 'mine', 'default'), 'Programmed'));
    expect(await client.get(SERVICE, 'mine-istio', 'default')).toMatchObject({ spec: { ports: [{ port: 1 }] } });
  });
});

describe('electLeader', () => {
  it('has one leader at a time; a name that comes back leads again', async () => {
    const leading = new Map<string, boolean>();
    const stand = (identity: string, own: AbortSignal) => electLeader({ client: api.client, name: 'test', namespace: 'istio-system', identity, clock: systemClock, signal: own, onChange: (is) => leading.set(identity, is) });
    const first = new AbortController();
    stand('a', first.signal);
    await eventually(async () => leading.get('a'));
    stand('b', signal);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(leading.get('b')).toBeUndefined();
    first.abort();
    expect(leading.get('a')).toBe(false);
    stand('a', signal);
    await eventually(async () => leading.get('a'));
  });
});
