/** The real control plane over a mesh of S services with E pods each in memory, as its informers would hold it. */
import { systemClock } from '../src/base/clock.ts';
import { keyOf, type KubeObject } from '../src/objects/meta.ts';
import { createDiscovery, type Discovery } from '../src/programs/control-plane/discovery.ts';
import { MeshEngine } from '../src/programs/control-plane/mesh-engine.ts';
import { createMetrics } from '../src/programs/control-plane/metrics.ts';
import type { ObjectChange, ObjectSource } from '../src/programs/control-plane/object-source.ts';

export interface Size {
  readonly services: number;
  readonly endpoints: number;
  readonly proxies: number;
}

export const NAMESPACES = 10;

export const serviceName = (index: number): string => `s-${index}`;
export const namespaceOf = (index: number): string => `ns-${index % NAMESPACES}`;
/** Address of a service's pod; pods above 100 are those that replaced others. */
export const podAddress = (service: number, pod: number): string => `10.${service >> 8}.${service & 255}.${pod + 1}`;
const replacementOf = (pod: number): number => pod + 100;

const object = (value: object): KubeObject => value as KubeObject;

export function pod(service: number, index: number): KubeObject {
  return object({
    apiVersion: 'v1', kind: 'Pod', metadata: { name: `s-${service}-${index}`, namespace: namespaceOf(service), labels: { app: serviceName(service), version: 'v1', 'security.istio.io/tlsMode': 'istio' } },
    spec: { serviceAccountName: serviceName(service), nodeName: 'n', containers: [{ name: 'app', ports: [{ name: 'http', containerPort: 8080 }] }] },
    status: { phase: 'Running', podIP: podAddress(service, index), conditions: [{ type: 'Ready', status: 'True' }] },
  });
}

/** The slice of a service; `unready` pods are listed as such, `replaced` ones have another pod in their place. */
export function slice(service: number, count: number, { unready = -1, replaced = 0 }: { readonly unready?: number; readonly replaced?: number } = {}): KubeObject {
  const pods = Array.from({ length: count }, (_, index) => (index > 0 && index <= replaced ? replacementOf(index) : index));
  return object({
    apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata: { name: `s-${service}-1`, namespace: namespaceOf(service), labels: { 'kubernetes.io/service-name': serviceName(service) } },
    addressType: 'IPv4', ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: pods.map((index) => ({ addresses: [podAddress(service, index)], conditions: { ready: index !== unready }, targetRef: { kind: 'Pod', name: `s-${service}-${index}` } })),
  });
}

export function virtualService(variant: number): KubeObject {
  const host = `${serviceName(0)}.${namespaceOf(0)}.svc.cluster.local`;
  return object({
    apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: { name: 'changing', namespace: namespaceOf(0) },
    spec: { hosts: [host], http: [{ headers: { request: { set: { 'x-variant': String(variant) } } }, route: [{ destination: { host, port: { number: 80 } } }] }] },
  });
}

function meshOf({ services, endpoints }: Size): KubeObject[] {
  const namespaces = Array.from({ length: NAMESPACES }, (_, index) => object({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespaceOf(index) } }));
  const all = Array.from({ length: services }, (_, index) => [
    object({ apiVersion: 'v1', kind: 'Service', metadata: { name: serviceName(index), namespace: namespaceOf(index) }, spec: { clusterIP: `172.16.${index >> 8}.${index & 255}`, ports: [{ name: 'http', port: 80, targetPort: 8080 }], selector: { app: serviceName(index) } } }),
    slice(index, endpoints), ...Array.from({ length: endpoints }, (_, position) => pod(index, position)),
  ]).flat();
  return [...namespaces, ...all, virtualService(0)];
}

/** Serves simulated proxies on loopback. */
export class BenchPlane {
  private readonly objects = new Map<string, KubeObject>();
  private readonly slices = new Map<string, KubeObject>();
  private readonly listeners: ((change: ObjectChange) => void)[] = [];
  private readonly engine: MeshEngine;
  private readonly discovery: Discovery;

  constructor(readonly size: Size) {
    for (const one of meshOf(size)) this.put(one);
    const source: ObjectSource = {
      synced: Promise.resolve(), objects: () => this.objects.values(), namespaces: () => new Map(), meshConfigText: () => undefined, onChange: (listener) => void this.listeners.push(listener),
      slicesOf: (namespace, service) => [this.slices.get(`${namespace}/${service}-1`)].filter((found) => found !== undefined),
    };
    const metrics = createMetrics({ version: 'bench', startedAtMs: 0, now: () => Date.now(), connected: () => 0, rootExpiresAtMs: () => 0, chainExpiresAtMs: () => 0, cache: () => ({ size: 0, duplicateClusters: 0 }), snapshot: () => undefined, issues: () => [], views: () => [] });
    this.engine = new MeshEngine({ source, clock: systemClock, domainSuffix: 'cluster.local', clusterId: 'Kubernetes', rootNamespace: 'istio-system', onUpdate: (update) => this.discovery.publish(update) });
    this.discovery = createDiscovery({ engine: () => this.engine, metrics, clock: systemClock, trustEverybody: true, authenticate: () => Promise.reject(new Error('plaintext only')) });
  }

  /** Resolves to the port. */
  async start(): Promise<number> {
    await this.engine.start();
    return this.discovery.server.listenPlaintext('127.0.0.1:0');
  }

  /** Puts an object in (or takes it out) and tells of it, as an informer would. */
  change(type: ObjectChange['type'], changed: KubeObject): void {
    if (type === 'deleted') this.objects.delete(`${changed.kind} ${keyOf(changed)}`);
    else this.put(changed);
    for (const listener of this.listeners) listener({ type, object: changed });
  }

  /** Replaces one pod of a service; `replaced` of its pods are replaced afterwards. */
  replacePod(service: number, replaced: number): void {
    this.change('added', pod(service, replacementOf(replaced)));
    this.change('updated', slice(service, this.size.endpoints, { replaced }));
    this.change('deleted', pod(service, replaced));
  }

  private put(one: KubeObject): void {
    this.objects.set(`${one.kind} ${keyOf(one)}`, one);
    if (one.kind === 'EndpointSlice') this.slices.set(keyOf(one), one);
  }
}
