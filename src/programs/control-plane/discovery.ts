/** Connects the mesh to its proxies: engine → generator → ADS. */
import type { Clock } from '../../base/clock.ts';
import { createLogger } from '../../base/log.ts';
import { parseProxyNode, type ProxyNode } from '../../model/proxy-node.ts';
import { dependsOnService } from '../../model/view.ts';
import { createAdsServer, type AdsServer, type AdsServerOptions } from '../../xds/server/ads-server.ts';
import type { AdsEvent, ConnectedClient } from '../../xds/server/connection.ts';
import { shortTypeName, type NodeInfo } from '../../xds/wire.ts';
import type { ControlPlaneMetrics } from './metrics.ts';
import type { MeshEngine, MeshUpdate } from './mesh-engine.ts';
import type { Quarantined } from './patch-quarantine.ts';
import type { SecretAccess } from './secret-access.ts';
import { ResourceGenerator, type ProxyResources } from './resource-generator.ts';

const log = createLogger('ads');

/** What is kept for a connected proxy between pushes. */
interface ProxyState {
  readonly node: ProxyNode;
  last: ProxyResources | undefined;
  lastVersion: string;
  /** First change behind a push this proxy has not finished. */
  pushSinceMs: number | undefined;
  /** Since when it waits for its turn in a push. */
  queuedAtMs: number | undefined;
  /** Digests of the EnvoyFilters in what it last accepted, by type: what it refuses next is the fault of others. */
  readonly accepted: Map<string, ReadonlySet<string>>;
}

export interface DiscoveryOptions extends Pick<AdsServerOptions, 'authenticate' | 'certificates' | 'checkNode'> {
  /** What happens on the streams, after discovery has dealt with it. */
  readonly onEvent?: (event: AdsEvent) => void;
  readonly engine: () => MeshEngine;
  readonly metrics: ControlPlaneMetrics;
  readonly clock: Clock;
  /** Also proxies that did not prove who they are may have gateways' keys: for a control plane that serves one machine's loopback only. */
  readonly trustEverybody: boolean;
  /** Whether an account may list the secrets of its namespace; asked when a proxy wants one. Default: every account that proved who it is. */
  readonly secretAccess?: SecretAccess;
  /** Every proxy answers HTTP/1.0 (`PILOT_HTTP10`). Default false: those whose node metadata say `HTTP10`. */
  readonly acceptHttp10?: boolean;
}

export interface Discovery {
  readonly server: AdsServer;
  /** Tells every proxy that the update concerns. */
  publish(update: MeshUpdate): void;
  /** What a connected proxy may have now; undefined before its first push. */
  resourcesOf(client: ConnectedClient): ProxyResources | undefined;
  /** EnvoyFilters that proxies refused. */
  quarantined(): readonly Quarantined[];
  /** What is kept between pushes. */
  cache(): ResourceGenerator['cache'];
  /** Sends everything that changed to everybody again. */
  pushAll(): void;
}

/** Makes the server; it listens when told to. */
export function createDiscovery(options: DiscoveryOptions): Discovery {
  const { metrics, clock } = options;
  const states = new WeakMap<ConnectedClient, ProxyState>();
  const generator = countedGenerator(metrics);
  let fastPath: { readonly version: string; readonly base: string } | undefined;
  let previousVersion = '';

  const stateOf = (client: ConnectedClient): ProxyState => {
    let state = states.get(client);
    if (!state) {
      const node = parseProxyNode(options.acceptHttp10 === true ? { ...client.node, metadata: { HTTP10: '1', ...client.node.metadata } } : client.node);
      if (!node) throw new Error(`node id ${client.node.id} is not type~ip~name.namespace~domain`);
      states.set(client, (state = { node, last: undefined, lastVersion: '', pushSinceMs: undefined, queuedAtMs: undefined, accepted: new Map() }));
    }
    return state;
  };
  const viewFor = (client: ConnectedClient) => {
    const engine = options.engine();
    const state = stateOf(client);
    const { snapshot, version } = engine;
    leaveQueue(state, metrics, clock);
    if (state.lastVersion !== version || !state.last) {
      // Only the update right after the one this proxy has can be told as endpoints alone.
      const onlyEndpoints = state.last && fastPath?.version === version && fastPath.base === state.lastVersion;
      state.last = onlyEndpoints && state.last ? generator.withEndpointsOf(snapshot, version, state.last) : generator.generate(snapshot, version, state.node, maySeeSecrets(client, options), state.last, dataPlaneOf(client));
      state.lastVersion = version;
    }
    return state.last.resources;
  };

  const server = createAdsServer({
    viewFor,
    checkNode: (node: NodeInfo) => (parseProxyNode(node) ? options.checkNode?.(node) : `node id ${node.id} is not <sidecar|router>~<ip>~<pod>.<namespace>~<domain>`),
    authenticate: options.authenticate,
    ...(options.certificates && { certificates: options.certificates }),
    now: () => clock.now(),
    onEvent: (event) => {
      record(event, metrics, states, clock);
      onAnswer(event, states, generator, server);
      options.onEvent?.(event);
    },
  });
  options.secretAccess?.onChange((spiffeId) => {
    for (const client of server.clients()) {
      const state = client.spiffeId === spiffeId ? states.get(client) : undefined;
      if (state) state.lastVersion = '';
    }
    server.push((client) => client.spiffeId === spiffeId);
  });
  return {
    server,
    publish(update) {
      if (!update.endpointsOf) generator.nextGeneration();
      fastPath = update.endpointsOf && { version: update.version, base: previousVersion };
      previousVersion = update.version;
      server.push((client) => noteUpdate(states.get(client), update, fastPath?.base, clock.now()));
    },
    resourcesOf: (client) => states.get(client)?.last,
    quarantined: () => generator.quarantine.list(),
    cache: () => generator.cache,
    pushAll: () => server.push(),
  };
}

/** @see translateSecrets */
function maySeeSecrets({ spiffeId }: ConnectedClient, { trustEverybody, secretAccess }: DiscoveryOptions): boolean | (() => boolean) {
  if (trustEverybody || spiffeId === undefined) return trustEverybody;
  return () => secretAccess?.mayList(spiffeId) ?? true;
}

/** Does the update concern this proxy? Then it waits for its turn from now on. */
function noteUpdate(state: ProxyState | undefined, update: MeshUpdate, fastBase: string | undefined, nowMs: number): boolean {
  const services = update.endpointsOf;
  if (!state) return true;
  const isThere = state.node.ipAddresses.some((address) => update.addresses.has(address));
  // Its own ports may be others: everything is made anew.
  if (isThere) state.lastVersion = '';
  const concerns = !services || isThere || !state.last || [...services].some((key) => dependsOnService(state.last!.view, key));
  if (concerns) enterQueue(state, update.sinceMs, nowMs);
  // A proxy that the endpoints do not concern is up to date without being told.
  else if (state.lastVersion === fastBase) state.lastVersion = update.version;
  return concerns;
}

function enterQueue(state: ProxyState, pushSinceMs: number, nowMs: number): void {
  state.pushSinceMs = pushSinceMs;
  state.queuedAtMs ??= nowMs;
}

function leaveQueue(state: ProxyState, metrics: ControlPlaneMetrics, clock: Clock): void {
  if (state.queuedAtMs !== undefined) metrics.queueTime.observe((clock.now() - state.queuedAtMs) / 1000);
  state.queuedAtMs = undefined;
}

function countedGenerator(metrics: ControlPlaneMetrics): ResourceGenerator {
  return new ResourceGenerator({
    onFailure: (failure) => metrics.internalErrors.labels({ type: shortTypeName(failure.typeUrl) }).inc(),
    onRead: (hit) => metrics.cacheRead(hit),
    onEvicted: () => metrics.cacheEvicted(),
  });
}

/** What an EnvoyFilter broke is sent again without it, to every proxy of that kind. */
function onAnswer(event: AdsEvent, states: WeakMap<ConnectedClient, ProxyState>, generator: ResourceGenerator, server: AdsServer): void {
  if (event.kind !== 'acked' && event.kind !== 'nacked') return;
  const { client, typeUrl } = event;
  const state = states.get(client);
  if (!state?.last) return;
  if (event.kind === 'acked') {
    state.accepted.set(typeUrl, new Set(state.last.view.envoyFilters.map((filter) => filter.digest)));
    return;
  }
  const dataPlane = dataPlaneOf(client);
  if (!generator.quarantine.refuse(state.last.view, dataPlane, typeUrl, event.message, state.accepted.get(typeUrl) ?? new Set())) return;
  for (const other of server.clients()) {
    const known = states.get(other);
    if (known && dataPlaneOf(other) === dataPlane) known.lastVersion = '';
  }
  setImmediate(() => server.push((other) => dataPlaneOf(other) === dataPlane));
}

/** Two proxies of one kind obey the same configuration. */
function dataPlaneOf(client: ConnectedClient): string {
  return `${client.node.userAgentName} ${client.node.userAgentVersion}`;
}

function record(event: AdsEvent, metrics: ControlPlaneMetrics, states: WeakMap<ConnectedClient, ProxyState>, clock: Clock): void {
  switch (event.kind) {
    case 'connected':
      return log.info('new connection', { node: event.client.connectionId, mode: event.client.mode, peer: event.client.peerAddress });
    case 'disconnected':
      return log.info('connection terminated', { node: event.client.connectionId });
    case 'responded': {
      const type = shortTypeName(event.typeUrl);
      metrics.pushes.labels({ type: type.toLowerCase() }).inc();
      metrics.configSizeBytes.labels({ type: event.typeUrl }).observe(event.bytes);
      metrics.pushTime.labels({ type: type.toLowerCase() }).observe(event.pushMs / 1000);
      metrics.sendTime.observe(event.sendMs / 1000);
      const fields = { node: event.client.connectionId, resources: event.resourceCount, removed: event.removedCount, bytes: event.bytes };
      return log.info(`${type}: PUSH`, fields);
    }
    case 'acked': {
      const state = states.get(event.client);
      if (state?.pushSinceMs === undefined || event.client.status().some((row) => row.status === 'STALE')) return;
      metrics.convergenceTime.observe((clock.now() - state.pushSinceMs) / 1000);
      state.pushSinceMs = undefined;
      return;
    }
    case 'nacked': {
      const type = shortTypeName(event.typeUrl);
      metrics.rejects.inc();
      metrics.rejectOf(type)?.labels({ node: event.client.node.id, err: 'INVALID_ARGUMENT' }).inc();
      return log.warn(`${type}: ACK ERROR`, { node: event.client.connectionId, error: event.message });
    }
    case 'expired-nonce':
      return metrics.expiredNonces.labels({ type: event.typeUrl }).inc();
    case 'view-failed':
      metrics.internalErrors.labels({ type: '' }).inc();
      return log.error('a proxy could not be given its configuration; it keeps what it has', { node: event.client.connectionId, error: event.error instanceof Error ? (event.error.stack ?? event.error.message) : String(event.error) });
    case 'refused':
      return log.warn('connection refused', { peer: event.peerAddress, reason: event.message });
  }
}
