import type { TcpProxyRuntime } from '../config/runtime.ts';
import type { ProxyEnvironment } from '../environment.ts';
import type { HttpConnectionInfo } from '../hcm/connection-info.ts';
import type { DrainableConnection } from '../hcm/connection-manager.ts';
import type { SocketConnection } from '../io/socket-connection.ts';
import { TcpSession } from './tcp-session.ts';

/** One tcp_proxy of a filter chain. */
export class TcpProxy {
  constructor(
    private readonly environment: ProxyEnvironment,
    private readonly config: TcpProxyRuntime,
  ) {}

  /** Serves a connection; `unread` are bytes that listener filters have read. */
  serve(connection: SocketConnection, info: HttpConnectionInfo, unread: Buffer | undefined, onClosed: () => void): DrainableConnection {
    const session = new TcpSession(this.environment, this.config, connection, info, onClosed);
    session.start(unread);
    // There is no way to ask a TCP peer to come again: a draining connection lives until the drain time ends.
    return { drain: () => {}, destroy: () => connection.destroy() };
  }
}
