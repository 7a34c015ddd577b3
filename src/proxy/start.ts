import { systemClock } from '../base/clock.ts';
import { createLogger } from '../base/log.ts';
import { MetricRegistry } from '../telemetry/metrics/registry.ts';
import type { AdsClient } from '../xds/ads.ts';
import type { SecretSource } from '../xds/secret-source.ts';
import { systemResolve } from './cluster/resolve-name.ts';
import { DynamicHosts } from './cluster/dynamic-hosts.ts';
import { ConfigManager } from './config/manager.ts';
import type { StaticResources } from './config/manager.ts';
import type { ProxyNode, RuntimeSnapshot } from './config/runtime.ts';
import type { ProxyEnvironment } from './environment.ts';
import { HTTP_FILTERS } from './filters/registry.ts';
import { ListenerSet } from './listener/listener-set.ts';
import { UpstreamPools } from './router/pools.ts';
import { ProxyStats } from './stats.ts';
import { TlsContexts } from './tls/contexts.ts';
import { SecretCache } from './tls/secret-cache.ts';

const log = createLogger('proxy');

export interface ProxyOptions {
  readonly node: ProxyNode;
  /** Undefined: only static resources. */
  readonly ads: AdsClient | undefined;
  readonly secrets: SecretSource;
  /** Istio's metrics go here; the caller serves them. */
  readonly registry?: MetricRegistry;
  /** Resources that no update removes: the bootstrap's, or a test's. */
  readonly staticResources?: StaticResources;
  /** How long connections of removed listeners live. Default 45 000. */
  readonly drainTimeMs?: number;
  /** Default Math.random. */
  readonly random?: () => number;
  /** How long new clusters and listeners wait for endpoints and routes. Default 15 000. */
  readonly warmingMs?: number;
}

/** A running proxy. */
export interface Proxy {
  /** Configured for the first time and listening. Without `ads`: listening on the static listeners. */
  readonly ready: Promise<void>;
  readonly config: ConfigManager;
  readonly listeners: ListenerSet;
  readonly stats: ProxyStats;
  readonly registry: MetricRegistry;
  readonly secrets: SecretCache;
  /** Answers what runs and asks clients to go; with `stopAccepting` the ports close too. */
  drain(options?: { readonly stopAccepting?: boolean; readonly inboundOnly?: boolean }): void;
  close(): Promise<void>;
}

/** Starts the data path: subscribes to the control plane and serves what it says. */
export function startProxy(options: ProxyOptions): Proxy {
  const { node, ads, random = Math.random } = options;
  const stats = new ProxyStats();
  const registry = options.registry ?? new MetricRegistry();
  const config = new ConfigManager({ node, filters: HTTP_FILTERS, registry, stats, random, ...(options.warmingMs === undefined ? {} : { warmingMs: options.warmingMs }) });
  const secrets = new SecretCache(options.secrets);
  const contexts = new TlsContexts(secrets);
  const environment: ProxyEnvironment = { node, clusters: () => config.snapshot.value.clusters, pools: new UpstreamPools(contexts), contexts, stats, random, dynamicHosts: new DynamicHosts(systemClock, systemResolve) };
  const listeners = new ListenerSet(environment, options.drainTimeMs ?? 45_000);
  const applied = followSnapshots(config, listeners, secrets);
  if (options.staticResources !== undefined) {
    const problems = config.addStatic(options.staticResources);
    if (problems !== undefined) log.error('static resources refused', { problems });
  }
  if (ads !== undefined) config.subscribe(ads);
  return {
    ready: whenReady(config, applied, ads !== undefined),
    config,
    listeners,
    stats,
    registry,
    secrets,
    drain: ({ stopAccepting = false, inboundOnly = false } = {}) => listeners.drain(stopAccepting, inboundOnly),
    async close() {
      applied.stop();
      await listeners.close();
      environment.pools.close();
      environment.dynamicHosts.close();
      secrets.close();
      await config.close();
    },
  };
}

interface Applied {
  /** Resolves when every snapshot so far is in force. */
  settled(): Promise<void>;
  stop(): void;
}

/** Snapshots reach the listeners one after another; those that come meanwhile are joined into the newest. */
function followSnapshots(config: ConfigManager, listeners: ListenerSet, secrets: SecretCache): Applied {
  const asked = new Set<string>();
  let running: Promise<void> = Promise.resolve();
  let pending = false;
  const stop = config.snapshot.watch(() => {
    if (pending) return;
    pending = true;
    config.applying = true;
    running = running.then(async () => {
      await newSecrets(config.snapshot.value, secrets, asked);
      pending = false;
      await listeners.update(config.snapshot.value.listeners);
      config.applying = pending;
    });
  });
  return { settled: () => running, stop };
}

/** How long a configuration waits for secrets that were never asked for before; one that does not exist must not hold up the rest. */
const SECRET_WAIT_MS = 1000;

/** Asks for the secrets of new filter chains, so that the first client of a listener finds them. */
async function newSecrets({ listeners }: RuntimeSnapshot, secrets: SecretCache, asked: Set<string>): Promise<void> {
  const names = new Set<string>();
  for (const listener of listeners.values())
    for (const { tls } of [...listener.filterChains, ...(listener.defaultFilterChain ? [listener.defaultFilterChain] : [])])
      for (const name of [...(tls?.certificateSecrets ?? []), ...(tls?.validationSecret === undefined ? [] : [tls.validationSecret]), ...(tls?.crlSecret === undefined ? [] : [tls.crlSecret])]) if (!asked.has(name)) names.add(name);
  for (const name of names) asked.add(name);
  if (names.size > 0) await Promise.all([...names].map((name) => secrets.arrived(name, SECRET_WAIT_MS)));
}

/** How often the first configuration is looked for. */
const READY_POLL_MS = 20;

async function whenReady(config: ConfigManager, applied: Applied, subscribed: boolean): Promise<void> {
  while (subscribed && !config.initialized) await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS).unref());
  await applied.settled();
}
