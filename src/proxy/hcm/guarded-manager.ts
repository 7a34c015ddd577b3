import { beginBatch, endBatch } from '../io/batch.ts';
import type { CloseCause, ConnectionSink } from '../io/connection.ts';
import type { SocketConnection } from '../io/socket-connection.ts';
import type { ProxyEnvironment } from '../environment.ts';
import type { DynamicMetadata } from '../filters/dynamic-metadata.ts';
import type { NetworkContext, NetworkFilter, NetworkVerdict } from '../filters/network-filter.ts';
import { sideCalls } from '../router/side-call.ts';
import type { HttpConnectionInfo } from './connection-info.ts';
import type { ConnectionManager, DrainableConnection } from './connection-manager.ts';

/** A connection manager behind network filters: what they refuse is closed without a word of HTTP. */
export class GuardedManager {
  constructor(
    private readonly environment: ProxyEnvironment,
    private readonly filters: readonly NetworkFilter[],
    private readonly manager: ConnectionManager,
  ) {}

  /** As {@link ConnectionManager.serve}, once every filter agrees. */
  serve(connection: SocketConnection, info: HttpConnectionInfo, unread: Buffer | undefined, onClosed: () => void): DrainableConnection {
    const guard = new Guard(this.environment, this.filters, connection, info, onClosed, (closed) => this.manager.serve(connection, info, unread, closed));
    guard.ask(0);
    return guard;
  }
}

class Guard implements ConnectionSink, DrainableConnection {
  private served: DrainableConnection | undefined;
  private abandon: (() => void) | undefined;
  private over = false;
  private readonly metadata: DynamicMetadata = new Map();
  private readonly closers: (() => void)[] = [];

  constructor(
    private readonly environment: ProxyEnvironment,
    private readonly filters: readonly NetworkFilter[],
    private readonly connection: SocketConnection,
    private readonly info: HttpConnectionInfo,
    private readonly onClosed: () => void,
    private readonly open: (closed: () => void) => DrainableConnection,
  ) {
    connection.sink = this;
    connection.pause();
  }

  ask(from: number): void {
    if (from < this.filters.length) {
      this.obey(this.filters[from]!.onConnection(this.context), from);
      return;
    }
    this.connection.resume();
    beginBatch();
    try {
      this.served = this.open(() => this.finish());
    } finally {
      endBatch();
    }
  }

  private obey(verdict: NetworkVerdict, index: number): void {
    if (verdict.kind === 'continue') this.ask(index + 1);
    else if (verdict.kind === 'close') {
      this.connection.close();
      this.connection.resume();
    } else
      this.abandon = verdict.start((later) => {
        this.abandon = undefined;
        if (!this.over) this.obey(later, index);
      });
  }

  private get context(): NetworkContext {
    const { environment } = this;
    const { managers } = environment.stats;
    return {
      info: this.info, metadata: this.metadata, sideCall: sideCalls(environment), dynamicHosts: environment.dynamicHosts,
      // Requests choose their own destination.
      useDestination: () => {},
      count: (name) => void (managers[name] = (managers[name] ?? 0) + 1),
      onClose: (done) => void this.closers.push(done),
    };
  }

  private finish(): void {
    if (this.over) return;
    this.over = true;
    this.abandon?.();
    for (const done of this.closers) done();
    this.onClosed();
  }

  onData(): void {
    // Only after a refusal: nobody reads it any more.
  }

  onEnd(): void {
    this.connection.close();
  }

  onDrain(): void {}

  onClose(cause: CloseCause): void {
    void cause;
    this.finish();
  }

  drain(): void {
    this.served?.drain();
  }

  destroy(): void {
    if (this.served === undefined) this.connection.destroy();
    else this.served.destroy();
  }
}
