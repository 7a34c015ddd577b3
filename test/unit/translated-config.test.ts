/** Our proxy takes everything our control plane makes: each golden's mesh, as sidecar and as gateway, without a NACK. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { VirtualClock } from '../../src/base/clock.ts';
import { parseProxyNode } from '../../src/model/proxy-node.ts';
import { viewOf } from '../../src/model/view.ts';
import type { KubeObject } from '../../src/objects/meta.ts';
import { ConfigManager } from '../../src/proxy/config/manager.ts';
import { HTTP_FILTERS } from '../../src/proxy/filters/registry.ts';
import { ProxyStats } from '../../src/proxy/stats.ts';
import { resolve } from '../../src/resolve/resolve.ts';
import { createRegistry } from '../../src/telemetry/metrics/registry.ts';
import { translateClusters } from '../../src/translate/clusters.ts';
import { translateEndpoints } from '../../src/translate/endpoints.ts';
import { translateListeners } from '../../src/translate/listeners.ts';
import { translateRoutes } from '../../src/translate/routes.ts';
import { TYPE_URL, type AdsClient, type UpdateHandler } from '../../src/xds/ads.ts';
import { encodeResource, type ResourceMessage } from '../../src/xds/codec.ts';

const folder = join(import.meta.dirname, '../../src/translate/testdata');

function read(file: string): unknown[] {
  return parseAllDocuments(readFileSync(join(folder, file), 'utf8')).map((document) => document.toJS() as unknown).filter((value) => value !== null);
}

interface Header {
  readonly proxy: { readonly id: string; readonly metadata: Record<string, unknown> };
  readonly base?: string;
  readonly meshConfig?: unknown;
}

function nacksOf(file: string): { readonly nacks: readonly string[]; readonly listeners: number } {
  const [header, ...rest] = read(file) as [Header, ...KubeObject[]];
  return nacksOfMesh(header, rest);
}

function nacksOfMesh(header: Header, rest: readonly KubeObject[]): { readonly nacks: readonly string[]; readonly listeners: number } {
  const { snapshot } = resolve({ objects: [...(header.base ? (read(header.base) as KubeObject[]) : []), ...rest], meshConfig: header.meshConfig });
  const view = viewOf(snapshot, parseProxyNode({ id: header.proxy.id, metadata: header.proxy.metadata, userAgentName: 'meltemi' })!);
  const handlers = new Map<string, UpdateHandler>();
  const wanted = new Map<string, ReadonlySet<string>>();
  const ads: AdsClient = {
    connected: true, close: () => {},
    subscribeAll: (typeUrl, handler) => void handlers.set(typeUrl, handler),
    subscribe: (typeUrl, handler) => (handlers.set(typeUrl, handler), { setNames: (names) => void wanted.set(typeUrl, names) }),
  };
  const sink = { write: () => {}, flush: async () => {}, close: async () => {}, dropped: 0 };
  const manager = new ConfigManager({
    node: { id: header.proxy.id, cluster: '', type: view.proxy.type, metadata: {}, workload: { workload: '', namespace: '', app: '', version: '', canonicalService: '', canonicalRevision: '', cluster: '' } },
    filters: HTTP_FILTERS, registry: createRegistry(), stats: new ProxyStats(), clock: new VirtualClock(0), random: () => 0, resolve: async () => [], openSink: () => sink,
  });
  manager.subscribe(ads);
  const nacks: string[] = [];
  const push = (typeUrl: string, messages: readonly ResourceMessage[]) => {
    const nack = handlers.get(typeUrl)?.({ updated: messages.map((message) => encodeResource(message)), removed: [] });
    if (nack) nacks.push(nack);
  };
  push(TYPE_URL.cluster, translateClusters(view));
  push(TYPE_URL.endpoint, translateEndpoints(view, wanted.get(TYPE_URL.endpoint) ?? []));
  push(TYPE_URL.listener, translateListeners(view));
  push(TYPE_URL.route, translateRoutes(view, wanted.get(TYPE_URL.route) ?? []));
  return { nacks, listeners: manager.snapshot.value.listeners.size };
}

describe('our proxy and our control plane', () => {
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.in.yaml')))
    it(`agree on ${file.replace('.in.yaml', '')}`, () => {
      const { nacks, listeners } = nacksOf(file);
      expect(nacks).toEqual([]);
      expect(listeners).toBeGreaterThan(0);
    });
  it.each([
    ['sidecar', 'sidecar~10.244.0.11~productpage-v1-5f4c8-abcde.default~default.svc.cluster.local', 'default'], ['gateway', 'router~10.244.0.14~istio-ingressgateway-1.istio-system~istio-system.svc.cluster.local', 'istio-system'],
  ])('agree on everything a %s may get', (_, id, namespace) => {
    const { nacks } = nacksOfMesh({ proxy: { id, metadata: { NAMESPACE: namespace } }, base: 'bookinfo.base.yaml' }, read('everything.yaml') as KubeObject[]);
    expect(nacks).toEqual([]);
  });
});
