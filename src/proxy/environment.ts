import type { ClusterSet } from './cluster/cluster.ts';
import type { DynamicHosts } from './cluster/dynamic-hosts.ts';
import type { ProxyNode } from './config/runtime.ts';
import type { UpstreamPools } from './router/pools.ts';
import type { ProxyStats } from './stats.ts';
import type { TlsContexts } from './tls/contexts.ts';

/** What every part of the data path needs from the proxy it runs in. */
export interface ProxyEnvironment {
  readonly node: ProxyNode;
  /** Clusters of the snapshot in force; asked once per request. */
  readonly clusters: () => ClusterSet;
  readonly pools: UpstreamPools;
  readonly contexts: TlsContexts;
  readonly stats: ProxyStats;
  readonly dynamicHosts: DynamicHosts;
  /** In [0, 1). */
  readonly random: () => number;
}
