import type { ResponseFlag } from '../../telemetry/traffic-record.ts';
import type { DynamicHosts } from '../cluster/dynamic-hosts.ts';
import type { HttpConnectionInfo } from '../hcm/connection-info.ts';
import type { DynamicMetadata } from './dynamic-metadata.ts';
import type { SideCall } from './side-call.ts';

/** What a filter says about a connection: let it pass, close it, or decide later (call `resume` once; what `start` returns gives up). */
export type NetworkVerdict =
  | { readonly kind: 'continue' }
  | { readonly kind: 'close'; readonly details: string; readonly flag?: ResponseFlag }
  | { readonly kind: 'wait'; readonly start: (resume: (verdict: NetworkVerdict) => void) => () => void };

/** The verdict of nearly every filter. */
export const PASS: NetworkVerdict = { kind: 'continue' };

/** What filters see of a connection. */
export interface NetworkContext {
  readonly info: HttpConnectionInfo;
  readonly metadata: DynamicMetadata;
  readonly sideCall: SideCall;
  /** Hosts that clients name. */
  readonly dynamicHosts: DynamicHosts;
  /** `ip:port` for a cluster whose hosts come by name. */
  useDestination(address: string): void;
  /** Calls back once, when the connection is gone. */
  onClose(done: () => void): void;
  /** Adds one to a counter, `tcp.rbac.denied`. */
  count(name: string): void;
}

/** A filter in front of a TCP proxy or a connection manager. Asked once, after the handshake and before anything is opened upstream. Shared by all connections. */
export interface NetworkFilter {
  onConnection(context: NetworkContext): NetworkVerdict;
}

/** How a filter reads its config. */
export interface NetworkFilterFactory {
  readonly typeUrl: string;
  /** @throws Error with a sentence when the config cannot be obeyed: it becomes a NACK. */
  create(bytes: Uint8Array): NetworkFilter;
}
