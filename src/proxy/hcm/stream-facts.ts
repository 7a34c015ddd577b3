import type { ResponseFlag, TrafficRecord } from '../../telemetry/traffic-record.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { HcmRuntime } from '../config/runtime.ts';
import type { ProxyEnvironment } from '../environment.ts';
import type { DynamicMetadata } from '../filters/dynamic-metadata.ts';
import type { LocalReply } from '../filters/http-filter.ts';
import type { SideCall } from '../filters/side-call.ts';
import type { RequestHead } from '../http/message.ts';
import type { ClusterChoice } from '../route/route-table.ts';
import { sideCalls } from '../router/side-call.ts';
import type { HttpStats } from '../stats.ts';
import type { HttpConnectionInfo } from './connection-info.ts';
import type { FilterChain } from './filter-chain.ts';
import type { RequestSource } from './request-headers.ts';

/** What the streams of one connection manager share. */
export interface HcmEnvironment {
  readonly proxy: ProxyEnvironment;
  readonly hcm: HcmRuntime;
  readonly chain: FilterChain;
  readonly stats: HttpStats;
  /** Our own address, '' when the node does not say. */
  readonly ownIp: string;
  /** Some stream timeout is set for all streams. */
  readonly timed: boolean;
}

const NO_FLAGS: readonly ResponseFlag[] = [];

/** What a stream knows without doing anything: filters ask for it. */
export abstract class StreamFacts {
  flags = NO_FLAGS;
  choice: ClusterChoice | undefined;
  /** The answer, when it is our own. */
  local: LocalReply | undefined;
  protected cluster: Cluster | undefined;
  protected dynamicMetadata: DynamicMetadata | undefined;

  constructor(
    readonly environment: HcmEnvironment,
    readonly info: HttpConnectionInfo,
    readonly request: RequestHead,
    /** The TCP peer, until headers say better. */
    public source: RequestSource,
  ) {}

  get direction(): TrafficRecord['direction'] {
    return this.environment.hcm.direction;
  }

  get node(): ProxyEnvironment['node'] {
    return this.environment.proxy.node;
  }

  get destinationCluster(): string {
    return this.choice?.cluster ?? '';
  }

  get sourceIp(): string {
    return this.source.ip;
  }

  get downstreamProtocol(): RequestHead['protocol'] {
    return this.request.protocol;
  }

  get dynamicHosts(): ProxyEnvironment['dynamicHosts'] {
    return this.environment.proxy.dynamicHosts;
  }

  get dynamicPort(): number | undefined {
    return this.cluster?.dynamicPort;
  }

  get localBody(): string | undefined {
    return this.local?.body;
  }

  get sideCall(): SideCall {
    return sideCalls(this.environment.proxy);
  }

  /** Made when first asked for: nearly no request has any. */
  get metadata(): DynamicMetadata {
    return (this.dynamicMetadata ??= new Map());
  }

  get random(): () => number {
    return this.environment.proxy.random;
  }

  get stats(): HttpStats {
    return this.environment.stats;
  }

  addFlag(flag: ResponseFlag): void {
    if (!this.flags.includes(flag)) this.flags = [...this.flags, flag];
  }
}
