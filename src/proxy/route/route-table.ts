import type { TrafficRecord } from '../../telemetry/traffic-record.ts';
import type { DynamicMetadata } from '../filters/dynamic-metadata.ts';
import type { RequestHead, ResponseHead } from '../http/message.ts';
import type { RouteRateLimit } from './rate-limits.ts';

/** Why a route was chosen or not; recorded only when somebody asked. */
export type DecisionTrace = (reason: string) => void;

/** A header value: literal, or computed from what is known of the request by now (`%DOWNSTREAM_REMOTE_ADDRESS%`). '' = the header is left out. */
export type HeaderValue = string | ((known: Partial<TrafficRecord>) => string);

/**
 * Header changes of one level. Apply with `applyHeaderMutations` (header-mutations.ts): removes, then `set`, then `add`, as Envoy does.
 * Names are lower case; never the host or a pseudo header.
 */
export interface HeaderMutations {
  /** OVERWRITE_IF_EXISTS_OR_ADD. */
  readonly set: readonly (readonly [name: string, value: HeaderValue])[];
  /** APPEND_IF_EXISTS_OR_ADD: one more line. */
  readonly add: readonly (readonly [name: string, value: HeaderValue])[];
  /** ADD_IF_ABSENT. */
  readonly addIfAbsent: readonly (readonly [name: string, value: HeaderValue])[];
  /** OVERWRITE_IF_EXISTS. */
  readonly setIfPresent: readonly (readonly [name: string, value: HeaderValue])[];
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
  /** Response headers that make a response retriable (`retriable-headers`); empty = none. */
  readonly retriableHeaders: readonly ((head: ResponseHead) => boolean)[];
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
      /** Choose with `chooseCluster` (choose-cluster.ts). */
      readonly clusters: readonly ClusterChoice[];
      /** Name of the request header that names the cluster (`cluster_header`); `clusters` is then empty. */
      readonly clusterHeader: string | undefined;
      readonly totalWeight: number;
      /** Rewrites the path (prefix, exact or regex) or leaves it. */
      readonly rewritePath: ((path: string) => string) | undefined;
      readonly hostRewrite: string | undefined;
      readonly autoHostRewrite: boolean;
      /** 0 = no timeout. */
      readonly timeoutMs: number;
      /** Whole life of the stream, 0 = none. @see envoy.config.route.v3.RouteAction.MaxStreamDuration */
      readonly maxStreamDurationMs: number;
      /** Cap of the request's `grpc-timeout`: undefined = the header is ignored, 0 = honoured without cap. */
      readonly maxGrpcTimeoutMs: number | undefined;
      /** Per-route stream idle timeout; 0 = none, undefined = the connection manager's. */
      readonly idleTimeoutMs: number | undefined;
      readonly retry: RetryPolicy | undefined;
      readonly mirrors: readonly MirrorPolicy[];
      /** Keys for consistent hashing, tried in order; see the cluster's balancer. */
      readonly hash: ((head: RequestHead, sourceIp: string) => { readonly key: string | undefined; readonly setCookie?: string }) | undefined;
      /** Upgrade types (lower case, `websocket`, `connect`) that this route allows or forbids, whatever its connection manager says. */
      readonly upgrades: ReadonlyMap<string, boolean>;
      /** CONNECT ends here: what it carries goes to the upstream as bytes. `andPost`: so do bodies of POST. */
      readonly terminateConnect: { readonly andPost: boolean } | undefined;
      readonly clusterNotFoundStatus: number;
    }
  | { readonly kind: 'redirect'; readonly status: number; readonly location: (head: RequestHead) => string }
  | { readonly kind: 'direct'; readonly status: number; readonly body: string }
  /** `non_forwarding_action`: the route is chosen (server-side use of RDS), nothing is forwarded. */
  | { readonly kind: 'non-forwarding' };

export interface RouteEntry {
  readonly name: string;
  readonly virtualHost: string;
  readonly action: RouteAction;
  /** Mutations of route, virtual host and table, already in Envoy's order of application. */
  readonly request: readonly HeaderMutations[];
  readonly response: readonly HeaderMutations[];
  /** What requests are counted as: the route's own, else those of its virtual host. */
  readonly rateLimits: readonly RouteRateLimit[];
  /** Decoded per-filter configs, most specific first (route before virtual host), by filter name. */
  readonly typedPerFilterConfig: ReadonlyMap<string, unknown>;
  /** `reviews.default.svc.cluster.local:9080/*`: the span's operation. */
  readonly decorator: string;
  /** VirtualService that made it (`istio.config` metadata), for explain and logs. */
  readonly origin: string;
  /** Send `x-envoy-attempt-count` upstream / back downstream. @see envoy.config.route.v3.VirtualHost.include_request_attempt_count */
  readonly attemptCount: { readonly request: boolean; readonly response: boolean };
  /** Random sampling of this route in percent, overriding the connection manager's; undefined = not given. */
  readonly samplingPercent: number | undefined;
}

/** `redirect` = the virtual host requires TLS and the request came in plaintext. */
export type RouteLookup = { readonly kind: 'found'; readonly route: RouteEntry } | { readonly kind: 'tls-redirect' } | { readonly kind: 'none' };

export interface LookupOptions {
  /** The request came over TLS. */
  readonly secure: boolean;
  /** In [0, 1). */
  readonly random: number;
  /** What filters left by now; routes may be chosen by it. */
  readonly metadata?: DynamicMetadata | undefined;
  readonly trace?: DecisionTrace;
}

/** A RouteConfiguration compiled for matching. Pure; randomness (runtime fractions) comes in as a number in [0, 1). */
export interface RouteTable {
  readonly name: string;
  lookup(head: RequestHead, options: LookupOptions): RouteLookup;
}
