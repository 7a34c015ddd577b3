/** What compilers of listeners and routes need of the proxy around them. */
import type { Clock } from '../../base/clock.ts';
import type { LogSink } from '../../telemetry/access-log/sink.ts';
import type { FormatEnvironment } from '../../telemetry/access-log/operators.ts';
import type { IstioMetrics } from '../../telemetry/istio-metrics.ts';
import type { FinishedSpan } from '../../telemetry/tracing/span.ts';
import type { HttpFilterFactory } from '../filters/http-filter.ts';
import type { RouteTable } from '../route/route-table.ts';
import type { ChainMemory } from './chain-memory.ts';
import type { ExtensionStore } from './extension-store.ts';
import type { ProxyNode } from './runtime.ts';

export interface CompileContext {
  readonly node: ProxyNode;
  /** HTTP filters by the type URL of their config. */
  readonly filters: ReadonlyMap<string, HttpFilterFactory>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly environment: FormatEnvironment;
  /** Opens a log file once per path. Throws when it cannot. */
  readonly openSink: (path: string) => LogSink;
  /** One set of Istio metrics per setting. */
  readonly istioMetrics: (options: { readonly disableHostHeaderFallback: boolean }) => IstioMetrics;
  /** Current table of an RDS name; asking subscribes to it. */
  readonly routes: (name: string) => () => RouteTable | undefined;
  /** Configs that come by ECDS. */
  readonly extensions: ExtensionStore;
  /** Asks for such a config; `waits`: the listener cannot serve without it. */
  readonly needExtension: (name: string, waits: boolean) => void;
  /** Chains of the listener's former version, kept when their bytes are the same. Undefined: every chain is compiled. */
  readonly memory?: ChainMemory;
  /** Where finished spans of a collector cluster go. */
  readonly spans: (collector: { readonly cluster: string; readonly path: string; readonly hostname: string }) => (span: FinishedSpan) => void;
}

/** Type URLs of filters that are known and do nothing of their own here: the router is the data path itself, statistics come from the traffic record. */
export const PASSIVE_HTTP_FILTERS: ReadonlySet<string> = new Set([
  'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router',
  'type.googleapis.com/envoy.extensions.filters.http.grpc_stats.v3.FilterConfig',
  'type.googleapis.com/stats.PluginConfig',
]);

/** Decodes per-route filter configs by type URL; a type that no filter here reads is refused by name. */
export function filterConfigParser(filters: ReadonlyMap<string, HttpFilterFactory>): (typeUrl: string, bytes: Uint8Array) => unknown {
  const byRouteType = new Map([...filters.values()].flatMap((factory) => (factory.routeTypeUrl ? [[factory.routeTypeUrl, factory] as const] : [])));
  return (typeUrl, bytes) => {
    const factory = byRouteType.get(typeUrl) ?? filters.get(typeUrl);
    if (factory) return factory.parse(typeUrl, bytes);
    if (PASSIVE_HTTP_FILTERS.has(typeUrl)) return undefined;
    throw new Error(`no filter reads ${typeUrl}`);
  };
}
