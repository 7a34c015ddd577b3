import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../base/clock.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { Debounce } from './debounce.ts';
import { MeshEngine, type MeshUpdate } from './mesh-engine.ts';
import type { ObjectChange, ObjectSource } from './object-source.ts';
import { meansTheSame, trimObject } from './trim-object.ts';

const object = (value: object): KubeObject => value as KubeObject;
const service = object({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'a', namespace: 'default' }, spec: { clusterIP: '10.96.0.1', selector: { app: 'a' }, ports: [{ name: 'http', port: 80, targetPort: 80 }] } });
const headless = object({ ...service, spec: { ...(service as { spec?: object }).spec, clusterIP: 'None' } });
const pod = (name: string, podIP: string) => object({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'default', labels: { app: 'a' } }, spec: { containers: [] }, status: { phase: 'Running', podIP } });
const slice = (...addresses: string[]) => object({
  apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: { name: 'a-1', namespace: 'default', labels: { 'kubernetes.io/service-name': 'a' } }, ports: [{ name: 'http', port: 80 }],
  endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true }, targetRef: { kind: 'Pod', name: address } })),
});

function engine(initial: readonly KubeObject[]) {
  const objects = new Map(initial.map((one) => [`${one.kind}/${one.metadata.name}`, one]));
  const listeners: ((change: ObjectChange) => void)[] = [];
  let mesh: string | undefined;
  const source: ObjectSource = {
    synced: Promise.resolve(), objects: () => objects.values(), namespaces: () => new Map(), meshConfigText: () => mesh, onChange: (listener) => void listeners.push(listener),
    slicesOf: () => [...objects.values()].filter((one) => one.kind === 'EndpointSlice'),
  };
  const clock = new VirtualClock(Date.parse('2026-01-01T00:00:00Z'));
  const updates: MeshUpdate[] = [];
  const made = new MeshEngine({ source, clock, domainSuffix: 'cluster.local', clusterId: 'Kubernetes', rootNamespace: 'istio-system', onUpdate: (update) => updates.push(update) });
  const put = (one: KubeObject) => {
    objects.set(`${one.kind}/${one.metadata.name}`, one);
    for (const listener of listeners) listener({ type: 'updated', object: one });
  };
  return { made, clock, updates, put, setMesh: (text: string) => {
    mesh = text;
    put(object({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'istio', namespace: 'istio-system' } }));
  } };
}

const KEY = 'default/a.default.svc.cluster.local';

describe('MeshEngine', () => {
  it('pushes an endpoint change fast, alone and without resolving', async () => {
    const { made, clock, updates, put } = engine([service, pod('one', '10.0.0.1'), pod('two', '10.0.0.2'), slice('10.0.0.1')]);
    await made.start();
    put(slice('10.0.0.1', '10.0.0.2'));
    clock.advance(10);
    expect(updates).toHaveLength(2);
    expect([...updates[1]!.endpointsOf!]).toEqual([KEY]);
    expect(updates[1]!.snapshot.services).toBe(updates[0]!.snapshot.services);
    expect(updates[1]!.snapshot.endpoints.get(KEY)!.map((endpoint) => endpoint.address)).toEqual(['10.0.0.1', '10.0.0.2']);
  });

  it('waits for the pod of an unknown address', async () => {
    const { made, clock, updates, put } = engine([service, pod('one', '10.0.0.1'), slice('10.0.0.1')]);
    await made.start();
    put(slice('10.0.0.1', '10.0.0.2'));
    clock.advance(20);
    expect(updates).toHaveLength(1);
    put(pod('two', '10.0.0.2'));
    clock.advance(100);
    expect(updates).toHaveLength(2);
    expect(updates[1]!.endpointsOf).toBeUndefined();
    expect(updates[1]!.snapshot.endpoints.get(KEY)).toHaveLength(2);
  });

  it('tells everybody when clusters or listeners are made of the endpoints', async () => {
    const { made, clock, updates, put } = engine([headless, pod('one', '10.0.0.1'), pod('two', '10.0.0.2'), slice('10.0.0.1')]);
    await made.start();
    put(slice('10.0.0.1', '10.0.0.2'));
    clock.advance(10);
    expect(updates[1]!.endpointsOf).toBeUndefined();
  });

  it('gathers changes until they pause, but not for ever', async () => {
    const { made, clock, updates, put } = engine([service]);
    await made.start();
    for (let i = 0; i < 50; i++) {
      put(object({ ...service, metadata: { ...service.metadata, labels: { i: String(i) } } }));
      clock.advance(50);
    }
    expect(updates).toHaveLength(1);
    clock.advance(100);
    expect(updates).toHaveLength(2);
    expect(updates[1]!.changeCount).toBe(50);
    for (let i = 0; i < 250; i++) {
      put(service);
      clock.advance(50);
    }
    expect(updates).toHaveLength(3);
  });

  it('keeps lists of endpoints that did not change', async () => {
    const { made, clock, updates, put } = engine([service, pod('one', '10.0.0.1'), slice('10.0.0.1')]);
    await made.start();
    put(object({ ...service, metadata: { ...service.metadata, labels: { x: 'y' } } }));
    clock.advance(100);
    expect(updates[1]!.snapshot).not.toBe(updates[0]!.snapshot);
    expect(updates[1]!.snapshot.endpoints.get(KEY)).toBe(updates[0]!.snapshot.endpoints.get(KEY));
  });

  it('keeps the last good mesh config', async () => {
    const { made, clock, setMesh } = engine([service]);
    await made.start();
    setMesh('trustDomain: example.org');
    clock.advance(100);
    expect(made.snapshot.mesh.trustDomain).toBe('example.org');
    setMesh('trustDomain: [');
    clock.advance(100);
    expect(made.snapshot.mesh.trustDomain).toBe('example.org');
  });
});

describe('Debounce', () => {
  it('flushes at once when asked', () => {
    const acts: number[] = [];
    const debounce = new Debounce({ clock: new VirtualClock(), quietMs: 10, maxMs: 20, act: (_, count) => acts.push(count) });
    debounce.flush();
    debounce.trigger();
    debounce.trigger();
    debounce.flush();
    expect([acts, debounce.pending]).toEqual([[2], false]);
  });
});

describe('trimObject', () => {
  const full = (status: object, spec: object = {}) => trimObject(object({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', managedFields: [], resourceVersion: '1', annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{}', keep: 'me' } }, spec: { containers: [{ name: 'c', image: 'i', env: [1], ports: [{ containerPort: 80 }] }], ...spec }, status }));

  it('keeps what the mesh reads of a pod', () => {
    expect(full({ phase: 'Running', podIP: '1.2.3.4', startTime: 'now', conditions: [{ type: 'Ready', status: 'True', lastProbeTime: 'x' }, { type: 'Other', status: 'True' }] })).toEqual({
      apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', resourceVersion: '1', annotations: { keep: 'me' } },
      spec: { containers: [{ name: 'c', ports: [{ containerPort: 80 }] }], initContainers: [] }, status: { phase: 'Running', podIP: '1.2.3.4', conditions: [{ type: 'Ready', status: 'True' }] },
    });
  });

  it('survives pods that are not what they should be', () => expect(() => [full({ conditions: 3 }, { containers: 'x' }), full({ conditions: [null] }, { containers: [null] })]).not.toThrow());

  it.each([
    ['a heartbeat of a node', { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' }, status: { a: 1 } }, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n', resourceVersion: '2' }, status: { a: 2 } }, true],
    ['the status of an Istio object', { apiVersion: 'networking.istio.io/v1', kind: 'Gateway', metadata: { name: 'n' }, spec: {}, status: { a: 1 } }, { apiVersion: 'networking.istio.io/v1', kind: 'Gateway', metadata: { name: 'n' }, spec: {} }, true],
    ['a label', { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' } }, { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n', labels: { a: 'b' } } }, false],
    ['an opaque secret', { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'n' }, data: { password: 'a' } }, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'n' }, data: { password: 'b' } }, true],
    ['a TLS secret', { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'n' }, data: { 'tls.crt': 'a' } }, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'n' }, data: { 'tls.crt': 'b' } }, false],
  ])('compares %s', (_, a, b, same) => expect(meansTheSame(trimObject(object(a)), trimObject(object(b)))).toBe(same));
});
