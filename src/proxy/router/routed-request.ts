import type { TrafficRecord } from '../../telemetry/traffic-record.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { FilterContext } from '../filters/http-filter.ts';
import type { HttpConnectionInfo } from '../hcm/connection-info.ts';
import type { RequestHead } from '../http/message.ts';
import type { ClusterChoice, RouteEntry } from '../route/route-table.ts';
import type { ForwardAction } from './prepare-request.ts';

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
  /** The client's connection, for hosts that ask for a PROXY header. */
  readonly info: HttpConnectionInfo;
  /** `ip:port` the client wanted, for ORIGINAL_DST clusters. */
  readonly originalDestination: string | undefined;
  readonly upstreamAlpn: FilterContext['upstreamAlpn'];
  /** Writes trace headers; called before the head leaves. */
  readonly inject: ((head: RequestHead) => void) | undefined;
  readonly known: Partial<TrafficRecord>;
}
