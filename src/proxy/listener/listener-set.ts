import { messageOf } from '../../base/errors.ts';
import { createLogger } from '../../base/log.ts';
import type { FilterChainRuntime, HcmRuntime, ListenerRuntime, TcpProxyRuntime } from '../config/runtime.ts';
import type { ProxyEnvironment } from '../environment.ts';
import { GuardedManager } from '../hcm/guarded-manager.ts';
import { ConnectionManager } from '../hcm/connection-manager.ts';
import { listenTcp } from '../io/server.ts';
import type { TcpServer } from '../io/server.ts';
import type { SocketConnection } from '../io/socket-connection.ts';
import type { ListenerStats } from '../stats.ts';
import { TcpProxy } from '../tcp/tcp-proxy.ts';
import { ChainMatcher } from './chain-match.ts';
import { IncomingConnection } from './incoming-connection.ts';
import type { ListenerDirectory } from './incoming-connection.ts';

const log = createLogger('listener');

interface BoundPort {
  listener: ListenerRuntime;
  server: TcpServer | undefined;
  /** Wanted no more; the port closes as soon as it is open. */
  dropped: boolean;
}

/** A bind that is retried, because something else still holds the port. */
const RETRY_MS = 1000;

/** All listeners of the proxy: bound ports, hand-over, and the connections that live on them. */
export class ListenerSet implements ListenerDirectory {
  private listeners: ReadonlyMap<string, ListenerRuntime> = new Map();
  private byAddress = new Map<string, ListenerRuntime>();
  private readonly ports = new Map<string, BoundPort>();
  private readonly connections = new Set<IncomingConnection>();
  private readonly matchers = new WeakMap<ListenerRuntime, ChainMatcher>();
  private readonly networkFilters = new WeakMap<HcmRuntime | TcpProxyRuntime, ConnectionManager | GuardedManager | TcpProxy>();
  private readonly timers = new Set<NodeJS.Timeout>();
  private nextId = 1;
  private draining = false;
  private closed = false;

  constructor(
    readonly environment: ProxyEnvironment,
    /** How long connections of removed chains may live. Default of Istio: 45 000. */
    private readonly drainTimeMs: number,
  ) {}

  /**
   * Puts a new set in force. Ports that stay keep their socket and their connections; connections of chains that are gone drain. Resolves with what could not
   * be bound, when every new port is open or has failed.
   */
  async update(listeners: ReadonlyMap<string, ListenerRuntime>): Promise<readonly string[]> {
    if (this.closed) return [];
    const before = this.listeners;
    this.listeners = listeners;
    this.byAddress = new Map([...listeners.values()].flatMap((listener) => addressesOf(listener).map(({ key }): [string, ListenerRuntime] => [key, listener])));
    const problems: Promise<string | undefined>[] = [];
    const wanted = new Set<string>();
    for (const listener of listeners.values()) {
      if (!listener.bindToPort) continue;
      for (const { key, address, port } of addressesOf(listener)) {
        wanted.add(key);
        const bound = this.ports.get(key);
        if (bound === undefined) problems.push(this.bind(key, address, port, listener));
        else bound.listener = listener;
      }
    }
    for (const [key, bound] of this.ports) if (!wanted.has(key)) this.unbind(key, bound);
    this.drainRemoved(before);
    return (await Promise.all(problems)).filter((problem) => problem !== undefined);
  }

  private async bind(key: string, address: string, port: number, listener: ListenerRuntime): Promise<string | undefined> {
    const bound: BoundPort = { listener, server: undefined, dropped: false };
    this.ports.set(key, bound);
    try {
      bound.server = await listenTcp(address, port, (connection) => this.accept(bound.listener, connection));
      if (bound.dropped) await bound.server.close();
      return undefined;
    } catch (thrown) {
      if (this.ports.get(key) === bound) this.retryBind(key, address, port, bound);
      const problem = `${listener.name}: cannot bind ${key}: ${messageOf(thrown)}`;
      log.error(problem);
      return problem;
    }
  }

  private retryBind(key: string, address: string, port: number, bound: BoundPort): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      if (this.ports.get(key) !== bound || bound.dropped || this.closed) return;
      this.ports.delete(key);
      void this.bind(key, address, port, bound.listener);
    }, RETRY_MS).unref();
    this.timers.add(timer);
  }

  private unbind(key: string, bound: BoundPort): void {
    bound.dropped = true;
    this.ports.delete(key);
    void bound.server?.close();
  }

  private accept(listener: ListenerRuntime, connection: SocketConnection): void {
    const incoming = new IncomingConnection(this, listener, connection, this.nextId++);
    this.connections.add(incoming);
    incoming.start();
    if (this.draining) incoming.drain();
  }

  /** The listener of a restored destination: by address and port, else by port on any address. */
  listenerFor(address: string, port: number): ListenerRuntime | undefined {
    const any = address.includes(':') ? '::' : '0.0.0.0';
    return this.byAddress.get(`${address}:${port}`) ?? this.byAddress.get(`${any}:${port}`);
  }

  matcherOf(listener: ListenerRuntime): ChainMatcher {
    let matcher = this.matchers.get(listener);
    if (matcher === undefined) this.matchers.set(listener, (matcher = new ChainMatcher(listener)));
    return matcher;
  }

  private manager(network: HcmRuntime): ConnectionManager | GuardedManager {
    const manager = new ConnectionManager(this.environment, network);
    return network.networkFilters === undefined ? manager : new GuardedManager(this.environment, network.networkFilters, manager);
  }

  networkFilter(network: HcmRuntime | TcpProxyRuntime): ConnectionManager | GuardedManager | TcpProxy {
    let filter = this.networkFilters.get(network);
    if (filter === undefined) {
      filter = network.kind === 'hcm' ? this.manager(network) : new TcpProxy(this.environment, network);
      this.networkFilters.set(network, filter);
    }
    return filter;
  }

  statsOf(listener: ListenerRuntime): ListenerStats {
    return this.environment.stats.listener(`${listener.address}_${listener.port}`);
  }

  forget(connection: IncomingConnection): void {
    this.connections.delete(connection);
  }

  /** Real ports by listener name, for listeners on port 0 (tests) and the admin page. */
  boundPort(name: string): number | undefined {
    for (const { listener, server } of this.ports.values()) if (listener.name === name && server !== undefined) return server.port;
    return undefined;
  }

  get activeConnections(): number {
    return this.connections.size;
  }

  /** Connections that are open now, for admin pages and tests. */
  open(): IterableIterator<IncomingConnection> {
    return this.connections.values();
  }

  private drainRemoved(before: ReadonlyMap<string, ListenerRuntime>): void {
    const kept = new Set<FilterChainRuntime>();
    for (const listener of this.listeners.values()) for (const chain of chainsOf(listener)) kept.add(chain);
    let anyGone = false;
    for (const [name, listener] of before) anyGone ||= this.listeners.get(name) !== listener;
    if (!anyGone) return;
    const gone = [...this.connections].filter(({ chain }) => chain !== undefined && !kept.has(chain));
    for (const connection of gone) connection.drain();
    this.later(this.drainTimeMs, () => gone.forEach((connection) => connection.destroy()));
  }

  private later(delayMs: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      run();
    }, delayMs).unref();
    this.timers.add(timer);
  }

  /** Asks every connection to end after what runs on it; ports stay open unless `stopAccepting`. */
  drain(stopAccepting: boolean, inboundOnly = false): void {
    if (!inboundOnly) this.draining = true;
    for (const connection of this.connections) if (!inboundOnly || connection.servingListener.trafficDirection === 'inbound') connection.drain();
    if (!stopAccepting) return;
    for (const [key, bound] of this.ports) if (!inboundOnly || bound.listener.trafficDirection === 'inbound') this.unbind(key, bound);
  }

  /** Closes ports and connections at once. */
  async close(): Promise<void> {
    this.closed = true;
    for (const timer of this.timers) clearTimeout(timer);
    const servers = [...this.ports.values()];
    for (const [key, bound] of this.ports) this.unbind(key, bound);
    for (const connection of this.connections) connection.destroy();
    await Promise.all(servers.flatMap(({ server }) => (server ? [server.close()] : [])));
  }
}

function addressesOf(listener: ListenerRuntime): readonly { readonly key: string; readonly address: string; readonly port: number }[] {
  return [{ address: listener.address, port: listener.port }, ...listener.additionalAddresses].map(({ address, port }) => ({
    // Listeners on port 0 each get a port of their own.
    key: port === 0 ? `${address}:0 ${listener.name}` : `${address}:${port}`,
    address,
    port,
  }));
}

function chainsOf(listener: ListenerRuntime): readonly FilterChainRuntime[] {
  return listener.defaultFilterChain === undefined ? listener.filterChains : [...listener.filterChains, listener.defaultFilterChain];
}
