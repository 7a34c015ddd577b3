/** Envoy's administration interface on loopback, and the text of the Prometheus port. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { compileRe2 } from '../route/re2.ts';
import { systemClock, type Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import { setLogLevel, type LogLevel } from '../../base/log.ts';
import type { MetricRegistry } from '../../telemetry/metrics/registry.ts';
import type { TlsSecret } from '../../xds/secret-source.ts';
import type { ConfigManager } from '../config/manager.ts';
import type { ProxyNode } from '../config/runtime.ts';
import type { ProxyStats } from '../stats.ts';
import { clustersJson, clustersText } from './clusters-page.ts';
import { configDump } from './config-dump.ts';
import { certificates, firstExpiryDays, listenersJson, listenersText, memory, nodeJson, serverInfo, type ServerState } from './info-pages.ts';
import { listStats, type Stat } from './stat-list.ts';
import { inclusionOf, isIncluded, type StatsInclusion } from './stats-inclusion.ts';
import { selectStats, statsJson, statsPrometheus, statsText } from './stats-page.ts';

export interface AdminOptions {
  readonly node: ProxyNode;
  readonly manager: ConfigManager;
  readonly stats: ProxyStats;
  readonly registry: MetricRegistry;
  readonly version: string;
  /** Every secret the proxy holds now. */
  readonly secrets: () => Iterable<TlsSecret>;
  readonly connectedToControlPlane: () => boolean;
  /** Stops taking connections: `graceful` first lets clients go, `inboundOnly` spares the outbound side. */
  readonly drainListeners: (options: { readonly graceful: boolean; readonly inboundOnly: boolean }) => void;
  /** `/quitquitquit`. */
  readonly quit: () => void;
  /** Bootstrap for the dump; default holds the node alone. */
  readonly bootstrap?: Readonly<Record<string, unknown>>;
  /** What the Prometheus page shows of Envoy's stats. Default Istio's list with what the node's metadata adds. */
  readonly inclusion?: StatsInclusion;
  readonly clock?: Clock;
}

interface Page {
  readonly status?: number;
  readonly type?: 'text' | 'json' | 'prometheus';
  readonly body: string;
}

interface Route {
  readonly post?: boolean;
  readonly help: string;
  readonly answer: (query: URLSearchParams) => Page | Promise<Page>;
}

const TYPES = { text: 'text/plain; charset=UTF-8', json: 'application/json', prometheus: 'text/plain; version=0.0.4; charset=utf-8' } as const;

/** The admin pages of one proxy. */
export class Admin {
  private readonly clock: Clock;
  private readonly startedMs: number;
  private failed = false;
  private draining = false;
  private logLevel: LogLevel = 'info';
  private readonly inclusion: StatsInclusion;
  private readonly routes: ReadonlyMap<string, Route>;

  constructor(private readonly options: AdminOptions) {
    this.clock = options.clock ?? systemClock;
    this.startedMs = this.clock.now();
    this.inclusion = options.inclusion ?? inclusionOf(options.node.metadata);
    this.routes = new Map(Object.entries(this.table()));
    options.registry.gauge('istio_build', '').labels({ component: 'proxy', tag: options.version }).set(1);
  }

  get state(): ServerState {
    if (this.failed || this.draining) return 'DRAINING';
    return this.options.manager.initialized ? 'LIVE' : 'PRE_INITIALIZING';
  }

  /** Listens on loopback; port 0 takes a free one. */
  async listen(port: number, host = '127.0.0.1'): Promise<{ readonly port: number; close(): Promise<void> }> {
    const server = createServer((request, response) => void this.handle(request, response));
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve));
    return { port: (server.address() as AddressInfo).port, close: () => closeServer(server) };
  }

  /** The page of 15090: the included stats and Istio's metrics. */
  prometheus(): string {
    return statsPrometheus(this.list().filter(({ name }) => isIncluded(name, this.inclusion)), this.options.registry);
  }

  /** One request as `GET /path?query`; what `pilot-agent request` needs in process. */
  async request(method: string, url: string): Promise<{ readonly status: number; readonly contentType: string; readonly body: string }> {
    const { pathname, searchParams } = new URL(url, 'http://admin');
    const route = this.routes.get(pathname.length > 1 ? pathname.replace(/\/$/, '') : pathname);
    const page = await this.answer(method, route, searchParams);
    return { status: page.status ?? 200, contentType: TYPES[page.type ?? 'text'], body: page.body };
  }

  private async answer(method: string, route: Route | undefined, query: URLSearchParams): Promise<Page> {
    if (!route) return { status: 404, body: `invalid path. admin commands are:\n${this.help()}` };
    if (route.post && method !== 'POST') return { status: 405, body: `Method ${method} not allowed, POST required.` };
    try {
      return await route.answer(query);
    } catch (error) {
      return { status: 400, body: `${messageOf(error)}\n` };
    }
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.resume();
    let answer;
    try {
      answer = await this.request(request.method ?? 'GET', request.url ?? '/');
    } catch {
      answer = { status: 400, contentType: TYPES.text, body: 'bad request\n' };
    }
    response.writeHead(answer.status, { 'content-type': answer.contentType, 'cache-control': 'no-cache, max-age=0', 'x-content-type-options': 'nosniff', server: 'envoy' });
    response.end(request.method === 'HEAD' ? undefined : answer.body);
  }

  private table(): Readonly<Record<string, Route>> {
    const { options } = this;
    const { manager } = options;
    const listeners = () => [...manager.snapshot.value.listeners.values()].filter(({ bindToPort }) => bindToPort);
    return {
      '/': { help: 'Admin home page', answer: () => ({ body: this.help() }) },
      '/certs': { help: 'print certs on machine', answer: () => json(certificates(options.secrets(), this.clock.now())) },
      '/clusters': { help: 'upstream cluster status', answer: (q) => (isJson(q) ? json(clustersJson(manager, filterOf(q))) : { body: clustersText(manager, filterOf(q)) }) },
      '/config_dump': { help: 'dump current configs', answer: (q) => this.dump(q) },
      '/drain_listeners': { post: true, help: 'drain listeners', answer: (q) => this.drain(q) },
      '/healthcheck/fail': { post: true, help: 'cause the server to fail health checks', answer: () => this.setFailed(true) },
      '/healthcheck/ok': { post: true, help: 'cause the server to pass health checks', answer: () => this.setFailed(false) },
      '/help': { help: 'print out list of admin commands', answer: () => ({ body: `admin commands are:\n${this.help()}` }) },
      '/hot_restart_version': { help: 'print the hot restart compatibility version', answer: () => ({ body: 'disabled' }) },
      '/init_dump': { help: 'print what the configuration still waits for', answer: () => json({ warming_clusters: manager.clusters.warmingCount, warming_listeners: manager.warmingListeners }) },
      '/listeners': { help: 'print listener info', answer: (q) => (isJson(q) ? json(listenersJson(listeners())) : { body: listenersText(listeners()) }) },
      '/logging': { post: true, help: 'query/change logging levels', answer: (q) => this.setLogging(q) },
      '/memory': { help: 'print current allocation/heap usage', answer: () => json(memory()) },
      '/quitquitquit': { post: true, help: 'exit the server', answer: () => { setImmediate(options.quit); return OK; } },
      '/ready': { help: 'print server state, return 200 if LIVE, otherwise return 503', answer: () => ({ status: this.state === 'LIVE' ? 200 : 503, body: `${this.state}\n` }) },
      '/reopen_logs': { post: true, help: 'flush access logs', answer: async () => { await manager.flush(); return OK; } },
      '/reset_counters': { post: true, help: 'reset all counters to zero', answer: () => { options.stats.resetCounters(); options.registry.resetCounters(); return OK; } },
      '/runtime': { help: 'print runtime values', answer: () => json({ layers: [], entries: {} }) },
      '/server_info': { help: 'print server version/status information', answer: () => json(serverInfo({ version: options.version, state: this.state, uptimeMs: this.clock.now() - this.startedMs, logLevel: this.logLevel, node: options.node })) },
      '/stats': { help: 'print server stats', answer: (q) => this.statsPage(q) },
      '/stats/prometheus': { help: 'print server stats in prometheus format', answer: (q) => this.statsPage(q, 'prometheus') },
    };
  }

  private help(): string {
    return [...this.routes].map(([path, { post, help }]) => `  ${path}${post ? ' (POST)' : ''}: ${help}\n`).join('');
  }

  private list(): readonly Stat[] {
    const { stats, manager, secrets, connectedToControlPlane } = this.options;
    const nowMs = this.clock.now();
    return listStats({ stats, manager, server: { startedMs: this.startedMs, nowMs, live: this.state === 'LIVE', connectedToControlPlane: connectedToControlPlane(), firstCertificateExpiryDays: firstExpiryDays(secrets(), nowMs) } });
  }

  private statsPage(query: URLSearchParams, format = query.get('format') ?? (query.has('prometheus') ? 'prometheus' : 'text')): Page {
    const stats = selectStats(this.list(), { filter: query.get('filter') ?? undefined, invert: query.has('invert_filter'), usedOnly: query.has('usedonly'), type: query.get('type') ?? 'All' });
    if (format === 'json') return { type: 'json', body: statsJson(stats) };
    if (format !== 'prometheus') return { body: statsText(stats) };
    // A filter asks for more than what is scraped by default.
    return { type: 'prometheus', body: statsPrometheus(query.has('filter') ? stats : stats.filter(({ name }) => isIncluded(name, this.inclusion)), this.options.registry) };
  }

  private async dump(query: URLSearchParams): Promise<Page> {
    if (query.has('mask')) throw new Error('mask is not supported');
    const { manager, secrets, node, bootstrap } = this.options;
    const name = query.get('name_regex');
    const pattern = name === null ? undefined : compileRe2(name);
    return json(
      await configDump(
        { manager, secrets: secrets(), bootstrap: bootstrap ?? { node: nodeJson(node) }, startedMs: this.startedMs },
        { includeEds: query.has('include_eds'), resource: query.get('resource') ?? undefined, nameMatches: pattern && ((text) => pattern.testExact(text)) },
      ),
    );
  }

  private drain(query: URLSearchParams): Page {
    const inboundOnly = query.has('inboundonly');
    if (!inboundOnly) this.draining = true;
    this.options.drainListeners({ graceful: query.has('graceful'), inboundOnly });
    return OK;
  }

  private setFailed(failed: boolean): Page {
    this.failed = failed;
    return OK;
  }

  private setLogging(query: URLSearchParams): Page {
    const asked = query.get('level') ?? query.get('paths')?.split(',').map((path) => path.split(':').at(-1)).at(-1) ?? query.keys().next().value;
    if (asked !== undefined) {
      const level = LEVELS.get(query.get(asked) ?? asked);
      if (!level) throw new Error(`unknown log level "${asked}"`);
      this.logLevel = level;
      setLogLevel(level);
    }
    return { body: `active loggers:\n  all: ${this.logLevel}\n` };
  }
}

const OK: Page = { body: 'OK\n' };

const LEVELS = new Map<string, LogLevel>([['trace', 'debug'], ['debug', 'debug'], ['info', 'info'], ['warn', 'warn'], ['warning', 'warn'], ['error', 'error'], ['critical', 'error'], ['off', 'none']]);

function json(value: unknown): Page {
  return { type: 'json', body: `${JSON.stringify(value, undefined, 1)}\n` };
}

function isJson(query: URLSearchParams): boolean {
  return query.get('format') === 'json';
}

function filterOf(query: URLSearchParams): string | undefined {
  return query.get('filter') ?? undefined;
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
