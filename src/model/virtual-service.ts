import type { Visibility } from './visibility.ts';

export type StringMatch =
  | { readonly kind: 'exact'; readonly value: string }
  | { readonly kind: 'prefix'; readonly value: string }
  /** Whole path segments: `/foo` matches `/foo` and `/foo/x`, not `/foobar` (Ingress, Gateway API). */
  | { readonly kind: 'segment-prefix'; readonly value: string }
  /** RE2, full match. */
  | { readonly kind: 'regex'; readonly value: string }
  | { readonly kind: 'present' };

export interface NamedMatch {
  readonly name: string;
  readonly match: StringMatch;
}

export interface HttpMatch {
  readonly name: string;
  readonly uri: StringMatch | undefined;
  readonly ignoreUriCase: boolean;
  readonly scheme: StringMatch | undefined;
  readonly method: StringMatch | undefined;
  readonly authority: StringMatch | undefined;
  readonly headers: readonly NamedMatch[];
  readonly withoutHeaders: readonly NamedMatch[];
  readonly queryParams: readonly NamedMatch[];
  /** 0 = any. */
  readonly port: number;
  readonly sourceLabels: Readonly<Record<string, string>>;
  readonly sourceNamespace: string;
  /** `ns/name` or `mesh`; empty = those of the VirtualService. */
  readonly gateways: readonly string[];
  readonly statPrefix: string;
}

export interface Destination {
  /** FQDN. */
  readonly host: string;
  readonly subset: string;
  /** 0 = not given. */
  readonly port: number;
}

export interface HeaderOperations {
  readonly set: readonly (readonly [string, string])[];
  readonly add: readonly (readonly [string, string])[];
  readonly remove: readonly string[];
}

export interface WeightedDestination {
  readonly destination: Destination;
  readonly weight: number;
  readonly request: HeaderOperations;
  readonly response: HeaderOperations;
}

export interface RetrySettings {
  /** 0 = off. */
  readonly attempts: number;
  readonly perTryTimeoutMs: number | undefined;
  /** Envoy conditions, '' = the default list. */
  readonly retryOn: string;
  readonly retriableStatusCodes: readonly number[];
  readonly remoteLocalities: boolean;
  readonly ignorePreviousHosts: boolean;
  readonly backoffMs: number | undefined;
}

export interface FaultInjection {
  readonly delay: { readonly percent: number; readonly fixedDelayMs: number } | undefined;
  readonly abort: { readonly percent: number; readonly httpStatus: number | undefined; readonly grpcStatus: number | undefined } | undefined;
}

export interface CorsPolicy {
  readonly allowOrigins: readonly StringMatch[];
  readonly allowMethods: readonly string[];
  readonly allowHeaders: readonly string[];
  readonly exposeHeaders: readonly string[];
  readonly maxAgeMs: number | undefined;
  readonly allowCredentials: boolean | undefined;
  readonly forwardUnmatchedPreflights: boolean | undefined;
}

export interface Mirror {
  readonly destination: Destination;
  readonly percent: number;
}

export interface Rewrite {
  readonly uri: string | undefined;
  readonly uriRegex: { readonly match: string; readonly rewrite: string } | undefined;
  readonly authority: string | undefined;
}

export interface Redirect {
  readonly uri: string | undefined;
  readonly prefixRewrite: string | undefined;
  readonly authority: string | undefined;
  readonly port: number | 'from-protocol-default' | 'from-request-port' | undefined;
  readonly scheme: string | undefined;
  readonly code: number;
}

export type HttpAction =
  | { readonly kind: 'route'; readonly destinations: readonly WeightedDestination[] }
  | { readonly kind: 'redirect'; readonly redirect: Redirect }
  | { readonly kind: 'direct-response'; readonly status: number; readonly body: string | undefined };

export interface HttpRoute {
  readonly name: string;
  /** Empty = catch-all. */
  readonly matches: readonly HttpMatch[];
  readonly action: HttpAction;
  readonly rewrite: Rewrite | undefined;
  /** Undefined = no timeout. */
  readonly timeoutMs: number | undefined;
  /** Undefined = the mesh default. */
  readonly retries: RetrySettings | undefined;
  readonly fault: FaultInjection | undefined;
  readonly mirrors: readonly Mirror[];
  readonly cors: CorsPolicy | undefined;
  readonly request: HeaderOperations;
  readonly response: HeaderOperations;
  /** Status for a destination that does not exist; undefined = Envoy's 503. */
  readonly missingDestinationStatus?: number;
}

export interface L4Match {
  /** TLS only. */
  readonly sniHosts: readonly string[];
  readonly destinationSubnets: readonly string[];
  readonly port: number;
  readonly sourceLabels: Readonly<Record<string, string>>;
  readonly sourceNamespace: string;
  readonly gateways: readonly string[];
}

export interface L4Route {
  readonly matches: readonly L4Match[];
  readonly destinations: readonly { readonly destination: Destination; readonly weight: number }[];
}

/** A VirtualService with every name expanded, every duration in ms and legacy fields folded in. */
export interface VirtualService {
  readonly kind: 'virtual-service';
  readonly name: string;
  readonly namespace: string;
  /** Lower-case FQDNs, wildcards or `*`. */
  readonly hosts: readonly string[];
  /** `mesh` or `ns/name`. */
  readonly gateways: readonly string[];
  readonly http: readonly HttpRoute[];
  readonly tls: readonly L4Route[];
  readonly tcp: readonly L4Route[];
  readonly visibility: Visibility;
  /** Made from a route (Gateway API) or an Ingress, which says in its own status what is wrong. */
  readonly generated?: boolean;
  readonly createdMs: number;
  /** `/apis/networking.istio.io/v1/namespaces/<ns>/virtual-service/<name>`: the `istio.config` metadata. */
  readonly origin: string;
  readonly digest: string;
}
