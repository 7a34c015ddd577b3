/** Everything a control plane makes of a mesh, pushed to our own proxy. */
import { VirtualClock } from '../../src/base/clock.ts';
import { parseProxyNode } from '../../src/model/proxy-node.ts';
import { viewOf } from '../../src/model/view.ts';
import { ConfigManager } from '../../src/proxy/config/manager.ts';
import { HTTP_FILTERS } from '../../src/proxy/filters/registry.ts';
import { ProxyStats } from '../../src/proxy/stats.ts';
import { createRegistry } from '../../src/telemetry/metrics/registry.ts';
import { translateClusters } from '../../src/translate/clusters.ts';
import { translateEndpoints } from '../../src/translate/endpoints.ts';
import { translateListeners } from '../../src/translate/listeners.ts';
import { translateRoutes } from '../../src/translate/routes.ts';
import { TYPE_URL, type AdsClient, type UpdateHandler } from '../../src/xds/ads.ts';
import { encodeResource, type ResourceMessage } from '../../src/xds/codec.ts';
import type { MeshSnapshot } from '../../src/model/snapshot.ts';

export interface TestedProxy {
  readonly id: string;
  readonly metadata: Record<string, unknown>;
}

/** Why our proxy refuses what it would be sent, and how many listeners it has in the end. */
export function proxyNacks(snapshot: MeshSnapshot, proxy: TestedProxy): { readonly nacks: readonly string[]; readonly listeners: number } {
  const view = viewOf(snapshot, parseProxyNode({ id: proxy.id, metadata: proxy.metadata, userAgentName: 'meltemi' })!);
  const handlers = new Map<string, UpdateHandler>();
  const wanted = new Map<string, ReadonlySet<string>>();
  const ads: AdsClient = {
    connected: true, close: () => {},
    subscribeAll: (typeUrl, handler) => void handlers.set(typeUrl, handler),
    subscribe: (typeUrl, handler) => (handlers.set(typeUrl, handler), { setNames: (names) => void wanted.set(typeUrl, names) }),
  };
  const sink = { write: () => {}, flush: async () => {}, close: async () => {}, dropped: 0 };
  const manager = new ConfigManager({
    node: { id: proxy.id, cluster: '', type: view.proxy.type, metadata: {}, workload: { workload: '', namespace: '', app: '', version: '', canonicalService: '', canonicalRevision: '', cluster: '' } },
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
