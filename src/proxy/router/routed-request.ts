import type { TrafficRecord } from '../../telemetry/traffic-record.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { FilterContext } from '../filters/http-filter.ts';
import type { RequestHead } from '../http/message.ts';
import type { ClusterChoice, RouteEntry } from '../route/route-table.ts';
import type { ForwardAction } from './prepare-request.ts';
import type { ProxiedAddresses } from './proxy-header.ts';

/** What is forwarded and where. */
export interface RoutedRequest {
  readonly head: RequestHead;
  readonly entry: RouteEntry;
  readonly action: ForwardAction;
  readonly choice: ClusterChoice;
  readonly cluster: Cluster;
  readonly upgrade: string | undefined;
  readonly grpc: boolean;
  readonly sourceIp: string;
  /** Made only when a host asks for a PROXY header. */
  readonly proxied: () => ProxiedAddresses;
  /** `ip:port` the client wanted, for ORIGINAL_DST clusters. */
  readonly originalDestination: string | undefined;
  readonly upstreamAlpn: FilterContext['upstreamAlpn'];
  /** Writes trace headers; called before the head leaves. */
  readonly inject: ((head: RequestHead) => void) | undefined;
  readonly known: Partial<TrafficRecord>;
}
