import type { Connection } from '../io/connection.ts';

/** What the HTTP layer knows of the connection its requests came on. */
export interface HttpConnectionInfo {
  readonly connection: Connection;
  /** Number of the connection in this process, from 1. */
  readonly id: number;
  /** `ip:port` the client wanted when it was redirected to us. */
  readonly originalDestination: string | undefined;
  /** What it connected to: the original destination, or our own address. */
  readonly localAddress: string;
  readonly remoteAddress: string;
  /** SNI, '' when there was none. */
  readonly serverName: string;
}
