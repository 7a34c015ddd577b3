/** What a cache of looked-up hosts is to do. */
import { Cluster_DnsLookupFamily as Family } from '../../xds/gen/envoy/config/cluster/v3/cluster_pb.ts';
import type { DnsCacheConfig } from '../../xds/gen/envoy/extensions/common/dynamic_forward_proxy/v3/dns_cache_pb.ts';
import { durationMs } from '../config/scalars.ts';

/** One cache, as its users describe it. @see envoy.extensions.common.dynamic_forward_proxy.v3.DnsCacheConfig */
export interface DnsCacheSettings {
  readonly name: string;
  readonly family: 0 | 4 | 6;
  readonly prefer: 4 | 6 | undefined;
  /** Between lookups of a host that is in use. Never under 5 s (or `dns_min_refresh_rate`); default 60 s. */
  readonly refreshMs: number;
  /** A host nobody asked for so long is forgotten. Default 5 min. */
  readonly hostTtlMs: number;
  /** More hosts are refused. Default 1024. */
  readonly maxHosts: number;
  /** More requests that wait for an answer are refused. Default 1024. */
  readonly maxPending: number;
  /** Default 5 s. */
  readonly queryTimeoutMs: number;
}

/** Throws for what is not obeyed: resolvers and stores of their own, names resolved ahead. */
export function compileDnsCache(config: DnsCacheConfig | undefined): DnsCacheSettings {
  if (config === undefined || config.name === '') throw new Error('dns_cache_config needs a name');
  if (config.keyValueConfig !== undefined) throw new Error('dns_cache_config.key_value_config is not supported');
  if (config.preresolveHostnames.length > 0) throw new Error('dns_cache_config.preresolve_hostnames is not supported');
  const minimumMs = durationMs(config.dnsMinRefreshRate) ?? 5000;
  return {
    name: config.name, ...FAMILIES[config.dnsLookupFamily],
    refreshMs: Math.max(minimumMs, durationMs(config.dnsRefreshRate) ?? 60_000),
    hostTtlMs: durationMs(config.hostTtl) ?? 300_000,
    maxHosts: config.maxHosts ?? 1024,
    maxPending: config.dnsCacheCircuitBreaker?.maxPendingRequests ?? 1024,
    queryTimeoutMs: durationMs(config.dnsQueryTimeout) ?? 5000,
  };
}

const FAMILIES: Readonly<Record<Family, Pick<DnsCacheSettings, 'family' | 'prefer'>>> = {
  [Family.AUTO]: { family: 0, prefer: 6 },
  [Family.V4_ONLY]: { family: 4, prefer: undefined },
  [Family.V6_ONLY]: { family: 6, prefer: undefined },
  [Family.V4_PREFERRED]: { family: 0, prefer: 4 },
  [Family.ALL]: { family: 0, prefer: undefined },
};
