import type { RequestHead } from '../http/message.ts';

/** Why a route was chosen or not; recorded only when somebody asked. */
export type DecisionTrace = (reason: string) => void;

export interface HeaderMutations {
  readonly set: readonly (readonly [name: string, value: string])[];
  readonly add: readonly (readonly [name: string, value: string])[];
  readonly remove: readonly string[];
}

export interface RetryPolicy {
  readonly retryOn: ReadonlySet<string>;
  readonly retriableStatusCodes: readonly number[];
  readonly numRetries: number;
  /** 0 = none. */
  readonly perTryTimeoutMs: number;
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  /** previous_hosts predicate. */
  readonly avoidPreviousHosts: boolean;
  readonly hostSelectionMaxAttempts: number;
}

/** One destination of a route with the header changes of its weighted-cluster entry. */
export interface ClusterChoice {
  readonly cluster: string;
  readonly weight: number;
  readonly request: HeaderMutations | undefined;
  readonly response: HeaderMutations | undefined;
  readonly hostRewrite: string | undefined;
  readonly typedPerFilterConfig: ReadonlyMap<string, unknown>;
}

export interface MirrorPolicy {
  readonly cluster: string;
  /** Fraction 0–1. */
  readonly fraction: number;
}

export type RouteAction =
  | {
      readonly kind: 'forward';
      readonly clusters: readonly ClusterChoice[];
      readonly totalWeight: number;
      /** Rewrites the path (prefix, exact or regex) or leaves it. */
      readonly rewritePath: ((path: string) => string) | undefined;
      readonly hostRewrite: string | undefined;
      readonly autoHostRewrite: boolean;
      /** 0 = no timeout. */
      readonly timeoutMs: number;
      readonly maxGrpcTimeoutMs: number | undefined;
      readonly idleTimeoutMs: number | undefined;
      readonly retry: RetryPolicy | undefined;
      readonly mirrors: readonly MirrorPolicy[];
      /** Keys for consistent hashing, tried in order; see the cluster's balancer. */
      readonly hash: ((head: RequestHead, sourceIp: string) => { readonly key: string | undefined; readonly setCookie?: string }) | undefined;
      /** Upgrade types allowed on this route, lower case (`websocket`). */
      readonly upgrades: ReadonlySet<string>;
      readonly clusterNotFoundStatus: number;
    }
  | { readonly kind: 'redirect'; readonly status: number; readonly location: (head: RequestHead) => string }
  | { readonly kind: 'direct'; readonly status: number; readonly body: string };

export interface RouteEntry {
  readonly name: string;
  readonly virtualHost: string;
  readonly action: RouteAction;
  /** Mutations of route, virtual host and table, already in Envoy's order of application. */
  readonly request: readonly HeaderMutations[];
  readonly response: readonly HeaderMutations[];
  /** Decoded per-filter configs, most specific first (route before virtual host), by filter name. */
  readonly typedPerFilterConfig: ReadonlyMap<string, unknown>;
  /** `reviews.default.svc.cluster.local:9080/*`: the span's operation. */
  readonly decorator: string;
  /** VirtualService that made it (`istio.config` metadata), for explain and logs. */
  readonly origin: string;
}

/** `redirect` = the virtual host requires TLS and the request came in plaintext. */
export type RouteLookup = { readonly kind: 'found'; readonly route: RouteEntry } | { readonly kind: 'tls-redirect' } | { readonly kind: 'none' };

/** A RouteConfiguration compiled for matching. Pure; randomness (runtime fractions) comes in as a number in [0, 1). */
export interface RouteTable {
  readonly name: string;
  lookup(head: RequestHead, options: { readonly secure: boolean; readonly random: number; readonly trace?: DecisionTrace }): RouteLookup;
}
