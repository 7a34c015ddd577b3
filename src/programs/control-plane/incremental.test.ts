/** What is kept from change to change equals what is made from scratch: random meshes, random changes, proxies of many kinds, both protocols. */
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../base/clock.ts';
import { parseProxyNode, type NodeInput, type ProxyNode } from '../../model/proxy-node.ts';
import type { MeshSnapshot } from '../../model/snapshot.ts';
import { dependsOnService, viewOf } from '../../model/view.ts';
import type { KubeObject } from '../../objects/meta.ts';
import { resolve } from '../../resolve/resolve.ts';
import { envoyFilterIssues } from '../../translate/envoy-filter/issues.ts';
import { translateClusters } from '../../translate/clusters.ts';
import { translateEndpoints } from '../../translate/endpoints.ts';
import { routeNamesIn, translateListeners } from '../../translate/listeners.ts';
import { translateNameTable } from '../../translate/name-table.ts';
import { translateRoutes } from '../../translate/routes.ts';
import { TYPE_URL, type EncodedResource } from '../../xds/ads.ts';
import { encodeResource, type ResourceMessage } from '../../xds/codec.ts';
import { DiscoverySession, type Command } from '../../xds/server/state-machine.ts';
import { randomMesh, type RandomMesh } from './testdata/random-mesh.ts';
import { MeshEngine, type MeshUpdate } from './mesh-engine.ts';
import type { ObjectChange, ObjectSource } from './object-source.ts';
import { ResourceGenerator, type ProxyResources } from './resource-generator.ts';

const SEEDS = Number(process.env['INCREMENTAL_SEEDS'] ?? 3);
const CHANGES = Number(process.env['INCREMENTAL_CHANGES'] ?? 12);
const CLUSTER_DEFAULTS = { domainSuffix: 'cluster.local', clusterId: 'Kubernetes', rootNamespace: 'istio-system' };

const node = (type: 'sidecar' | 'router', ip: string, name: string, namespace: string, labels: Record<string, string>, rest: Partial<NodeInput> & { readonly zone?: string; readonly dns?: boolean } = {}): ProxyNode =>
  parseProxyNode({
    id: `${type}~${ip}~${name}.${namespace}~${namespace}.svc.cluster.local`, extensions: [], userAgentName: 'meltemi', ...rest,
    metadata: { NAMESPACE: namespace, LABELS: labels, CLUSTER_ID: 'Kubernetes', ...(rest.dns && { DNS_CAPTURE: 'true', DNS_AUTO_ALLOCATE: 'true' }), ...rest.metadata },
    ...(rest.zone !== undefined && { locality: { region: 'r1', zone: rest.zone } }),
  })!;

const PROXIES: readonly ProxyNode[] = [
  node('sidecar', '10.1.0.0', 'pod-0', 'one', { app: 's0', version: 'v1' }, { zone: 'a' }),
  node('sidecar', '10.1.0.1', 'pod-1', 'one', { app: 's1', version: 'v2' }, { zone: 'a' }),
  node('sidecar', '10.1.0.2', 'pod-2', 'two', { app: 's0' }, { dns: true }),
  node('sidecar', '10.1.0.3', 'pod-3', 'two', { app: 's2', version: 'v1' }, { extensions: ['envoy.filters.http.router'], userAgentName: 'envoy' }),
  node('sidecar', '10.9.9.9', 'stranger', 'three', {}),
  node('router', '10.1.0.8', 'gateway', 'istio-system', { istio: 'ingressgateway' }),
];

/** A client on one stream: takes everything and answers at once. */
class Client {
  readonly held = new Map<string, Map<string, string>>();
  private readonly session: DiscoverySession;
  private readonly named = new Map<string, readonly string[]>();
  private nonce = 0;

  constructor(private readonly mode: 'sotw' | 'delta') {
    this.session = new DiscoverySession(mode, () => String(++this.nonce));
    for (const typeUrl of [TYPE_URL.cluster, TYPE_URL.listener, TYPE_URL.nameTable]) this.ask(typeUrl, undefined, '');
  }

  take(resources: ProxyResources): void {
    this.run(this.session.setView(resources.resources));
  }

  /** Changes the names of a named type. */
  name(typeUrl: string, names: readonly string[]): void {
    this.ask(typeUrl, names, '');
  }

  private ask(typeUrl: string, names: readonly string[] | undefined, responseNonce: string): void {
    const before = this.named.get(typeUrl) ?? [];
    const wanted = names ?? before;
    this.named.set(typeUrl, wanted);
    const held = this.held.get(typeUrl);
    for (const name of before) if (!wanted.includes(name)) held?.delete(name);
    this.run(this.session.request(this.mode === 'sotw'
      ? { kind: 'sotw', typeUrl, names: wanted, responseNonce: responseNonce || (this.lastNonce.get(typeUrl) ?? '') }
      : { kind: 'delta', typeUrl, subscribe: wanted.filter((name) => !before.includes(name)), unsubscribe: before.filter((name) => !wanted.includes(name)), initialVersions: new Map(), responseNonce }));
  }

  private readonly lastNonce = new Map<string, string>();

  private run(commands: readonly Command[]): void {
    for (const command of commands) {
      if (command.kind !== 'respond') continue;
      const { typeUrl, resources, removed } = command;
      const isWhole = this.mode === 'sotw' && (typeUrl === TYPE_URL.cluster || typeUrl === TYPE_URL.listener);
      const held = isWhole ? new Map<string, string>() : (this.held.get(typeUrl) ?? new Map<string, string>());
      for (const resource of resources) held.set(resource.name, resource.version);
      for (const name of removed) held.delete(name);
      this.held.set(typeUrl, held);
      this.lastNonce.set(typeUrl, command.nonce);
    }
    for (const command of commands) if (command.kind === 'respond') this.ask(command.typeUrl, undefined, command.nonce);
  }
}

const versions = (messages: readonly ResourceMessage[]): Record<string, string> => Object.fromEntries(messages.map(encodeResource).map((resource): [string, string] => [resource.name, resource.version]));
const textOf = (map: ReadonlyMap<string, string> | undefined): Record<string, string> => Object.fromEntries(map ?? []);
const listed = (resources: Iterable<EncodedResource>): Record<string, string> => Object.fromEntries([...resources].map((resource): [string, string] => [resource.name, resource.version]));

class Rig {
  readonly engine: MeshEngine;
  private readonly clock = new VirtualClock(Date.parse('2026-01-01T00:00:00Z'));
  private readonly listeners: ((change: ObjectChange) => void)[] = [];
  private readonly generator = new ResourceGenerator({ onFailure: (failure) => expect(failure).toBeUndefined() });
  private readonly states = PROXIES.map((proxy) => ({ proxy, last: undefined as ProxyResources | undefined, clients: [new Client('delta'), new Client('sotw')] }));

  constructor(private readonly mesh: RandomMesh) {
    const source: ObjectSource = {
      synced: Promise.resolve(), objects: () => mesh.objects.values(), namespaces: () => new Map(), meshConfigText: () => mesh.config, onChange: (listener) => void this.listeners.push(listener),
      slicesOf: (namespace, service) => [...mesh.objects.values()].filter((one) => one.kind === 'EndpointSlice' && one.metadata.namespace === namespace && one.metadata.labels?.['kubernetes.io/service-name'] === service),
    };
    this.engine = new MeshEngine({ source, clock: this.clock, ...CLUSTER_DEFAULTS, onUpdate: (update) => this.publish(update) });
  }

  change(changed: readonly KubeObject[]): void {
    for (const object of changed) for (const listener of this.listeners) listener({ type: 'updated', object });
    this.clock.advance(11_000);
  }

  private publish(update: MeshUpdate): void {
    if (!update.endpointsOf) this.generator.nextGeneration();
    for (const state of this.states) {
      const { last } = state;
      if (update.endpointsOf && last && !state.proxy.ipAddresses.some((address) => update.addresses.has(address))) {
        if (![...update.endpointsOf].some((key) => dependsOnService(last.view, key))) continue;
        state.last = this.generator.withEndpointsOf(update.snapshot, update.version, last);
      } else state.last = this.generator.generate(update.snapshot, update.version, state.proxy, false, last);
      for (const client of state.clients) client.take(state.last);
    }
  }

  /** Every proxy has, and every client was told, what a new control plane would make. */
  check(about: string): void {
    const fresh = resolve({ objects: this.mesh.objects.values(), meshConfig: this.mesh.configValue, ...CLUSTER_DEFAULTS });
    expect(this.engine.snapshot, about).toEqual(fresh.snapshot);
    expect(this.engine.issues, about).toEqual([...fresh.issues, ...envoyFilterIssues(fresh.snapshot.envoyFilters)]);
    for (const { proxy, last, clients } of this.states) this.checkProxy(`${about}, ${proxy.id}`, fresh.snapshot, proxy, last!, clients);
  }

  private checkProxy(about: string, snapshot: MeshSnapshot, proxy: ProxyNode, last: ProxyResources, clients: readonly Client[]): void {
    const view = viewOf(snapshot, proxy);
    const get = (typeUrl: string) => last.resources.resources(typeUrl);
    const clusters = translateClusters(view);
    const wanted = { clusters: versions(clusters), listeners: versions(translateListeners(view)), names: versions([translateNameTable(view)]) };
    expect({ clusters: listed(get(TYPE_URL.cluster).values()), listeners: listed(get(TYPE_URL.listener).values()), names: listed(get(TYPE_URL.nameTable).values()) }, about).toEqual(wanted);
    const tables = [...routeNamesIn(translateListeners(view)), '80', '81'];
    const assignments = clusters.filter((cluster) => cluster.edsClusterConfig).map((cluster) => cluster.name);
    const [routes, endpoints] = [versions(translateRoutes(view, tables)), versions(translateEndpoints(view, assignments))];
    const made = (typeUrl: string, names: readonly string[]) => listed(names.flatMap((name) => get(typeUrl).get(name) ?? []));
    expect({ routes: made(TYPE_URL.route, tables), endpoints: made(TYPE_URL.endpoint, assignments) }, about).toEqual({ routes, endpoints });
    for (const client of clients) {
      client.name(TYPE_URL.endpoint, assignments);
      client.name(TYPE_URL.route, tables);
      const told = (typeUrl: string) => textOf(client.held.get(typeUrl));
      expect({ clusters: told(TYPE_URL.cluster), listeners: told(TYPE_URL.listener), names: told(TYPE_URL.nameTable), routes: told(TYPE_URL.route), endpoints: told(TYPE_URL.endpoint) }, about).toEqual({ ...wanted, routes, endpoints });
    }
  }
}

describe('incremental configuration', () => {
  it.each(Array.from({ length: SEEDS }, (_, index) => index + 1))('equals configuration from scratch (seed %i)', async (seed) => {
    const mesh = randomMesh(seed);
    const rig = new Rig(mesh);
    await rig.engine.start();
    rig.check(`seed ${seed}, start`);
    for (let index = 0; index < CHANGES; index++) {
      const changed = mesh.change();
      rig.change(changed);
      const about = `seed ${seed}, change ${index}: ${changed.map((object) => `${object.kind} ${object.metadata.namespace}/${object.metadata.name}`).join(', ')}`;
      rig.check(about);
    }
  }, 60_000);
});
