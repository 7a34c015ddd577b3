import { FieldHeaders } from '../http/field-headers.ts';
import type { ClientStream, ResponseReceiver } from '../http/stream.ts';
import type { CloseCause, Connection, ConnectionSink } from '../io/connection.ts';
import type { TlsContexts } from '../tls/contexts.ts';
import { connectHost } from './connect-host.ts';
import type { HostTarget } from './connect-host.ts';
import type { PoolWaiter } from './host-pool.ts';

/** The ALPNs of a TLS context without the one that would have peers send metadata before the bytes. */
export function rawAlpn(alpn: readonly string[] | undefined): readonly string[] | undefined {
  return alpn?.filter((name) => name !== 'istio-peer-exchange');
}

/** Connections for CONNECT requests that end here: each carries the bytes of one request and nothing else. @see envoy.config.route.v3.RouteAction.UpgradeConfig.ConnectConfig */
export class RawPool {
  constructor(
    private readonly target: HostTarget,
    private readonly contexts: TlsContexts,
  ) {}

  /** Opens a connection. Returns how to give up. */
  acquire(waiter: PoolWaiter): (() => void) | undefined {
    const { cluster, host } = this.target;
    const permit = cluster.admit('connection');
    if (permit === undefined) {
      cluster.stats.counters.upstream_cx_overflow++;
      waiter.onFailure('overflow', '');
      return undefined;
    }
    host.activeConnections++;
    cluster.stats.gauges.upstream_cx_active++;
    let released = false;
    const release = (): void => {
      if (released) return;
      released = true;
      permit.release();
      host.activeConnections--;
      cluster.stats.gauges.upstream_cx_active--;
      cluster.stats.counters.upstream_cx_destroy++;
    };
    const abandon = connectHost(this.target, this.contexts, {
      onConnect: (connection) => {
        connection.sink = { onData: () => {}, onEnd: () => {}, onDrain: () => {}, onClose: release };
        waiter.onReady({
          localAddress: `${connection.localAddress}:${connection.localPort}`,
          peer: connection.tls?.peer,
          localUriSan: connection.tls?.localUriSan ?? '',
          release: () => connection.destroy(),
          start: (_head, _upgrade, end, receiver) => new RawStream(connection, receiver, end, release),
        });
      },
      onFailure: (reason, transportFailure) => {
        release();
        waiter.onFailure(reason, transportFailure);
      },
    });
    return () => {
      abandon();
      release();
    };
  }
}

/** A connection as a request sees it: answered with 200 as soon as it stands. */
class RawStream implements ClientStream, ConnectionSink {
  private over = false;

  constructor(
    private readonly connection: Connection,
    private readonly receiver: ResponseReceiver,
    end: boolean,
    private readonly release: () => void,
  ) {
    connection.sink = this;
    if (end) connection.end();
    // Not before whoever started this knows the stream.
    process.nextTick(() => {
      if (!this.over) receiver.onHead({ status: 200, headers: new FieldHeaders() }, false);
    });
  }

  sendBody(buffer: Buffer, start: number, end: number): boolean {
    return this.over || end === start || this.connection.writeBytes(buffer, start, end);
  }

  sendEnd(): void {
    if (!this.over) this.connection.end();
  }

  cancel(): void {
    this.over = true;
    this.connection.destroy();
  }

  pauseBody(): void {
    this.connection.pause();
  }

  resumeBody(): void {
    this.connection.resume();
  }

  onData(buffer: Buffer, start: number, end: number): void {
    if (!this.over) this.receiver.onBody(buffer, start, end);
  }

  onEnd(): void {
    if (this.over) return;
    this.over = true;
    this.receiver.onEnd(undefined);
    this.connection.close();
  }

  onDrain(): void {
    if (!this.over) this.receiver.onDrain();
  }

  onClose(cause: CloseCause): void {
    this.release();
    if (this.over) return;
    this.over = true;
    this.receiver.onReset('connection termination', cause?.code ?? '');
  }
}
