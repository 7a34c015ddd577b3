import type { ProxyIdentity } from '../node-metadata.ts';
import type { AgentProxyConfig } from '../proxy-config.ts';

/** Everything the bootstrap is made of. */
export interface BootstrapInput {
  readonly identity: ProxyIdentity;
  readonly proxyConfig: AgentProxyConfig;
  readonly annotations: Readonly<Record<string, string>>;
  readonly instanceIps: readonly string[];
  /** Address of the node, which `$(HOST_IP)` in a collector's address stands for. Default: it stays as it is. */
  readonly hostIp?: string;
  /** The family of the pod's second addresses listens as well. Default false. */
  readonly dualStack?: boolean;
  /** `::` machines bind wildcard and loopback addresses of that family. */
  readonly ipv6Only: boolean;
  readonly prometheusPort: number;
  readonly readinessPort: number;
  /** 0 = none. */
  readonly secureMetricsPort: number;
  readonly secureMergedMetricsPort: number;
  /** Unix sockets of the agent. */
  readonly xdsSocket: string;
  readonly sdsSocket: string;
  /** Empty: outlier events are not logged. */
  readonly outlierLogPath: string;
  /** Where the Lightstep token was written. */
  readonly lightstepTokenPath: string;
  readonly compliancePolicy: string;
  /** SO_MARK of every upstream connection; 0 = none. */
  readonly socketMark: number;
  /** Keep the statistic that says whether anything is connected. */
  readonly countActiveConnections: boolean;
  /** Extra keys of the environment (`GLOBAL_DOWNSTREAM_MAX_CONNECTIONS`, `LOAD_STATS_CONFIG_JSON`). */
  readonly meta: Readonly<Record<string, unknown>>;
}

/** Whether the proxy's own addresses are IPv6: a pod has nothing else, or has it first. */
export function isIpv6First(input: BootstrapInput): boolean {
  return input.ipv6Only || (input.dualStack === true && input.instanceIps[0]?.includes(':') === true);
}
