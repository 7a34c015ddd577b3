/** The real control plane over objects in memory: what `control-plane discovery --files` is, without the files and with short pauses. */
import { systemClock, type Clock } from '../../src/base/clock.ts';
import type { KubeObject } from '../../src/objects/meta.ts';
import { createDiscovery, type Discovery } from '../../src/programs/control-plane/discovery.ts';
import { MeshEngine } from '../../src/programs/control-plane/mesh-engine.ts';
import { HOLD_BACK_MS } from '../../src/programs/control-plane/hold-back.ts';
import { createMetrics } from '../../src/programs/control-plane/metrics.ts';
import type { ObjectChange, ObjectSource } from '../../src/programs/control-plane/object-source.ts';

/** Changes come all at once here: nothing to gather. Long waits stay as they are. */
const impatient: Clock = { now: () => Date.now(), after: (delayMs, fn) => systemClock.after(delayMs < 1000 ? Math.min(delayMs, 2) : delayMs, fn) };

const keyOf = (object: KubeObject): string => `${object.kind}/${object.metadata.namespace ?? ''}/${object.metadata.name}`;

/** Base objects with those of a case over them. */
export function layered(base: readonly KubeObject[], objects: readonly KubeObject[]): KubeObject[] {
  const all = new Map(base.map((object) => [keyOf(object), object]));
  for (const object of objects) all.set(keyOf(object), object);
  return [...all.values()];
}

/** Text of the mesh configuration among the objects. */
export function meshConfigTextOf(objects: Iterable<KubeObject>): string | undefined {
  for (const object of objects) if (object.kind === 'ConfigMap' && object.metadata.name === 'istio') return (object as { data?: Record<string, string> }).data?.['mesh'];
  return undefined;
}

/** A variable of istiod's environment: a case file writes it beside the mesh configuration. */
export function environmentOf(objects: Iterable<KubeObject>, name: string): string | undefined {
  for (const object of objects) if (object.kind === 'ConfigMap' && object.metadata.name === 'istio') return (object as { data?: Record<string, string> }).data?.[name];
  return undefined;
}

/** Whether istiod was told that several authorizers may be asked for one workload. */
export const severalAuthorizersIn = (objects: Iterable<KubeObject>): boolean => environmentOf(objects, 'PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS') === 'true';

/** Serves proxies; `apply` replaces the mesh. */
export class TestControlPlane {
  /** What proxies refused, since the last call of `apply`. */
  readonly refusals: string[] = [];
  /** What proxies refused in the whole run. */
  readonly allRefusals: string[] = [];
  /** Meshes pushed in the whole run. */
  pushes = 0;
  /** Rules ahead of their subsets wait for them, as with users; without it every mesh is obeyed at once. */
  patient = false;
  private objects: readonly KubeObject[];
  private readonly listeners: ((change: ObjectChange) => void)[] = [];
  private readonly engine: MeshEngine;
  private readonly discovery: Discovery;
  private published: () => void = () => {};

  constructor(objects: readonly KubeObject[], clock: Clock = impatient) {
    this.objects = objects;
    const source: ObjectSource = {
      synced: Promise.resolve(),
      objects: () => this.objects,
      slicesOf: (namespace, service) => this.objects.filter((object) => object.kind === 'EndpointSlice' && object.metadata.namespace === namespace && object.metadata.labels?.['kubernetes.io/service-name'] === service),
      namespaces: () => new Map(this.objects.filter((object) => object.kind === 'Namespace').map((object) => [object.metadata.name, object])),
      meshConfigText: () => meshConfigTextOf(this.objects),
      onChange: (listener) => void this.listeners.push(listener),
    };
    const metrics = createMetrics({ version: 'test', startedAtMs: 0, now: () => Date.now(), connected: () => 0, rootExpiresAtMs: () => 0, chainExpiresAtMs: () => 0, cache: () => ({ size: 0, duplicateClusters: 0 }), snapshot: () => undefined, issues: () => [], views: () => [] });
    this.engine = new MeshEngine({
      source, clock, domainSuffix: 'cluster.local', clusterId: 'Kubernetes', rootNamespace: 'istio-system', severalAuthorizers: () => severalAuthorizersIn(this.objects), holdBackMs: () => (this.patient ? HOLD_BACK_MS : 0),
      onUpdate: (update) => {
        this.pushes++;
        this.discovery.publish(update);
        this.published();
      },
    });
    this.discovery = createDiscovery({ engine: () => this.engine, metrics, clock, trustEverybody: true, authenticate: () => Promise.reject(new Error('plaintext only')) });
  }

  /** Notes a line of the log that tells of a refusal. */
  noteLogLine(line: string): void {
    if (!line.includes('ACK ERROR') && !line.includes('could not be')) return;
    this.refusals.push(line.trim());
    this.allRefusals.push(line.trim());
  }

  /** Resolves to the port. */
  async start(): Promise<number> {
    await this.engine.start();
    return this.discovery.server.listenPlaintext('127.0.0.1:0');
  }

  /** Replaces the mesh; resolves when every proxy has acknowledged all of it. */
  async apply(objects: readonly KubeObject[]): Promise<void> {
    this.objects = objects;
    this.refusals.length = 0;
    const published = new Promise<void>((resolve) => void (this.published = resolve));
    for (const listener of this.listeners) listener({ type: 'updated', object: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'app' } } as KubeObject });
    await published;
    await this.settled();
  }

  /** Replaces the mesh and tells of one changed object, as an API server would; does not wait for anybody. */
  change(objects: readonly KubeObject[], changed: KubeObject): void {
    this.objects = objects;
    for (const listener of this.listeners) listener({ type: 'updated', object: changed });
  }

  /** Errors of the present mesh, as `kind name: message`. */
  issues(): string[] {
    return this.engine.issues.filter((issue) => issue.severity === 'error').map((issue) => `${issue.object.kind} ${issue.object.name}: ${issue.message}`);
  }

  /** Every connected proxy has what it should have. */
  async settled(): Promise<void> {
    for (const deadline = Date.now() + 10_000; Date.now() < deadline; await new Promise((resolve) => setTimeout(resolve, 4))) {
      const clients = this.discovery.server.clients();
      if (clients.length >= 2 && clients.every((client) => client.view?.version === this.engine.version && client.status().every((row) => row.status !== 'STALE'))) return;
    }
    const rows = this.discovery.server.clients().map((client) => `${client.node.id}: ${client.status().map((row) => `${row.typeUrl.split('.').pop()} ${row.status}`).join(', ')}`);
    throw new Error(`proxies do not acknowledge the mesh: ${rows.join('; ') || 'nobody is connected'}${this.refusals.length ? `; refused ${this.refusals.join(', ')}` : ''}`);
  }
}
